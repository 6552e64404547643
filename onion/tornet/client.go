package tornet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/net/proxy"

	"resguardo/onion/tor"
)

// Client is a tor that gives its user a SOCKS port, as Tor Browser has one.
type Client struct {
	proc *tor.Process
	addr string
}

// Client starts a client and returns once it can reach the network. The keys
// open onion services with client authorisation; each is a line
// "ADDRESS:descriptor:x25519:PRIVATEKEY", the address without .onion and the
// key in base32.
func (n *Network) Client(ctx context.Context, keys ...string) (*Client, error) {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(n.dir, "client")
	if err != nil {
		return nil, err
	}
	auth := filepath.Join(dir, "auth")
	if err := os.Mkdir(auth, 0o700); err != nil {
		return nil, err
	}
	for i, key := range keys {
		path := filepath.Join(auth, fmt.Sprintf("%d.auth_private", i))
		if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	var quoted [3]string
	for i, path := range []string{n.include, filepath.Join(dir, "data"), auth} {
		if quoted[i], err = tor.Quote(path); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf("%%include %s\nDataDirectory %s\nClientOnionAuthDir %s\n", quoted[0], quoted[1], quoted[2]) +
		"Log notice stdout\nShutdownWaitLength 0\nSocksPort 127.0.0.1:auto IsolateSOCKSAuth\n"
	if err := n.prog.Configure(ctx, dir, text); err != nil {
		return nil, err
	}
	c, err := n.connect(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	n.mu.Lock()
	n.clients = append(n.clients, c)
	n.mu.Unlock()
	return c, nil
}

// connect starts the client and waits for its port and for the network.
func (n *Network) connect(ctx context.Context, dir string) (*Client, error) {
	c := &Client{}
	last := ""
	up := make(chan struct{})
	connected := sync.OnceFunc(func() { close(up) })
	proc, err := n.prog.Start(dir, func(l tor.Line) {
		const opened = "Opened Socks listener connection (ready) on "
		if addr, ok := strings.CutPrefix(l.Text, opened); ok {
			c.addr = addr
		}
		if percent, phase, ok := l.Bootstrap(); ok {
			last = fmt.Sprintf("%d%% (%s)", percent, phase)
			if percent == 100 {
				connected()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	c.proc = proc
	select {
	case <-up:
		return c, nil
	case <-proc.Done():
		return nil, proc.Err()
	case <-ctx.Done():
		proc.Stop() // after it, nothing writes last
		return nil, errors.Join(ctx.Err(), fmt.Errorf("reached %s", last))
	}
}

// Addr is the client's SOCKS5 port as HOST:PORT on loopback.
func (c *Client) Addr() string { return c.addr }

// Dialer dials through the client. Connections of dialers with different
// circuit names go through different circuits; "" is a name like any other.
func (c *Client) Dialer(circuit string) proxy.ContextDialer {
	d, err := proxy.SOCKS5("tcp", c.addr, &proxy.Auth{User: "circuit", Password: "-" + circuit}, nil)
	if err != nil {
		panic("tornet: " + err.Error()) // x/net returns none
	}
	return d.(proxy.ContextDialer)
}

// HTTP is an HTTP client over Dialer(circuit). It keeps no connection open
// between requests.
func (c *Client) HTTP(circuit string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: c.Dialer(circuit).DialContext, DisableKeepAlives: true}}
}

// Close ends the client.
func (c *Client) Close() error {
	c.proc.Stop()
	return nil
}
