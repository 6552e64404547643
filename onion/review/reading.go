package review

import (
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
)

// reading keeps a note that the desk is read. A desk of others and one that does not
// exist give the same answer.
func (r *Review) reading(c *gin.Context, m Member) {
	desk := c.Param("desk")
	if err := r.note(c, m, desk); err != nil {
		refuse(c, err)
		return
	}
	answer(c, card.Noted{Reading: r.readingDay(desk)})
}

// note does what reading promises. Its error is a failure, or of the disk.
func (r *Review) note(c *gin.Context, m Member, desk string) error {
	if !slices.Contains(m.Desks, desk) {
		return notFound
	}
	var request card.SignedRequest
	if err := r.decode(c, &request, bodySize); err != nil {
		return err
	}
	note := []byte(request.Statement)
	said, err := card.OpenReading(note, m.Card)
	switch {
	case err != nil || said.Origin != r.config.Origin || said.Desk != desk:
		return badStatement
	case said.Early(time.Now()):
		return wrongDay
	}
	if now, ok := r.now(m); !ok || !slices.Contains(now.Desks, desk) {
		return notSignedIn
	}
	return r.config.Keep(said, m.Card, note)
}

// readingDay is the day of a desk's last sign; empty if it is not known.
func (r *Review) readingDay(desk string) string {
	t := r.config.Reading(desk)
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
