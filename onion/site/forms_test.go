package site

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
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
