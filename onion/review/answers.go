package review

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
)

// failure is one constant answer that is not a success. Every text says what the
// sender can do; none says more to a stranger than that.
type failure struct {
	status int
	text   string
}

// Error implements error: a handler's parts return the answer that they call for.
func (f failure) Error() string { return f.text }

var (
	malformed    = failure{http.StatusBadRequest, "malformed request"}
	otherBody    = failure{http.StatusBadRequest, "not the age file of the statement"}
	notSignedIn  = failure{http.StatusUnauthorized, "not signed in"}
	refused      = failure{http.StatusForbidden, "login refused"}
	otherRole    = failure{http.StatusForbidden, "not for this role"}
	badStatement = failure{http.StatusForbidden, "statement refused"}
	notFound     = failure{http.StatusNotFound, "not found"}
	wrongMethod  = failure{http.StatusMethodNotAllowed, "wrong method"}
	tooSlow      = failure{http.StatusRequestTimeout, "too slow"}
	fetchFirst   = failure{http.StatusConflict, card.FetchFirst}
	tagUsed      = failure{http.StatusConflict, card.TagUsed}
	wrongDay     = failure{http.StatusConflict, card.WrongDay}
	noSuchDesk   = failure{http.StatusConflict, "no such desk"}
	lastDesk     = failure{http.StatusConflict, "hand it over first"}
	tooLong      = failure{http.StatusRequestEntityTooLarge, "too long"}
	noSuchRange  = failure{http.StatusRequestedRangeNotSatisfiable, "no such range"}
	wrongHost    = failure{http.StatusMisdirectedRequest, "wrong address"}
	tooMany      = failure{http.StatusTooManyRequests, "too many uploads"}
	internal     = failure{http.StatusInternalServerError, "internal error"}
	full         = failure{http.StatusInsufficientStorage, "vault is full"}
)

// fail answers with f. A body that nobody has read must not hold the connection.
func fail(c *gin.Context, f failure) {
	control := http.NewResponseController(c.Writer)
	// Not every connection has deadlines; the server's have.
	_ = control.SetWriteDeadline(time.Now().Add(writeDeadline))
	if c.Request.ContentLength != 0 {
		_ = control.SetReadDeadline(time.Now().Add(drainDeadline))
	}
	c.Abort()
	c.JSON(f.status, card.Error{Error: f.text})
}

// refuse answers with the failure that err is. Every other error is internal.
func refuse(c *gin.Context, err error) {
	f := internal
	errors.As(err, &f)
	fail(c, f)
}

// storage is the failure that an error of the vault calls for.
func storage(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrStale):
		return fetchFirst
	case errors.Is(err, vault.ErrExists):
		return tagUsed
	case errors.Is(err, vault.ErrNotFound):
		return notFound
	case errors.Is(err, vault.ErrEvent):
		return badStatement
	case errors.Is(err, vault.ErrFull):
		return full
	case errors.Is(err, vault.ErrUnknown), errors.Is(err, vault.ErrClosed), errors.Is(err, vault.ErrDamaged),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return internal
	}
	return otherBody // what is left is about the form of the age file
}

// answer sends v as JSON. A member that stopped reading does not hold the
// connection.
func answer(c *gin.Context, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(c, internal)
		return
	}
	c.Header("Content-Type", "application/json; charset=utf-8")
	c.Status(http.StatusOK)
	control := http.NewResponseController(c.Writer)
	for piece := range slices.Chunk(b, answerPiece) {
		// Not every connection has deadlines; the server's have.
		_ = control.SetWriteDeadline(time.Now().Add(writeDeadline))
		if _, err := c.Writer.Write(piece); err != nil {
			return
		}
	}
}
