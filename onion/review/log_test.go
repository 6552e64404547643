package review_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"resguardo/onion/logtiles/logtest"
)

// Everybody who reaches this onion reads the log as on the public one, without
// signing in: the same headers as the API, but for type, length and caching.
func TestLogIsPublic(t *testing.T) {
	h := newHouse(t)
	before := h.do(request{method: "GET", path: "/log/checkpoint"})
	if before.Code != 404 || before.Body.String() != `{"error":"not found"}` || before.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("before publication: %d %s", before.Code, before.Body)
	}
	api := before.Header().Clone()
	logtest.Begin(t, h.vault).Publish(t)
	server := httptest.NewServer(h.handler)
	defer server.Close()
	for path, want := range map[string]struct{ typ, cache string }{
		"/log/checkpoint":           {"text/plain; charset=utf-8", "no-store"},
		"/log/tile/0/000.p/1":       {"application/octet-stream", "public, max-age=31536000, immutable"},
		"/log/tile/entries/000.p/1": {"application/octet-stream", "public, max-age=31536000, immutable"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			req.Header.Set("Accept-Encoding", "identity")
			req.Header.Set("Range", "bytes=1-2") // not for tiles
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			length := h.do(request{method: "GET", path: path}).Body.Len()
			if method == "GET" && len(body) != length || method == "HEAD" && len(body) != 0 || res.StatusCode != 200 {
				t.Errorf("%s %s: %d, %d bytes of %d", method, path, res.StatusCode, len(body), length)
			}
			headers := api.Clone()
			delete(headers, "Date")
			headers.Set("Content-Type", want.typ)
			headers.Set("Cache-Control", want.cache)
			headers.Set("Content-Length", strconv.Itoa(length))
			if !maps.EqualFunc(res.Header, headers, func(a, b []string) bool { return len(a) == 1 && len(b) == 1 && a[0] == b[0] }) {
				t.Errorf("%s %s: headers\n%v\nwant\n%v", method, path, res.Header, headers)
			}
		}
	}
	for _, test := range []struct {
		r    request
		code int
	}{
		{request{method: "GET", path: "/log"}, 404},
		{request{method: "GET", path: "/log/"}, 404},
		{request{method: "GET", path: "/log/tile/0/000"}, 404},
		{request{method: "GET", path: "/log/tile/data/000.p/1"}, 404},
		{request{method: "POST", path: "/log/checkpoint"}, 405},
		{request{method: "GET", path: "/log/checkpoint", host: "evil.example"}, 421},
	} {
		if w := h.do(test.r); w.Code != test.code || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d, want %d", test.r.method, test.r.path, w.Code, test.code)
		}
	}
}
