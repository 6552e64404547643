package site

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFormsAtOnce: of more forms than the site answers at once, one waits and is
// answered, others are told to come back, and one circuit gets its share.
func TestFormsAtOnce(t *testing.T) {
	circuit := uint32(7)
	w := newWorld(t, func(c *Config) {
		c.MaxForms = 16
		c.Circuit = func(context.Context) (uint32, bool) { return circuit, true }
	})
	post := func() response { return w.postForm("/es/report", url.Values{"desk": {"norte"}}) }
	var leave []func()
	for range 16 / circuitShare {
		l, err := w.site.forms.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	for _, lang := range builtIn {
		for _, page := range []string{"report", "codename", "mailbox", "exit"} {
			r := w.postForm("/"+lang+"/"+page, url.Values{"desk": {"norte"}})
			if r.status != http.StatusTooManyRequests || !strings.Contains(r.body, w.sentence(lang, "notice.form_often")) {
				t.Errorf("%s %s: a circuit beyond its share: status %d\n%s", lang, page, r.status, r.body)
			}
			checkHeaders(t, r, nil)
		}
	}
	circuit = 8
	if r := post(); r.status != http.StatusOK {
		t.Errorf("another circuit: status %d", r.status)
	}
	for _, l := range leave {
		l()
	}
	if circuit = 7; post().status != http.StatusOK {
		t.Error("a place is lost")
	}
	for n := 0; n < w.site.forms.size; { // an answer may give its place back a little later
		circuit++
		if _, ok := w.site.forms.take(t.Context()); ok {
			n++
		}
	}
	for _, lang := range builtIn {
		if r := w.postForm("/"+lang+"/report", url.Values{}); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, w.sentence(lang, "notice.form_busy")) {
			t.Errorf("%s: no place left: status %d\n%s", lang, r.status, r.body)
		}
	}
	if r := w.get("/es/"); r.status != http.StatusOK {
		t.Errorf("pages are forms: status %d", r.status)
	}
}

// TestTurnedAwayReportKeepsItsText: a report for which there is no place comes back
// with its text while there are places for that, and is stored when it is sent again.
func TestTurnedAwayReportKeepsItsText(t *testing.T) {
	circuit := uint32(7)
	w := newWorld(t, func(c *Config) {
		c.MaxForms = 16
		c.Circuit = func(context.Context) (uint32, bool) { return circuit, true }
	})
	parts := []part{field("token", w.token("es")), field("desk", "norte"), field("message", "sigue aquí")}
	var leave []func()
	hold := func(p *places) {
		t.Helper()
		l, ok := p.take(t.Context())
		if !ok {
			t.Fatal("no place")
		}
		leave = append(leave, l)
	}
	hold(w.site.forms)
	hold(w.site.forms)
	w.refused(w.send("es", parts...), http.StatusTooManyRequests, "often", "sigue aquí")
	for circuit = 100; !w.site.forms.full(); circuit++ {
		hold(w.site.forms)
	}
	w.refused(w.send("es", parts...), http.StatusServiceUnavailable, "busy", "sigue aquí")

	long := append(parts[:2:2], field("message", strings.Repeat("x", shortForm)))
	plain := func(what string, r response) {
		t.Helper()
		if r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, w.sentence("es", "notice.form_busy")) || strings.Contains(r.body, "textarea") {
			t.Errorf("%s: status %d:\n%s", what, r.status, r.body)
		}
	}
	plain("a long report", w.send("es", long...))
	for !w.site.turned.full() {
		hold(w.site.turned)
		circuit++
	}
	plain("one report more", w.send("es", parts...))
	for _, l := range leave {
		l()
	}
	codenameIn(t, w.send("es", parts...))
	for _, p := range []*places{w.site.forms, w.site.turned} {
		for end := time.Now().Add(time.Minute); p.free() < p.size; time.Sleep(time.Millisecond) { // an answer may give its place back a little later
			if time.Now().After(end) {
				t.Fatal("a place is lost")
			}
		}
	}
}

// TestSlowFormHoldsNoPlace: a form takes its place when it is here, or much of it; one
// that is not to come to its end is refused in words.
func TestSlowFormHoldsNoPlace(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxForms = 1 })
	begin := func(bytes int) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "POST /es/report HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\ndesk=%s",
			strings.TrimPrefix(w.url, "http://"), 2*shortForm, strings.Repeat("x", bytes-len("desk=")))
		return conn
	}
	for range 8 {
		begin(shortForm - 1)
	}
	if r := w.postForm("/es/report", url.Values{"desk": {"norte"}}); r.status != http.StatusOK {
		t.Errorf("beside slow forms: status %d", r.status)
	}
	long := begin(shortForm)
	for end := time.Now().Add(time.Minute); len(w.site.forms.slots) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("much of a form takes no place")
		}
	}
	long.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(long); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("a form that was cut: %.60s %v", answer, err)
	}
}

func (p *places) free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size - p.taken
}

// deadlines notes the last one that was set for reading.
type deadlines struct {
	http.ResponseWriter
	last *atomic.Pointer[time.Time]
}

func (d deadlines) SetReadDeadline(at time.Time) error {
	d.last.Store(&at)
	return http.NewResponseController(d.ResponseWriter).SetReadDeadline(at)
}

// TestNoDeadlineWhileAFormWaits: a form that is here and waits its turn is not ended
// by the time that it had to come.
func TestNoDeadlineWhileAFormWaits(t *testing.T) {
	w := newWorld(t)
	var last atomic.Pointer[time.Time]
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.site.ServeHTTP(deadlines{rw, &last}, r)
	}))
	defer server.Close()
	turn := w.site.kdf.reports
	for range kdfSlots {
		turn.slots <- struct{}{}
	}
	var all sync.WaitGroup
	for n, size := range []int{10, 2 * shortForm} {
		body, typ := multipartOf(field("token", w.token("es")), field("desk", "norte"), field("message", strings.Repeat("x", size)))
		r := w.request("POST", "/es/report", bytes.NewReader(body))
		r.Header.Set("Content-Type", typ)
		r.Header.Set("Origin", w.url)
		r.URL.Host, r.Host = strings.TrimPrefix(server.URL, "http://"), r.URL.Host
		all.Go(func() {
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%d bytes: status %d", size, resp.StatusCode)
			}
		})
		for end := time.Now().Add(time.Minute); turn.size-turn.free() <= n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the form does not wait")
			}
		}
		if at := last.Load(); at == nil || !at.IsZero() {
			t.Errorf("%d bytes: the connection has until %v while the form waits", size, at)
		}
	}
	for range kdfSlots {
		<-turn.slots
	}
	all.Wait()
}
