package site

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"resguardo/onion/logtiles/logtest"
)

// Every answer has these headers and no other: no Date, Server, ETag,
// Last-Modified, Set-Cookie.
var wantHeaders = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), payment=()",
	"Cache-Control":                "no-store",
}

func checkHeaders(t *testing.T, r response, more map[string]string) {
	t.Helper()
	want := maps.Clone(wantHeaders)
	want["Content-Type"] = "text/html; charset=utf-8"
	want["Content-Length"] = strconv.Itoa(len(r.body))
	maps.Copy(want, more)
	got := map[string]string{}
	for name, values := range r.header {
		got[name] = strings.Join(values, " | ")
	}
	if !maps.Equal(got, want) {
		t.Errorf("headers\n%v\nwant\n%v", got, want)
	}
}

func TestHeadersAreExact(t *testing.T) {
	w := newWorld(t)
	logtest.Begin(t, w.vault).Publish(t)
	token := w.token("es")
	paths := []string{"/", "/es/", "/en/", "/es", "/en", "/es/safety", "/es/help", "/en/privacy", "/es-usted", "/es-usted/", "/es-usted/report", "/es-usted/nope", "/es/keys", "/es/keys/norte.txt", "/es/report", "/es/report?desk=norte",
		"/log/checkpoint", "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1", "/log", "/log/", "/log/tile/0/000", "/log/tile/data/000.p/1",
		"/es/codename", "/es/exit", w.site.cssPath, "/fr/", "/nope", "/static/", "/es/report/", "//es/", "/es/mailbox", "/favicon.ico", "/%0aFAKE",
		"/es/keys/", "/es/keys/vacio.txt", "/es/keys/norte", "/es/keys?%zz"}
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"}
	tile := map[string]string{"Content-Type": "application/octet-stream", "Cache-Control": "public, max-age=31536000, immutable"}
	special := map[string]map[string]string{ // where they differ
		w.site.cssPath:              {"Content-Type": "text/css; charset=utf-8"},
		"/es/keys/norte.txt":        {"Content-Type": "text/plain; charset=utf-8", "Content-Disposition": `attachment; filename="recipients.txt"`},
		"/es/exit":                  {"Refresh": "0; url=https://www.wikipedia.org/"},
		"/log/checkpoint":           {"Content-Type": "text/plain; charset=utf-8"},
		"/log/tile/0/000.p/1":       tile,
		"/log/tile/entries/000.p/1": tile,
	}
	for _, path := range paths {
		for _, method := range methods {
			r := w.do(w.request(method, path, nil))
			more := map[string]string{}
			if method == "HEAD" {
				if r.body != "" {
					t.Errorf("HEAD %s has a body", path)
				}
				get := w.do(w.request("GET", path, nil))
				if get.status != r.status {
					t.Errorf("HEAD %s: status %d, GET %d", path, r.status, get.status)
				}
				r.body = get.body // its length stands in the headers
			}
			if allow := r.header.Get("Allow"); r.status == http.StatusMethodNotAllowed && allow != "" {
				more["Allow"] = allow
			}
			if r.status == http.StatusOK {
				maps.Copy(more, special[path])
			}
			if r.status >= 300 && r.status < 400 {
				t.Errorf("%s %s redirects", method, path)
			}
			t.Run(method+" "+path, func(t *testing.T) { checkHeaders(t, r, more) })
		}
	}

	sent := w.send("es", field("token", token), field("desk", "norte"), field("message", "x"))
	codenameIn(t, sent)
	checkHeaders(t, sent, nil)
	checkHeaders(t, w.send("es", field("token", "?")), nil)
	checkHeaders(t, w.postForm("/es/report", url.Values{"state": {"SON"}}), nil)
	checkHeaders(t, w.postForm("/es/report", url.Values{"state": {strings.Repeat("x", 70<<10)}}), nil)
	checkHeaders(t, w.postForm("/es/codename", nil), nil)
	opened := w.signIn("es", codenameIn(t, sent))
	checkHeaders(t, opened, nil)
	checkHeaders(t, w.signIn("es", "x"), nil)
	checkHeaders(t, w.signIn("es", w.site.words["es"].Draw([32]byte{1}).String()), nil)
	checkHeaders(t, w.postForm("/es/mailbox", url.Values{"codename": {strings.Repeat("x", 70<<10)}}), nil)
	for _, action := range []string{"show", "read", "delete", "ask"} {
		opened = w.press(sessionIn(t, opened), action)
		checkHeaders(t, opened, nil)
	}
	opened = w.add(field("session", sessionIn(t, opened)))
	checkHeaders(t, opened, nil)
	opened = w.add(field("session", sessionIn(t, opened)), field("message", "x"))
	checkHeaders(t, opened, nil)
	checkHeaders(t, w.press(sessionIn(t, opened), "file"), nil)
	checkHeaders(t, w.press(sessionIn(t, opened), "erase"), nil)
	checkHeaders(t, w.press(sessionIn(t, opened), "erase"), nil)

	for _, lang := range builtIn {
		for name, r := range w.everyPage(lang) {
			more := map[string]string{}
			switch name {
			case "exit":
				more["Refresh"] = "0; url=https://www.wikipedia.org/"
			case "method":
				more["Allow"] = r.header.Get("Allow")
			}
			t.Run(lang+" "+name, func(t *testing.T) { checkHeaders(t, r, more) })
		}
	}

	foreign := w.request("GET", "/es/", nil)
	foreign.Host = "example.org"
	checkHeaders(t, w.do(foreign), nil)
	gateway := w.request("GET", "/es/", nil)
	gateway.Header.Set("X-Tor2web", "1")
	checkHeaders(t, w.do(gateway), nil)
	w.site.kdf = nil // the next page panics
	panicked := w.get("/es/report")
	if panicked.status != http.StatusInternalServerError {
		t.Errorf("status %d after a panic", panicked.status)
	}
	checkHeaders(t, panicked, nil)
}

