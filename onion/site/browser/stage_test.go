package browser

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/onion/site"
	"resguardo/vault"
)

// languages are the built-in ones. Every page is checked in each of them.
var languages = [...]string{"es", "en", "es-usted"}

// base is the language whose words and plurals a language has.
func base(lang string) string { return lang[:2] }

const origin = "paginas.example"

// stage is a real site over a real vault, behind a recorder of what it answers.
type stage struct {
	t       testing.TB
	lang    string // of who visits it
	address string // host:port
	params  codename.Params
	norte   reviewer
	sur     reviewer
	vault   *vault.Vault

	mu       sync.Mutex
	site     http.Handler
	desks    []site.Desk
	fail     bool // the next list of desks panics
	page     answer
	requests []string // of the page: its own, and what it loads
	css      map[string][]byte
}

// answer is what the site said to the last request for a page.
type answer struct {
	status int
	header http.Header
	body   []byte
	bytes  int // with everything that the page loads
}

func newStage(t testing.TB, lang string) *stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{
		t: t, lang: lang, address: l.Addr().String(), params: codename.Params{Time: 1, Memory: 64, Threads: 1},
		norte: newReviewer(t), sur: newReviewer(t), css: map[string][]byte{},
	}
	now := time.Now()
	s.desks = []site.Desk{
		{ID: "norte", Name: both("Casa del Norte", "House of the North"), Regions: []site.Region{"N"}, Languages: []string{"es", "en"}, Recipients: append(recipients(t, 1), s.norte.recipient), LastSign: now},
		{ID: "sur", Name: both("Red Sur", "Southern Network"), Runs: both("una organización civil", "a civil organisation"), Regions: []site.Region{"S"}, Languages: []string{"es", "tzo"}, Recipients: append(recipients(t, 0), s.sur.recipient), LastSign: now},
		{ID: "fiscalia", Name: both("Unidad especial de la fiscalía", "Special unit of the prosecutor"), Regions: []site.Region{"C"}, Government: true, Organisation: "estado", Recipients: recipients(t, 1), LastSign: now.AddDate(0, 0, -50)},
		{ID: "bajio", Name: both("Equipo del Bajío", "Bajío team"), Regions: []site.Region{"B"}},
		{ID: "centro", Name: both("Equipo del centro", "Central team"), Regions: []site.Region{"C"}, Organisation: "estado", Recipients: recipients(t, 1), LastSign: now},
	}
	s.restart(vault.Options{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.record))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func both(es, en string) map[string]string { return map[string]string{"es": es, "en": en} }

// restart serves a new site over a new vault from now on, as after a restart of
// the server.
func (s *stage) restart(o vault.Options, change ...func(*site.Config)) {
	s.t.Helper()
	dir := s.t.TempDir()
	g := vault.Genesis{Origin: origin, Epoch: 6 * time.Hour, Slots: 16, Time: s.params.Time, Memory: s.params.Memory, Threads: s.params.Threads}
	if err := vault.Init(dir, g); err != nil {
		s.t.Fatal(err)
	}
	v, err := vault.Open(dir, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { v.Close() })
	s.vault = v
	c := site.Config{
		Origin: origin, Organisation: "Red de Casas", Languages: languages[:], Hosts: []string{s.address},
		Params: s.params, MaxReport: 8 << 20, Hotline: "800 5533 000", LeaveTo: "http://" + s.address + "/outside", ConfirmDays: 7, AnswerDays: 90,
		OtherWays: []site.Way{{Text: both("Por carta, al apartado postal 10 de tu oficina de correos.", "By letter, to post box 10 of your post office.")}},
		Cards:     func() []card.Card { return []card.Card{s.norte.card, s.sur.card} },
	}
	for _, f := range change {
		f(&c)
	}
	made, err := site.New(c, v, s.desksNow)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.site = made
	s.mu.Unlock()
}

func (s *stage) desksNow() []site.Desk {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		s.fail = false
		panic("asked to fail")
	}
	return s.desks
}

// failOnce makes the next page that lists desks fail.
func (s *stage) failOnce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = true
}

// setDesks changes the desks and returns those before.
func (s *stage) setDesks(desks []site.Desk) []site.Desk {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.desks
	s.desks = desks
	return before
}

// many is as many desks as the largest programme had organisations.
func many(t testing.TB) []site.Desk {
	keys := recipients(t, 1)
	var desks []site.Desk
	for i := range 127 {
		desks = append(desks, site.Desk{
			ID:           fmt.Sprintf("organizacion-%d", i+1),
			Name:         both(fmt.Sprintf("Organización Civil de la Sierra Madre %d", i+1), fmt.Sprintf("Civil Organisation of the Sierra Madre %d", i+1)),
			Runs:         both("una organización civil de la región", "a civil organisation of the region"),
			Regions:      []site.Region{"N", "B"},
			Organisation: fmt.Sprintf("red-%d", i/3),
			Government:   i%10 == 0,
			Recipients:   keys,
			LastSign:     time.Now(),
		})
	}
	return desks
}

// record answers with the site's answer and remembers it.
func (s *stage) record(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/outside" {
		fmt.Fprint(w, "<!doctype html><link rel=icon href=data:,><title>Outside</title><p>Outside")
		return
	}
	s.mu.Lock()
	handler := s.site
	s.mu.Unlock()
	kept := &held{ResponseWriter: w, status: http.StatusOK}
	handler.ServeHTTP(kept, r)
	s.remember(r, kept) // before the browser has it
	w.WriteHeader(kept.status)
	w.Write(kept.body.Bytes())
}

func (s *stage) remember(r *http.Request, kept *held) {
	if r.Header.Get("Sec-Fetch-Mode") == "" {
		return // not the browser
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	body := bytes.Clone(kept.body.Bytes())
	if !strings.HasPrefix(r.URL.Path, "/static/") {
		s.page = answer{status: kept.status, header: kept.Header().Clone(), body: body}
		s.requests = nil
	} else if kept.status == http.StatusOK {
		s.css[r.URL.Path] = body
	}
	s.page.bytes += len(body)
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
}

// held keeps an answer back until it is remembered.
type held struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

// Unwrap lets http.ResponseController reach the connection.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }
