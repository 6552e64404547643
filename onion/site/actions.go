package site

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/codename"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// enter lets a request into the mailbox that its value opens. The visit must end
// in end. The error is errSignedOut or of the vault; ErrNotFound says that the
// mailbox is gone.
func (s *Site) enter(c *gin.Context, lang, value string) (*visit, error) {
	open, ok := s.sessions.take(c.Request.Context(), value, s.now())
	if !ok {
		return nil, errSignedOut
	}
	v := &visit{site: s, c: c, lang: lang, session: open, keys: open.keys}
	if err := v.load(); err != nil {
		v.end()
		return nil, err
	}
	return v, nil
}

// load reads the case anew.
func (v *visit) load() (err error) {
	v.kase, err = v.site.open(v.c.Request.Context(), v.keys)
	return err
}

// open opens the mailbox of a codename. A reply whose deletion is in the log has come
// back with an old copy of the vault: it goes again.
func (s *Site) open(ctx context.Context, keys codename.Keys) (vault.Case, error) {
	mailbox := sha256.Sum256(keys.Mailbox[:])
	kase, err := s.vault.Mailbox(mailbox)
	if err != nil {
		return kase, err
	}
	buried := false
	for _, i := range kase.Items {
		if i.Kind != translog.Reply || !s.vault.Logged(s.tombstone(keys, uint64(i.Number)).Event.Tag(translog.SourceDelete)) {
			continue
		}
		if err := s.bury(ctx, keys, i); err != nil {
			return kase, err
		}
		buried = true
	}
	if buried {
		return s.vault.Mailbox(mailbox)
	}
	return kase, nil
}

// shut answers a request that did not get into a mailbox.
func (s *Site) shut(c *gin.Context, lang string, err error) {
	switch {
	case errors.Is(err, errSignedOut):
		s.signInAgain(c, lang)
	case errors.Is(err, vault.ErrNotFound):
		s.showSignIn(c, http.StatusUnprocessableEntity, lang, signInView{Wrong: "unknown"})
	default:
		s.fail(c, http.StatusInternalServerError)
	}
}

// again answers with the mailbox as it is after a change.
func (v *visit) again(add mailboxView) {
	v.changed = true
	if err := v.load(); err != nil {
		v.end()
		v.site.shut(v.c, v.lang, err)
		return
	}
	v.show(add)
}

// end ends the session, unless an answer has given it back: by now the next
// request may hold it.
func (v *visit) end() {
	if !v.given {
		v.given = true
		v.site.sessions.drop(v.session)
	}
}

// answer gives the session back and answers with a page of the mailbox.
func (v *visit) answer(status int, name string, page view) {
	v.given = true
	if v.c.Request.Context().Err() != nil && !v.changed {
		v.site.sessions.keep(v.session, v.site.now()) // the same button was pressed twice
		return
	}
	value, ok := v.site.sessions.give(v.session, v.site.now())
	if !ok {
		v.site.signInAgain(v.c, v.lang)
		return
	}
	page.Session = value
	v.site.page(v.c, status, name, page)
}

// act answers a button of the mailbox.
func (s *Site) act(c *gin.Context, lang string, values url.Values) {
	action, number := values.Get("action"), itemNumber(values)
	if action == "file" {
		s.file(c, lang, values.Get("session"), number, values.Get("entry"))
		return
	}
	v, err := s.enter(c, lang, values.Get("session"))
	if err != nil {
		s.shut(c, lang, err)
		return
	}
	defer v.end()
	switch action {
	case "read":
		v.show(mailboxView{Only: number})
	case "delete":
		v.deleteReply(number)
	case "ask":
		v.answer(http.StatusOK, "erase", view{Lang: lang, Bare: true, Page: s.config.BackupDays})
	case "erase":
		v.erase()
	case "close":
		v.end()
		s.page(c, http.StatusOK, "last", view{Lang: lang, Bare: true, Page: "last.back"})
	default:
		v.show(mailboxView{})
	}
}

// itemNumber is the number of a reply in its case, or 0: no reply is the first item.
func itemNumber(values url.Values) int {
	n, err := strconv.Atoi(values.Get("number"))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// reply finds a reply of the case.
func (v *visit) reply(number int) (vault.Item, bool) {
	i := slices.IndexFunc(v.kase.Items, func(i vault.Item) bool { return i.Number == number && i.Kind == translog.Reply })
	if i < 0 {
		return vault.Item{}, false
	}
	return v.kase.Items[i], true
}

// deleteReply deletes one reply. A second request for it finds it gone.
func (v *visit) deleteReply(number int) {
	item, ok := v.reply(number)
	if !ok {
		v.show(mailboxView{})
		return
	}
	if err := v.site.bury(v.c.Request.Context(), v.keys, item); err != nil {
		v.showRefused(errDelete, mailboxView{})
		return
	}
	v.again(mailboxView{Notice: "mailbox.deleted"})
}

// bury deletes an item, with the event source-delete N for item N. No item that a
// source can delete alone has the number 0, which deletes everything. It is no error
// that another request has just deleted the item.
func (s *Site) bury(ctx context.Context, keys codename.Keys, item vault.Item) error {
	err := s.vault.DeleteItem(context.WithoutCancel(ctx), item.ID, s.tombstone(keys, uint64(item.Number)))
	if errors.Is(err, vault.ErrNotFound) || errors.Is(err, vault.ErrExists) {
		return nil
	}
	return err
}

func (s *Site) tombstone(keys codename.Keys, counter uint64) vault.Tombstone {
	return vault.Tombstone{Kind: translog.SourceDelete, Event: translog.NewEvent(keys.Log, translog.SourceDelete, counter), Governance: s.config.Governance()}
}

// erase deletes the mailbox with all that is in it.
func (v *visit) erase() {
	err := v.site.vault.DeleteCase(context.WithoutCancel(v.c.Request.Context()), v.kase.ID, v.site.tombstone(v.keys, 0))
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		v.showRefused(errDelete, mailboxView{})
		return
	}
	v.end()
	v.site.page(v.c, http.StatusOK, "last", view{Lang: v.lang, Bare: true, Page: "last.erased"})
}

// file gives a file of a checked reply as a download. The page that the button is
// on stays, so its session value stays good too.
func (s *Site) file(c *gin.Context, lang, value string, number int, entry string) {
	keys, ok := s.sessions.look(value, s.now())
	if !ok {
		s.signInAgain(c, lang)
		return
	}
	v := &visit{site: s, c: c, lang: lang, keys: keys}
	if err := v.load(); err != nil {
		s.shut(c, lang, err)
		return
	}
	item, ok := v.reply(number)
	opener, err := v.opener()
	if !ok || err != nil {
		s.fail(c, http.StatusNotFound)
		return
	}
	f, name, size, ok := v.read(opener, item).file(entry)
	if !ok {
		s.fail(c, http.StatusNotFound)
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(name)))
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.Copy(pacedWriter{c.Writer, http.NewResponseController(c.Writer)}, onlyReader{f}); err != nil {
		panic(http.ErrAbortHandler) // the download must not look whole
	}
}

// onlyReader hides every way to copy but Read, which verifies what it returns.
type onlyReader struct{ io.Reader }

// pacedWriter gives the network answerTime for each piece.
type pacedWriter struct {
	io.Writer
	control *http.ResponseController
}

func (w pacedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(answerTime)) // best effort, as in answer
	return w.Writer.Write(p)
}