func TestStatuses(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		method, path string
		status       int
		sentence     string // of the page's language
	}{
		{"GET", "/", 200, "Cuenta lo que sabes."},
		{"GET", "/es/", 200, "Cuenta lo que sabes."},
		{"GET", "/en/", 200, "Tell us what you know."},
		{"GET", "/en/nope", 404, "This page does not exist."},
		{"GET", "/nope", 404, "Esta página no existe."},
		{"GET", "/es", 200, "Cuenta lo que sabes."},
		{"GET", "/en", 200, "Tell us what you know."},
		{"GET", "/es-usted", 200, "Cuente lo que sabe."},
		{"GET", "/es-usted/nope", 404, "Esta página no existe."},
		{"PUT", "/es-usted/report", 405, "Esta página no se puede abrir así."},
		{"POST", "/es-usted/report", 400, "lo que envió su navegador"},
		{"GET", "/en/help", 200, "protection mechanism"},
		{"GET", "/es/help", 200, "mecanismo de protección"},
		{"GET", "/en/privacy", 200, "We use no cookies."},
		{"POST", "/es/privacy", 405, "Esta página no se puede abrir así."},
		{"GET", "/esx", 404, "Esta página no existe."},
		{"GET", "/static/../locales/es.toml", 404, "Esta página no existe."},
		{"PUT", "/en/report", 405, "This page cannot be opened like that."},
		{"HEAD", "/es/", 200, ""},
		{"HEAD", "/nope", 404, ""},
		{"HEAD", "/es/exit", 405, ""},
		{"GET", "/log/checkpoint", 404, "Esta página no existe."},
		{"POST", "/log/checkpoint", 405, "Esta página no se puede abrir así."},
		{"GET", "/es/exit", 405, "Esta página no se puede abrir así."},
		{"GET", "/es/codename", 405, "Esta página no se puede abrir así."},
		{"POST", "/es/report", 400, "No entendimos"},
		{"GET", "/es/keys/nadie.txt", 404, "Esta página no existe."},
		{"GET", "/en/keys/vacio.txt", 404, "This page does not exist."},
		{"GET", "/en/keys/norte", 404, "This page does not exist."},
		{"GET", "/en/keys/norte.txt/", 404, "This page does not exist."},
		{"GET", "/es/keys?desk=nadie", 200, "Cifrar antes de enviar"},
		{"GET", "/en/report?desk=nadie", 422, "no longer in the list"},
		{"GET", "/es/report?desk=vacio", 422, "no puede recibir reportes ahora"},
		{"POST", "/es/exit", 200, "Un momento"},
		{"GET", "/es/mailbox", 200, "Escribe tu clave"},
		{"GET", "/en/mailbox", 200, "Type your codename"},
		{"POST", "/es/mailbox", 400, "No entendimos"},
		{"PUT", "/es/mailbox", 405, "Esta página no se puede abrir así."},
		{"GET", "/es/mailbox/", 404, "Esta página no existe."},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			r := w.do(w.request(tt.method, tt.path, nil))
			if r.status != tt.status || !strings.Contains(r.body, tt.sentence) {
				t.Errorf("status %d, want %d with %q in:\n%s", r.status, tt.status, tt.sentence, r.body)
			}
		})
	}
}

