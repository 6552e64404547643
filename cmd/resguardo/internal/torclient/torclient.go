// Package torclient connects the reviewers' program to Tor: through a small tor
// of its own (Start), or through a SOCKS port that is there already, such as
// Tor Browser's (Find, SOCKS).
//
// There is no way round Tor in this package: names are resolved by tor, and a
// tor that is down is an error.
package torclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"resguardo/onion/tor"
)

var (
	// ErrNoKey says that the onion service wants a client key and tor has none
	// for it, or not the right one.
	ErrNoKey = errors.New("the onion service refuses: this card's key is unknown there")

	// ErrNoService says that tor found no onion service at the address, or none
	// that answers. An address that nobody has looks like a service that is down.
	ErrNoService = errors.New("no onion service answers")

	// ErrNoSOCKS says that no tor listens where one usually does.
	ErrNoSOCKS = errors.New("no tor found")
)

// NoNetworkError says that tor did not reach the network.
type NoNetworkError struct {
	Progress string // how far it came: percent and phase, like "45% (loading_descriptors)"
	Warning  string // its last warning, in its own words; may be empty
	Err      error  // why it was given up: a context's error or how tor ended
}

func (e *NoNetworkError) Error() string {
	return fmt.Sprintf("reach the Tor network: %v at %s: %s", e.Err, e.Progress, cmp.Or(e.Warning, "no warning"))
}

func (e *NoNetworkError) Unwrap() error { return e.Err }

// Config says how to start a tor.
type Config struct {
	Dir      string // folder of our tor, made with mode 0700; kept, so that tor keeps its guards
	Tor      string // the tor program; "" = tor in PATH
	Include  string // a file of further torrc lines (bridges, a private network); "" = none
	Keys     []Key  // keys to onion services with client authorisation
	AllowOld bool   // run a tor older than 0.4.9.11

	// Progress, if not nil, is told how far tor has come, in percent, and what
	// it does now in tor's own word. Its calls are serial; it must not block.
	Progress func(percent int, phase string)
}

// Client is a running tor.
type Client struct {
	proc  *tor.Process
	socks string // folder of the SOCKS socket
	dial  proxy.ContextDialer
}

// Start starts a tor and returns once it has reached the network, which takes
// seconds, or minutes behind a slow bridge; ctx bounds it. It fails with
// tor.ErrNotFound, tor.ErrOld (unless AllowOld), a *tor.ConfigError or a
// *NoNetworkError.
//
// The keys lie in Dir only until Start returns: tor reads them when it starts.
func Start(ctx context.Context, c Config) (*Client, error) {
	prog, err := tor.Look(ctx, c.Tor)
	if err != nil && !(c.AllowOld && errors.Is(err, tor.ErrOld)) {
		return nil, err
	}
	// In a folder of its own, because a socket's path must be short.
	socks, err := os.MkdirTemp("", "resguardo")
	if err != nil {
		return nil, err
	}
	client, err := start(ctx, c, prog, socks)
	if err != nil {
		os.RemoveAll(socks)
		return nil, err
	}
	return client, nil
}

func start(ctx context.Context, c Config, prog tor.Program, socks string) (*Client, error) {
	defer c.removeKeys()
	if err := c.writeKeys(); err != nil {
		return nil, err
	}
	socket := filepath.Join(socks, "socks")
	text, err := c.torrc(socket)
	if err != nil {
		return nil, err
	}
	if err := prog.Configure(ctx, c.Dir, text); err != nil {
		return nil, err
	}
	proc, err := c.connect(ctx, prog)
	if err != nil {
		return nil, err
	}
	return &Client{proc: proc, socks: socks, dial: dialer("unix", socket)}, nil
}

func (c Config) torrc(socket string) (string, error) {
	var b strings.Builder
	if c.Include != "" {
		include, err := tor.Quote(c.Include)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%%include %s\n", include)
	} else {
		b.WriteString("NoExec 1\n") // with bridges, tor runs their transports
	}
	data, err := tor.Quote(filepath.Join(c.Dir, "data"))
	if err != nil {
		return "", err
	}
	auth, err := tor.Quote(c.auth())
	if err != nil {
		return "", err
	}
	port, err := tor.QuoteSocket(socket)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "DataDirectory %s\nClientOnionAuthDir %s\nSocksPort %s ExtendedErrors\n", data, auth, port)
	b.WriteString("ClientOnly 1\nLog notice stdout\nSafeLogging 1\nAvoidDiskWrites 1\nShutdownWaitLength 0\n")
	return b.String(), nil
}

