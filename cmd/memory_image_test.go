package cmd_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"resguardo/crypto/codename"
	"resguardo/onion/tornet/source"
)

// image reads all memory that the server has written, as root can at any moment,
// and counts the places in which each secret stands.
func (h *house) image(secrets map[string][]byte) map[string]int {
	h.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", h.server.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", h.server.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	defer mem.Close()
	found := map[string]int{}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); n != 3 || !strings.HasPrefix(rights, "rw") {
			continue
		}
		searchIn(io.NewSectionReader(mem, from, to-from), secrets, func(name string) { found[name]++ })
	}
	return found
}

// searchIn calls hit for every place of a secret in r, up to the first error of r:
// some mappings have a hole.
func searchIn(r io.Reader, secrets map[string][]byte, hit func(name string)) {
	longest := 0
	for _, s := range secrets {
		longest = max(longest, len(s))
	}
	buf := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(r, buf[kept:])
		text := buf[:kept+n]
		for name, s := range secrets {
			for at := 0; ; {
				i := bytes.Index(text[at:], s)
				if i < 0 {
					break
				}
				if at += i; at+len(s) > kept { // not in what was searched before
					hit(name)
				}
				at += len(s)
			}
		}
		if err != nil {
			return
		}
		kept = copy(buf, text[len(text)-min(longest-1, len(text)):])
	}
}

// params are those of the vault's key derivation, as the public log tells them.
func (h *house) params() codename.Params {
	h.t.Helper()
	dir := filepath.Join(h.t.TempDir(), "log")
	run(h.t, "resguardod", "log", "export", "-dir", h.dir, "-to", dir)
	p := codename.DefaultParams
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if m := saltLine.FindSubmatch(b); m != nil {
			salt, wrong := base64.StdEncoding.DecodeString(string(m[1]))
			copy(p.Salt[:], salt)
			return wrong
		}
		return err
	})
	if err != nil || p.Salt == [16]byte{} {
		h.t.Fatalf("the log tells no salt: %v", err)
	}
	return p
}

var saltLine = regexp.MustCompile("\nsalt ([A-Za-z0-9+/]{22}==)\n")

// TestMemoryImage: a report, its mailbox and an addition leave nothing in the
// server's memory once the mailbox is closed and memory was given back: no text, no
// file, no name, no codename and no key that it gives. Root reads the memory from
// outside.
func TestMemoryImage(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("reading the memory of a process that forbids it needs root")
	}
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	first, more := newCanaries(), newCanaries()
	words := h.mustSend(first.report(9 << 20))
	mailbox, err := h.visitor().SignIn(ctx, words)
	if err != nil {
		t.Fatal(err)
	}
	sessions := []string{sessionOf(t, mailbox)}
	addition := more.report(1 << 20)
	addition.Answers = nil
	if err := mailbox.Add(ctx, addition); err != nil {
		t.Fatal(err)
	}
	sessions = append(sessions, sessionOf(t, mailbox))
	code, err := codename.Parse(words, "es")
	if err != nil {
		t.Fatal(err)
	}
	keys := code.Derive(h.params())
	open := map[string][]byte{"mailbox token": keys.Mailbox[:], "thread key": keys.Thread[:], "age seed": keys.Age[:], "log key": keys.Log[:]}
	if found := h.image(open); len(found) != len(open) {
		t.Errorf("the search finds only %v of the keys of an open mailbox, so it proves nothing", found)
	}
	secrets := maps.Clone(open)
	for i, value := range sessions {
		secrets[fmt.Sprint("session ", i+1)] = []byte(value)
	}
	for i, c := range []canaries{first, more} {
		for name, text := range c.names() {
			secrets[fmt.Sprint(name, " ", i+1)] = []byte(text)
		}
	}
	for name, form := range map[string]string{"codename": words, "codename without accents": code.Normalised(), "codename in a form": url.QueryEscape(words),
		"half of the codename": strings.Join(strings.Fields(words)[:4], " ")} {
		secrets[name] = []byte(form)
	}
	if err := mailbox.Close(ctx); err != nil {
		t.Fatal(err)
	}
	closed := time.Now()
	for {
		found := h.image(secrets)
		if len(found) == 0 {
			t.Logf("nothing is left %.1f s after the mailbox was closed", time.Since(closed).Seconds())
			return
		}
		if time.Since(closed) > 20*time.Second {
			t.Fatalf("left in memory, places by secret: %v", found)
		}
		time.Sleep(200 * time.Millisecond) // the server rests when nobody comes
	}
}

// sessionOf is the value that stands in the mailbox's page.
func sessionOf(t *testing.T, m *source.Mailbox) string {
	t.Helper()
	_, rest, _ := strings.Cut(m.Page, `name="session" value="`)
	value, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("the page has no session:\n%s", m.Page)
	}
	return value
}
