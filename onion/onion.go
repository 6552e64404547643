// Package onion is the vault's door: two Tor onion services, each in front of
// one unix socket. No TCP port is opened.
//
// The source's service carries the public pages. It asks for proof of work and
// limits introductions when it is under load, limits the streams of a circuit,
// and names each connection's circuit by PROXY protocol, so that one circuit
// cannot take everything. The reviewers' service answers only to the holders of
// an authorised client key (one per card, revocable alone); without any it is
// not published at all.
//
// In managed mode, Start runs a tor of its own and keeps it alive. In system
// mode the operator's tor serves the lines that Torrc prints, and this package
// only listens. Both services' keys lie in the directories source and reviewers
// below Config.Dir, made by tor at the first start: who loses them loses the
// addresses, who copies them can impersonate the vault.
//
// A circuit's number identifies a source for as long as the circuit lives. It
// exists in memory only (Circuit); nothing here logs it, and RemoteAddr of a
// connection does not show it.
package onion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"resguardo/onion/tor"
)

// Config says where tor lives and what it serves.
type Config struct {
	Dir     string // tor's folder, made with mode 0700: torrc, data and the keys of both services
	Tor     string // the tor program, or a script that ends in exec tor "$@"; "" = tor in PATH
	Include string // a file of further torrc lines (bridges, a private network); "" = none

	SourceSocket    string // unix socket of the public pages; its listener expects PROXY lines (ListenSource)
	ReviewersSocket string // unix socket of the reviewers' API; "" = no such service
	Clients         []Client
	SocksSocket     string // unix socket that tor makes, to be its SOCKS5 client; "" = none

	AllowOld bool         // run a tor older than 0.4.9.11 with a warning
	Log      *slog.Logger // start, stop and progress of tor; nothing that a visitor causes; nil = slog.Default()
}

// Onion is a running tor with the services of a Config.
type Onion struct {
	c    Config
	prog tor.Program
	log  *slog.Logger

	conf    sync.Mutex // held while tor starts and while its configuration changes; guards the next two
	clients []Client
	run     *run // nil while tor is down

	state  sync.Mutex // guards health
	health Health

	ready   chan struct{} // closed by publish, when every service has been published once
	publish func()
	life    context.Context // ended by Close
	end     context.CancelFunc
	done    chan struct{} // closed when the supervisor has ended
}

// Start checks the configuration with tor itself, starts tor and watches over
// it until Close: a tor that ends is started again after 0.5 s, then 1 s, 2 s …
// up to a minute, with the same addresses. ctx bounds Start only.
//
// Start returns as soon as tor runs; Ready and Health tell of the Tor network,
// which may be out of reach for long. It fails with tor.ErrNotFound, tor.ErrOld
// (unless AllowOld), a *tor.ConfigError, ErrSingleHop or ErrPort.
func Start(ctx context.Context, c Config) (*Onion, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	o := newOnion(c)
	prog, err := tor.Look(ctx, c.Tor)
	if errors.Is(err, tor.ErrOld) && c.AllowOld {
		o.log.Warn("tor is older than 0.4.9.11; its defences may not hold", "version", prog.Version)
	} else if err != nil {
		return nil, err
	}
	o.prog = prog
	o.health.Version = prog.Version.String()
	if err := o.configure(ctx, o.clients); err != nil {
		return nil, err
	}
	r, err := o.launch(ctx)
	if err != nil {
		return nil, err
	}
	go o.supervise(r)
	return o, nil
}

func newOnion(c Config) *Onion {
	o := &Onion{
		c:       c,
		log:     cmp.Or(c.Log, slog.Default()),
		clients: slices.Clone(c.Clients),
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
	}
	o.publish = sync.OnceFunc(func() { close(o.ready) })
	o.life, o.end = context.WithCancel(context.Background())
	return o
}

// Ready is closed when every service has been published for the first time, so
// that strangers can reach it. Health then holds the addresses.
func (o *Onion) Ready() <-chan struct{} { return o.ready }

// Close ends tor and waits until it is gone.
func (o *Onion) Close() error {
	o.end()
	<-o.done
	return nil
}

