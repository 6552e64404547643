package cmd_test

// The acceptance tests run the real programs, as the people who use them do.

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/onion/tornet"
	"resguardo/onion/tornet/source"
)

// network is the private Tor network of this test binary.
var network tornet.Shared

// programs holds the built programs and stock age; TestMain fills it.
var programs string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "resguardo-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-tags", "nomsgpack", "-o", dir+"/",
		"resguardo/cmd/resguardod", "resguardo/cmd/resguardo", "resguardo/cmd/resguardo-audit", "filippo.io/age/cmd/age")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	programs = dir
	defer network.Close()
	return m.Run()
}

// run runs a built program and returns its standard output.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(filepath.Join(programs, program), args...)
	c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// house is one vault with one desk and one reviewer, and the server that runs on it.
type house struct {
	t        testing.TB
	dir      string   // state directory
	reviewer string   // the reviewer's directory
	tmp      string   // TMPDIR of the server
	under    []string // command that starts the server's program, if it has limits: sh -c '…; exec "$@"' sh
	env      []string // of the server, beside the test's own
	log      *safeBuffer
	server   *exec.Cmd
	source   string // URL of the pages
	review   string // URL of the reviewers' API
}

// newHouse makes the vault in dir, which must not exist.
func newHouse(t testing.TB, dir string) *house {
	t.Helper()
	base := t.TempDir()
	h := &house{t: t, dir: dir, reviewer: filepath.Join(base, "reviewer"), tmp: filepath.Join(base, "tmp"), log: &safeBuffer{}}
	if err := os.Mkdir(h.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "resguardod", "init", "-dir", h.dir, "-origin", "acceptance.example")
	run(t, "resguardo", "keygen", "-dir", h.reviewer, "-name", "ana", "-no-passphrase")
	run(t, "resguardod", "desk", "add", "-dir", h.dir, "-id", "norte", "-name-es", "Equipo norte", "-name-en", "North team", "-region", "N")
	run(t, "resguardod", "reviewer", "add", "-dir", h.dir, "-desk", "norte", filepath.Join(h.reviewer, "card.txt"))
	return h
}

// start starts the server on two preview ports and waits until it says that it is ready.
func (h *house) start() {
	h.t.Helper()
	e := h.serve("ready", "-tor", "off", "-preview", "127.0.0.1:0", "-preview-review", "127.0.0.1:0")
	h.source, h.review = e.Preview, e.PreviewReview
}

// startOnion starts the server with a tor of its own on the private network, and
// waits until strangers can reach it. No TCP port is asked for.
func (h *house) startOnion(net *tornet.Network) {
	h.t.Helper()
	e := h.serve("onion", "-tor-include", net.Include())
	h.source, h.review = e.Source, e.Reviewers
}

// event is a line of serve -json.
type event struct {
	Event, Preview, Source, Reviewers string
	PreviewReview                     string `json:"preview_review"`
}

// serve starts the server with more flags and waits for an event.
func (h *house) serve(wanted string, flags ...string) event {
	h.t.Helper()
	line := slices.Concat(h.under, []string{filepath.Join(programs, "resguardod"), "serve", "-dir", h.dir, "-json"}, flags)
	c := exec.Command(line[0], line[1:]...)
	c.Env = append(append(os.Environ(), "TMPDIR="+h.tmp, "LANG=C", "LC_ALL="), h.env...)
	c.Dir = h.tmp
	c.Stderr = h.log
	out, err := c.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.server = c
	h.t.Cleanup(h.kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		h.log.Write(append(lines.Bytes(), '\n'))
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			h.t.Fatalf("serve -json printed %q: %v", lines.Text(), err)
		}
		if e.Event == wanted {
			go io.Copy(h.log, out)
			return e
		}
	}
	c.Wait()
	h.t.Fatalf("the server ended before it was ready:\n%s", h.log)
	panic("not reached")
}

// kill ends the server as power loss of the process would: kill -9.
func (h *house) kill() {
	if h.server != nil {
		h.server.Process.Kill()
		h.server.Wait()
		h.server = nil
	}
}

