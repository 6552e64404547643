package site

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/codename"
	"resguardo/vault"
)

// signInStep hides what a sign-in did after the key derivation: the answer goes
// out when a whole number of steps has passed since then. Opening a mailbox with
// some replies takes less than one.
const signInStep = 50 * time.Millisecond

// extraDays is how much longer a mailbox lasts once, if something in it was never seen.
const extraDays = 90

func (s *Site) retention() vault.Retention {
	return vault.Retention{Days: s.config.RetentionDays, Extra: extraDays}
}

// signInView is the data of the page that asks for the codename.
type signInView struct {
	Token   string
	Words   string // as typed; shown again only in the answer to who typed them
	Wrong   string // what is wrong: words, count, unknown, busy or often; empty for nothing
	Unknown []string
	Count   int  // words typed
	Again   bool // a mailbox was open
	Days    int  // after which mailboxes end
	Total   int  // the same, if something was never seen
}

func (s *Site) showSignIn(c *gin.Context, status int, lang string, p signInView) {
	s.answer(c, status, htmlType, s.renderSignIn(lang, p))
}

func (s *Site) renderSignIn(lang string, p signInView) []byte {
	p.Token = s.signIns.mint(s.now())
	p.Days, p.Total = s.config.RetentionDays, s.config.RetentionDays+extraDays
	v := view{Lang: lang, Page: p}
	if p.Wrong == "" {
		v.Path = "/mailbox"
	}
	return s.render("signin", v)
}

// signInPage answers GET /{lang}/mailbox.
func (s *Site) signInPage(c *gin.Context, lang string) {
	s.showSignIn(c, http.StatusOK, lang, signInView{})
}

// signInAgain answers whatever is sent from a page that is not good any more:
// after a while, after Back, after a restart. It shows nothing that was sent.
func (s *Site) signInAgain(c *gin.Context, lang string) {
	s.showSignIn(c, http.StatusForbidden, lang, signInView{Again: true})
}

// mailbox answers POST /{lang}/mailbox: a codename, a button of an open mailbox,
// or more information.
func (s *Site) mailbox(c *gin.Context, lang string) {
	typ, params, _ := mime.ParseMediaType(c.GetHeader("Content-Type"))
	switch typ {
	case "application/x-www-form-urlencoded":
		values, ok := s.urlencoded(c)
		switch {
		case !ok:
		case values.Has("codename"):
			s.signIn(c, lang, values)
		default:
			s.act(c, lang, values)
		}
	case "multipart/form-data":
		s.add(c, lang, params["boundary"])
	default:
		s.fail(c, http.StatusBadRequest)
	}
}

// signIn opens the mailbox of a codename. A form of ours is good for one try, so
// that nobody can open a mailbox again by reloading its first page.
func (s *Site) signIn(c *gin.Context, lang string, values url.Values) {
	if values.Has("token") && !s.useSignIn(c.Request.Context(), values.Get("token"), lang) {
		s.signInAgain(c, lang)
		return
	}
	typed := plainText([]byte(values.Get("codename")))
	words, err := codename.Parse(typed, s.locales.byCode[lang].Base)
	if wrong, ok := errors.AsType[*codename.WordsError](err); ok {
		p := signInView{Words: typed, Wrong: "words", Unknown: wrong.Unknown, Count: wrong.Count}
		if len(wrong.Unknown) == 0 {
			p.Wrong = "count"
		}
		s.showSignIn(c, http.StatusUnprocessableEntity, lang, p)
		return
	}
	keys, err := s.kdf.derive(c.Request.Context(), s.kdf.signIns, words)
	if err != nil {
		p := signInView{Words: typed, Wrong: errBusy.key}
		ref := asRefusal(err)
		if ref == errOften {
			p.Wrong = ref.key
		} else {
			ref = errBusy
		}
		s.showSignIn(c, ref.status, lang, p)
		return
	}
	derived := time.Now()
	status, page := s.firstPage(c, lang, typed, keys)
	waitStep(c.Request.Context(), derived)
	s.answer(c, status, htmlType, page)
}

// firstPage is the answer to a codename of eight known words.
func (s *Site) firstPage(c *gin.Context, lang, typed string, keys codename.Keys) (status int, page []byte) {
	kase, err := s.open(c.Request.Context(), keys)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return http.StatusUnprocessableEntity, s.renderSignIn(lang, signInView{Words: typed, Wrong: "unknown"})
	case err != nil:
		return http.StatusInternalServerError, s.render("error", view{Lang: lang, Page: "http.500"})
	}
	v := &visit{site: s, c: c, lang: lang, keys: keys, kase: kase}
	p := v.mailboxPage(mailboxView{})
	value := s.sessions.begin(keys, s.now())
	return http.StatusOK, s.render("mailbox", view{Lang: lang, Bare: true, Session: value, Page: p})
}

// useSignIn uses a sign-in form up, and reports whether it could.
func (s *Site) useSignIn(ctx context.Context, text, lang string) bool {
	k, ok := s.signIns.parse(text, s.now())
	if !ok {
		return false
	}
	if _, ok, err := s.signIns.claim(ctx, k); !ok || err != nil {
		return false
	}
	s.signIns.store(k, lang, s.now())
	return true
}

// waitStep waits until a whole number of steps has passed since a moment.
func waitStep(ctx context.Context, since time.Time) {
	t := time.NewTimer(signInStep - time.Since(since)%signInStep)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
