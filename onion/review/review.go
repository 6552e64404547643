// Package review is the reviewers' and auditors' API: the second onion service,
// where the people whose cards the vault knows fetch ciphertext, and where
// reviewers answer. It speaks JSON (resguardo/crypto/card has the types) and holds
// sessions in memory only. Beside the API stands the public log, as on the public
// onion, for everybody.
//
// A member logs in by signing a statement that names this vault's origin, the
// address that the member's program dialled and a nonce from each side. After
// that every route looks the member up again, so revoking a card ends its
// sessions, and uploads and downloads in progress, at once.
//
// A reviewer sees the cases that its desks have now, each with all its items: who
// adds to a case names the item before, and who deletes one names them all,
// whichever desk they were sealed for. A case of other desks and a case that does
// not exist give answers that are equal byte for byte. An auditor sees every
// item, cannot open it, and learns no desks.
//
// Nothing here is plaintext. What a reviewer adds is sealed on its own machine
// and signed with its card; the server counts, compares and stores it.
package review

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// Config is fixed for the life of a Review. The functions are called on every
// request that needs them.
type Config struct {
	Origin           string          // of the vault
	Hosts            []string        // accepted Host values, exact, lower case, with port where there is one
	MaxItem          int64           // bytes of an age file that a reviewer adds; 0 = 4 GiB
	MinRate          int64           // bytes a second that a request's body must keep up, averaged over a minute; 0 = 512
	Retention        vault.Retention // for the day on which a case ends; 0 days = 180, and 90 more
	DeleteSignatures func() int      // of different cards that delete a case: 1 or 2; nil = 2
	Governance       func() uint64   // sequence of the governance note in force; nil = 0

	// Reading is when a desk last gave a sign that it is read; zero = not known. Keep
	// keeps a note that says so, which is verified, and of a member of its desk; it may
	// keep one that is newer instead. nil = not known, and nothing is kept.
	Reading func(desk string) time.Time
	Keep    func(r card.Reading, by card.Card, note []byte) error
}

func (c Config) withDefaults() Config {
	if c.MaxItem == 0 {
		c.MaxItem = 4 << 30
	}
	if c.MinRate == 0 {
		c.MinRate = 512
	}
	if c.Retention.Days == 0 {
		c.Retention = vault.Retention{Days: 180, Extra: 90}
	}
	if c.DeleteSignatures == nil {
		c.DeleteSignatures = func() int { return 2 }
	}
	if c.Governance == nil {
		c.Governance = func() uint64 { return 0 }
	}
	if c.Reading == nil {
		c.Reading = func(string) time.Time { return time.Time{} }
	}
	if c.Keep == nil {
		c.Keep = func(card.Reading, card.Card, []byte) error { return errors.New("nothing is kept") }
	}
	return c
}

// Member is one card in force and the desks it belongs to. An auditor belongs to
// none.
type Member struct {
	Card  card.Card
	File  string // the card as its owner signed it; without it other reviewers cannot seal to it
	Desks []string
}

// Review serves the API. It is an http.Handler for many goroutines.
type Review struct {
	config  Config
	hosts   map[string]bool
	vault   *vault.Vault
	members func() map[string]Member
	nonces  nonces
	session sessions
	uploads uploads
	engine  *gin.Engine
}

// New makes the handler. members returns the cards in force by fingerprint; it
// is called on every request and must not change a map that it has returned.
func New(c Config, v *vault.Vault, members func() map[string]Member) *Review {
	r := &Review{config: c.withDefaults(), hosts: map[string]bool{}, vault: v, members: members}
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
	reviewer          // of a reviewer's card
	auditor           // of an auditor's card
)

// admits tells whether a member with this role may call the route.
func (a access) admits(role card.Role) bool {
	switch a {
	case member:
		return role == card.Reviewer || role == card.Auditor
	case reviewer:
		return role == card.Reviewer
	case auditor:
		return role == card.Auditor
	}
	return false
}

// A route is served by anyone (open) or by members (closed), as access says.
type route struct {
	method, path string
	access       access
	open         func(*gin.Context)
	closed       func(*gin.Context, Member)
}

// routes is the whole API.
func (r *Review) routes() []route {
	const ofCase = card.CasesPath + "/:case/"
	routes := []route{
		{method: http.MethodPost, path: card.ChallengePath, access: anyone, open: r.challenge},
		{method: http.MethodPost, path: card.LoginPath, access: anyone, open: r.login},
		{method: http.MethodGet, path: card.ItemsPath, access: member, closed: r.items},
		{method: http.MethodGet, path: card.ItemsPath + "/:id", access: member, closed: r.item},
		{method: http.MethodGet, path: card.DesksPath, access: reviewer, closed: r.desks},
		{method: http.MethodPost, path: card.DesksPath + "/:desk/reading", access: reviewer, closed: r.reading},
		{method: http.MethodGet, path: card.CasesPath, access: reviewer, closed: r.cases},
		{method: http.MethodPost, path: ofCase + "delete", access: reviewer, closed: r.deleteCase},
		{method: http.MethodPost, path: ofCase + "hold", access: reviewer, closed: r.hold},
		{method: http.MethodGet, path: card.EpochsPath, access: auditor, closed: r.epochs},
		{method: http.MethodGet, path: card.EpochsPath + "/:epoch", access: auditor, closed: r.epoch},
		{method: http.MethodGet, path: logtiles.Prefix + "*path", access: anyone, open: r.publicLog},
		{method: http.MethodHead, path: logtiles.Prefix + "*path", access: anyone, open: r.publicLog},
	}
	for _, kind := range []translog.Kind{translog.Reply, translog.Ack, translog.Note, translog.Close, translog.Rewrap, translog.Recuse} {
		routes = append(routes, route{method: http.MethodPost, path: ofCase + string(kind), access: reviewer, closed: r.add(kind)})
	}
	return routes
}

// admit puts the check of a route's access before its handler.
func (r *Review) admit(route route) gin.HandlerFunc {
	switch {
	case route.access == anyone && route.open != nil:
		return route.open
	case route.access >= member && route.closed != nil:
		return func(c *gin.Context) {
			m, ok := r.signedIn(c.Request)
			switch {
			case !ok:
				c.Header("WWW-Authenticate", "Bearer")
				fail(c, notSignedIn)
			case !route.access.admits(m.Card.Role):
				fail(c, otherRole)
			default:
				route.closed(c, m)
			}
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
