package site

import (
	"strings"

	"github.com/gin-gonic/gin"
)

// adding is one follow-up while it is sent.
type adding struct {
	arrival
	c     *gin.Context
	lang  string
	visit *visit // nil until the session of the form is taken
	err   error  // why it could not be
}

// add answers a multipart post to the mailbox: more information, by the way of a
// report. A refusal brings the text back, but only to who is signed in.
func (s *Site) add(c *gin.Context, lang, boundary string) {
	x := &adding{c: c, lang: lang}
	x.arrival = s.newArrival(c, boundary, x.accept)
	x.parts.take, x.parts.order = x.file, followupRank
	defer func() {
		if x.visit != nil {
			x.visit.end()
		}
	}()
	ref := x.run()
	if err := x.enter(); err != nil {
		s.shut(c, lang, err)
		return
	}
	if ref == nil {
		x.visit.again(mailboxView{Notice: "mailbox.added"})
		return
	}
	x.visit.showRefused(ref, mailboxView{Message: x.parts.form.message, Again: true})
}

// run reads the body, stores the follow-up or not, and gives back what it held
// but for the session.
func (x *adding) run() *refusal {
	defer x.end()
	if ref := x.parts.read(); ref != nil {
		return ref
	}
	if err := x.commit(); err != nil {
		return asRefusal(err)
	}
	return nil
}

// enter takes the session of the form, once.
func (x *adding) enter() error {
	if x.visit == nil && x.err == nil {
		x.visit, x.err = x.site.enter(x.c, x.lang, x.parts.form.session)
	}
	return x.err
}

// accept decides whether the fields make a follow-up that may be stored, and
// begins to seal it. Files need no text with them.
func (x *adding) accept() error {
	if err := x.enter(); err != nil {
		return err
	}
	f, kase := &x.parts.form, x.visit.kase
	if strings.TrimSpace(f.message) == "" {
		if f.message = ""; x.parts.files == 0 {
			return errNothing
		}
	}
	sent := direction(kase, false)
	if len(sent) == 0 || len(kase.Items)+len(kase.Gone) != kase.Next {
		return errStore // a damaged vault: nobody could tell what this one follows
	}
	governance := x.site.config.Governance()
	readers, ref := holders(x.site.desks(), kase.Desks, kase.Excludes)
	if ref != nil {
		return ref
	}
	return x.open(followup(x.site.config.Origin, kase, accepted{
		readers:    readers,
		governance: governance,
		message:    f.message,
		day:        x.site.today(),
	}, x.visit.keys))
}
