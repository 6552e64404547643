package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion"
	"resguardo/onion/review"
	"resguardo/onion/site"
	"resguardo/onion/tor"
)

// systemDir is where a tor that somebody else runs keeps the keys of the two
// services; Debian's tor may write below /var/lib/tor only.
const systemDir = "/var/lib/tor/resguardo"

// runDir is where packaging/ lets tor's account reach the sockets.
const runDir = "/run/resguardo"

// services are the two onion services, behind a managed tor or the system's.
type services struct {
	config onion.Config
	tor    *onion.Onion // nil if the tor is not ours
	source late
	review late
}

// late is a handler that is made once the address of its service is known.
// Until then tor sends nobody to it.
type late struct{ handler atomic.Pointer[http.Handler] }

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := l.handler.Load()
	if h == nil {
		panic(http.ErrAbortHandler)
	}
	(*h).ServeHTTP(w, r)
}

// listenOnion makes the two unix sockets. The handlers behind them come later.
func (s *server) listenOnion(o serveFlags, d statedir.Dir) error {
	c := onion.Config{Dir: d.Path(statedir.OnionDir), Include: o.torInclude, AllowOld: o.allowOldTor, Log: s.log,
		SocksSocket: socksOf(o.tor, d, s.outward)}
	sockets := cmp.Or(o.sockets, c.Dir)
	mode := os.FileMode(0o600)
	if o.tor == "system" {
		c.Dir = systemDir
		mode = 0o660 // for the group of tor's account
	}
	if err := statedir.FitsSocket(sockets, statedir.ReviewersSocket); err != nil {
		return err
	}
	if sockets == d.Path(statedir.OnionDir) {
		if err := os.MkdirAll(sockets, 0o700); err != nil {
			return say.Fail(say.T("cannot make %s: %s", sockets, say.Bare(err)), say.Text{})
		}
	}
	c.SourceSocket = filepath.Join(sockets, statedir.SourceSocket)
	c.ReviewersSocket = filepath.Join(sockets, statedir.ReviewersSocket)
	s.onion = &services{config: c}
	l, err := onion.ListenSource(c.SourceSocket, mode)
	if err != nil {
		return noSocket(c.SourceSocket, err)
	}
	s.doors.add(l, &s.onion.source)
	if l, err = onion.Listen(c.ReviewersSocket, mode); err != nil {
		return noSocket(c.ReviewersSocket, err)
	}
	s.doors.add(l, &s.onion.review)
	return nil
}

func noSocket(path string, err error) error {
	return say.Fail(say.T("cannot make %s: %s", path, say.Bare(err)), say.T("the folder must exist and belong to the account that serves"))
}

// openOnion starts our own tor, or tells the operator what to tell the
// system's, and makes the handlers.
func (s *server) openOnion(ctx context.Context, o serveFlags, state *statedir.State) error {
	s.onion.config.Clients = clients(state)
	if o.tor == "system" {
		s.live.onChange = s.tellClient
		return s.openSystem(state)
	}
	t, err := onion.Start(ctx, s.onion.config)
	if err != nil {
		return torError(err)
	}
	s.onion.tor = t
	s.ticker.skew = func() time.Duration { return t.Health().Skew }
	s.live.onChange = s.authorise
	h := t.Health()
	return s.handle(state, h.Source.Address, h.Reviewers.Address)
}

// handle makes the handlers of the services whose addresses are known. An
// address never changes: it is the service's public key.
func (s *server) handle(state *statedir.State, source, reviewers string) error {
	if source != "" && s.onion.source.handler.Load() == nil {
		c := s.siteConfig(state.Config, source)
		c.Circuit = onion.Circuit
		pages, err := site.New(c, s.vault, s.live.desks)
		if err != nil {
			return err
		}
		s.onion.source.set(pages)
	}
	if reviewers != "" && s.onion.review.handler.Load() == nil {
		s.onion.review.set(review.New(s.reviewConfig(state.Config, reviewers), s.vault, s.live.members))
	}
	return nil
}

func (l *late) set(h http.Handler) { l.handler.Store(&h) }

// authorise lets tor take up the cards in force. The caller makes one change at
// a time.
func (s *server) authorise(ctx context.Context, state *statedir.State, _ statedir.Outcome) ([]say.Text, error) {
	err := s.onion.tor.SetClients(ctx, clients(state))
	if err != nil {
		return nil, say.Fail(say.T("the change was made, but tor did not take it up: %s", err),
			say.T("repeat the command; until then tor lets in whom it let in before, but the vault itself knows the change"))
	}
	h := s.onion.tor.Health()
	return nil, s.handle(state, h.Source.Address, h.Reviewers.Address)
}

// tellClient says what the operator has to do at the system's tor.
func (s *server) tellClient(_ context.Context, state *statedir.State, o statedir.Outcome) ([]say.Text, error) {
	path := filepath.Join(systemDir, "reviewers", "authorized_clients", o.Fingerprint+".auth")
	r, found := state.Reviewer(o.Fingerprint)
	if !found || len(r.Desks) == 0 {
		return []say.Text{say.T("tor must forget the key: remove %s, then: systemctl restart tor@default", path)}, nil
	}
	todo := []say.Text{say.T("tor must learn the key: write the line %s into %s, then: systemctl reload tor@default",
		"descriptor:x25519:"+r.Card.Client, path)}
	if state.Config.Onion.Reviewers == "" {
		todo = append(todo, say.T("this is the first card: start serve again for the lines of the reviewers' service"))
	}
	return todo, nil
}

