package review

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// seen is an item with the desks of its case that a member belongs to.
type seen struct {
	vault.Item
	desks []string
}

// items lists every item that the member may fetch, oldest day first.
func (r *Review) items(c *gin.Context, m Member) {
	list := []card.Item{} // an empty list is [], not null
	for _, s := range r.visible(m) {
		// One that was deleted since, or does not open any more, is left out.
		if item, err := r.describe(s); err == nil {
			list = append(list, item)
		}
	}
	slices.SortFunc(list, func(a, b card.Item) int {
		if n := strings.Compare(a.Day, b.Day); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	answer(c, card.Items{Items: list})
}

// visible is what a member may fetch, in no order.
func (r *Review) visible(m Member) []seen {
	var all []seen
	if m.Card.Role == card.Auditor {
		for _, item := range r.vault.AllItems() {
			all = append(all, seen{item, []string{}})
		}
		return all
	}
	known := map[vault.ItemID]bool{}
	for _, kase := range r.ownCases(m) {
		desks := shared(kase.Desks, m.Desks)
		for _, item := range kase.Items {
			known[item.ID] = true
			all = append(all, seen{item, desks})
		}
	}
	// An item whose case row is damaged is still there for its desks.
	for _, desk := range m.Desks {
		for _, item := range r.vault.Items(desk) {
			if !known[item.ID] {
				known[item.ID] = true
				all = append(all, seen{item, shared(item.Desks, m.Desks)})
			}
		}
	}
	return all
}

// sees finds one item that m may fetch.
func (r *Review) sees(m Member, id vault.ItemID) (seen, bool) {
	item, err := r.vault.Item(id)
	if err != nil {
		return seen{}, false
	}
	if m.Card.Role == card.Auditor {
		return seen{item, []string{}}, true
	}
	of := item.Desks
	if kase, err := r.vault.Case(item.Case); err == nil {
		of = kase.Desks
	}
	desks := shared(of, m.Desks)
	return seen{item, desks}, len(desks) > 0
}

// describe tells about an item, with what proves its leaf.
func (r *Review) describe(s seen) (card.Item, error) {
	event, opening, err := r.vault.Evidence(s.ID)
	if err != nil {
		return card.Item{}, err
	}
	return card.Item{
		ID:      string(s.ID),
		Case:    string(s.Case),
		Kind:    string(s.Kind),
		Number:  s.Number,
		Day:     s.Day,
		Desks:   s.desks,
		Size:    s.Size,
		SHA256:  hex.EncodeToString(s.SHA256[:]),
		Tag:     hex.EncodeToString(s.Tag[:]),
		Event:   card.EncodeEvent(event),
		Opening: string(opening.Marshal()),
	}, nil
}

// shared is the sorted desks in both lists.
func shared(a, b []string) []string {
	both := []string{}
	for _, desk := range a {
		if slices.Contains(b, desk) {
			both = append(both, desk)
		}
	}
	slices.Sort(both)
	return slices.Compact(both)
}

// item sends an item's bytes, or the one range of them that is asked for.
func (r *Review) item(c *gin.Context, m Member) {
	id := vault.ItemID(c.Param("id"))
	s, ok := r.sees(m, id)
	if !ok {
		fail(c, notFound)
		return
	}
	f, err := r.vault.OpenItem(id)
	switch {
	case errors.Is(err, vault.ErrNotFound): // deleted since
		fail(c, notFound)
		return
	case err != nil:
		fail(c, internal)
		return
	}
	defer f.Close()
	ended := r.send(c, f, s.Size, func() bool {
		now, ok := r.now(m)
		if ok {
			_, ok = r.sees(now, id)
		}
		return ok
	})
	if ended && s.fromSource() && len(shared(s.Item.Desks, m.Desks)) > 0 {
		// The vault stops by itself if it cannot write; the member has the item.
		_ = r.vault.See(context.WithoutCancel(c.Request.Context()), id)
	}
}

// fromSource tells whether retention waits for a reviewer to fetch the item. For
// a reply it waits for the source.
func (s seen) fromSource() bool { return s.Kind == translog.Report || s.Kind == translog.Followup }

// now is the member as it is at this moment; false once its card is revoked.
func (r *Review) now(m Member) (Member, bool) {
	now, ok := r.members()[m.Card.Fingerprint()]
	return now, ok && now.Card == m.Card
}

// send answers with content, or the one range of it that is asked for, and tells
// whether its last byte was sent. It ends when allowed no longer says so.
func (r *Review) send(c *gin.Context, content io.ReadSeeker, size int64, allowed func() bool) (ended bool) {
	asked := c.Request.Header.Get("Range")
	first, last, ok := parseRange(asked, size)
	if !ok {
		c.Header("Content-Range", fmt.Sprintf("bytes */%d", size))
		fail(c, noSuchRange)
		return false
	}
	c.Header("Content-Type", "application/octet-stream")
	// ServeContent sees the checked range only: its own error answers and
	// preconditions would drop our headers. No time, so no Last-Modified.
	plain := &http.Request{Method: http.MethodGet, Header: http.Header{}}
	if asked != "" {
		plain.Header.Set("Range", asked)
	}
	http.ServeContent(c.Writer, plain, "", time.Time{}, &download{
		ReadSeeker: content,
		allowed:    allowed,
		extend:     http.NewResponseController(c.Writer).SetWriteDeadline,
	})
	return last == size-1 && int64(c.Writer.Size()) == last-first+1
}

// parseRange reads "bytes=FIRST-" and "bytes=FIRST-LAST" inside size bytes: what a
// program that resumes asks for. Nothing asked is everything.
func parseRange(s string, size int64) (first, last int64, ok bool) {
	if s == "" {
		return 0, size - 1, true
	}
	s, ok = strings.CutPrefix(s, "bytes=")
	from, to, found := strings.Cut(s, "-")
	if !ok || !found {
		return 0, 0, false
	}
	begin, err := strconv.ParseUint(from, 10, 63)
	if err != nil || int64(begin) >= size {
		return 0, 0, false
	}
	if to == "" {
		return int64(begin), size - 1, true
	}
	end, err := strconv.ParseUint(to, 10, 63)
	return int64(begin), int64(end), err == nil && begin <= end && int64(end) < size
}

// download is something on its way out. Each piece gets a new deadline, so a
// member that stopped reading does not hold the connection, and none goes out
// when the member is revoked: the client sees a cut connection.
type download struct {
	io.ReadSeeker
	allowed func() bool
	extend  func(time.Time) error
}

func (d *download) Read(p []byte) (int, error) {
	if !d.allowed() {
		return 0, errRevoked
	}
	// Not every connection has deadlines; the server's have.
	_ = d.extend(time.Now().Add(writeDeadline))
	return d.ReadSeeker.Read(p)
}
