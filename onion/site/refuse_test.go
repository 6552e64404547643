package site

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"

	"resguardo/crypto/seal"
	"resguardo/vault"
)

// Each bad input is answered with a sentence and the text, and nothing is stored.
func TestRefusals(t *testing.T) {
	const text = "lo que escribí <b>"
	const shown = "lo que escribí &lt;b&gt;"
	many := make([]part, 21)
	for i := range many {
		many[i] = file("f", "x")
	}
	for _, tt := range []struct {
		name   string
		parts  []part // after the token
		status int
		key    string
		text   string // shown again
	}{
		{"empty message", []part{field("desk", "norte"), field("message", " \n")}, 422, "empty", " \n"},
		{"no message", []part{field("desk", "norte")}, 422, "empty", ""},
		{"file but no message", []part{field("desk", "norte"), field("message", ""), file("f", "x")}, 422, "empty", ""},
		{"65 KiB message", []part{field("desk", "norte"), field("message", strings.Repeat("a", 65<<10))}, 413, "text_long", strings.Repeat("a", 65<<10)},
		{"200 KiB message", []part{field("desk", "norte"), field("message", strings.Repeat("a", 200<<10))}, 413, "text_cut", strings.Repeat("a", 128<<10)},
		{"answers over the limit", []part{field("desk", "norte"), field("message", text), field("a-where", strings.Repeat("b", 129<<10))}, 413, "text_cut", shown},
		{"21 files", append([]part{field("desk", "norte"), field("message", text)}, many...), 413, "files_many", shown},
		{"unknown desk", []part{field("desk", "nadie"), field("message", text)}, 422, "unknown_desk", shown},
		{"desk without keys", []part{field("desk", "vacio"), field("message", text)}, 422, "desk_keys", shown},
		{"no desk", []part{field("message", text)}, 422, "none_chosen", shown},
		{"every desk excluded", []part{field("desk", "norte"), field("exclude", "desk:norte"), field("message", text)}, 422, "no_desk", shown},
		{"unknown exclusion", []part{field("desk", "norte"), field("exclude", "desk:nadie"), field("message", text)}, 422, "unknown_desk", shown},
		{"empty organisation excluded", []part{field("desk", "norte"), field("exclude", "org:"), field("message", text)}, 422, "unknown_desk", shown},
		{"unknown share", []part{field("desk", "norte"), field("share", "all"), field("message", text)}, 400, "malformed", shown},
		{"unknown field", []part{field("desk", "norte"), field("colour", "red"), field("message", text)}, 400, "malformed", shown},
		{"unknown question", []part{field("desk", "norte"), field("message", text), field("a-colour", "red")}, 400, "malformed", shown},
		{"unknown choice", []part{field("desk", "norte"), field("message", text), field("a-kind", "red")}, 400, "malformed", shown},
		{"desk after message", []part{field("message", text), field("desk", "norte")}, 400, "malformed", shown},
		{"message after file", []part{field("desk", "norte"), file("f", "x"), field("message", text)}, 422, "empty", shown},
		{"two messages", []part{field("desk", "norte"), field("message", "x"), field("message", text)}, 400, "malformed", shown},
		{"two tokens", []part{field("token", "x"), field("desk", "norte"), field("message", text)}, 400, "malformed", shown},
		{"NUL in a file name", []part{field("desk", "norte"), field("message", text), file("nul\x00.jpg", "x")}, 400, "malformed", shown},
		{"long desk", []part{field("desk", strings.Repeat("n", 129)), field("message", text)}, 400, "malformed", shown},
		{"5,000 parts", append([]part{field("desk", "norte"), field("message", text)}, make([]part, 5000)...), 400, "malformed", shown},
		{"5,000 empty files", append([]part{field("desk", "norte"), field("message", text)}, slicesRepeat(file("", ""), 5000)...), 400, "malformed", shown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.refused(w.send("es", append([]part{field("token", w.token("es"))}, tt.parts...)...), tt.status, tt.key, tt.text)
		})
	}
}

func slicesRepeat(p part, n int) []part {
	ps := make([]part, n)
	for i := range ps {
		ps[i] = p
	}
	return ps
}

