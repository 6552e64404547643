package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion/review"
	"resguardo/onion/site"
	"resguardo/vault"
	"resguardo/vault/witness"
)

// cmdServe serves the vault until it is told to stop.
func cmdServe(p *say.Printer, args []string) error {
	o, err := readServeFlags(args)
	if err != nil {
		return err
	}
	if err := clearFreed(); err != nil {
		return err
	}
	d, err := statedir.Open(o.dir)
	if err != nil {
		return err
	}
	unlock, err := lockForServe(p, d)
	if err != nil {
		return err
	}
	defer unlock()
	if err := errors.Join(leaveNoCore(), noTemporaryFiles(d)); err != nil {
		return err
	}
	// A write beyond the account's file size limit is a storage error, and not
	// the end of the process with a stack trace.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	state, v, err := openAll(p, d)
	if err != nil {
		return err
	}
	questions, languages, err := ownTexts(d, state)
	if err != nil {
		return errors.Join(err, v.Close())
	}
	s := &server{languages: languages, questions: questions, print: p, log: slog.New(slog.NewTextHandler(p.Err, nil)), vault: v, json: o.json, mode: o.tor}
	if s.again, err = newRehasher(d, v, s.log); err != nil {
		return errors.Join(err, v.Close())
	}
	if err := s.prepareLog(ctx, d, state, o.tor); err != nil {
		return errors.Join(err, s.close(0))
	}
	s.bindMemory(state.Config.Limits.Uploads)
	if err := s.build(ctx, o, d, state); err != nil {
		return errors.Join(err, s.close(0))
	}
	return s.run(ctx)
}

// prepareLog makes everything that the public log needs, and begins the log with the
// first start.
func (s *server) prepareLog(ctx context.Context, d statedir.Dir, state *statedir.State, mode string) error {
	var err error
	if s.live, err = newLive(d, state, s.vault); err != nil {
		return err
	}
	if err := beginLog(ctx, s.print, s.live); err != nil {
		return err
	}
	keys, err := readSigners(d, state.Config.Origin)
	if err != nil {
		return err
	}
	here, err := assets()
	if err != nil {
		return err
	}
	s.outward = outwardOf(s.live.policy)
	s.ticker = newTicker(s.live, s.log, keys, here)
	if s.outward.tor && mode == "off" {
		s.print.Warn(say.T("witnesses on other machines are not asked: there is no tor"), say.T("start it with -tor managed or -tor system"))
	}
	if len(s.live.policy.Witnesses) > 0 {
		s.ticker.witnesses = witness.New(s.live.policy.Policy, dialOutward("unix", socksOf(mode, d, s.outward)))
	}
	return nil
}

// server is a vault and its doors.
type server struct {
	print     *say.Printer
	log       *slog.Logger
	vault     *vault.Vault
	live      *live
	languages []site.Language // that the vault adds
	questions site.Questions  // of the vault, if it has its own
	json      bool
	mode      string // of tor: managed, system or off
	doors     doors
	memory    memory
	onion     *services // nil without tor

	ticker  *ticker
	again   *rehasher
	outward outward // whom it asks
	events  struct {
		Event         string `json:"event"`
		Preview       string `json:"preview,omitempty"`
		PreviewReview string `json:"preview_review,omitempty"`
	}
}

// build makes the doors, confines the process and then starts tor, which is
// confined with it.
func (s *server) build(ctx context.Context, o serveFlags, d statedir.Dir, state *statedir.State) error {
	if err := s.preview(o, state); err != nil {
		return err
	}
	if o.tor != "off" {
		if err := s.listenOnion(o, d); err != nil {
			return err
		}
	}
	listener, err := listenControl(d)
	if err != nil {
		return err
	}
	s.doors.add(listener, controlHandler(s.live, s.vault, s.again, s.status))
	if err := s.confine(o, d); err != nil {
		return err
	}
	if s.onion != nil {
		if err := s.openOnion(ctx, o, state); err != nil {
			return err
		}
	}
	return logError(s.ticker.start(ctx))
}

// preview makes the doors on loopback.
func (s *server) preview(o serveFlags, state *statedir.State) error {
	if o.preview != "" {
		listener, err := listenTCP(o.preview)
		if err != nil {
			return err
		}
		pages, err := site.New(s.siteConfig(state.Config, hosts(listener)...), s.vault, s.live.desks)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		s.events.Preview = "http://" + listener.Addr().String()
		s.doors.add(listener, pages)
	}
	if o.previewReview != "" {
		listener, err := listenTCP(o.previewReview)
		if err != nil {
			return err
		}
		s.events.PreviewReview = "http://" + listener.Addr().String()
		s.doors.add(listener, review.New(s.reviewConfig(state.Config, hosts(listener)...), s.vault, s.live.members))
	}
	return nil
}

