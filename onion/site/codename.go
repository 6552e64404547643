package site

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// codenamePage is the data of the page after a send. The codename stands on it
// once, and nowhere else in the answer.
type codenamePage struct {
	Token   string
	Words   string
	Before  bool // the report was stored by an earlier send
	Checked bool // it was typed again rightly
	Differs int  // 1 to 8: the word that was typed wrongly
	Logged  logTime
}

// showCodename shows the codename of a report that was stored at a moment.
func (s *Site) showCodename(c *gin.Context, lang string, at time.Time, p codenamePage) {
	p.Logged = logTimeOf(at, s.vault.Genesis().Epoch)
	s.page(c, http.StatusOK, "codename", view{Lang: lang, Step: 4, Bare: true, Page: p})
}

// received answers a second send of a report that was finished, or stored more
// than ten minutes ago. It names no epoch: that would tell when the report was
// sent to whoever finds the form later.
func (s *Site) received(c *gin.Context, lang string) {
	s.page(c, http.StatusOK, "received", view{Lang: lang, Bare: true})
}

// codename answers the buttons of that page: the check of what was typed again,
// and "I have it, finish". With an unknown or old token it answers the last page
// as after "finish": it can say neither what was stored nor that nothing was.
func (s *Site) codename(c *gin.Context, lang string) {
	values, ok := s.urlencoded(c)
	if !ok {
		return
	}
	text := values.Get("token")
	k, ok := s.tokens.parse(text, s.now())
	earlier, known := s.tokens.look(k)
	if ok && known && earlier.shows(s.now()) && values.Get("action") == "check" {
		words := s.draw(k, earlier.lang)
		n := words.Differs(values.Get("words"))
		s.showCodename(c, lang, earlier.at, codenamePage{Token: text, Words: words.String(), Checked: n == 0, Differs: n})
		return
	}
	if ok && values.Get("action") == "finish" {
		s.tokens.finish(k)
	}
	s.page(c, http.StatusOK, "last", view{Lang: lang, Bare: true, Page: "last.back"})
}
