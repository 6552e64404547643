package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// challenge answers {} with a nonce.
func (r *Review) challenge(c *gin.Context) {
	if err := r.decode(c, &struct{}{}, bodySize); err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, card.Challenge{Origin: r.config.Origin, Nonce: r.nonces.issue()})
}

// login opens a session for a statement signed by a member's key. Every refusal
// has the same answer: a stranger does not learn which cards the vault knows.
func (r *Review) login(c *gin.Context) {
	var request card.LoginRequest
	if err := r.decode(c, &request, bodySize); err != nil {
		refuse(c, err)
		return
	}
	m, ok := r.members()[request.Fingerprint]
	if !ok {
		fail(c, refused)
		return
	}
	l, err := card.OpenLogin([]byte(request.Statement), m.Card)
	// The Host is one of ours: guard has checked it.
	if err != nil || l.Origin != r.config.Origin || l.Address != c.Request.Host || !r.nonces.take(l.ServerNonce) {
		fail(c, refused)
		return
	}
	c.JSON(http.StatusOK, card.Session{
		Session: r.session.begin(request.Fingerprint),
		Role:    m.Card.Role,
		Desks:   slices.Sorted(slices.Values(m.Desks)),
	})
}

// publicLog answers what is asked of the public log.
func (r *Review) publicLog(c *gin.Context) {
	found, err := logtiles.Read(r.vault, c.Request.URL)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		fail(c, notFound)
	case err != nil:
		fail(c, internal)
	default:
		// Not every connection has deadlines; the server's have.
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeDeadline))
		c.Header("Cache-Control", found.Cache)
		c.Header("Content-Length", strconv.Itoa(len(found.Body)))
		c.Data(http.StatusOK, found.Type, found.Body)
	}
}

// decode reads one JSON value of at most max bytes and of exactly v's fields. Its
// error is a failure.
func (r *Review) decode(c *gin.Context, v any, max int64) error {
	b := r.newBody(c, max, nil)
	text, err := io.ReadAll(b)
	if err != nil {
		return b.failure(malformed)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed
	}
	return nil
}
