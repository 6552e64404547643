package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/torclient"
	"resguardo/crypto/card"
	"resguardo/onion"
	"resguardo/onion/review"
	"resguardo/onion/tornet"
)

// door is the reviewers' onion of a house.
type door struct {
	onion   *onion.Onion
	server  *http.Server
	network *tornet.Network
	midway  *midway
	relay   *relay // in front of the last browser; nil if none
}

func (h *house) publish(network *tornet.Network, dir string) error {
	c := onion.Config{
		Dir:             filepath.Join(dir, "onion"),
		Include:         network.Include(),
		SourceSocket:    filepath.Join(dir, "s"),
		ReviewersSocket: filepath.Join(dir, "r"),
		Log:             slog.New(slog.DiscardHandler),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	l, err := onion.Listen(c.ReviewersSocket, 0o600)
	if err != nil {
		return err
	}
	d := &door{network: network}
	if d.onion, err = onion.Start(context.Background(), c); err != nil {
		l.Close()
		return err
	}
	h.door = d
	<-d.onion.Ready()
	// The reviewers' service has no address before it has a client.
	if err := d.admit(h.inForce()); err != nil {
		l.Close()
		return err
	}
	api := review.New(review.Config{Origin: h.origin, Hosts: []string{d.address()}}, h.vault, h.inForce)
	d.midway = &midway{Handler: api}
	d.server = &http.Server{Handler: d.midway}
	go d.server.Serve(l)
	return nil
}

func (d *door) address() string { return d.onion.Health().Reviewers.Address }

// admit returns once the service for these members is published.
func (d *door) admit(members map[string]review.Member) error {
	var clients []onion.Client
	for fingerprint, m := range members {
		clients = append(clients, onion.Client{Name: fingerprint, Key: m.Card.Client})
	}
	if err := d.onion.SetClients(context.Background(), clients); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Minute); len(clients) > 0 && !d.onion.Health().Reviewers.Published; {
		if time.Now().After(end) {
			return fmt.Errorf("not published: %+v", d.onion.Health())
		}
		<-time.After(50 * time.Millisecond)
	}
	return nil
}

func (d *door) close() {
	if d.relay != nil {
		d.relay.close()
	}
	if d.server != nil {
		d.server.Close()
	}
	d.onion.Close()
}

// midway serves the API. Once, in the middle of an item, it calls cut.
type midway struct {
	http.Handler

	mu     sync.Mutex
	after  int64 // bytes of an item
	cut    func() error
	ranges []string // that items were asked for with, since cut was set
}

func (c *midway) arm(after string, cut func() error) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ranges, c.cut = nil, cut
	c.after, err = strconv.ParseInt(after, 10, 64)
	return err
}

func (c *midway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, card.ItemsPath+"/") {
		c.mu.Lock()
		c.ranges = append(c.ranges, r.Header.Get("Range"))
		c.mu.Unlock()
		w = &counted{ResponseWriter: w, midway: c}
	}
	c.Handler.ServeHTTP(w, r)
}

// counted counts the bytes of one answer.
type counted struct {
	http.ResponseWriter
	midway *midway
	n      int64
}

func (w *counted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *counted) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.n += int64(n)
	w.midway.mu.Lock()
	cut := w.midway.cut
	if w.n < w.midway.after {
		cut = nil
	}
	if cut != nil {
		w.midway.cut = nil
	}
	w.midway.mu.Unlock()
	if cut != nil {
		err = errors.Join(err, cut())
	}
	return n, err
}

// resumed tells whether the item was asked for twice, the second time from the
// middle on.
func (c *midway) resumed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.ranges); c.cut != nil || n < 2 || c.ranges[0] != "" || !strings.HasPrefix(c.ranges[n-1], "bytes=") {
		return fmt.Errorf("the item was asked for with the ranges %q", c.ranges)
	}
	return nil
}

