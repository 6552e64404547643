package review

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

func newGuarded(handlers map[string]gin.HandlerFunc) *Review {
	r := New(Config{Origin: "o", Hosts: []string{"h"}}, nil, func() map[string]Member { return nil })
	for path, handler := range handlers {
		r.engine.GET(path, handler)
	}
	return r
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://h"+path, nil))
	return w
}

func TestRouteMustDeclareAccess(t *testing.T) {
	r := newGuarded(nil)
	for name, bad := range map[string]route{
		"undeclared":                 {path: "/x", open: func(*gin.Context) {}},
		"undeclared, closed":         {path: "/x", closed: func(*gin.Context, Member) {}},
		"for members, but open":      {path: "/x", access: member, open: func(*gin.Context) {}},
		"for anyone, but for member": {path: "/x", access: anyone, closed: func(*gin.Context, Member) {}},
		"for reviewers, but open":    {path: "/x", access: reviewer, open: func(*gin.Context) {}},
		"for auditors, but open":     {path: "/x", access: auditor, open: func(*gin.Context) {}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			r.admit(bad)
		}()
	}
}

// A panic value can hold anything that a report or a key holds.
func TestPanicPrintsNoValue(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	r := newGuarded(map[string]gin.HandlerFunc{
		"/early": func(*gin.Context) { panic("canary-7731") },
		"/late": func(c *gin.Context) {
			c.String(http.StatusOK, "begun")
			panic("canary-7731")
		},
	})
	w := get(r, "/early")
	if w.Code != 500 || w.Body.String() != `{"error":"internal error"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler {
				t.Errorf("panicked with %v", v)
			}
		}()
		get(r, "/late")
	}()
	if s := logged.String(); strings.Contains(s, "canary") || strings.Count(s, "panic in the reviewers' API") != 2 || !strings.Contains(s, "TestPanicPrintsNoValue") {
		t.Errorf("log: %s", s)
	}
}

// Every response has these headers, and none that tells time or software.
func TestHeadersAreExact(t *testing.T) {
	want := map[string]string{
		"Cache-Control":                "no-store",
		"Content-Security-Policy":      "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox",
		"Cross-Origin-Embedder-Policy": "require-corp",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "same-origin",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	}
	r := newGuarded(map[string]gin.HandlerFunc{"/panic": func(*gin.Context) { panic("x") }})
	requests := map[string]*http.Request{
		"404":  httptest.NewRequest("GET", "http://h/nowhere", nil),
		"401":  httptest.NewRequest("GET", "http://h/v1/items", nil),
		"405":  httptest.NewRequest("DELETE", "http://h/v1/items", nil),
		"421":  httptest.NewRequest("GET", "http://other/", nil),
		"400":  httptest.NewRequest("POST", "http://h/v1/login", nil),
		"403":  httptest.NewRequest("POST", "http://h/v1/login", strings.NewReader(`{"fingerprint":"x"}`)),
		"200":  httptest.NewRequest("POST", "http://h/v1/challenge", strings.NewReader("{}")),
		"500":  httptest.NewRequest("GET", "http://h/panic", nil),
		"xff ": httptest.NewRequest("GET", "http://h/nowhere", nil),
	}
	requests["xff "].Header.Set("X-Forwarded-For", "1.2.3.4")
	requests["xff "].Header.Set("X-Forwarded-Prefix", "//evil.example")
	for name, req := range requests {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		for header, value := range want {
			if got := w.Header()[header]; len(got) != 1 || got[0] != value {
				t.Errorf("%s: %s: %q", name, header, got)
			}
		}
		allowed := " Content-Type Allow Www-Authenticate Date "
		for header, values := range w.Header() {
			if _, ok := want[header]; !ok && !strings.Contains(allowed, " "+header+" ") {
				t.Errorf("%s: %s: %q", name, header, values)
			}
		}
		if v, ok := w.Header()["Date"]; !ok || v != nil {
			t.Errorf("%s: net/http would add a Date", name)
		}
	}
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-", int64(10))
	f.Add("bytes=3-9", int64(10))
	f.Add("bytes=-1", int64(10))
	f.Fuzz(func(t *testing.T, s string, size int64) {
		first, last, ok := parseRange(s, size)
		if size < 1 || size > 1<<20 || s == "" || !ok {
			return
		}
		// net/http must understand what we let pass as exactly one range.
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set("Range", s)
		w := httptest.NewRecorder()
		http.ServeContent(w, req, "x", time.Time{}, bytes.NewReader(make([]byte, size)))
		if w.Code != http.StatusPartialContent || w.Header().Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", first, last, size) {
			t.Errorf("%q of %d: %d, %s", s, size, w.Code, w.Header().Get("Content-Range"))
		}
	})
}