// connect starts tor and waits until it has reached the network.
func (c Config) connect(ctx context.Context, prog tor.Program) (*tor.Process, error) {
	given := &NoNetworkError{Progress: "0%"}
	up := make(chan struct{}, 1)
	proc, err := prog.Start(c.Dir, func(l tor.Line) {
		if l.Bad() {
			given.Warning = l.Text
		}
		percent, phase, ok := l.Bootstrap()
		if !ok {
			return
		}
		given.Progress = fmt.Sprintf("%d%% (%s)", percent, phase)
		if c.Progress != nil {
			c.Progress(percent, phase)
		}
		if percent == 100 {
			select {
			case up <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-up:
		return proc, nil
	case <-proc.Done():
		given.Err = proc.Err()
	case <-ctx.Done():
		proc.Stop() // after it nothing writes given
		given.Err = ctx.Err()
	}
	return nil, given
}

// DialContext connects to address ("HOST:PORT") through tor. The error wraps
// ErrNoKey if an onion service wants another key, and ErrNoService if there is
// none.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return c.dial.DialContext(ctx, network, address)
}

// Done is closed when tor has ended, also by itself.
func (c *Client) Done() <-chan struct{} { return c.proc.Done() }

// Close ends tor.
func (c *Client) Close() error {
	c.proc.Stop()
	return os.RemoveAll(c.socks)
}

// SOCKS returns a dialer through the SOCKS5 port at address ("HOST:PORT"). Its
// errors are those of Client.DialContext if that tor's SocksPort has
// ExtendedErrors, as Tor Browser's has; otherwise tor does not tell why.
func SOCKS(address string) proxy.ContextDialer { return dialer("tcp", address) }

func dialer(network, address string) proxy.ContextDialer {
	d, err := proxy.SOCKS5(network, address, nil, nil)
	if err != nil {
		panic("torclient: " + err.Error()) // x/net returns none
	}
	return extended{d.(proxy.ContextDialer)}
}

// extended reads the codes of ExtendedErrors (tor manual, SocksPort), which x/net
// gives as text only.
type extended struct{ proxy.ContextDialer }

func (d extended) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.ContextDialer.DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	_, code, _ := strings.Cut(err.Error(), "unknown error ")
	switch code {
	case "unknown code: 244", "unknown code: 245": // F4, F5: no key, wrong key
		return nil, fmt.Errorf("%w (%s)", ErrNoKey, address)
	case "unknown code: 240", // F0: not found
		"unknown code: 242", "unknown code: 243", "unknown code: 247", // F2, F3, F7: does not let us in
		"TTL expired": // after two minutes, also without ExtendedErrors
		return nil, fmt.Errorf("%w (%s)", ErrNoService, address)
	}
	return nil, err
}

// Find returns the first of addresses where a SOCKS5 proxy answers; without
// addresses it tries 127.0.0.1:9050 (tor as a service) and then 127.0.0.1:9150
// (Tor Browser). The error wraps ErrNoSOCKS and says what was tried.
func Find(ctx context.Context, addresses ...string) (string, error) {
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1:9050", "127.0.0.1:9150"}
	}
	for _, a := range addresses {
		if answers(ctx, a) {
			return a, nil
		}
	}
	return "", fmt.Errorf("%w at %s", ErrNoSOCKS, strings.Join(addresses, " or "))
}

// answers reports whether a SOCKS5 proxy without a password is at address
// (RFC 1928 section 3: version and methods, then version and the one chosen).
func answers(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // it is on this machine
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := c.Write([]byte{5, 1, 0}); err != nil {
		return false
	}
	var reply [2]byte
	n, _ := c.Read(reply[:])
	return n == 2 && reply == [2]byte{5, 0}
}