// torCommands are what happens around a reviewer on a Tor network.
func torCommands(network *tornet.Network) map[string]storyCommand {
	return map[string]storyCommand{
		// publish puts the reviewers' onion up for the members and sets $ONION.
		"publish": func(h *house, ts *testscript.TestScript, _ []string) error {
			if err := h.publish(network, ts.MkAbs(".door")); err != nil {
				return err
			}
			ts.Setenv("ONION", "http://"+h.door.address())
			return nil
		},
		// "killtor DIR N": the tor of DIR is killed after N bytes of the next item.
		"killtor": func(h *house, _ *testscript.TestScript, args []string) error {
			return h.door.midway.arm(args[1], func() error { return killTor(args[0]) })
		},
		// "browser [DIR]" starts another tor, with the key that DIR holds for it, and sets $SOCKS.
		"browser": func(h *house, ts *testscript.TestScript, args []string) error {
			return h.door.browser(ts, args)
		},
		// "cut N": what goes through the browser ends after N bytes of the next item.
		"cut": func(h *house, _ *testscript.TestScript, args []string) error {
			return h.door.midway.arm(args[0], h.door.relay.cut)
		},
		"resumed": func(h *house, _ *testscript.TestScript, _ []string) error { return h.door.midway.resumed() },
	}
}

// killTor kills the tor that the program runs for the folder dir.
func killTor(dir string) error {
	torrc := filepath.Join(dir, torDir, "torrc")
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range all {
		b, _ := os.ReadFile(path) // it may have ended
		if args := strings.Split(string(b), "\x00"); slices.Contains(args, torrc) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return err
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return fmt.Errorf("no tor with %s", torrc)
}

func (d *door) browser(ts *testscript.TestScript, args []string) error {
	var keys []string
	for _, dir := range args {
		files, err := filepath.Glob(filepath.Join(ts.MkAbs(dir), authDir, "*.auth_private"))
		if err != nil {
			return err
		}
		for _, f := range files {
			keys = append(keys, strings.TrimSpace(ts.ReadFile(f)))
		}
	}
	if len(keys) != len(args) {
		return fmt.Errorf("%d keys in %q", len(keys), args)
	}
	c, err := d.network.Client(context.Background(), keys...)
	if err != nil {
		return err
	}
	if d.relay != nil {
		d.relay.close()
	}
	if d.relay, err = newRelay(c.Addr()); err != nil {
		return err
	}
	ts.Setenv("SOCKS", d.relay.listener.Addr().String())
	return nil
}

// relay hands connections on to another port, and can cut them all.
type relay struct {
	listener net.Listener
	to       string

	mu   sync.Mutex
	open []net.Conn
}

func newRelay(to string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r, nil
}

func (r *relay) serve(c net.Conn) {
	defer c.Close()
	up, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer up.Close()
	r.mu.Lock()
	r.open = append(r.open, c, up)
	r.mu.Unlock()
	go io.Copy(up, c)
	io.Copy(c, up)
}

func (r *relay) cut() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
	return nil
}

func (r *relay) close() {
	r.listener.Close()
	r.cut()
}

