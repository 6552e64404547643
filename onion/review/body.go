package review

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/seal"
)

const (
	rateWindow = time.Minute // over which Config.MinRate is averaged
	maxHeader  = 256 << 10   // bytes of an age header; a vault.Draft takes no longer one
)

var (
	errTooLong = errors.New("body over the limit")
	errRevoked = errors.New("card no longer in force")
)

// body reads a request's body, and ends it when it is too long, too slow, or no
// longer allowed. It must bring rate × one minute bytes in every minute spent
// waiting for it; time that passes outside of Read does not count. There is no
// limit to the whole time: 4 GiB through Tor take a day.
type body struct {
	src      io.Reader
	deadline func(time.Time) error // sets the connection's read deadline
	allowed  func() bool           // asked for every piece
	room     int64                 // bytes that may still come
	window   int64                 // bytes that must come in one rateWindow
	got      int64                 // bytes of the present window
	left     time.Duration         // waiting time left to the present window
	err      error                 // first error but io.EOF
}

// newBody reads at most max bytes of the request's body, while allowed says so.
// A nil allowed always does.
func (r *Review) newBody(c *gin.Context, max int64, allowed func() bool) *body {
	if allowed == nil {
		allowed = func() bool { return true }
	}
	return &body{
		src:      c.Request.Body,
		deadline: http.NewResponseController(c.Writer).SetReadDeadline,
		allowed:  allowed,
		room:     max,
		window:   r.config.MinRate * int64(rateWindow/time.Second),
		left:     rateWindow,
	}
}

// Read implements io.Reader. What has come when the card is revoked is not
// handed on.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	p = p[:min(int64(len(p)), b.room+1)] // one byte more tells that it is too long
	start := time.Now()
	// Not every connection has deadlines; the server's have.
	_ = b.deadline(start.Add(b.left))
	n, err := b.src.Read(p)
	b.room -= int64(n)
	b.got += int64(n)
	b.left -= time.Since(start)
	if b.got >= b.window {
		b.got, b.left = 0, rateWindow
	}
	switch {
	case !b.allowed():
		b.err = errRevoked
	case b.room < 0:
		b.err = errTooLong
	case err == io.EOF:
		_ = b.deadline(time.Time{}) // the server goes on reading, to see the connection end
		return n, io.EOF
	default:
		b.err = err
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, nil
}

// failure is the answer that b's error calls for, or other if b has none.
func (b *body) failure(other failure) failure {
	switch {
	case b.err == nil:
		return other
	case errors.Is(b.err, errRevoked):
		return notSignedIn
	case errors.Is(b.err, errTooLong):
		return tooLong
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return tooSlow
	}
	return malformed // shorter than it said, or a broken connection
}

// recipients counts the recipients that the header of an age file names, and
// returns the file with the header put back. It opens nothing: whoever seals
// beside the truth is found by the auditors, who count again.
func recipients(file io.Reader) (n int, whole io.Reader, err error) {
	var head bytes.Buffer
	stanzas, err := seal.Stanzas(io.TeeReader(io.LimitReader(file, maxHeader), &head))
	if err != nil {
		return 0, nil, err
	}
	if n = len(stanzas); n < 1 || n > seal.MaxRecipients {
		return 0, nil, errors.New("recipients out of range")
	}
	return n, io.MultiReader(&head, file), nil
}
