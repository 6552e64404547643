package site

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/codename"
)

// shares are the values of the field share; the first is the default.
var shares = [...]string{"ask", "ngos", "authority", "nobody"}

// post takes the two kinds of form that are sent to /{lang}/report.
func (s *Site) post(c *gin.Context, lang string) {
	typ, params, _ := mime.ParseMediaType(c.GetHeader("Content-Type"))
	switch typ {
	case "application/x-www-form-urlencoded":
		s.chosen(c, lang)
	case "multipart/form-data":
		s.send(c, lang, params["boundary"])
	default:
		s.fail(c, http.StatusBadRequest)
	}
}

// accepted is what may be stored, before its files.
type accepted struct {
	readers    readers // at least one recipient
	governance uint64  // sequence of the governance note in force
	share      string  // one of shares
	message    string
	answers    []byte // JSON
	day        string // 2006-01-02, UTC: no time of a report is finer
}

// sending is one report while it is sent.
type sending struct {
	arrival
	lang     string
	token    token
	claimed  bool
	at       time.Time // when it was stored
	codename codename.Codename
}

// send answers a multipart post: the codename if the report is durable, else the
// form again with the reason and with the text.
func (s *Site) send(c *gin.Context, lang, boundary string) {
	x := &sending{lang: lang}
	x.arrival = s.newArrival(c, boundary, x.accept)
	x.parts.take = x.file
	if ref, ok := c.Get(turnedAway); ok {
		x.parts.refuse(ref.(*refusal))
	}
	switch ref := x.afterAll(x.run()); ref {
	case nil, errStoredBefore:
		s.showCodename(c, lang, x.at, codenamePage{Token: x.parts.form.token, Words: x.codename.String(), Before: ref == errStoredBefore})
	case errReceivedOnce:
		s.received(c, lang)
	default:
		s.refuseForm(c, lang, ref, &x.parts.form)
	}
}

// run reads the body, stores the report or not, and gives back what it held.
func (x *sending) run() *refusal {
	defer x.end()
	if ref := x.parts.read(); ref != nil {
		return ref
	}
	if err := x.finish(); err != nil {
		return asRefusal(err)
	}
	return nil
}

// afterAll corrects a refusal, which says that nothing was stored, if an earlier send
// of the same form was stored: a browser that sends a form again without a file that
// is gone by now sends a broken body.
func (x *sending) afterAll(ref *refusal) *refusal {
	k, ok := x.site.tokens.parse(x.parts.form.token, x.site.now())
	if ref == nil || !ok {
		return ref
	}
	switch err := x.claim(k); err {
	case nil:
		x.site.tokens.release(k)
	case errStoredBefore, errReceivedOnce:
		return asRefusal(err)
	}
	return ref
}

// accept decides whether the fields make a report that may be stored, takes the
// token for it, and begins to seal it. Everything that can be refused before
// the slow key derivation is refused here.
func (x *sending) accept() error {
	s, f := x.site, &x.parts.form
	now := s.now()
	k, ok := s.tokens.parse(f.token, now)
	if !ok {
		return errExpired
	}
	if strings.TrimSpace(f.message) == "" {
		return errEmpty
	}
	if f.share == "" {
		f.share = shares[0]
	}
	if !slices.Contains(shares[:], f.share) {
		return errMalformed
	}
	governance := s.config.Governance()
	readers, ref := choose(s.desks(), f.desks, f.exclude)
	if ref != nil {
		return ref
	}
	answers, err := s.answersJSON(x.lang, f)
	if err != nil {
		return err
	}
	if err := x.claim(k); err != nil {
		return err
	}
	x.codename = s.draw(k, x.lang)
	keys, err := s.kdf.derive(x.ctx, s.kdf.reports, x.codename)
	if err != nil {
		return err
	}
	i, err := newCase(s.config.Origin, accepted{
		readers:    readers,
		governance: governance,
		share:      f.share,
		message:    f.message,
		answers:    answers,
		day:        now.UTC().Format(time.DateOnly),
	}, keys)
	if err != nil {
		return err
	}
	return x.open(i)
}

// claim takes the token, after waiting for an earlier send of the same form. If
// that was stored, its codename is shown again for ten minutes, in the language
// in which it was drawn.
func (x *sending) claim(k token) error {
	earlier, ok, err := x.site.tokens.claim(x.ctx, k)
	switch {
	case err != nil:
		return err
	case ok:
		x.token, x.claimed = k, true
		return nil
	case earlier.shows(x.site.now()):
		x.codename, x.at = x.site.draw(k, earlier.lang), earlier.at
		return errStoredBefore
	default:
		return errReceivedOnce
	}
}

func (s *Site) draw(k token, lang string) codename.Codename {
	return s.words[lang].Draw(s.tokens.seed(k, lang))
}

// finish makes the report durable, after the last part. A source who is gone by
// now finds it stored when the form is sent again.
func (x *sending) finish() error {
	if err := x.commit(); err != nil {
		return err
	}
	x.at = x.site.now()
	x.site.tokens.store(x.token, x.lang, x.at)
	x.claimed = false
	return nil
}

// end gives back what the report held, stored or not.
func (x *sending) end() {
	x.arrival.end()
	if x.claimed {
		x.site.tokens.release(x.token)
	}
}