// Where another desk must be chosen, the form asks for it and keeps the exclusions.
func TestRefusedDeskCanBeChosenAgain(t *testing.T) {
	w := newWorld(t)
	r := w.send("es", field("token", w.token("es")), field("desk", "sur"), field("exclude", "desk:sur"), field("share", "nobody"), field("message", "hola"))
	w.refused(r, 422, "no_desk", "hola")
	for _, want := range []string{
		`<input type="checkbox" name="desk" value="sur" checked>`,
		`<input type="checkbox" name="desk" value="norte">`,
		`<input type="checkbox" name="exclude" value="desk:sur" checked>`,
		`name="share" value="nobody" checked>`,
	} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s in:\n%s", want, r.body)
		}
	}
	if strings.Contains(r.body, `value="vacio"`) {
		t.Error("a desk without keys is offered")
	}
}

// Hostile names are kept as declared, inside the report only.
func TestHostileNames(t *testing.T) {
	w := newWorld(t)
	names := []string{"..", `..\..\x`, "evil\u202egpj.exe", strings.Repeat("ñ", 5<<10), "/etc/passwd", "C:\\a\\b.txt", "a;b=\"c\".txt", "bad \xff\xfe", "\r\nX-Inj: 1"}
	parts := []part{field("token", w.token("es")), field("desk", "norte"), field("message", "x")}
	for _, n := range names {
		parts = append(parts, file(n, "content"))
	}
	codenameIn(t, w.send("es", parts...))
	r := w.only("norte", "a")
	if len(r.Manifest.Files) != 2+len(names) {
		t.Fatalf("%d entries", len(r.Manifest.Files))
	}
	for i, f := range r.Manifest.Files[2:] {
		if f.Entry != fmt.Sprintf("files/%02d", i+1) || entry(t, r, f.Entry) != "content" {
			t.Errorf("entry %q", f.Entry)
		}
	}
	if r.Manifest.Files[4].Name != names[2] {
		t.Errorf("name %q", r.Manifest.Files[4].Name)
	}
}

// raw writes bytes to the site's socket, and returns the answer and how many
// bytes of the body were taken.
func (w *world) raw(head string, body io.Reader, cut bool) (answer string, taken int64) {
	w.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, head)
	taken, _ = io.Copy(c, body) // an early close of the other side is an answer too
	if cut {
		return "", taken
	}
	text, _ := io.ReadAll(c)
	return string(text), taken
}

func (w *world) head(length int) string {
	return fmt.Sprintf("POST /es/report HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n",
		strings.TrimPrefix(w.url, "http://"), length)
}

// opening is the start of a good body with boundary B, up to its message.
func (w *world) opening() string {
	var b strings.Builder
	for _, f := range [][2]string{{"token", w.token("es")}, {"desk", "norte"}, {"message", "sigue aquí"}} {
		fmt.Fprintf(&b, "--B\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", f[0], f[1])
	}
	return b.String()
}

func TestMalformedBodies(t *testing.T) {
	for name, rest := range map[string]string{
		"no closing boundary":  "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nabc",
		"nothing more":         "",
		"half a boundary":      "--B",
		"header without colon": "--B\r\nnonsense\r\n\r\nabc\r\n--B--\r\n",
		"no disposition":       "--B\r\n\r\nabc\r\n--B--\r\n",
		"10,001 headers":       "--B\r\n" + strings.Repeat("A: b\r\n", 10001) + "\r\nabc\r\n--B--\r\n",
		"21 KiB header":        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + strings.Repeat("x", 21<<10) + "\"\r\n\r\nabc\r\n--B--\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			body := w.opening() + rest
			answer, _ := w.raw(w.head(len(body)), strings.NewReader(body), false)
			if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, w.sentence("es", "error.malformed")) || !strings.Contains(answer, "sigue aquí</textarea>") {
				t.Errorf("answer:\n%s", answer)
			}
			w.stored(0)
		})
	}
}

// A header line of 50 MiB is read and dropped, and never held in memory.
func TestHugeHeaderLine(t *testing.T) {
	w := newWorld(t)
	opening := w.opening() + "--B\r\nContent-Disposition: "
	const size = 50 << 20
	head := w.head(len(opening) + size)
	body := io.MultiReader(strings.NewReader(opening), io.LimitReader(endless('x'), size))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer, taken := w.raw(head, body, false)
	runtime.ReadMemStats(&after)
	if taken != int64(len(opening)+size) {
		t.Errorf("only %d bytes were taken", taken)
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "sigue aquí</textarea>") {
		t.Errorf("answer:\n%s", answer)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes allocated for a header of %d", n, size)
	}
	w.stored(0)
}

