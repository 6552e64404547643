package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Bounds on what a witness can make us do.
const (
	maxAnswer  = 16 << 10         // bytes of headers, and of a body; an ML-DSA-44 line beside ours takes 3.3 KB
	maxAhead   = 5 * time.Minute  // of a cosignature's time before our clock
	patience   = 60 * time.Second // for one witness, all requests of a call together; the first may build an onion circuit
	keepAlive  = 90 * time.Second // of an idle connection
	sizeFormat = "text/x.tlog.size"
)

// Dial connects to an address, HOST:PORT. It decides what goes through Tor.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Client asks the witnesses of a policy. It may be used by several goroutines.
type Client struct {
	policy *Policy
	own    torchwood.Policy // a checkpoint of our log, cosigned or not
	http   *http.Client

	mu    sync.Mutex
	sizes map[string]int64 // of the checkpoint that a witness has cosigned last, by its key
}

// New makes a client for a policy that Parse has returned. It uses no proxy of the
// environment: all connections are made by dial.
func New(p *Policy, dial Dial) *Client {
	log, err := note.NewVerifier(p.LogKey)
	if err != nil {
		panic("witness: a policy without a log key")
	}
	if dial == nil {
		panic("witness: no way to dial") // net/http would connect past Tor
	}
	return &Client{
		policy: p,
		own:    torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(p.Origin), torchwood.SingleVerifierPolicy(log)),
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:            bounded(dial),
				TLSHandshakeTimeout:    patience,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxAnswer,
				IdleConnTimeout:        keepAlive,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		sizes: make(map[string]int64),
	}
}

// bounded ends a dial after patience. net/http does not end it with the request: the
// connection could serve the next one.
func bounded(dial Dial) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return dial(ctx, network, address)
	}
}

// Close closes idle connections. The client may still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Cosign asks one witness to cosign a signed checkpoint, once (C2SP tlog-witness,
// "add-checkpoint"). It waits for at most a minute.
//
// old is the size of the last checkpoint that the witness has cosigned, 0 for none
// or unknown, and proof leads from there to the checkpoint's size, at most 63
// hashes; it is empty if old is 0 or the checkpoint's size. The error is a
// *ConflictError, or wraps ErrUnreachable, ErrUnknownLog, ErrForbidden,
// ErrInconsistent or ErrAnswer.
func (c *Client) Cosign(ctx context.Context, w Witness, old int64, proof tlog.TreeProof, checkpoint []byte) (Cosignature, error) {
	text, _, ok := cut(checkpoint)
	if !ok {
		return Cosignature{}, errors.New("this is no signed checkpoint")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := c.post(ctx, w, request(old, proof, checkpoint))
	if err != nil {
		return Cosignature{}, err
	}
	return a.open(w, text, time.Now())
}

// request is the body of an add-checkpoint request.
func request(old int64, proof tlog.TreeProof, checkpoint []byte) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, hash := range proof {
		b = fmt.Appendln(b, hash)
	}
	return append(append(b, '\n'), checkpoint...)
}

// cut divides a signed note into its text and its signature lines. Text keeps its last LF.
func cut(signed []byte) (text string, lines []byte, ok bool) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return "", nil, false
	}
	return string(signed[:i+1]), signed[i+2:], true
}

// answer is what a witness has sent.
type answer struct {
	status int
	format string // Content-Type
	body   []byte // at most maxAnswer
}

// post sends one request. The error wraps ErrUnreachable or ErrAnswer.
func (c *Client) post(ctx context.Context, w Witness, body []byte) (answer, error) {
	endpoint, err := w.endpoint()
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := c.http.Do(r)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // without method and address
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, format: response.Header.Get("Content-Type")}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if len(a.body) > maxAnswer {
		return answer{}, fmt.Errorf("%w: it is longer than %d bytes", ErrAnswer, maxAnswer)
	}
	return a, nil
}

// open reads the answer to a request for a cosignature over text.
func (a answer) open(w Witness, text string, now time.Time) (Cosignature, error) {
	switch {
	case a.status == http.StatusOK:
		return openCosignature(w, text, a.body, now)
	case a.status == http.StatusForbidden:
		return Cosignature{}, ErrForbidden
	case a.status == http.StatusNotFound:
		return Cosignature{}, ErrUnknownLog
	case a.status == http.StatusConflict:
		size, err := a.size()
		if err != nil {
			return Cosignature{}, err
		}
		return Cosignature{}, &ConflictError{Size: size}
	case a.status == http.StatusUnprocessableEntity:
		return Cosignature{}, ErrInconsistent
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		return Cosignature{}, fmt.Errorf("%w: status %d", ErrUnreachable, a.status)
	}
	return Cosignature{}, fmt.Errorf("%w: status %d", ErrAnswer, a.status)
}

// size reads the body of a 409: a size in decimal and LF.
func (a answer) size() (int64, error) {
	format, _, err := mime.ParseMediaType(a.format)
	if err != nil || format != sizeFormat {
		return 0, fmt.Errorf("%w: a conflict without a size", ErrAnswer)
	}
	digits, _ := bytes.CutSuffix(a.body, []byte("\n"))
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10)+"\n" != string(a.body) {
		return 0, fmt.Errorf("%w: a conflict without a size", ErrAnswer)
	}
	return n, nil
}

// openCosignature finds the witness's line among lines, and verifies it over text.
// Lines of other keys are ignored, as the specification demands.
func openCosignature(w Witness, text string, lines []byte, now time.Time) (Cosignature, error) {
	v, err := torchwood.NewCosignatureVerifier(w.Key)
	if err != nil {
		return Cosignature{}, err
	}
	n, err := note.Open(append([]byte(text+"\n"), lines...), note.VerifierList(v))
	if err != nil {
		return Cosignature{}, fmt.Errorf("%w: no valid cosignature", ErrAnswer)
	}
	// A blank line among lines would move where the text ends.
	if n.Text != text || len(n.Sigs) != 1 {
		return Cosignature{}, fmt.Errorf("%w: a cosignature of another text", ErrAnswer)
	}
	seconds, err := torchwood.CosignatureTimestamp(n.Sigs[0])
	if err != nil {
		return Cosignature{}, fmt.Errorf("%w: a cosignature without a time", ErrAnswer)
	}
	if seconds > now.Add(maxAhead).Unix() {
		return Cosignature{}, fmt.Errorf("%w: a cosignature from the future", ErrAnswer)
	}
	return Cosignature{Signature: n.Sigs[0], Time: time.Unix(seconds, 0).UTC()}, nil
}
