package browser

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/crypto/codename"
	"resguardo/onion/site"
	"resguardo/onion/tornet/source"
	"resguardo/vault"
)

// limits walks to a server that has no room or too much to do.
func (w *walker) limits() {
	w.restart(vault.Options{MaxBytes: 1})
	w.open(w.at("/report"))
	w.keep("full", 503)
	w.restart(vault.Options{MaxBytes: 4 << 20})
	w.refused("form-full", 503, func() { w.attach("#file", w.file("video.mp4", 7<<20)) })

	w.restart(vault.Options{}, func(c *site.Config) { c.MaxUploads = 1 })
	h := w.report(0)
	var leave func()
	w.refused("form-uploads-full", 503, func() {
		w.attach("#file", w.file("foto.jpg", 10))
		leave = w.hold(65, `id="file" name`)
	})
	w.open(w.at("/report?desk=norte"))
	w.keep("form-no-files", 200)
	w.signIn(h.words)
	w.keep("mailbox-no-files", 200)
	leave()

	// So slow a derivation that everybody waits.
	usual := w.params
	w.params.Time = passes(w.t, w.params, 5*time.Second)
	w.restart(vault.Options{})
	leave = func() {}
	w.until(503, func() {
		leave()
		w.sendSpoilt(func() { leave = w.crowd(http.StatusServiceUnavailable, sendReport) })
	})
	w.keepRefused("form-busy", 503)
	w.until(503, func() { w.open(w.at("/report")) })
	w.keep("busy", 503)
	leave()
	leave = w.crowd(http.StatusServiceUnavailable, tryCodename)
	w.until(503, func() { w.signIn(h.words) })
	w.keep("sign-in-busy", 503)
	leave()

	// The same, with everybody on one circuit of Tor.
	w.restart(vault.Options{}, func(c *site.Config) {
		c.Circuit = func(context.Context) (uint32, bool) { return 1, true }
		c.MaxForms = 2000 // which would be full first
	})
	w.params = usual
	leave = func() {}
	w.until(429, func() {
		leave()
		w.sendSpoilt(func() { leave = w.crowd(http.StatusTooManyRequests, sendReport) })
	})
	w.keepRefused("form-often", 429)
	leave()
	leave = w.crowd(http.StatusTooManyRequests, tryCodename)
	w.until(429, func() { w.signIn(h.words) })
	w.keep("sign-in-often", 429)
	leave()
}

// until visits a page until it answers with a status: a place may come free for a moment
// before somebody of the crowd has it again.
func (w *walker) until(status int, visit func()) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		visit()
		w.mu.Lock()
		now := w.page.status
		w.mu.Unlock()
		if now == status {
			return
		}
	}
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// upload begins a report with a file, which does not go on.
func (s *stage) upload() net.Conn {
	s.t.Helper()
	form := s.look("/report?desk=norte")
	token := tokenField.FindSubmatch(form)
	if token == nil {
		s.t.Fatalf("no token in:\n%s", form)
	}
	var b bytes.Buffer
	for _, field := range [][2]string{{"token", string(token[1])}, {"desk", "norte"}, {"share", "ask"}, {"message", "Lo vi en la garita."}} {
		fmt.Fprintf(&b, "--x\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", field[0], field[1])
	}
	fmt.Fprintf(&b, "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"video.mp4\"\r\n\r\n%s", strings.Repeat("x", 20<<10)) // more than a form that is still without a place
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /%s/report HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n", s.lang, s.address)
	if _, err := conn.Write(b.Bytes()); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// look asks for a page, and is not the browser.
func (s *stage) look(path string) []byte {
	s.t.Helper()
	r, err := http.Get("http://" + s.address + "/" + s.lang + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

// sendSlowly begins a report that does not go on. The page that answers, after the
// minute that the site gives it, comes later.
func (w *walker) sendSlowly() <-chan kept {
	conn := w.upload()
	w.t.Cleanup(func() { conn.Close() })
	page := make(chan kept, 1)
	go func() {
		p := kept{name: "form-slow", lang: w.lang}
		conn.SetDeadline(time.Now().Add(3 * time.Minute))
		if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			p.status, p.header = r.StatusCode, r.Header
			p.body, _ = io.ReadAll(r.Body)
			p.bytes = len(p.body)
		}
		page <- p
	}()
	return page
}

// hold begins n uploads and waits until the form lacks something. leave ends them.
func (s *stage) hold(n int, lacks string) (leave func()) {
	s.t.Helper()
	var all []net.Conn
	for range n {
		all = append(all, s.upload())
	}
	leave = func() {
		for _, c := range all {
			c.Close()
		}
	}
	for began := time.Now(); bytes.Contains(s.look("/report?desk=norte"), []byte(lacks)); {
		if time.Since(began) > patience {
			leave()
			s.t.Fatal("there is room for more uploads")
		}
	}
	return leave
}

// passes is how many passes make one derivation last about so long.
func passes(t testing.TB, p codename.Params, long time.Duration) uint32 {
	t.Helper()
	list, err := codename.ForLanguage("es")
	if err != nil {
		t.Fatal(err)
	}
	p.Time = 1000
	began := time.Now()
	list.Draw([32]byte{}).Derive(p)
	return uint32(float64(p.Time) * float64(long) / float64(time.Since(began)))
}

// sendReport is the status that the site answers a report with.
func sendReport(ctx context.Context, v source.Source) int {
	a, _ := v.Send(ctx, source.Report{Message: "."})
	return a.Status
}

// tryCodename is the status that the site refuses a codename with.
func tryCodename(ctx context.Context, v source.Source) int {
	_, err := v.SignIn(ctx, "abeja abeja abeja abeja abeja abeja abeja abeja")
	if refused, ok := errors.AsType[*source.Refused](err); ok {
		return refused.Status
	}
	return 0
}

// crowd visits the site from all sides until it answers with a status. leave ends that.
func (s *stage) crowd(status int, visit func(context.Context, source.Source) int) (leave func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	refused := make(chan struct{})
	var first sync.Once
	var all sync.WaitGroup
	for range 80 { // more than the site has places
		all.Go(func() {
			v := source.Source{URL: "http://" + s.address, Desk: "norte"}
			for ctx.Err() == nil {
				if visit(ctx, v) == status {
					first.Do(func() { close(refused) })
				}
			}
		})
	}
	leave = func() { cancel(); all.Wait() }
	select {
	case <-refused:
	case <-time.After(patience):
		leave()
		s.t.Fatalf("the site does not answer with %d", status)
	}
	return leave
}
