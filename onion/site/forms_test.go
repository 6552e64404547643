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
	busy := func(r response) bool {
		return r.status == http.StatusServiceUnavailable && strings.Contains(r.body, w.sentence("es", "notice.busy"))
	}
	var leave []func()
	for range 16 / formShare {
		l, err := w.site.forms.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	if r := post(); !busy(r) {
		t.Errorf("a circuit beyond its share: status %d", r.status)
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
	if r := w.get("/es/"); r.status != http.StatusOK {
		t.Errorf("pages are forms: status %d", r.status)
	}
}
