package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/torclient"
	"resguardo/onion/tor"
)

// torWait is how long our tor may take to reach the network: minutes behind a
// slow bridge.
const torWait = 5 * time.Minute

// Where a folder keeps what tor needs.
const (
	torDir  = "tor"        // of our own tor
	authDir = "onion-auth" // a key for a tor that is not ours
)

// way leads to one vault: directly if it is on this machine, else through a tor
// of our own or one that runs already. It never leads past tor.
type way struct {
	*program
	server api.Server
	own    torclient.Config // of our own tor
	socks  string           // HOST:PORT of the tor that runs already, or "auto"; "" = our own
	key    string           // file with the key for that tor

	client *torclient.Client // our own tor; nil while there is none
	found  string            // HOST:PORT of the other one, once it has been found

	mu   sync.Mutex
	dial api.Dial // guarded by mu: a dial may outlive its request
}

// newWay checks what the command line says, and writes the key for a tor that is
// not ours. Nothing is dialled before open.
func (p *program) newWay(s api.Server, f *folder.Folder, k folder.Keys, socks, include string) (*way, error) {
	w := &way{program: p, server: s, socks: socks}
	if s.Onion() == "" {
		return w, nil
	}
	if err := checkSOCKS(socks); err != nil {
		return nil, err
	}
	key := torclient.Key{Name: "resguardo-" + s.Onion()[:16], Address: s.Onion(), Private: k.ClientSecret()}
	if socks == "" {
		w.own = torclient.Config{Dir: f.Path(torDir), Include: include, Keys: []torclient.Key{key}}
		return w, nil
	}
	var err error
	w.key, err = key.Write(f.Path(authDir))
	return w, err
}

// checkSOCKS accepts no name but localhost: looking a name up would leave this
// machine outside Tor.
func checkSOCKS(socks string) error {
	if socks == "" || socks == "auto" {
		return nil
	}
	host, port, err := net.SplitHostPort(socks)
	_, notIP := netip.ParseAddr(host)
	n, notPort := strconv.ParseUint(port, 10, 16)
	if err != nil || notPort != nil || n == 0 || notIP != nil && host != "localhost" {
		return misuse(say.T("-socks %s is neither IP:PORT nor auto", socks),
			say.T("Tor Browser listens at 127.0.0.1:9150, the tor service at 127.0.0.1:9050; auto tries both"))
	}
	return nil
}

// open makes the way passable: it starts our tor unless it runs, or looks for
// the one that should run. Its errors are told, and wrap api.ErrUnreachable.
func (w *way) open(ctx context.Context) error {
	switch {
	case w.server.Onion() == "":
		return nil
	case w.socks != "":
		return w.find(ctx)
	case w.client != nil:
		select {
		case <-w.client.Done():
			w.close()
		default:
			return nil
		}
	}
	return w.start(ctx)
}

// close ends our tor. The way may be opened again.
func (w *way) close() {
	if w.client != nil {
		_ = w.client.Close() // at worst an empty folder in TMPDIR stays
		w.client = nil
	}
}

// again makes the next open start anew after err: our tor would go on refusing
// for a while after the card has been added.
func (w *way) again(err error) {
	if errors.Is(err, torclient.ErrNoKey) {
		w.close()
	}
}

func (w *way) start(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, torWait)
	defer cancel()
	show := newTorProgress(w.program)
	defer show.close()
	w.own.Progress = show.tell
	c, err := torclient.Start(bounded, w.own)
	if errors.Is(err, tor.ErrOld) {
		w.Warn(say.T("this computer's tor is older than 0.4.9.11; its defences may not hold"), say.T("install a newer one"))
		w.own.AllowOld = true
		c, err = torclient.Start(bounded, w.own)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return w.notStarted(err)
	}
	w.client = c
	w.lead(c.DialContext)
	return nil
}

