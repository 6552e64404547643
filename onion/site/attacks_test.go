package site

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"resguardo/vault"
)

// Attacks on the source's pages, by their ids in docs/attacks.md.

// TestAttackW2: no other site can make a source's browser sign out, delete or send, and
// no address changes anything, whatever stands in it.
func TestAttackW2(t *testing.T) {
	m := newMail(t)
	reply := m.write("reply", "ven mañana")
	page := m.signIn("es", m.words)
	session := sessionIn(t, page)
	form := m.token("es")
	codenameIn(t, m.send("es", field("token", form), field("desk", "norte"), field("message", "x")))
	items := len(m.vault.AllItems())
	unchanged := func(what string) {
		t.Helper()
		if n := len(m.vault.AllItems()); n != items {
			t.Fatalf("%s: %d items, were %d", what, n, items)
		}
	}
	attempts := []struct {
		path   string
		values url.Values
	}{
		{"/es/mailbox", url.Values{"session": {session}, "action": {"delete"}, "number": {fmt.Sprint(reply.Number)}}},
		{"/es/mailbox", url.Values{"session": {session}, "action": {"erase"}}},
		{"/es/mailbox", url.Values{"session": {session}, "action": {"close"}}},
		{"/es/mailbox", url.Values{"session": {session}, "action": {"show"}}},
		{"/es/exit", url.Values{"session": {session}}},
		{"/es/codename", url.Values{"token": {form}, "action": {"finish"}}},
		{"/es/report", url.Values{"token": {m.token("es")}, "desk": {"norte"}, "message": {"x"}}},
	}
	for _, a := range attempts {
		for _, origin := range []string{"null", "http://example.org", strings.ToUpper(m.url) + ".example.org"} {
			r := m.request("POST", a.path, strings.NewReader(a.values.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", origin)
			if got := m.do(r); got.status != http.StatusForbidden {
				t.Errorf("POST %s %v from %s: status %d", a.path, a.values, origin, got.status)
			}
			unchanged(origin)
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			r := m.request(method, a.path+"?"+a.values.Encode(), nil)
			if got := m.do(r); strings.Contains(got.body, "ven mañana") {
				t.Errorf("%s %s opens the mailbox", method, r.URL)
			}
			unchanged(method)
		}
	}
	// The session and the form are what they were.
	m.has(m.press(session, "show"), http.StatusOK, "reply.checked")
	if again := m.postForm("/es/codename", url.Values{"token": {form}, "action": {"check"}, "words": {"x"}}); !codenameLine.MatchString(again.body) {
		t.Error("the codename page was finished")
	}
}

// hidden is every value of a page that is not text: attributes, and headers.
func hidden(t *testing.T, r response) (values, addresses []string) {
	t.Helper()
	for name, v := range r.header {
		values = append(values, name+": "+strings.Join(v, ", "))
	}
	addresses = append(addresses, r.header.Get("Refresh"), r.header.Get("Location"))
	for z := html.NewTokenizer(strings.NewReader(r.body)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return values, addresses
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range z.Token().Attr {
				values = append(values, a.Val)
				if slices.Contains([]string{"href", "action", "src", "formaction", "content"}, a.Key) {
					addresses = append(addresses, a.Val)
				}
			}
		}
	}
}

// decoded is a value and all that it can be decoded to.
func decoded(value string) []string {
	all := []string{value}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(value); err == nil {
			all = append(all, string(b))
		}
	}
	if b, err := hex.DecodeString(value); err == nil {
		all = append(all, string(b))
	}
	if s, err := url.QueryUnescape(value); err == nil {
		all = append(all, s)
	}
	return all
}

// TestAttackW7: no hidden field, header or address holds the codename, a word of it,
// or a key that comes from it, in any encoding.
func TestAttackW7(t *testing.T) {
	m := newMail(t)
	m.write("reply", "ven mañana", func(x *written) { x.files = map[string]string{"carta.pdf": "f"} })
	token := m.token("es")
	sent := m.send("es", field("token", token), field("desk", "norte"), field("message", "x"))
	words := codenameIn(t, sent)
	keys := m.derive(words)
	own := m.derive(m.words)
	opened := m.signIn("es", m.words)
	pages := map[string]response{
		"codename": sent, "check": m.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {"no"}}),
		"mailbox": opened, "wrong": m.signIn("es", strings.Repeat("abrir ", 8)),
	}
	pages["read"] = m.press(sessionIn(t, opened), "read", "number", "1")
	pages["ask"] = m.press(sessionIn(t, pages["read"]), "ask")
	pages["finish"] = m.postForm("/es/codename", url.Values{"token": {token}, "action": {"finish"}})
	var secrets []string
	for _, w := range append(strings.Fields(words), strings.Fields(m.words)...) {
		if len(w) > 4 { // shorter words stand in ours
			secrets = append(secrets, w)
		}
	}
	for _, k := range [][32]byte{keys.Mailbox, keys.Age, keys.Thread, keys.Log, own.Mailbox, own.Age, own.Thread, own.Log} {
		secrets = append(secrets, string(k[:8]))
	}
	seen := 0
	for name, r := range pages {
		values, _ := hidden(t, r)
		for _, v := range values {
			for _, d := range decoded(v) {
				seen++
				for _, s := range secrets {
					if strings.Contains(d, s) {
						t.Errorf("%s: a field or header holds %q: %q", name, s, v)
					}
				}
			}
		}
	}
	if seen < 500 {
		t.Errorf("only %d values were looked at", seen)
	}
}

