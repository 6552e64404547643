// Package api speaks to a vault's reviewers' API and believes nothing that it
// says: every answer has a size limit, every value is checked before it is used,
// redirects are refused.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Limits of what a server can make the program hold or wait for.
const (
	maxAnswer  = 64 << 10        // bytes of an answer that is no list
	maxList    = 32 << 20        // bytes of a list
	maxHeader  = 32 << 10        // bytes of the headers of an answer
	headerWait = 2 * time.Minute // for the headers of an answer
	stallWait  = 2 * time.Minute // for the next bytes of a body
)

var (
	// ErrSignedOut is the answer to a session that has ended.
	ErrSignedOut = errors.New("not signed in")
	// ErrUnreachable is a failure of the network: trying again may help.
	ErrUnreachable = errors.New("no answer")
)

// Client is a connection to one vault. It is for one goroutine.
type Client struct {
	url     string // http://HOST[:PORT], lower case
	address string // HOST[:PORT]: what a login names
	http    *http.Client
	session string
}

// New makes a client for the vault at server, "http://HOST[:PORT]". A loopback
// address (an IP, not a name) is dialled directly; every other one through the
// SOCKS5 proxy at socks (IP:PORT or localhost:PORT), which also resolves the
// name. There is no other way out: without a proxy New fails.
func New(server, socks string) (*Client, error) {
	address, err := parseServer(server)
	if err != nil {
		return nil, err
	}
	dialled := address
	transport := &http.Transport{
		DisableCompression:     true,
		MaxIdleConns:           1,
		ResponseHeaderTimeout:  headerWait,
		MaxResponseHeaderBytes: maxHeader,
	}
	if !isLoopback(address) {
		if socks == "" {
			return nil, say.Fail(say.T("%s is reached through Tor only, and this version starts no tor of its own", address),
				say.T("start Tor Browser and give -socks 127.0.0.1:9150, or the tor service and -socks 127.0.0.1:9050"))
		}
		if dialled, err = parseSocks(socks); err != nil {
			return nil, err
		}
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "socks5h", Host: dialled})
	}
	transport.DialContext = only(dialled)
	return &Client{
		url:     "http://" + address,
		address: address,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// URL is the vault's address in its one form.
func (c *Client) URL() string { return c.url }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// only dials address and refuses to dial anything else, whatever the transport
// may come to ask for.
func only(address string) func(context.Context, string, string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "80")
	}
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		if asked != address {
			return nil, fmt.Errorf("refused to dial %s", strconv.QuoteToASCII(asked))
		}
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// parseServer returns the HOST[:PORT] of a vault's URL.
func parseServer(server string) (string, error) {
	hint := say.T("it looks like http://….onion")
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", say.Fail(say.T("%s is not the address of a vault", server), hint)
	}
	address := strings.TrimSuffix(strings.ToLower(u.Host), ":80")
	if port := u.Port(); !card.ValidAddress(address) || strings.HasSuffix(address, ":") || port != "" && !validPort(port) {
		return "", say.Fail(say.T("%s is not the address of a vault", server), hint)
	}
	return address, nil
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isLoopback reports whether address is a loopback IP, with or without a port.
func isLoopback(address string) bool {
	host := (&url.URL{Host: address}).Hostname()
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() && ip.Zone() == ""
}

// parseSocks accepts no name but localhost: looking a name up would leave this
// machine outside Tor.
func parseSocks(socks string) (string, error) {
	host, port, err := net.SplitHostPort(socks)
	_, notIP := netip.ParseAddr(host)
	if err != nil || !validPort(port) || notIP != nil && host != "localhost" {
		return "", say.Fail(say.T("-socks %s is not IP:PORT", socks), say.T("Tor Browser listens at 127.0.0.1:9150, the tor service at 127.0.0.1:9050"))
	}
	return socks, nil
}

// call sends one request and returns the body of a success, of at most max
// bytes.
func (c *Client) call(ctx context.Context, method, path string, body any, max int64) ([]byte, error) {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(b)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, method, path, send)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	if err := c.status(resp, http.StatusOK); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(newWatched(resp.Body, cancel), max+1))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if int64(len(b)) > max {
		return nil, c.hostile(say.T("an answer of more than %s bytes", max))
	}
	return b, nil
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "resguardo") // the same for every version
	if c.session != "" {
		req.Header.Set("Authorization", "Bearer "+c.session)
	}
	return req, nil
}

// status turns every answer but the one wanted into an error. It does not show
// the server's words: nothing that a server can choose is printed unasked.
func (c *Client) status(resp *http.Response, want int) error {
	switch code := resp.StatusCode; {
	case code == want:
		return nil
	case code == http.StatusUnauthorized:
		return ErrSignedOut
	case code == http.StatusForbidden:
		return say.Fail(say.T("the vault at %s does not let this card in", c.url),
			say.T("ask the operator whether the card is added, or was revoked, and whether the address is right"))
	case code == http.StatusMisdirectedRequest:
		return say.Fail(say.T("the vault says that %s is not its address", c.url), say.T("ask the operator for the reviewers' address"))
	case code >= 300 && code < 400:
		return c.hostile(say.T("a redirect"))
	default:
		return say.Fail(say.T("the vault at %s answers with status %s", c.url, code), say.T("try again later; if it stays, tell the operator"))
	}
}

// hostile is an answer that no honest vault gives.
func (c *Client) hostile(what say.Text) error {
	return say.Fail(say.T("the server at %s sends what no vault sends: %s", c.url, what),
		say.T("nothing of it was used; ask the operator and the other reviewers before you go on"))
}

// unreachable keeps a cause that is no fault of the network.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) && !errors.Is(err, errStalled) {
		return err
	}
	return &say.Error{
		What: say.T("no answer from %s: %s", c.url, networkCause(err)),
		Hint: say.T("check that Tor runs and that the address is right; the next fetch goes on where this one stopped"),
		Err:  ErrUnreachable,
	}
}

// networkCause is the innermost error, without the URL that net/http puts before
// it.
func networkCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