// find looks where a tor should be, and says which when auto chose.
func (w *way) find(ctx context.Context) error {
	var candidates []string
	if w.socks != "auto" {
		candidates = append(candidates, w.socks)
	}
	address, err := torclient.Find(ctx, candidates...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		what := say.T("no tor found at %s", w.socks)
		if w.socks == "auto" {
			what = say.T("no tor found, neither at 127.0.0.1:9050 nor at 127.0.0.1:9150")
		}
		return unreachable(err, what,
			say.T("start Tor Browser and leave it open, or start the tor service; without -socks, resguardo starts a tor of its own"))
	}
	if w.socks == "auto" && address != w.found {
		w.Hint(say.T("going through the tor at %s", address))
	}
	w.found = address
	w.lead(torclient.SOCKS(address).DialContext)
	return nil
}

func (w *way) lead(dial api.Dial) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dial = dial
}

// DialContext connects to the vault through the tor that open has found or
// started. Its errors are told, and wrap api.ErrUnreachable.
func (w *way) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	dial := w.dial
	w.mu.Unlock()
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, w.notReached(err)
	}
	return conn, nil
}

// unreachable puts a failure of the network into words.
func unreachable(err error, what, hint say.Text) error {
	return &say.Error{What: what, Hint: hint, Err: fmt.Errorf("%w: %w", api.ErrUnreachable, err)}
}

// notStarted puts into words why our tor does not run.
func (w *way) notStarted(err error) error {
	var refused *tor.ConfigError
	var stuck *torclient.NoNetworkError
	switch {
	case errors.Is(err, tor.ErrNotFound):
		return unreachable(err, say.T("there is no tor program on this computer"),
			say.T("install tor (on Debian: apt install tor), or start Tor Browser and give -socks auto"))
	case errors.As(err, &refused):
		return unreachable(err, say.T("tor refuses its configuration: %s", strings.Join(refused.Reasons, "; ")),
			say.T("correct the file that -tor-include names"))
	case errors.As(err, &stuck) && stuck.Warning != "":
		return unreachable(err, say.T("the Tor network was not reached; tor came to %s and says: %s", stuck.Progress, stuck.Warning), noNetwork())
	case errors.As(err, &stuck):
		return unreachable(err, say.T("the Tor network was not reached; tor came to %s", stuck.Progress), noNetwork())
	}
	return unreachable(err, say.T("tor does not start: %s", err), say.Text{})
}

func noNetwork() say.Text {
	return say.T("check the connection and the clock of this computer; where Tor is blocked, put the lines of a bridge into a file and give -tor-include FILE")
}

// notReached puts into words why a tor that runs does not lead to the vault.
func (w *way) notReached(err error) error {
	host := w.server.Onion()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, torclient.ErrNoService):
		return unreachable(err, say.T("no onion service answers at %s", host),
			say.T("the vault is down, or the address is wrong; try again later, and if it stays, ask the operator"))
	case errors.Is(err, torclient.ErrNoKey) && w.socks == "":
		return unreachable(err, say.T("your card is not, or no longer, added at the vault %s", host),
			say.T("ask the operator whether the card is added, or was revoked, and whether the address is right"))
	case errors.Is(err, torclient.ErrNoKey):
		return unreachable(err, say.T("the tor at %s lacks your key to %s, or your card is not, or no longer, added there", w.found, host), w.giveKey())
	case w.socks != "":
		return unreachable(err, say.T("the tor at %s does not reach %s: %s", w.found, host, api.Cause(err)), w.giveKey())
	}
	return unreachable(err, say.T("tor does not reach %s: %s", host, api.Cause(err)), say.T("the next fetch goes on where this one stopped"))
}

// giveKey says how a tor that is not ours gets the key.
func (w *way) giveKey() say.Text {
	return say.T("give that tor your key: copy %s into the folder that ClientOnionAuthDir names in its torrc and reload it; or open %s in Tor Browser and, when it asks for the key, paste what stands after x25519: in that file",
		w.key, w.server.URL())
}