// TestAttackW13: 300 reports at once. Each is stored, or refused in words and not stored, and none
// takes the place of another.
func TestAttackW13(t *testing.T) {
	w := newWorld(t)
	const n = 300
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = w.token("es")
	}
	bodies := make([][]byte, n)
	types := make([]string, n)
	for i := range bodies {
		bodies[i], types[i] = multipartOf(field("token", tokens[i]), field("desk", "norte"), field("message", fmt.Sprint("reporte ", i)))
	}
	codenames, refused := make([]string, n), make([]int, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			r, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/es/report", bytes.NewReader(bodies[i]))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", types[i])
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			var page bytes.Buffer
			page.ReadFrom(res.Body)
			if m := codenameLine.FindSubmatch(page.Bytes()); m != nil {
				codenames[i] = string(m[1])
			} else if refused[i] = res.StatusCode; !strings.Contains(page.String(), w.sentence("es", "error.busy")) {
				t.Errorf("status %d without a sentence:\n%s", res.StatusCode, page.String())
			}
		})
	}
	start.Done()
	done.Wait()
	stored := map[string]bool{}
	for i := range n {
		switch {
		case codenames[i] == "" && refused[i] != http.StatusServiceUnavailable:
			t.Errorf("report %d: status %d", i, refused[i])
		case codenames[i] != "" && stored[codenames[i]]:
			t.Errorf("report %d has the codename of another", i)
		case codenames[i] != "":
			stored[codenames[i]] = true
		}
	}
	w.stored(len(stored))
	texts := map[string]bool{}
	for _, item := range w.vault.Items("norte") {
		r, err := w.open(item, "a")
		if err != nil {
			t.Fatal(err)
		}
		texts[entry(t, r, "message.txt")] = true
	}
	for i, c := range codenames {
		if c != "" && !texts[fmt.Sprint("reporte ", i)] {
			t.Errorf("report %d was acknowledged and is not there", i)
		}
	}
	if len(stored) == 0 {
		t.Error("no report went through")
	}
	t.Logf("%d stored, %d refused as busy", len(stored), n-len(stored))
}

// addressesOfPages are all that a page may lead to.
var addressesOfPages = regexp.MustCompile(`^(|#[a-z-]*|text/html; charset=utf-8|noindex|width=device-width, initial-scale=1|light dark|` +
	`/|/(es|en)(-usted)?/|/(es|en)(-usted)?/(safety|keys|report|codename|mailbox|exit|help|privacy)|/(es|en)(-usted)?/(report|keys)\?desk=[a-z0-9-]+(#[a-z-]+)?|` +
	`/(es|en)(-usted)?/keys/[a-z0-9-]+\.txt|/static/[a-z0-9.-]+\.css|https://www\.wikipedia\.org/|0; url=https://www\.wikipedia\.org/)$`)

