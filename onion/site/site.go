// Package site serves the source's pages: plain HTML forms that work without
// scripts, cookies, images and fonts, on the public onion.
//
// A report comes in as one multipart request. It is parsed as a stream, sealed
// to the chosen desks and stored in the vault; ingest.go is the one file where
// its plaintext and the storage meet. Nothing that a source sends is written in
// clear, logged, or put into an address:
//
//	turn.go    lets forms in, each in its turn
//	body.go    counts and paces the request body
//	parts.go   takes the body apart, in the order of the form
//	send.go    what must hold before a report is accepted, and every refusal
//	ingest.go  seals and stores
//	token.go   the form token, and what became of it
//	kdf.go     the two places for the slow key derivation
//	public.go  the public log, and what it says about the site
//
// With the codename its source comes back:
//
//	signin.go    asks for the codename, and costs the same whether it is right
//	sessions.go  open mailboxes, one value for each page
//	mailbox.go   what the mailbox shows
//	actions.go   what its buttons do
//	replies.go   opens replies and tells who wrote them
//	followup.go  takes more information, by the way of a report
//
// The message and the answers stay in memory for one request, so that a refusal
// can show them again; file contents never do as a whole. Used tokens (as
// hashes) are kept in memory for a day. Replies are opened for the answer that
// shows them; the keys of a codename are kept while its mailbox is open.
package site

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// Config is the operator's part of the site. Zero values mean the default.
type Config struct {
	Origin        string
	Organisation  string   // shown on the landing page; may be empty
	Languages     []string // of "es", "es-usted", "en" and the codes of Added; the first is the default; none means "es"
	Added         []Language
	Questions     Questions // of the form; without a group, those of the program
	Demo          bool      // every page says TEST in both languages
	Hosts         []string  // accepted Host values, exact, lower case, with port where there is one
	Params        codename.Params
	MaxReport     int64  // bytes of one request body; 0 = 4 GiB
	MaxFiles      int    // 0 = 20
	MinRate       int64  // bytes a second that a body must keep up, averaged over a minute; 0 = 512
	MaxUploads    int    // file uploads at once; 0 = 32
	MaxForms      int    // forms that are read and answered at once, uploads too; 0 = 192
	Derivations   int    // of keys from codenames at once, of 64 MiB each; 0 = 2
	RetentionDays int    // 0 = 180
	BackupDays    int    // after which no backup copy can be read any more; 0 = 30
	ConfirmDays   int    // within which a team says that it has read a report; 0 = nothing is promised
	AnswerDays    int    // within which a team tells what happened; 0 = nothing is promised
	Hotline       string // may be empty
	OtherWays     []Way  // other ways to report
	Lawyer        string // who reviewed the pages on privacy and help, and when; empty: they say that nobody has
	LeaveTo       string // where the neutral page goes on to; default https://www.wikipedia.org/

	// Governance tells the sequence of the governance note in force, which each
	// report carries; nil means 0.
	Governance func() uint64

	// Cards are the cards of the reviewers in force: with them replies are checked.
	// nil means none, and that every reply is shown as not checked. The returned
	// slice is not modified.
	Cards func() []card.Card

	// Circuit tells the circuit of a request from its context: one circuit gets at
	// most its share of uploads, forms and key derivations. nil, or ok false, means
	// that requests have no circuit. The number is never logged or stored.
	Circuit func(context.Context) (id uint32, ok bool)
}

// Way is another way to report, in a sentence.
type Way struct {
	Text map[string]string // by language
}

//go:embed templates static locales questions.toml
var assets embed.FS

// Site answers the public onion. It is an http.Handler for many goroutines and
// keeps all its state in memory: after a restart, forms that are still open in
// browsers are refused as expired, with their text shown again.
type Site struct {
	config    Config
	vault     *vault.Vault
	desks     func() []Desk
	engine    *gin.Engine
	tokens    *tokens // of the report form
	signIns   *tokens // of the sign-in form
	sessions  *sessions
	kdf       *kdf
	uploads   *places // for uploads of files
	forms     *places // for whatever is posted
	turned    *places // for reports that are turned away with their text
	words     map[string]*codename.List
	locales   *locales
	templates map[string]*template.Template
	questions Questions
	css       []byte
	cssPath   string
	now       func() time.Time
}

