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
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"resguardo/cmd/internal/say"
)

// Limits of what a server can make the program hold or wait for.
const (
	maxAnswer  = 64 << 10        // bytes of an answer that is no list
	maxList    = 32 << 20        // bytes of a list
	maxCase    = 16 << 20        // bytes of one case, with the deletion that waits
	maxHeader  = 32 << 10        // bytes of the headers of an answer
	dialWait   = 3 * time.Minute // for a connection; tor itself gives up after 2
	headerWait = 2 * time.Minute // for the headers of an answer
	stallWait  = 2 * time.Minute // for the next bytes of a body
	atOnce     = 4               // connections: the log is many small files

	continueWait = time.Minute // for the leave to send a body
)

var (
	// ErrSignedOut is the answer to a session that has ended.
	ErrSignedOut = errors.New("not signed in")
	// ErrUnreachable is a failure of the network: trying again may help.
	ErrUnreachable = errors.New("no answer")
	// ErrNotFound is the answer about what the vault does not have, or hides.
	ErrNotFound = errors.New("not found")
	// ErrCannot is the answer about what the vault has, but cannot give: it is damaged there.
	ErrCannot = errors.New("the vault cannot give it")
	// ErrFetchFirst: the case has moved on since it was fetched.
	ErrFetchFirst = errors.New("fetch first")
	// ErrTagUsed: an event of the case has this tag already.
	ErrTagUsed = errors.New("tag used")
)

// Dial connects to an address, HOST:PORT. An error that is a *say.Error is told
// as it is.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Client is a connection to one vault. It is for one goroutine, but for Download and
// LogFile.
type Client struct {
	url     string // http://HOST[:PORT], lower case
	address string // HOST[:PORT]: what a login names
	http    *http.Client
	session atomic.Pointer[string] // nil while there is none
}

// New makes a client for the vault at s. An onion service is dialled with tor,
// which must also resolve the name; a loopback IP directly. There is no other
// way out.
func New(s Server, tor Dial) *Client {
	dial := tor
	if s.onion == "" {
		dial = new(net.Dialer).DialContext
	}
	return &Client{
		url:     s.URL(),
		address: s.address,
		http: &http.Client{
			Transport: &http.Transport{ // no Proxy: the environment has no say
				DialContext:            only(s.address, dial),
				DisableCompression:     true,
				MaxConnsPerHost:        atOnce,
				MaxIdleConnsPerHost:    atOnce,
				ResponseHeaderTimeout:  headerWait,
				ExpectContinueTimeout:  continueWait,
				MaxResponseHeaderBytes: maxHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// URL is the vault's address in its one form.
func (c *Client) URL() string { return c.url }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// only dials address and refuses to dial anything else, whatever the transport
// may come to ask for.
func only(address string, dial Dial) Dial {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "80")
	}
	return func(ctx context.Context, network, asked string) (net.Conn, error) {
		if asked != address {
			return nil, fmt.Errorf("refused to dial %s", strconv.QuoteToASCII(asked))
		}
		ctx, cancel := context.WithTimeout(ctx, dialWait)
		defer cancel()
		return dial(ctx, network, address)
	}
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
	if resp.StatusCode == http.StatusConflict {
		return nil, c.conflict(resp, cancel)
	}
	if err := c.status(resp, http.StatusOK); err != nil {
		return nil, err
	}
	return c.body(resp, cancel, max)
}

// body reads an answer of at most max bytes. cancel ends its request.
func (c *Client) body(resp *http.Response, cancel context.CancelFunc, max int64) ([]byte, error) {
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
	if s := c.session.Load(); s != nil {
		req.Header.Set("Authorization", "Bearer "+*s)
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
		e := say.Fail(say.T("the vault at %s answers with status %s", c.url, code), say.T("try again later; if it stays, tell the operator"))
		switch code {
		case http.StatusNotFound:
			e.Err = ErrNotFound
		case http.StatusInternalServerError:
			e.Err = ErrCannot
		}
		return e
	}
}

// hostile is an answer that no honest vault gives.
func (c *Client) hostile(what say.Text) error {
	return say.Fail(say.T("the server at %s sends what no vault sends: %s", c.url, what),
		say.T("nothing of it was used; ask the operator and the other reviewers before you go on"))
}

// unreachable puts a failure of the network into words. It keeps a cause that is
// none, or that is in words.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) && !errors.Is(err, errStalled) {
		return err
	}
	if e := (*say.Error)(nil); errors.As(err, &e) {
		return e
	}
	return &say.Error{
		What: say.T("no answer from %s: %s", c.url, Cause(err)),
		Hint: say.T("check that the address is right; the next fetch goes on where this one stopped"),
		Err:  ErrUnreachable,
	}
}

// Cause is the innermost error, without the URL that net/http puts before
// it.
func Cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