// TestTorIsKeptBetweenPasses is fetch -every by hand: a card that is added
// between two passes is let in at the second, and from then on one tor serves.
func TestTorIsKeptBetweenPasses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	network := shared.Network(t)
	ana, beto := victim(t), victim(t)
	me, file, err := cardOf(ana)
	if err != nil {
		t.Fatal(err)
	}
	other, otherFile, err := cardOf(beto)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{dir: filepath.Join(t.TempDir(), "vault")}
	if err := h.start("norte-0a1b2c3d"); err != nil {
		t.Fatal(err)
	}
	h.members[other.Fingerprint()] = review.Member{Card: other, File: string(otherFile)}
	t.Cleanup(h.close)
	if err := h.publish(network, filepath.Join(t.TempDir(), "door")); err != nil {
		t.Fatal(err)
	}
	r := newTestFetcher(t, ana, "-server", "http://"+h.door.address(), "-tor-include", network.Include())
	if err := r.once(t.Context()); !errors.Is(err, torclient.ErrNoKey) {
		t.Fatalf("before the card is added: %v", err)
	}
	if err := h.noted(h.ledger.member(me, file, "norte")); err != nil {
		t.Fatal(err)
	}
	if err := h.change(func() {
		h.members[me.Fingerprint()] = review.Member{Card: me, File: string(file), Desks: []string{"norte"}}
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.once(t.Context()); err != nil {
		t.Fatalf("after the card was added: %v", err)
	}
	kept := r.way.client
	if err := r.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept == nil || r.way.client != kept {
		t.Error("every pass started a tor")
	}
}

// newTestFetcher is fetch before its first pass.
func newTestFetcher(t *testing.T, dir string, args ...string) *fetcher {
	t.Helper()
	f, err := parseFetch(append([]string{"-dir", dir}, args...))
	if err != nil {
		t.Fatal(err)
	}
	open, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open.Close() })
	p := newProgram(nil, io.Discard, io.Discard)
	l, err := p.newLink(open, f.linkFlags, p.passphrase(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return &fetcher{link: l}
}

const nobody = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp3kead.onion"

func TestMissingTorIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("LC_ALL", "C")
	code, _, errs := call(nil, "fetch", "-dir", victim(t), "-server", "http://"+nobody)
	if code != exitFail || !strings.Contains(errs, "error: there is no tor program on this computer\n") || !strings.Contains(errs, "hint: install tor ") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// socks is a SOCKS5 proxy (RFC 1928) that notes what it is asked for. It answers
// with a code, and connects to a server if that is 0.
type socks struct {
	net.Listener
	code byte
	to   string

	mu    sync.Mutex
	asked []string
}

func newSOCKS(t *testing.T, code byte, to string) *socks {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &socks{Listener: l, code: code, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *socks) serve(c net.Conn) {
	defer c.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head[:3]); err != nil { // version, one method, none
		return
	}
	c.Write([]byte{5, 0})
	if _, err := io.ReadFull(c, head); err != nil { // version, connect, 0, type, length
		return
	}
	name := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(c, name); err != nil {
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("type %d %s:%d", head[3], name[:len(name)-2], int(name[len(name)-2])<<8|int(name[len(name)-1])))
	s.mu.Unlock()
	c.Write([]byte{5, s.code, 0, 1, 0, 0, 0, 0, 0, 0})
	if s.code != 0 {
		return
	}
	up, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	defer up.Close()
	go io.Copy(up, c)
	io.Copy(c, up)
}

func (s *socks) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// TestSOCKSRefusals puts every kind of refusal into words, and tells where the
// key goes when it may be missing.
func TestSOCKSRefusals(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	for _, test := range []struct {
		code byte
		want string
		key  bool
	}{
		{0xf4, "lacks your key to " + nobody, true},
		{0xf5, "lacks your key to " + nobody, true},
		{0xf0, "no onion service answers at " + nobody, false},
		{0xf7, "no onion service answers at " + nobody, false},
		{6, "no onion service answers at " + nobody, false},
		{0xf6, "does not reach " + nobody + ": unknown error unknown code: 246", true},
		{1, "does not reach " + nobody + ": unknown error general SOCKS server failure", true},
	} {
		p := newSOCKS(t, test.code, "")
		dir := victim(t)
		code, _, errs := call(nil, "fetch", "-dir", dir, "-server", "http://"+nobody, "-socks", p.Addr().String())
		if code != exitFail || !strings.Contains(errs, test.want) || strings.Contains(errs, "give that tor your key") != test.key {
			t.Errorf("code %x: exit %d: %s", test.code, code, errs)
		}
		if want := []string{"type 3 " + nobody + ":80"}; !slices.Equal(p.names(), want) {
			t.Errorf("code %x: asked for %q", test.code, p.names())
		}
		line, err := os.ReadFile(filepath.Join(dir, authDir, "resguardo-aaaqeayeaudaocaj.auth_private"))
		if err != nil || !bytes.HasPrefix(line, []byte(strings.TrimSuffix(nobody, ".onion")+":descriptor:x25519:")) {
			t.Errorf("key file %q, %v", line, err)
		}
	}
}

// TestInterrupted ends a fetch while it looks for the vault.
func TestInterrupted(t *testing.T) {
	r := newTestFetcher(t, victim(t), "-server", "http://"+nobody, "-socks", newSOCKS(t, 1, "").Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.once(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