// endless is a reader of one byte, again and again.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// A connection that ends in the middle stores nothing and frees the form.
func TestConnectionCut(t *testing.T) {
	w := newWorld(t)
	body := w.opening() + "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 1<<20)
	_, token, _ := strings.Cut(body, "\r\n\r\n")
	token, _, _ = strings.Cut(token, "\r\n")
	w.raw(w.head(2*len(body)), strings.NewReader(body), true)
	// A second send of the same form waits until the first is known to be lost.
	codenameIn(t, w.send("es", field("token", token), field("desk", "norte"), field("message", "otra vez")))
	if got := entry(t, w.only("norte", "a"), "message.txt"); got != "otra vez" {
		t.Errorf("message %q", got)
	}
}

// A browser shows a refusal only if its whole request was taken: 20 MB are on
// their way when the token turns out unknown.
func TestRefusalAfterLongBody(t *testing.T) {
	w := newWorld(t)
	body, typ := multipartOf(field("token", "unknown"), field("desk", "norte"), field("message", "sigue aquí"), file("f", strings.Repeat("x", 20<<20)))
	head := strings.Replace(w.head(len(body)), "multipart/form-data; boundary=B", typ, 1)
	answer, taken := w.raw(head, bytes.NewReader(body), false)
	if taken != int64(len(body)) || !strings.HasPrefix(answer, "HTTP/1.1 400 ") ||
		!strings.Contains(answer, w.sentence("es", "error.expired")) || !strings.Contains(answer, "sigue aquí</textarea>") {
		t.Errorf("%d of %d bytes taken, answer:\n%s", taken, len(body), answer)
	}
	w.stored(0)
}

func TestFileOverLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxReport = 1 << 20 })
	send := func(size int, chunked bool) response {
		body, typ := multipartOf(field("token", w.token("es")), field("desk", "norte"), field("message", "sigue aquí"), file("f", strings.Repeat("x", size)))
		r := w.request("POST", "/es/report", io.MultiReader(bytes.NewReader(body)))
		r.ContentLength = int64(len(body))
		if chunked {
			r.ContentLength = -1
		}
		r.Header.Set("Content-Type", typ)
		return w.do(r)
	}
	for _, chunked := range []bool{false, true} {
		w.refused(send(1<<20, chunked), http.StatusRequestEntityTooLarge, "file_large", "sigue aquí")
		w.refused(send(1500<<10, chunked), http.StatusRequestEntityTooLarge, "file_large", "sigue aquí")
	}
	if w.site.uploads.taken != 0 {
		t.Error("a place for uploads is lost")
	}
	codenameIn(t, send(1000<<10, true))

	// Beyond a second limit the connection ends, with or without an answer.
	opening := w.opening() + "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
	w.raw(w.head(100<<20), io.MultiReader(strings.NewReader(opening), io.LimitReader(endless('x'), 100<<20)), false)
	w.stored(1)
}

