package site

import (
	"bufio"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	rateWindow    = time.Minute      // over which MinRate is averaged
	readAhead     = 64 << 10         // bytes of the buffer between connection and parser
	maxURLEncoded = 64 << 10         // bytes of a form without files
	turnAway      = 10 * time.Second // for reading on what is answered with "busy", or came from another site
)

var (
	errOverLimit = errors.New("body over the limit")
	errHeader    = errors.New("part header over the limit")
)

// body reads a request body, counts it, and ends it when it is too long or too
// slow. http.MaxBytesReader would close the connection at its limit, and then a
// browser shows an empty page instead of the refusal; body lets the caller
// refuse first, read on (see refuse), and answer then.
//
// A body must bring rate × one minute bytes in every minute spent waiting for
// it. Time that passes outside of Read, while the disk or the key derivation is
// slow, does not count. There is no limit to the whole time: 200 MB through Tor
// may take an hour.
type body struct {
	src      io.Reader
	deadline func(time.Time) error // sets the connection's read deadline
	n        int64                 // bytes read
	limit    int64                 // of n; going over it ends the body for good
	step     int64                 // bytes that may still come after a refusal
	window   int64                 // bytes that must come in one rateWindow
	got      int64                 // bytes of the present window
	left     time.Duration         // waiting time left to the present window
	err      error                 // first error but io.EOF
}

// newBody reads the request's body. Its limit lies far above MaxReport: who
// parses it refuses what is over MaxReport and reads on.
func (s *Site) newBody(c *gin.Context) *body {
	return &body{
		src:      c.Request.Body,
		deadline: http.NewResponseController(c.Writer).SetReadDeadline,
		limit:    s.config.MaxReport + min(s.config.MaxReport, math.MaxInt64-s.config.MaxReport),
		step:     s.config.MaxReport,
		window:   s.config.MinRate * int64(rateWindow/time.Second),
		left:     rateWindow,
	}
}

// Read implements io.Reader. Its errors are those of the connection,
// os.ErrDeadlineExceeded for a slow one, and errOverLimit.
func (b *body) Read(p []byte) (int, error) {
	if b.n >= b.limit {
		// Only a further byte is too much: the body may end here exactly.
		p = p[:min(len(p), 1)]
	} else if room := b.limit - b.n; int64(len(p)) > room {
		p = p[:room]
	}
	start := time.Now()
	if err := b.deadline(start.Add(b.left)); err != nil {
		return 0, b.fail(err)
	}
	n, err := b.src.Read(p)
	b.n += int64(n)
	b.got += int64(n)
	b.left -= time.Since(start)
	if b.got >= b.window {
		b.got, b.left = 0, rateWindow
	}
	if err == io.EOF {
		// What comes now is waiting for us. The server reads on, to see whether the
		// visitor goes, and would take the deadline for that.
		b.deadline(time.Time{})
	}
	if b.n > b.limit {
		return 0, b.fail(errOverLimit)
	}
	return n, b.fail(err)
}

func (b *body) fail(err error) error {
	if b.err == nil && err != io.EOF {
		b.err = err
	}
	return err
}

// refuse allows the body one more MaxReport from here, so that it can be read to
// its end before the refusal is answered.
func (b *body) refuse() { b.limit = b.n + min(b.step, math.MaxInt64-b.n) }

// drain reads what is left and drops it.
func (b *body) drain() {
	b.refuse()
	io.Copy(io.Discard, b) // an error ends it as well as the end does
}

// drainBriefly is drain for what honest visitors send with one click.
func (b *body) drainBriefly() {
	b.window, b.left = math.MaxInt64, turnAway
	b.drain()
}

// slow reports whether the body was ended because too little came.
func (b *body) slow() bool { return errors.Is(b.err, os.ErrDeadlineExceeded) }

// gate stands before the multipart parser, which takes up to 10 MiB of header
// for each part into memory. While a header is expected, it lets pass only the
// bytes allowed, and then fails; the parser cannot be used any more.
type gate struct {
	r      *bufio.Reader
	header bool
	left   int // bytes of header
}

func newGate(b *body) *gate { return &gate{r: bufio.NewReaderSize(b, readAhead)} }

func (g *gate) Read(p []byte) (int, error) {
	if !g.header {
		return g.r.Read(p)
	}
	if g.left == 0 {
		return 0, errHeader
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// urlencoded reads a form without files, of at most 64 KiB. It answers the
// request and returns false if it cannot.
func (s *Site) urlencoded(c *gin.Context) (url.Values, bool) {
	b := s.newBody(c)
	b.limit = maxURLEncoded
	text, err := io.ReadAll(b)
	if errors.Is(err, errOverLimit) {
		b.drain()
		s.fail(c, http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		s.fail(c, http.StatusBadRequest)
		return nil, false
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		s.fail(c, http.StatusBadRequest)
		return nil, false
	}
	return values, true
}