// fetch fetches everything as the reviewer and returns the stored age files.
func (h *house) fetch() []string {
	h.t.Helper()
	run(h.t, "resguardo", "fetch", "-dir", h.reviewer, "-server", h.review)
	files, err := filepath.Glob(filepath.Join(h.reviewer, "cases", "*", "*.age"))
	if err != nil {
		h.t.Fatal(err)
	}
	return files
}

// unseal opens one fetched file without our own opening code: age, then zip.
func (h *house) unseal(file string) map[string]string {
	h.t.Helper()
	keys, err := os.Open(filepath.Join(h.reviewer, "identity.txt"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer keys.Close()
	ids, err := age.ParseIdentities(keys)
	if err != nil {
		h.t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	plain, err := age.Decrypt(f, ids...)
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := io.ReadAll(plain)
	if err != nil {
		h.t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		h.t.Fatal(err)
	}
	entries := map[string]string{}
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			h.t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			h.t.Fatal(err)
		}
		entries[e.Name] = string(content)
	}
	return entries
}

// visitor sends reports to the pages of h.
func (h *house) visitor() source.Source { return source.Source{URL: h.source, Desk: "norte"} }

// mustSend sends r and returns its codename.
func (h *house) mustSend(r source.Report) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := h.visitor().Send(ctx, r)
	if err != nil || a.Status != http.StatusOK || len(strings.Fields(a.Codename)) != 8 {
		h.t.Fatalf("send: %d, %v, codename %q:\n%s", a.Status, err, a.Codename, a.Page)
	}
	return a.Codename
}

// safeBuffer is a buffer that the server's output and a test share.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestStory is the whole way: a source sends two files, the reviewer fetches, and
// stock age and unzip open what was fetched.
func TestStory(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	video := strings.Repeat("every frame matters\n", 50_000)
	h.mustSend(source.Report{Message: "Vi a tres personas.", Answers: map[string]string{"a-where": "en la central"},
		Files: []source.File{{Name: `..\..\video "1".mp4`, Body: strings.NewReader(video)}}})
	files := h.fetch()
	if len(files) != 1 {
		t.Fatalf("fetched %q, want one report", files)
	}
	got := h.unseal(files[0])
	if got["message.txt"] != "Vi a tres personas." || got["files/01"] != video {
		t.Errorf("opened report has entries that differ from what was sent")
	}
	plain := filepath.Join(t.TempDir(), "report.zip")
	run(t, "age", "-d", "-i", filepath.Join(h.reviewer, "identity.txt"), "-o", plain, files[0])
	if out, err := exec.Command("unzip", "-t", plain).CombinedOutput(); err != nil {
		t.Errorf("unzip -t: %v\n%s", err, out)
	}
	if shown := run(t, "resguardo", "open", "-dir", h.reviewer, "1"); !strings.Contains(shown, "Vi a tres personas.") {
		t.Errorf("open shows:\n%s", shown)
	}
	run(t, "resguardod", "check", "-dir", h.dir)
}

// TestServerOwnsNoKey is P3: no age identity lies in the vault's folder.
func TestServerOwnsNoKey(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	h.mustSend(source.Report{Message: "hola"})
	if found := search(t, []string{h.dir}, map[string]string{"an age identity": "AGE-SECRET-KEY-", "(lower case)": "age-secret-key-"}); len(found) > 0 {
		t.Errorf("the server owns a key: %v", found)
	}
	if found := search(t, []string{h.reviewer}, map[string]string{"an age identity": "AGE-SECRET-KEY-"}); len(found) == 0 {
		t.Error("the search cannot find the reviewer's identity, so it proves nothing")
	}
}

// search returns where any of the named strings stands in any file below dirs.
func search(t testing.TB, dirs []string, names map[string]string) []string {
	t.Helper()
	var found []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for name, text := range names {
				if bytes.Contains(b, []byte(text)) || bytes.Contains(b, utf16(text)) {
					found = append(found, name+" in "+path)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// utf16 is text as little-endian UTF-16, for ASCII text.
func utf16(text string) []byte {
	var b []byte
	for _, c := range []byte(text) {
		b = append(b, c, 0)
	}
	return b
}
