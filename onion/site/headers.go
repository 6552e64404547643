package site

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// headers go with every response. Referrer-Policy is same-origin, because with
// no-referrer browsers send "Origin: null" and honest posts would be refused.
var headers = [...][2]string{
	{"Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cross-Origin-Embedder-Policy", "require-corp"},
	{"Permissions-Policy", "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), payment=()"},
	{"Cache-Control", "no-store"},
}

// guard sets the headers and turns away what did not come straight to one of
// our addresses.
func (s *Site) guard(c *gin.Context) {
	h := c.Writer.Header()
	for _, kv := range headers {
		h.Set(kv[0], kv[1])
	}
	h["Date"] = nil // net/http adds it otherwise; a clock offset can identify a machine

	switch {
	case c.Request.Method == http.MethodGet && c.Request.URL.Path == s.cssPath:
		// The pages that turn somebody away look like the others. The style sheet says nothing.
	case throughGateway(c.Request):
		s.warnGateway(c)
		c.Abort()
	case !slices.Contains(s.config.Hosts, strings.ToLower(c.Request.Host)):
		// Every link of ours would lead to the same wrong name again, "leave now" too.
		s.page(c, http.StatusMisdirectedRequest, "error", view{Lang: s.languageOf(c), Page: "http.421", Alone: true})
		c.Abort()
	case c.Request.Method == http.MethodPost && foreignOrigin(c.Request):
		s.newBody(c).drainBriefly()
		s.fail(c, http.StatusForbidden)
		c.Abort()
	}
}

// throughGateway reports whether the request came through a Tor2web gateway,
// which reads everything that its visitors send.
func throughGateway(r *http.Request) bool {
	if _, ok := r.Header["X-Tor2web"]; ok {
		return true
	}
	for _, host := range append(r.Header.Values("X-Forwarded-Host"), r.Host) {
		host = strings.ToLower(host)
		if strings.Contains(host, ".onion.") || strings.Contains(host, ".tor2web.") {
			return true
		}
	}
	return false
}

// foreignOrigin reports whether a browser says that the form stood on another
// site. There are no cookies, so such a post could use nobody's session, but
// it could make a source's browser speak. "null" is foreign.
func foreignOrigin(r *http.Request) bool {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return false
	}
	return len(values) > 1 || !strings.EqualFold(values[0], "http://"+r.Host)
}

// recover answers a panic with the constant 500 page. It writes nothing down: a
// panic's value may quote what a source sent.
func (s *Site) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if c.Writer.Written() || p == http.ErrAbortHandler {
			panic(http.ErrAbortHandler) // half an answer is out: end the connection
		}
		c.Abort()
		s.fail(c, http.StatusInternalServerError)
	}()
	c.Next()
}
