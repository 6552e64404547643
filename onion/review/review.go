// Package review is the reviewers' API: the second onion service, where the
// people whose cards the vault knows fetch ciphertext. It speaks JSON
// (resguardo/crypto/card has the types) and holds sessions in memory only. Beside
// the API stands the public log, as on the public onion, for everybody.
//
// A member logs in by signing a statement that names this vault's origin, the
// address that the member's program dialled and a nonce from each side. After
// that every route looks the member up again, so revoking a card ends its
// sessions, and downloads in progress, at once.
//
// A member sees the items of its own desks. An item of another desk and an item
// that does not exist give answers that are equal byte for byte.
package review

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// Config is fixed for the life of a Review.
type Config struct {
	Origin string   // of the vault
	Hosts  []string // accepted Host values, exact, lower case, with port where there is one
}

// Member is one card in force and the desks it belongs to.
type Member struct {
	Card  card.Card
	Desks []string
}

// Review serves the API. It is an http.Handler for many goroutines.
type Review struct {
	origin  string
	hosts   map[string]bool
	vault   *vault.Vault
	members func() map[string]Member
	nonces  nonces
	session sessions
	engine  *gin.Engine
}

// New makes the handler. members returns the cards in force by fingerprint; it
// is called on every request and must not change a map that it has returned.
func New(c Config, v *vault.Vault, members func() map[string]Member) *Review {
	r := &Review{origin: c.Origin, hosts: map[string]bool{}, vault: v, members: members}
	for _, h := range c.Hosts {
		r.hosts[h] = true
	}
	gin.SetMode(gin.ReleaseMode) // debug mode prints every route
	e := gin.New()
	// gin corrects paths by redirects that can be steered by request headers, and
	// takes client addresses from headers on unix sockets. We want neither.
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.ForwardedByClientIP = false
	e.HandleMethodNotAllowed = true
	e.Use(r.guard)
	e.NoRoute(func(c *gin.Context) { fail(c, notFound) })
	e.NoMethod(func(c *gin.Context) { fail(c, wrongMethod) })
	for _, route := range r.routes() {
		e.Handle(route.method, route.path, r.admit(route))
	}
	r.engine = e
	return r
}

// ServeHTTP answers one request.
func (r *Review) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.engine.ServeHTTP(w, req) }

// access says who may call a route. The zero value is nobody at all: New
// refuses a route that does not declare its access.
type access int

const (
	undeclared access = iota
	anyone            // before login
	member            // a session of a card in force
)

// A route is served by anyone (open) or by members (closed), as access says.
type route struct {
	method, path string
	access       access
	open         func(*gin.Context)
	closed       func(*gin.Context, Member)
}

func (r *Review) routes() []route {
	return []route{
		{method: http.MethodPost, path: card.ChallengePath, access: anyone, open: r.challenge},
		{method: http.MethodPost, path: card.LoginPath, access: anyone, open: r.login},
		{method: http.MethodGet, path: card.ItemsPath, access: member, closed: r.items},
		{method: http.MethodGet, path: card.ItemsPath + "/:id", access: member, closed: r.item},
		{method: http.MethodGet, path: logtiles.Prefix + "*path", access: anyone, open: r.publicLog},
		{method: http.MethodHead, path: logtiles.Prefix + "*path", access: anyone, open: r.publicLog},
	}
}

// admit puts the check of a route's access before its handler.
func (r *Review) admit(route route) gin.HandlerFunc {
	switch {
	case route.access == anyone && route.open != nil:
		return route.open
	case route.access == member && route.closed != nil:
		return func(c *gin.Context) {
			m, ok := r.signedIn(c.Request)
			if !ok {
				c.Header("WWW-Authenticate", "Bearer")
				fail(c, notSignedIn)
				return
			}
			route.closed(c, m)
		}
	}
	panic("review: route " + route.path + " does not declare who may call it")
}

// signedIn finds the member whose session the request carries.
func (r *Review) signedIn(req *http.Request) (Member, bool) {
	token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return Member{}, false
	}
	fingerprint, ok := r.session.find(token)
	if !ok {
		return Member{}, false
	}
	m, ok := r.members()[fingerprint]
	return m, ok
}

// headers stand on every response. Nothing that the API answers is meant to be
// shown by a browser.
var headers = [...][2]string{
	{"Cache-Control", "no-store"},
	{"Content-Security-Policy", "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"},
	{"Cross-Origin-Embedder-Policy", "require-corp"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Referrer-Policy", "same-origin"},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
}

// guard sets the headers, refuses foreign hosts and recovers from panics
// without printing the value, which may hold anything.
func (r *Review) guard(c *gin.Context) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			slog.Error("panic in the reviewers' API", "route", c.FullPath(), "at", panicSite())
		}
		if c.Writer.Written() {
			panic(http.ErrAbortHandler) // ends the connection, prints nothing
		}
		fail(c, internal)
	}()
	h := c.Writer.Header()
	for _, kv := range headers {
		h.Set(kv[0], kv[1])
	}
	h["Date"] = nil // nil keeps net/http from adding one
	if !r.hosts[c.Request.Host] {
		fail(c, wrongHost)
		return
	}
	c.Next()
}

// panicSite is the file and line of the code that panicked.
func panicSite() []string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var at []string
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "resguardo/") {
			at = append(at, f.Function)
		}
		if !more {
			return at
		}
	}
}

// failure is one constant answer that is not a success.
type failure struct {
	status int
	text   string
}

var (
	malformed   = failure{http.StatusBadRequest, "malformed request"}
	notSignedIn = failure{http.StatusUnauthorized, "not signed in"}
	refused     = failure{http.StatusForbidden, "login refused"}
	notFound    = failure{http.StatusNotFound, "not found"}
	wrongMethod = failure{http.StatusMethodNotAllowed, "wrong method"}
	noSuchRange = failure{http.StatusRequestedRangeNotSatisfiable, "no such range"}
	wrongHost   = failure{http.StatusMisdirectedRequest, "wrong address"}
	internal    = failure{http.StatusInternalServerError, "internal error"}
)

func fail(c *gin.Context, f failure) {
	c.Abort()
	c.JSON(f.status, card.Error{Error: f.text})
}