// SetClients makes clients the only holders of keys to the reviewers' service.
// Tor takes up new keys while it runs. When a key is revoked the whole service
// goes down for a moment: that ends every open circuit and makes descriptors
// that its holder has kept useless. With no clients the service goes away; with
// the first one it appears, at the address that its directory holds.
//
// After an error the set in force is unknown; call SetClients again.
func (o *Onion) SetClients(ctx context.Context, clients []Client) error {
	if err := o.c.checkClients(clients); err != nil {
		return err
	}
	o.conf.Lock()
	defer o.conf.Unlock()
	revoked := func(k Client) bool { return !slices.Contains(clients, k) }
	if slices.ContainsFunc(o.clients, revoked) {
		if err := o.change(ctx, nil); err != nil || len(clients) == 0 {
			return err
		}
	}
	return o.change(ctx, clients)
}

// change writes the configuration for clients and waits until tor has taken it
// up. The caller holds conf.
func (o *Onion) change(ctx context.Context, clients []Client) error {
	if err := o.configure(ctx, clients); err != nil {
		return err
	}
	o.clients = slices.Clone(clients)
	if o.run == nil {
		return nil // the next start reads it
	}
	if err := o.run.reload(ctx); err != nil {
		return err
	}
	return o.addresses()
}

// configure writes the authorised clients and then the torrc that needs them.
func (o *Onion) configure(ctx context.Context, clients []Client) error {
	if o.c.ReviewersSocket != "" {
		if err := writeClients(filepath.Join(o.c.Dir, reviewersDir), clients); err != nil {
			return fmt.Errorf("authorise clients: %w", err)
		}
	}
	text, err := o.c.managed(o.c.ReviewersSocket != "" && len(clients) > 0)
	if err != nil {
		return err
	}
	return o.prog.Configure(ctx, o.c.Dir, text)
}

// supervise watches r and every tor that follows it.
func (o *Onion) supervise(r *run) {
	defer close(o.done)
	var pause backoff
	for o.watch(r) {
		if o.Health().Bootstrap == 100 {
			pause = 0
		}
		reason := r.proc.Err()
		o.down()
		for r = nil; r == nil; {
			d := pause.next()
			o.log.Warn("tor is down and will be started again", "pause", d, "reason", reason)
			select {
			case <-o.life.Done():
				return
			case <-time.After(d):
			}
			r, reason = o.launch(o.life)
		}
		o.state.Lock()
		o.health.Restarts++
		o.state.Unlock()
	}
}

// watch waits until tor has ended (true) or Close was called (false; tor has
// then ended too).
func (o *Onion) watch(r *run) bool {
	slow := time.After(time.Minute)
	for {
		select {
		case <-o.life.Done():
			r.proc.Stop()
			o.down()
			return false
		case <-r.proc.Done():
			return true
		case <-slow:
			if h := o.Health(); h.Bootstrap < 100 {
				o.log.Warn("the Tor network is out of reach; tor keeps trying",
					"percent", h.Bootstrap, "phase", h.Phase, "reason", h.Warning)
			}
		}
	}
}

// down notes that tor has ended.
func (o *Onion) down() {
	o.conf.Lock()
	o.run = nil
	o.conf.Unlock()
	o.state.Lock()
	defer o.state.Unlock()
	o.health.Running = false
	o.health.Bootstrap, o.health.Phase = 0, ""
	o.health.Source.Published = false
	o.health.Reviewers.Published = false
}

// backoff is the pause before tor's next start: 0.5 s, doubling up to a minute.
type backoff time.Duration

func (b *backoff) next() time.Duration {
	*b = min(max(2*(*b), backoff(500*time.Millisecond)), backoff(time.Minute))
	return time.Duration(*b)
}

// check refuses what tor would misunderstand rather than refuse.
func (c Config) check() error {
	if c.Dir == "" || c.SourceSocket == "" {
		return errors.New("no folder for tor or no socket for the source's onion service")
	}
	// Tor answers with escapes for other characters, which bine does not read.
	if strings.ContainsFunc(c.Dir, func(r rune) bool { return r > unicode.MaxASCII }) {
		return fmt.Errorf("%s: tor's folder must have a path of ASCII characters", c.Dir)
	}
	return c.checkClients(c.Clients)
}

func (c Config) checkClients(clients []Client) error {
	if c.ReviewersSocket == "" && len(clients) > 0 {
		return errors.New("clients are authorised for a reviewers' onion service, but it has no socket")
	}
	return checkClients(clients)
}
