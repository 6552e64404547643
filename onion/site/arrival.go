package site

import (
	"context"

	"github.com/gin-gonic/gin"
)

// arrival is one multipart body on its way in: its fields, then its files. It
// must end in end.
type arrival struct {
	site   *Site
	ctx    context.Context
	parts  *parts
	accept func() error // decides whether the fields make an item, and opens the intake
	upload func()       // gives back the place for uploads, if it has one
	intake *intake      // nil until accept has opened it
}

// newArrival takes the body of the request. The caller sets parts.take.
func (s *Site) newArrival(c *gin.Context, boundary string, accept func() error) arrival {
	a := arrival{site: s, ctx: c.Request.Context(), parts: s.newParts(s.newBody(c), boundary, nil), accept: accept}
	if c.Request.ContentLength > s.config.MaxReport {
		a.parts.refuse(errFileLarge)
	}
	return a
}

// open begins to seal the item.
func (a *arrival) open(i item) error {
	a.intake = new(intake)
	return a.intake.begin(a.ctx, a.site.vault, i)
}

// file is called for each file that was chosen.
func (a *arrival) file(name, typ string, body *fileBody) error {
	if a.upload == nil {
		leave, err := a.site.uploads.enter(a.ctx)
		if err != nil {
			return err
		}
		a.upload = leave
	}
	if a.intake == nil {
		if err := a.accept(); err != nil {
			return err
		}
	}
	return a.intake.file(name, typ, body)
}

// commit makes the item durable, after the last part.
func (a *arrival) commit() error {
	if a.intake == nil {
		if err := a.accept(); err != nil {
			return err
		}
	}
	return a.intake.commit(context.WithoutCancel(a.ctx))
}

// end gives back what the body held, stored or not.
func (a *arrival) end() {
	if a.intake != nil {
		a.intake.discard() // nothing after a commit
	}
	if a.upload != nil {
		a.upload()
	}
}
