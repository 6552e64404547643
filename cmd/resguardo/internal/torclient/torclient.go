// Package torclient connects the reviewers' program to Tor: through a small tor
// of its own (Start), or through a SOCKS port that is there already, such as
// Tor Browser's (Find, SOCKS).
//
// There is no way round Tor in this package: names are resolved by tor, and a
// tor that is down is an error.
package torclient

import (
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

	// ErrNoSOCKS says that no tor listens where one usually does.
	ErrNoSOCKS = errors.New("no tor found")
)

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
// tor.ErrNotFound, tor.ErrOld (unless AllowOld) or a *tor.ConfigError; an error
// that ctx caused tells how far tor had come and its last warning.
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
	at, warning := "0%", "no warning"
	up := make(chan struct{}, 1)
	proc, err := prog.Start(c.Dir, func(l tor.Line) {
		if l.Bad() {
			warning = l.Text
		}
		percent, phase, ok := l.Bootstrap()
		if !ok {
			return
		}
		at = fmt.Sprintf("%d%% (%s)", percent, phase)
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
		return nil, fmt.Errorf("%w: %s", proc.Err(), warning)
	case <-ctx.Done():
		proc.Stop() // after it nothing writes at and warning
		return nil, fmt.Errorf("reach the Tor network: %w at %s: %s", ctx.Err(), at, warning)
	}
}

// DialContext connects to address ("HOST:PORT") through tor. The error is
// ErrNoKey if an onion service wants another key.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := c.dial.DialContext(ctx, network, address)
	// Codes of ExtendedErrors (tor manual), which x/net gives as text only.
	if err != nil && (strings.HasSuffix(err.Error(), "unknown code: 244") || strings.HasSuffix(err.Error(), "unknown code: 245")) {
		return nil, fmt.Errorf("%w (%s)", ErrNoKey, address)
	}
	return conn, err
}

// Done is closed when tor has ended, also by itself.
func (c *Client) Done() <-chan struct{} { return c.proc.Done() }

// Close ends tor.
func (c *Client) Close() error {
	c.proc.Stop()
	return os.RemoveAll(c.socks)
}

// SOCKS returns a dialer through the SOCKS5 port at address ("HOST:PORT").
func SOCKS(address string) proxy.ContextDialer { return dialer("tcp", address) }

func dialer(network, address string) proxy.ContextDialer {
	d, err := proxy.SOCKS5(network, address, nil, nil)
	if err != nil {
		panic("torclient: " + err.Error()) // x/net returns none
	}
	return d.(proxy.ContextDialer)
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