func (s *server) confine(o serveFlags, d statedir.Dir) error {
	confined, err := confine(d, o.needs(d, s.outward))
	if err != nil {
		return err
	}
	if !confined {
		s.print.Warn(say.T("this kernel has no landlock: the program could write outside %s", d.Path()), say.T("use a kernel of Debian 12 or later"))
	}
	if swapOn() {
		s.print.Warn(say.T("swap is on: what a source sends may be written to disk"), say.T("switch it off: swapoff -a; and take it out of /etc/fstab"))
	}
	return nil
}

// run serves until a signal, a storage error or a broken listener. Whatever
// happens, it ends within 10 seconds of that.
func (s *server) run(ctx context.Context) (err error) {
	failed := s.doors.serve()
	s.log.Info("start", "version", version)
	grace := time.Second // what is being answered with "send again" must still get out
	defer func() { err = errors.Join(err, s.close(grace)) }()
	if err := s.ready(ctx); err != nil {
		return err
	}
	go s.watchRoom(ctx)
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- s.ticker.run(ctx) }()
	reread := make(chan struct{})
	go func() { s.again.run(ctx); close(reread) }()
	defer func() { cancel(); <-stopped; <-reread }() // before the vault is closed
	select {
	case <-ctx.Done():
		s.log.Info("stop")
		grace = 3 * time.Second
		return nil
	case <-s.vault.Failed():
		return say.Fail(say.T("the disk did not take a report, and nobody knows how much of it: %s", s.vault.Err()),
			say.T("look at the disk, then start again; what was confirmed to a source is there"))
	case err := <-failed:
		return say.Fail(say.T("a listener broke: %s", err), say.Text{})
	case err := <-stopped:
		stopped <- nil
		return logError(err)
	}
}

// close closes the doors, then the vault and tor, within 9 seconds. Tor may not
// end before the grace, because what is being answered goes through it; one that
// does not end at all does so when it loses this process.
func (s *server) close(grace time.Duration) error {
	limit := time.After(grace + 6*time.Second)
	ended := make(chan struct{})
	end := sync.OnceFunc(func() { s.closeOnion(); close(ended) })
	late := time.AfterFunc(grace, end)
	s.doors.close(grace)
	late.Stop()
	go end()
	err := s.closeVault()
	select {
	case <-ended:
	case <-limit:
	}
	return err
}

// ready tells that reports can come in.
func (s *server) ready(ctx context.Context) error {
	s.events.Event = "ready"
	if s.json {
		if err := json.NewEncoder(s.print.Out).Encode(s.events); err != nil {
			return err
		}
	} else {
		s.sayReady()
	}
	switch s.mode {
	case "managed":
		go s.tellAddresses(ctx)
	case "system":
		return s.tellTorrc()
	}
	return nil
}

func (s *server) sayReady() {
	if s.events.Preview != "" {
		s.print.Say(say.T("ready: the pages are at %s", s.events.Preview))
	}
	if s.events.PreviewReview != "" {
		s.print.Say(say.T("ready: the reviewers' door is at %s", s.events.PreviewReview))
	}
	switch s.mode {
	case "managed":
		s.print.Say(say.T("ready: tor runs and connects to its network; the addresses follow"))
	case "system":
		s.print.Say(say.T("ready: waiting for the system's tor at %s", s.onion.config.SourceSocket))
	}
}

// watchRoom logs when the vault becomes full and when it has room again. It
// looks by the clock, so that the log tells nothing about when reports come.
func (s *server) watchRoom(ctx context.Context) {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for full := false; ; {
		if now := errors.Is(s.vault.Room(), vault.ErrFull); now != full {
			full = now
			s.log.Warn("disk", "full", full)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *server) status() status {
	now := status{Version: version, PID: os.Getpid(), Preview: s.events.Preview, PreviewReview: s.events.PreviewReview,
		Full: errors.Is(s.vault.Room(), vault.ErrFull), Dropped: s.doors.dropped.Load(), Tor: s.mode}
	if s.mode == "managed" {
		h := s.onion.tor.Health()
		now.Onion = &h
	}
	return now
}

// closeVault closes the vault, but does not wait for a disk that hangs: what
// was confirmed is durable already.
func (s *server) closeVault() error {
	closed := make(chan error, 1)
	go func() { closed <- s.vault.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(3 * time.Second):
		return say.Fail(say.T("the disk does not answer; stopped without closing the vault"), say.T("look at the disk; what was confirmed to a source is there"))
	}
}