// TestAttackW20: no address on any page holds a secret, forms with fields are sent by
// POST, and a secret that somebody puts into an address opens nothing.
func TestAttackW20(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Demo = true; c.Hotline = "800 5533 000" })
	form := regexp.MustCompile(`<form[^>]*>`)
	seen := 0
	for _, lang := range []string{"es", "en"} {
		for name, r := range w.everyPage(lang) {
			_, addresses := hidden(t, r)
			for _, a := range addresses {
				seen++
				if !addressesOfPages.MatchString(a) {
					t.Errorf("%s %s leads to %q", lang, name, a)
				}
			}
			for _, f := range form.FindAllString(r.body, -1) {
				if !strings.Contains(f, `method="post"`) {
					t.Errorf("%s %s: %s", lang, name, f)
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d addresses", seen)
	}
	words := codenameIn(t, w.send("es", field("token", w.token("es")), field("desk", "norte"), field("message", "x")))
	session := sessionIn(t, w.signIn("es", words))
	for _, query := range []url.Values{{"codename": {words}}, {"session": {session}}, {"session": {session}, "action": {"erase"}}} {
		if r := w.get("/es/mailbox?" + query.Encode()); sessionField.MatchString(r.body) {
			t.Errorf("%v opens the mailbox", query)
		}
	}
	if sessionIn(t, w.press(session, "show")) == "" {
		t.Error("the session has ended")
	}
}

// TestAttackG1: bodies that make parsers of multipart forms work hard. Nothing is stored,
// nothing goes into temporary files, and little memory is taken.
func TestAttackG1(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	w := newWorld(t)
	part := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n"
	for name, attack := range map[string]struct {
		rest, boundary string
		status         int
	}{
		"5,000 tiny parts":        {strings.Repeat(part+"\r\nx\r\n", 5000) + "--B--\r\n", "B", 413},
		"5,000 fields":            {strings.Repeat("--B\r\nContent-Disposition: form-data; name=\"a-where\"\r\n\r\n\r\n", 5000) + "--B--\r\n", "B", 400},
		"10,001 headers":          {part + strings.Repeat("A: b\r\n", 10001) + "\r\nx\r\n--B--\r\n", "B", 400},
		"no closing boundary":     {part + "\r\nx", "B", 400},
		"boundary of 71":          {"", strings.Repeat("b", 71), 400},
		"empty boundary":          {"", "", 400},
		"boundary with a newline": {"", "B\\\r\nX: y", 400},
		"header of 1 MiB":         {"--B\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("n", 1<<20) + "\"\r\n\r\nx\r\n--B--\r\n", "B", 400},
		"100,000 encoded words": {"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + strings.Repeat("=?utf-8?q?", 100_000) +
			"\"\r\n\r\nx\r\n--B--\r\n", "B", 400},
	} {
		t.Run(name, func(t *testing.T) {
			body := w.opening() + attack.rest
			head := strings.Replace(w.head(len(body)), "boundary=B", "boundary=\""+attack.boundary+"\"", 1)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			answer, _ := w.raw(head, strings.NewReader(body), false)
			runtime.ReadMemStats(&after)
			if !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", attack.status)) {
				t.Errorf("answer, want %d:\n%.2000s", attack.status, answer)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d bytes allocated", n)
			}
			if n := len(w.vault.AllItems()); n != 0 {
				t.Errorf("%d items stored", n)
			}
			if files, err := os.ReadDir(tmp); err != nil || len(files) > 0 {
				t.Errorf("temporary files: %v, %v", files, err)
			}
		})
	}
	if w.site.uploads.taken != 0 {
		t.Error("a place for uploads is lost")
	}
	// A form within a file is bytes of the file.
	inner := strings.Repeat("\r\n--C\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nother\r\n", 2000)
	body := w.opening() + part + "Content-Type: multipart/mixed; boundary=C\r\n\r\n" + inner + "\r\n--B--\r\n"
	if answer, _ := w.raw(w.head(len(body)), strings.NewReader(body), false); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Errorf("nested form:\n%.2000s", answer)
	}
	if r := w.only("norte", "a"); entry(t, r, "message.txt") != "sigue aquí" || entry(t, r, "files/01") != inner {
		t.Error("a form within a file was taken apart")
	}
}

// TestAttackG3: keys and cookies without number are refused before they are parsed, and
// 16 KiB of keys cost little.
func TestAttackG3(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/es/report", "/es/codename", "/es/mailbox", "/es/exit"} {
		r := w.postForm(path, url.Values{"x": {"y"}})
		most := w.request("POST", path, strings.NewReader(strings.Repeat("a=&b=&", 1<<20/6)))
		most.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := w.do(most); got.status != http.StatusRequestEntityTooLarge && path != "/es/exit" { // who leaves, leaves
			t.Errorf("%s: 1 MiB of keys: status %d", path, got.status)
		}
		few := w.request("POST", path, strings.NewReader(strings.Repeat("a=&b=&", 16<<10/6)))
		few.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := w.do(few); got.status != r.status && got.status != http.StatusBadRequest {
			t.Errorf("%s: 16 KiB of keys: status %d, one key %d", path, got.status, r.status)
		}
	}
	query := w.request("GET", "/es/report?"+strings.Repeat("desk=norte&", 1000), nil)
	if got := w.do(query); got.status >= 500 {
		t.Errorf("1,000 desks in an address: status %d", got.status)
	}
	cookies := w.request("GET", "/es/", nil)
	cookies.Header.Set("Cookie", strings.Repeat("a=; ", 10_000))
	if got := w.do(cookies); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("10,000 cookies: status %d", got.status)
	}
	w.stored(0)
}

