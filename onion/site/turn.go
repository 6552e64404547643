package site

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// shortForm is how many bytes of a body are read before it takes a place.
const shortForm = 16 << 10

// takeForm lets only so many forms in at once: each may hold some 100 KiB of text
// until it is answered. A form takes its place when its first shortForm bytes, or all
// of it, are here: short ones that come slowly, without an end, hold none.
//
// A report that is turned away and here comes back with its text, if one of a few
// places for that is free. Otherwise the browser still has what was typed, and a reload
// sends it again; "back" would lose it, because no page may be stored.
func (s *Site) takeForm(c *gin.Context) {
	if c.Request.Method != http.MethodPost {
		return
	}
	whole := s.readShort(c)
	leave, err := s.forms.enter(c.Request.Context())
	if err != nil {
		ref, id := errBusy, "notice.form_busy"
		if errors.Is(err, errOften) {
			ref, id = errOften, "notice.form_often"
		}
		if whole && strings.HasSuffix(c.FullPath(), "/report") && c.ContentType() == "multipart/form-data" {
			if leave, ok := s.turned.take(c.Request.Context()); ok {
				defer leave()
				c.Set(turnedAway, ref)
				c.Next()
				return
			}
		}
		s.newBody(c).drainBriefly()
		s.notice(c, ref.status, s.languageOf(c), id)
		c.Abort()
		return
	}
	defer leave()
	c.Next()
}

// readShort reads the first bytes of a body. Who reads the body then gets them, and
// what ended it, as if they came only now. whole reports whether that is all of it.
func (s *Site) readShort(c *gin.Context) (whole bool) {
	e := &early{ReadCloser: c.Request.Body}
	short := int64(shortForm)
	if n := c.Request.ContentLength; n >= 0 {
		short = min(short, n)
	}
	e.first.Grow(int(short) + bytes.MinRead) // or it doubles
	_, e.err = io.CopyN(&e.first, s.newBody(c), shortForm)
	c.Request.Body = e
	return e.err == io.EOF
}

// turnedAway is the key, in a request's context, of the refusal of a report for which
// there is no place: it is read only to show its text again.
const turnedAway = "turned away"

// early is a body whose first bytes were read already.
type early struct {
	io.ReadCloser // the rest
	first         bytes.Buffer
	err           error // what has ended the body; nil: the rest comes
}

// Read implements io.Reader. The last bytes come with the end, as they do from the
// server's own bodies.
func (e *early) Read(p []byte) (int, error) {
	n, _ := e.first.Read(p)
	switch {
	case e.first.Len() > 0:
		return n, nil
	case e.err != nil:
		return n, e.err
	case n > 0:
		return n, nil
	}
	return e.ReadCloser.Read(p)
}