// Only our addresses are answered, whatever a proxy header says.
func TestHost(t *testing.T) {
	w := newWorld(t)
	own := strings.TrimPrefix(w.url, "http://")
	logtest.Begin(t, w.vault).Publish(t)
	for host, status := range map[string]int{
		own:                      200,
		strings.ToUpper(own):     200,
		"example.org":            421,
		"127.0.0.1":              421,
		own + ".":                421,
		"abcdefghijklmnop.onion": 421,
	} {
		r := w.request("GET", "/es/", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		r.Header.Set("X-Forwarded-Proto", "https")
		for _, path := range []string{"/es/", "/log/checkpoint"} {
			r.URL.Path = path
			if got := w.do(r).status; got != status {
				t.Errorf("Host %q: %s: status %d, want %d", host, path, got, status)
			}
		}
	}
}

// A gateway's visitor is warned and never gets a form.
func TestGatewayGetsNoForm(t *testing.T) {
	w := newWorld(t)
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("X-Tor2web", "") },
		func(r *http.Request) { r.Host = "abcdefghijklmnop.onion.ly" },
		func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "abcdefghijklmnop.tor2web.io") },
	} {
		for _, to := range []struct{ method, path, sentence string }{
			{"GET", "/en/report", "Install Tor Browser"}, {"POST", "/en/report", "Install Tor Browser"}, {"GET", "/log/checkpoint", "Instala Tor Browser"},
		} {
			r := w.request(to.method, to.path, nil)
			change(r)
			got := w.do(r)
			if got.status != http.StatusForbidden || !strings.Contains(got.body, to.sentence) || strings.Contains(got.body, "<form") {
				t.Errorf("status %d:\n%s", got.status, got.body)
			}
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	w := newWorld(t)
	for origin, status := range map[string]int{
		w.url:                  200,
		"null":                 403,
		"http://example.org":   403,
		w.url + ".example.org": 403,
		"":                     403,
	} {
		body, typ := multipartOf(field("token", w.token("es")), field("desk", "norte"), field("message", "x"))
		r := w.request("POST", "/es/report", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", typ)
		r.Header["Origin"] = []string{origin}
		if got := w.do(r); got.status != status {
			t.Errorf("Origin %q: status %d, want %d", origin, got.status, status)
		}
	}
	w.stored(1)
	r := w.request("POST", "/es/exit", nil)
	r.Header["Origin"] = []string{w.url, "http://example.org"}
	if got := w.do(r); got.status != http.StatusForbidden {
		t.Errorf("two origins: status %d", got.status)
	}
}

// Every route is one that the test above asks for, and none takes a method that it should not.
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	var got []string
	for _, r := range w.site.engine.Routes() {
		if !strings.HasPrefix(r.Path, "/en") && !strings.HasPrefix(r.Path, "/es-usted") {
			got = append(got, r.Method+" "+r.Path)
		}
	}
	want := []string{"POST /es/report", "POST /es/codename", "POST /es/mailbox", "POST /es/exit"}
	for _, path := range []string{"/", w.site.cssPath, "/log/*path", "/es", "/es/", "/es/safety", "/es/help", "/es/privacy", "/es/keys", "/es/keys/:file", "/es/report", "/es/mailbox"} {
		want = append(want, "GET "+path, "HEAD "+path)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("routes %q, want %q", got, want)
	}
}