func TestFaultsAreRefused(t *testing.T) {
	report := func(w *world) []part {
		return []part{field("token", w.token("es")), field("desk", "norte"), field("message", "sigue aquí"), file("f", "x")}
	}
	t.Run("key that cannot be encrypted to", func(t *testing.T) {
		w := newWorld(t)
		parts := report(w)
		w.desks[0].Recipients = []seal.Recipient{{}}
		w.refused(w.send("es", parts...), http.StatusInternalServerError, "encrypt", "sigue aquí")
	})
	t.Run("manifest that cannot be sealed", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Origin = "not an origin" })
		w.refused(w.send("es", report(w)...), http.StatusInternalServerError, "encrypt", "sigue aquí")
	})
	t.Run("vault full", func(t *testing.T) {
		w := newWorld(t)
		parts := report(w)
		w.site.vault = w.secondVault(vault.Options{MaxBytes: 1})
		w.refused(w.send("es", parts...), http.StatusServiceUnavailable, "full", "sigue aquí")
		for _, r := range []response{w.get("/es/report"), w.get("/es/report?desk=norte"), w.postForm("/es/report", url.Values{"desk": {"norte"}})} {
			if r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, w.sentence("es", "notice.full")) || strings.Contains(r.body, "textarea") {
				t.Errorf("status %d:\n%s", r.status, r.body)
			}
		}
	})
	t.Run("vault stopped", func(t *testing.T) {
		w := newWorld(t)
		parts := report(w)
		w.vault.Close()
		r := w.send("es", parts...)
		if r.status != http.StatusInternalServerError || !strings.Contains(r.body, w.sentence("es", "error.store")) || !strings.Contains(r.body, "sigue aquí</textarea>") {
			t.Errorf("status %d:\n%s", r.status, r.body)
		}
	})
	t.Run("uploads busy", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.MaxUploads = 1 })
		parts := report(w)
		var leave []func()
		for range 1 + uploadQueue {
			l, _ := w.site.uploads.take(t.Context())
			leave = append(leave, l)
		}
		w.refused(w.send("es", parts...), http.StatusServiceUnavailable, "busy", "sigue aquí")
		if form := w.get("/es/report?desk=norte"); strings.Contains(form.body, `type="file"`) || !strings.Contains(form.body, w.sentence("es", "form.no_files")) {
			t.Error("the form offers files while every place is taken")
		}
		for _, l := range leave {
			l()
		}
		codenameIn(t, w.send("es", parts...)) // the refused send freed its form
	})
	t.Run("circuit's share of uploads taken", func(t *testing.T) {
		circuit := uint32(7)
		w := newWorld(t, func(c *Config) {
			c.MaxUploads = 8 // two for a circuit, in any case
			c.Circuit = func(context.Context) (uint32, bool) { return circuit, true }
		})
		parts := report(w)
		for range 2 {
			w.site.uploads.take(t.Context())
		}
		w.refused(w.send("es", parts...), http.StatusTooManyRequests, "often", "sigue aquí")
		codenameIn(t, w.send("es", field("token", w.token("es")), field("desk", "norte"), field("message", "text alone passes")))
		circuit = 8
		codenameIn(t, w.send("es", parts...))
	})
	t.Run("circuit's share of derivations taken", func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Circuit = func(context.Context) (uint32, bool) { return 7, true } })
		parts := report(w)
		for range (kdfSlots + kdfQueue) / 4 {
			w.site.kdf.reports.take(t.Context())
			w.site.kdf.signIns.take(t.Context())
		}
		w.refused(w.send("es", parts...), http.StatusTooManyRequests, "often", "sigue aquí")
		for _, lang := range builtIn {
			words := w.site.words[lang].Draw([32]byte{1}).String()
			r := w.signIn(lang, words)
			if r.status != http.StatusTooManyRequests || !strings.Contains(r.body, w.sentence(lang, "signin.often")) || !strings.Contains(r.body, words+"</textarea>") {
				t.Errorf("%s: status %d:\n%s", lang, r.status, r.body)
			}
			checkHeaders(t, r, nil)
		}
	})
	t.Run("derivation busy", func(t *testing.T) {
		w := newWorld(t)
		parts := report(w)
		for range kdfSlots + kdfQueue {
			w.site.kdf.reports.take(t.Context())
		}
		w.refused(w.send("es", parts...), http.StatusServiceUnavailable, "busy", "sigue aquí")
		for _, r := range []response{w.get("/es/report"), w.get("/es/report?desk=norte"), w.postForm("/es/report", url.Values{"desk": {"norte"}})} {
			if r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, w.sentence("es", "notice.busy")) || strings.Contains(r.body, "textarea") {
				t.Errorf("status %d:\n%s", r.status, r.body)
			}
		}
	})
}

// 64 MiB go through without a file in the directory for temporary files.
func TestUploadLeavesNoTemporaryFile(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	w := newWorld(t)
	const size = 64 << 20
	head, typ := multipartOf(field("token", w.token("es")), field("desk", "norte"), field("message", "x"), file("f", "@"))
	start, end, _ := bytes.Cut(head, []byte("@"))
	watched := &watcher{t: t, dir: tmp, r: io.LimitReader(endless('x'), size)}
	r := w.request("POST", "/es/report", io.MultiReader(bytes.NewReader(start), watched, bytes.NewReader(end)))
	r.Header.Set("Content-Type", typ)
	codenameIn(t, w.do(r))
	watched.look()
	if f := w.only("norte", "a").Manifest.Files[2]; f.Size != size {
		t.Errorf("file of %d bytes", f.Size)
	}
}

// watcher looks into dir about every MiB read.
type watcher struct {
	t   *testing.T
	dir string
	r   io.Reader
	n   int
}

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.n>>20 != (w.n+n)>>20 {
		w.look()
	}
	w.n += n
	return n, err
}

func (w *watcher) look() {
	files, err := os.ReadDir(w.dir)
	if err != nil || len(files) > 0 {
		w.t.Errorf("files in TMPDIR: %v, %v", files, err)
	}
}