// New makes the site. It asks desks for the desks in force once for every
// request; the returned slice is not modified.
func New(c Config, v *vault.Vault, desks func() []Desk) (*Site, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Site{
		config:   c,
		vault:    v,
		desks:    desks,
		tokens:   newTokens(),
		signIns:  newTokens(),
		sessions: newSessions(),
		kdf:      newKDF(c.Params, c.Derivations, c.Circuit),
		uploads:  newPlaces(c.MaxUploads, uploadQueue, max(2, c.MaxUploads/circuitShare), c.Circuit),
		forms:    newPlaces(c.MaxForms, 2*c.MaxForms, c.MaxForms/circuitShare, c.Circuit),
		turned:   newPlaces(turnedForms, 0, turnedForms/circuitShare, c.Circuit),
		words:    map[string]*codename.List{},
		now:      time.Now,
	}
	if s.questions, err = c.Questions.orDefault(); err != nil {
		return nil, err
	}
	if s.locales, err = loadLocales(c.Questions, c.Added); err != nil {
		return nil, err
	}
	for _, lang := range c.Languages {
		t := s.locales.byCode[lang]
		if t == nil {
			return nil, fmt.Errorf("language %q: not one of es, es-usted, en, and not added", lang)
		}
		if s.words[lang], err = codename.ForLanguage(t.Base); err != nil {
			return nil, fmt.Errorf("language %q: %w", lang, err)
		}
	}
	if s.templates, err = loadTemplates(); err != nil {
		return nil, err
	}
	s.css, s.cssPath = stylesheet()
	s.engine = s.routes()
	return s, nil
}

// withDefaults fills in zero values and refuses what no page could show.
func (c Config) withDefaults() (Config, error) {
	if c.Origin == "" {
		return c, errors.New("no origin")
	}
	if len(c.Hosts) == 0 {
		return c, errors.New("no host")
	}
	if len(c.Languages) == 0 {
		c.Languages = []string{"es"}
	}
	if c.Governance == nil {
		c.Governance = func() uint64 { return 0 }
	}
	if c.Cards == nil {
		c.Cards = func() []card.Card { return nil }
	}
	if c.LeaveTo == "" {
		c.LeaveTo = "https://www.wikipedia.org/"
	}
	if u, err := url.Parse(c.LeaveTo); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		strings.ContainsAny(c.LeaveTo, "; \"'") {
		return c, fmt.Errorf("address to leave to %q: not a plain http or https address", c.LeaveTo)
	}
	setDefault(&c.MaxReport, 4<<30)
	setDefault(&c.MaxFiles, 20)
	setDefault(&c.MinRate, 512)
	setDefault(&c.MaxUploads, 32)
	setDefault(&c.MaxForms, 192)
	setDefault(&c.Derivations, kdfSlots)
	setDefault(&c.RetentionDays, 180)
	setDefault(&c.BackupDays, 30)
	if c.MaxReport < 0 || c.MaxFiles < 0 || c.MinRate < 0 || c.MaxUploads < 0 || c.MaxForms < 0 || c.Derivations < 0 || c.RetentionDays < 0 || c.BackupDays < 0 ||
		c.ConfirmDays < 0 || c.AnswerDays < 0 {
		return c, errors.New("negative limit")
	}
	return c, nil
}

func setDefault[T int | int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.engine.ServeHTTP(w, r)
}

// routes is the whole surface of the public onion. Nothing redirects: gin would
// build the new address from request headers.
func (s *Site) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // else gin prints every route to stdout
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = false
	e.Use(s.recover, s.guard, s.takeForm)
	e.NoRoute(func(c *gin.Context) { s.fail(c, http.StatusNotFound) })
	e.NoMethod(func(c *gin.Context) { s.fail(c, http.StatusMethodNotAllowed) })

	get := func(path string, f gin.HandlerFunc) {
		e.GET(path, f)
		e.HEAD(path, f) // net/http leaves out the body
	}
	get("/", s.in(s.config.Languages[0], s.landing))
	get(s.cssPath, s.style)
	get(logtiles.Prefix+"*path", s.publicLog)
	for _, lang := range s.config.Languages {
		at := "/" + lang
		get(at, s.in(lang, s.landing))
		get(at+"/", s.in(lang, s.landing))
		get(at+"/safety", s.in(lang, s.safety))
		get(at+"/help", s.in(lang, s.help))
		get(at+"/privacy", s.in(lang, s.privacy))
		get(at+"/keys", s.in(lang, s.keys))
		get(at+"/keys/:file", s.keysFile)
		get(at+"/report", s.in(lang, s.choose))
		e.POST(at+"/report", s.in(lang, s.post))
		e.POST(at+"/codename", s.in(lang, s.codename))
		get(at+"/mailbox", s.in(lang, s.signInPage))
		e.POST(at+"/mailbox", s.in(lang, s.mailbox))
		e.POST(at+"/exit", s.in(lang, s.exit))
	}
	return e
}

// in is a handler of pages of one language.
func (s *Site) in(lang string, f func(*gin.Context, string)) gin.HandlerFunc {
	return func(c *gin.Context) { f(c, lang) }
}
