package site

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/onion/logtiles"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// publicLog answers what is asked of the public log.
func (s *Site) publicLog(c *gin.Context) {
	r, err := logtiles.Read(s.vault, c.Request.URL)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		s.fail(c, http.StatusNotFound)
	case err != nil:
		s.fail(c, http.StatusInternalServerError)
	default:
		c.Writer.Header().Set("Cache-Control", r.Cache)
		s.answer(c, http.StatusOK, r.Type, r.Body)
	}
}

// Assets are the files that pages load: SHA-256 by path, relative to the root of
// the site. This is what the public log says about the site.
func Assets() map[string][32]byte {
	css, path := stylesheet()
	return map[string][32]byte{strings.TrimPrefix(path, "/"): sha256.Sum256(css)}
}

// What in a stylesheet only its authors read. No string in ours has such a space.
var (
	cssComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	cssSpace   = regexp.MustCompile(`([{}:;,])\s+|\s+(\{)|^\s+`)
)

// stylesheet is the only file that pages load. Its path names its content, so
// that no page is ever shown in another version's style.
func stylesheet() (css []byte, path string) {
	css, err := assets.ReadFile("static/site.css")
	if err != nil {
		panic("site: program built without its stylesheet")
	}
	css = cssSpace.ReplaceAll(cssComment.ReplaceAll(css, nil), []byte("$1$2"))
	sum := sha256.Sum256(css)
	return css, "/static/site-" + hex.EncodeToString(sum[:4]) + ".css"
}

// logTime is when an event gets its leaf in the public log: at the end of its
// epoch, or one epoch later if more events wait than the epoch has leaves for.
type logTime struct {
	Epoch int64
	ends  time.Time // UTC, whole minutes
}

// logTimeOf is the logTime of an event that became durable at a moment, or shortly before it.
func logTimeOf(at time.Time, length time.Duration) logTime {
	epoch := translog.EpochAt(at, length)
	ends := translog.EpochStart(epoch+1, length).UTC()
	return logTime{epoch, ends.Add(time.Minute - 1).Truncate(time.Minute)}
}

// Day is the day of the month.
func (l logTime) Day() int { return l.ends.Day() }

// Month is the key of the month's name.
func (l logTime) Month() string { return monthText(l.ends.Month()) }

// Hour is hour and minute.
func (l logTime) Hour() string { return l.ends.Format("15:04") }