// TestAttackG5: words that are encoded for mail are not decoded: the name is sealed as it came.
func TestAttackG5(t *testing.T) {
	w := newWorld(t)
	names := []string{"=?utf-8?q?evil=2Eexe?=", "=?UTF-8?B?Li4vLi4veA==?=", strings.Repeat("=?utf-8?q?", 400), "%2e%2e%2fx", "utf-8''%e2%80%ae.txt"}
	parts := []part{field("token", w.token("es")), field("desk", "norte"), field("message", "x")}
	for _, n := range names {
		parts = append(parts, file(n, "1"))
	}
	codenameIn(t, w.send("es", parts...))
	for i, f := range w.only("norte", "a").Manifest.Files[2:] {
		if !strings.HasPrefix(names[i], f.Name) || len(f.Name) < min(len(names[i]), 100) {
			t.Errorf("%q is sealed as %q", names[i], f.Name)
		}
	}
}

// TestAttackW12: a file that comes with a report that is refused is not kept, not even as
// ciphertext that somebody could open: its key is gone, and so is its place.
func TestAttackW12(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxReport = 12 << 20 })
	if err := os.Chmod(w.dir, 0o700); err != nil { // or Check says so
		t.Fatal(err)
	}
	keys := func() (n int) { // in use
		t.Helper()
		b, err := os.ReadFile(filepath.Join(w.dir, "keys.slots"))
		if err != nil {
			t.Fatal(err)
		}
		for slot := range slices.Chunk(b, 512) {
			if !bytes.Equal(slot, make([]byte, len(slot))) {
				n++
			}
		}
		return n
	}
	before := keys()
	svg := `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`
	large := file("a.svg", svg+strings.Repeat("x", 9<<20))
	good := func() []part {
		return []part{field("token", w.token("es")), field("desk", "norte"), field("message", "x")}
	}
	for name, parts := range map[string][]part{
		"unknown desk": {field("token", w.token("es")), field("desk", "nadie"), field("message", "x"), large},
		"no message":   {field("token", w.token("es")), field("desk", "norte"), field("message", ""), large},
		"no token":     {field("token", "x"), field("desk", "norte"), field("message", "x"), large},
		"too long":     append(good(), large, file("b", strings.Repeat("x", 4<<20))),
		"NUL in name":  append(good(), large, file("a\x00", svg)),
		"21 files":     append(append(good(), large), slicesRepeat(file("a.svg", svg), 20)...),
	} {
		if r := w.send("es", parts...); r.status < 400 {
			t.Errorf("%s: status %d", name, r.status)
		}
		w.stored(0)
		if n := keys(); n != before {
			t.Errorf("%s: %d keys are in use, %d were", name, n, before)
		}
	}
	if w.site.uploads.taken != 0 {
		t.Error("a place for uploads is lost")
	}
	// The vault finds nothing: no draft, no slot, no case. After a new start neither.
	for range 2 {
		found, err := w.vault.Check(t.Context())
		if err != nil || len(found) > 0 || len(w.vault.Cases("")) > 0 {
			t.Errorf("check: %v %v, %d cases", err, found, len(w.vault.Cases("")))
		}
		w.vault.Close()
		if w.vault, err = vault.Open(w.dir, vault.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	w.vault.Close()
}

// TestAttackW6: the buttons of a mailbox reach replies alone. What the source sent and
// what the desk writes to itself cannot be read, saved or deleted by their numbers.
func TestAttackW6(t *testing.T) {
	m := newMail(t)
	note := m.write("note", "nota interna", func(x *written) { x.files = map[string]string{"f": "nota"} })
	ack := m.write("ack", "acuse interno")
	before := len(m.kase().Items)
	page := m.signIn("es", m.words)
	for _, number := range []int{0, note.Number, ack.Number, -1, 99} {
		for _, action := range []string{"read", "file", "delete"} {
			r := m.press(sessionIn(t, page), action, "number", fmt.Sprint(number), "entry", "message.txt")
			if strings.Contains(r.body, "intern") || r.header.Get("Content-Disposition") != "" {
				t.Errorf("%s %d: status %d\n%s", action, number, r.status, r.body)
			}
			if action != "file" {
				page = r
			}
		}
	}
	if c := m.kase(); len(c.Items) != before || len(c.Gone) != 0 {
		t.Errorf("%d items, %d before; %d gone", len(c.Items), before, len(c.Gone))
	}
}
