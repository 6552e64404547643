package cmd_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// canaries are unique strings, one for every place a source can put text.
type canaries struct{ message, answer, fileName, file, header string }

func newCanaries() canaries {
	c := func(place string) string { return "canary-" + place + "-" + rand.Text() }
	return canaries{c("message"), c("answer"), c("name"), c("file"), c("header")}
}

// report repeats the file's canary for size bytes.
func (c canaries) report(size int64) source.Report {
	return source.Report{
		Message: c.message, Answers: map[string]string{"a-where": c.answer},
		Files:  []source.File{{Name: c.fileName, Body: io.LimitReader(repeat(c.file+"\n"), size)}},
		Header: http.Header{"User-Agent": {c.header}, "X-Canary": {c.header}},
	}
}

func (c canaries) names() map[string]string {
	return map[string]string{"message": c.message, "answer": c.answer, "file name": c.fileName, "file body": c.file, "header": c.header}
}

// repeat is an endless reader of one text.
func repeat(text string) io.Reader {
	return &repeater{text: strings.Repeat(text, 1+(64<<10)/len(text))}
}

type repeater struct {
	text string
	at   int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// TestCanary is P1: nothing that a source sends stands in clear in the vault, the
// temporary folder, the working folder or the logs, however the request ends.
func TestCanary(t *testing.T) {
	tests := []struct {
		name string
		end  func(*testing.T, *house, canaries) string // returns a codename, or ""
	}{
		{"success", func(t *testing.T, h *house, c canaries) string { return h.mustSend(c.report(9 << 20)) }},
		{"abort", func(t *testing.T, h *house, c canaries) string { h.cut(c, func() {}); return "" }},
		{"kill -9", func(t *testing.T, h *house, c canaries) string { h.cut(c, h.kill); return "" }},
		{"abort signal", func(t *testing.T, h *house, c canaries) string {
			h.cut(c, func() { h.server.Process.Signal(syscall.SIGABRT); h.server.Wait(); h.server = nil })
			return ""
		}},
		{"refused", func(t *testing.T, h *house, c canaries) string {
			r := c.report(1 << 20)
			r.Message = c.message + strings.Repeat(" much too long", 6000)
			h.refused(r, http.StatusRequestEntityTooLarge, c.message)
			return ""
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
			h.start()
			c := newCanaries()
			names := c.names()
			if words := test.end(t, h, c); words != "" {
				names["codename"] = words
				names["codename without accents"] = strings.NewReplacer("á", "a", "é", "e", "í", "i", "ó", "o", "ú", "u", "ñ", "n", "ü", "u").Replace(words)
			}
			h.mustNotHold(names)
			h.kill()
			h.start() // what an unfinished upload left is swept at start
			h.mustNotHold(names)
			run(t, "resguardod", "check", "-dir", h.dir)
		})
	}
}

// TestCanaryFullDisk fills a small file system during an upload.
func TestCanaryFullDisk(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("mounting a small file system needs root")
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=96m,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(small, syscall.MNT_DETACH) })
	h := newHouse(t, filepath.Join(small, "vault"))
	h.start()
	before := h.mustSend(source.Report{Message: "antes"})
	c := newCanaries()
	h.refused(c.report(120<<20), http.StatusServiceUnavailable, c.message)
	names := c.names()
	names["codename"] = before
	h.mustNotHold(names)
	h.mustSend(source.Report{Message: "después"})
	if files := h.fetch(); len(files) != 2 {
		t.Errorf("%d reports after the disk was full, want the 2 acknowledged", len(files))
	}
	run(t, "resguardod", "check", "-dir", h.dir)
}

// cut sends 4 MiB of an upload that never ends, calls then, and cuts the connection.
func (h *house) cut(c canaries, then func()) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reached := make(chan struct{})
	r := c.report(0)
	r.Files[0].Body = io.MultiReader(io.LimitReader(repeat(c.file+"\n"), 6<<20), readerFunc(func([]byte) (int, error) {
		close(reached)
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	done := make(chan struct{})
	go func() { defer close(done); h.visitor().Send(ctx, r) }()
	select {
	case <-reached:
	case <-done:
		h.t.Fatal("the upload ended before it was cut")
	}
	then()
	cancel()
	<-done
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// refused sends r and wants it refused with status, and the text shown again.
func (h *house) refused(r source.Report, status int, text string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	a, err := h.visitor().Send(ctx, r)
	if err != nil || a.Status != status || a.Codename != "" || !strings.Contains(a.Page, text) {
		h.t.Fatalf("send: %d, %v, want a refusal with %d and the text:\n%.2000s", a.Status, err, status, a.Page)
	}
}

// mustNotHold searches every place the server can write to.
func (h *house) mustNotHold(names map[string]string) {
	h.t.Helper()
	if found := search(h.t, []string{h.dir, h.dir + ".keys", h.tmp}, names); len(found) > 0 {
		h.t.Errorf("clear text on disk: %v", found)
	}
	for name, text := range names {
		if strings.Contains(h.log.String(), text) {
			h.t.Errorf("%s stands in the server's log:\n%s", name, h.log)
		}
	}
	if left, err := os.ReadDir(h.tmp); err != nil || len(left) > 0 {
		h.t.Errorf("the server left files in its working and temporary folder: %v, %v", left, err)
	}
	// The search must be able to find what is there.
	if found := search(h.t, []string{h.dir}, map[string]string{"the desk": `"norte"`, "(as literal)": "'norte'"}); len(found) == 0 {
		h.t.Error("the search cannot find the desk's id, so it proves nothing")
	}
}

// TestAcknowledgedSurvivesKill is P2: kill -9 right after a codename page, many times.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	rounds, senders := 12, 4
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	acked := make(chan string, 1000)
	for round := range rounds {
		h.start()
		ctx, cancel := context.WithCancel(context.Background())
		first := make(chan struct{}, senders)
		done := make(chan struct{})
		for s := range senders {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := 0; ctx.Err() == nil; i++ {
					id := fmt.Sprintf("round %d sender %d report %d %s", round, s, i, rand.Text())
					a, err := h.visitor().Send(ctx, source.Report{Message: id})
					if err == nil && a.Status == http.StatusOK && a.Codename != "" {
						acked <- id
						first <- struct{}{}
					} else {
						return // the server is gone, or busy
					}
				}
			}()
		}
		for range 1 + round%senders { // a different moment every round
			<-first
		}
		h.kill()
		cancel()
		go func() {
			for range first {
			}
		}()
		for range senders {
			<-done
		}
		close(first)
	}
	close(acked)
	h.start()
	found := map[string]bool{}
	for _, file := range h.fetch() {
		found[h.unseal(file)["message.txt"]] = true
	}
	n := 0
	for id := range acked {
		n++
		if !found[id] {
			t.Errorf("acknowledged and lost: %s", id)
		}
	}
	t.Logf("%d rounds, %d acknowledged, %d found", rounds, n, len(found))
	run(t, "resguardod", "check", "-dir", h.dir)
}