// torError puts an error of package onion into our words.
func torError(err error) error {
	if refused := (*tor.ConfigError)(nil); errors.As(err, &refused) {
		return say.Fail(say.T("tor refuses its configuration: %s", strings.Join(refused.Reasons, "; ")),
			say.T("look at the lines of -tor-include; ours are in onion/torrc"))
	}
	switch {
	case errors.Is(err, tor.ErrNotFound):
		return &say.Error{Err: err, What: say.T("tor is not installed"),
			Hint: say.T("install it: apt-get install tor; to see the pages on this machine only: -tor off -preview 127.0.0.1:8080")}
	case errors.Is(err, tor.ErrOld):
		return &say.Error{Err: err, What: say.T("tor is too old, others can pose as this vault: %s", err),
			Hint: say.T("install tor %s or later; -allow-old-tor starts it all the same", oldestTor)}
	case errors.Is(err, onion.ErrSingleHop), errors.Is(err, onion.ErrPort):
		return &say.Error{Err: err, What: say.T("tor would not be safe: %s", err), Hint: say.T("look at the lines of -tor-include")}
	}
	return &say.Error{Err: err, What: say.T("tor does not start: %s", err), Hint: say.T("to see the pages on this machine only: -tor off -preview 127.0.0.1:8080")}
}

// openSystem makes the handlers for the addresses that the configuration names.
// If one is missing, it prints the lines for tor all the same, because tor must
// run with them before there is an address.
func (s *server) openSystem(state *statedir.State) error {
	c := state.Config.Onion
	missing := ""
	switch {
	case c.Source == "":
		missing = "source"
	case c.Reviewers == "" && len(s.onion.config.Clients) > 0:
		missing = "reviewers"
	default:
		return s.handle(state, c.Source, c.Reviewers)
	}
	if err := s.tellTorrc(); err != nil {
		return err
	}
	return say.Fail(say.T("the address of the onion service is not known: %s is missing in %s", "onion."+missing, statedir.ConfigFile),
		say.T("let tor start with the lines above; the address is then in %s: write it into %s and start again",
			filepath.Join(systemDir, missing, "hostname"), statedir.ConfigFile))
}

// tellTorrc prints the lines for the system's tor.
func (s *server) tellTorrc() error {
	c := s.onion.config
	if len(c.Clients) == 0 {
		c.ReviewersSocket = "" // tor would let everyone in
	}
	lines, err := onion.Torrc(c)
	if err != nil {
		return torError(err)
	}
	if s.json {
		return json.NewEncoder(s.print.Out).Encode(struct {
			Event string `json:"event"`
			Torrc string `json:"torrc"`
		}{"torrc", lines})
	}
	s.print.Say(say.T("lines for the torrc of the system's tor:"))
	_, err = s.print.Out.Write([]byte(lines))
	return err
}

// published are the addresses that sources and reviewers need.
type published struct {
	Event     string `json:"event"`
	Source    string `json:"source"`
	Reviewers string `json:"reviewers,omitempty"`
}

// tellAddresses prints the addresses when strangers can reach them, and again
// when the reviewers' service appears with the first card.
func (s *server) tellAddresses(ctx context.Context) {
	told := published{Event: "onion"}
	for told.Reviewers == "" {
		if p, ready := reachable(s.onion.tor.Health()); ready && p != told {
			told = p
			s.tellPublished(p)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func reachable(h onion.Health) (p published, ready bool) {
	p = published{Event: "onion", Source: "http://" + h.Source.Address}
	if h.Reviewers.Address != "" {
		p.Reviewers = "http://" + h.Reviewers.Address
	}
	return p, h.Source.Published && (p.Reviewers == "" || h.Reviewers.Published)
}

func (s *server) tellPublished(p published) {
	if s.json {
		json.NewEncoder(s.print.Out).Encode(p) // who reads has gone if this fails; we go on
		return
	}
	s.print.Say(say.T("on the Tor network: the pages are at %s", p.Source))
	if p.Reviewers != "" {
		s.print.Say(say.T("on the Tor network: the reviewers' door is at %s", p.Reviewers))
	}
}

// closeOnion ends our tor.
func (s *server) closeOnion() {
	if s.onion != nil && s.onion.tor != nil {
		s.onion.tor.Close()
	}
}

// include is what the operator's lines for tor need beyond our own.
type include struct {
	files      []string // that the lines name, by absolute paths
	transports bool     // programs that open a port on loopback for tor
}

var transportLine = regexp.MustCompile(`(?im)^[\t ]*[+/]?ClientTransportPlugin[\t ]`)

// readInclude reads the file of -tor-include.
func readInclude(path string) (include, error) {
	text, err := statedir.ReadFile(path, statedir.MaxFile)
	if err != nil {
		return include{}, err
	}
	i := include{files: []string{path}, transports: transportLine.Match(text)}
	for word := range strings.FieldsSeq(string(text)) {
		word = strings.Trim(word, `"`)
		if info, err := os.Stat(word); filepath.IsAbs(word) && err == nil && info.Mode().IsRegular() {
			i.files = append(i.files, word)
		}
	}
	return i, nil
}

// clients are the onion keys of the reviewers' cards that are in a desk, in the order
// of their fingerprints, and of the auditors. A card that is not yet in force reaches the door, and no more.
func clients(state *statedir.State) []onion.Client {
	var all []onion.Client
	for _, r := range state.Reviewers {
		if len(r.Desks) > 0 {
			all = append(all, onion.Client{Name: r.Card.Fingerprint(), Key: r.Card.Client})
		}
	}
	for _, a := range state.Auditors {
		if !a.Revoked {
			all = append(all, onion.Client{Name: a.Card.Fingerprint(), Key: a.Card.Client})
		}
	}
	return all
}
