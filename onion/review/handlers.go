package review

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
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
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// challenge answers {} with a nonce.
func (r *Review) challenge(c *gin.Context) {
	if err := decode(c, &struct{}{}); err != nil {
		fail(c, malformed)
		return
	}
	c.JSON(http.StatusOK, card.Challenge{Origin: r.origin, Nonce: r.nonces.issue()})
}

// login opens a session for a statement signed by a member's key. Every refusal
// has the same answer: a stranger does not learn which cards the vault knows.
func (r *Review) login(c *gin.Context) {
	var request card.LoginRequest
	if err := decode(c, &request); err != nil {
		fail(c, malformed)
		return
	}
	m, ok := r.members()[request.Fingerprint]
	if !ok {
		fail(c, refused)
		return
	}
	l, err := card.OpenLogin([]byte(request.Statement), m.Card)
	// The Host is one of ours: guard has checked it.
	if err != nil || l.Origin != r.origin || l.Address != c.Request.Host || !r.nonces.take(l.ServerNonce) {
		fail(c, refused)
		return
	}
	c.JSON(http.StatusOK, card.Session{
		Session: r.session.begin(request.Fingerprint),
		Role:    m.Card.Role,
		Desks:   slices.Sorted(slices.Values(m.Desks)),
	})
}

// items lists every item of the member's desks, oldest day first.
func (r *Review) items(c *gin.Context, m Member) {
	seen := map[vault.ItemID]bool{}
	list := []card.Item{} // an empty list is [], not null
	for _, desk := range m.Desks {
		for _, item := range r.vault.Items(desk) {
			if !seen[item.ID] {
				seen[item.ID] = true
				list = append(list, describe(item, m))
			}
		}
	}
	slices.SortFunc(list, func(a, b card.Item) int {
		if n := strings.Compare(a.Day, b.Day); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	c.JSON(http.StatusOK, card.Items{Items: list})
}

// describe tells m about an item. Desks that m does not belong to stay hidden.
func describe(i vault.Item, m Member) card.Item {
	return card.Item{
		ID:     string(i.ID),
		Case:   string(i.Case),
		Kind:   string(i.Kind),
		Number: i.Number,
		Day:    i.Day,
		Desks:  shared(i.Desks, m.Desks),
		Size:   i.Size,
		SHA256: hex.EncodeToString(i.SHA256[:]),
	}
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
	return both
}

// item sends an item's bytes, or the one range of them that is asked for.
func (r *Review) item(c *gin.Context, m Member) {
	id := vault.ItemID(c.Param("id"))
	item, err := r.vault.Item(id)
	if err != nil || len(shared(item.Desks, m.Desks)) == 0 {
		fail(c, notFound)
		return
	}
	asked := c.Request.Header.Get("Range")
	if asked != "" && !validRange(asked, item.Size) {
		c.Header("Content-Range", fmt.Sprintf("bytes */%d", item.Size))
		fail(c, noSuchRange)
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
	c.Header("Content-Type", "application/octet-stream")
	// ServeContent sees the checked range only: its own error answers and
	// preconditions would drop our headers. No time, so no Last-Modified.
	plain := &http.Request{Method: http.MethodGet, Header: http.Header{}}
	if asked != "" {
		plain.Header.Set("Range", asked)
	}
	fingerprint := m.Card.Fingerprint()
	http.ServeContent(c.Writer, plain, "", time.Time{}, &download{
		ReadSeeker: f,
		allowed: func() bool {
			now, ok := r.members()[fingerprint]
			return ok && len(shared(item.Desks, now.Desks)) > 0
		},
		extend: http.NewResponseController(c.Writer).SetWriteDeadline,
	})
}

// publicLog answers what is asked of the public log.
func (r *Review) publicLog(c *gin.Context) {
	found, err := logtiles.Read(r.vault, c.Request.URL)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		fail(c, notFound)
	case err != nil:
		fail(c, internal)
	default:
		// Not every connection has deadlines; the server's have.
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(writeDeadline))
		c.Header("Cache-Control", found.Cache)
		c.Header("Content-Length", strconv.Itoa(len(found.Body)))
		c.Data(http.StatusOK, found.Type, found.Body)
	}
}

// validRange accepts "bytes=FIRST-" and "bytes=FIRST-LAST" inside size bytes:
// what a program that resumes asks for.
func validRange(s string, size int64) bool {
	s, ok := strings.CutPrefix(s, "bytes=")
	from, to, found := strings.Cut(s, "-")
	if !ok || !found {
		return false
	}
	first, err := strconv.ParseUint(from, 10, 63)
	if err != nil || int64(first) >= size {
		return false
	}
	if to == "" {
		return true
	}
	last, err := strconv.ParseUint(to, 10, 63)
	return err == nil && first <= last && int64(last) < size
}

// errRevoked ends a download; the client sees a cut connection.
var errRevoked = errors.New("card no longer in force")

// download is an item on its way out. Each piece gets a new deadline, so a
// member that stopped reading does not hold the connection, and stops when the
// member is revoked.
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

// decode reads one JSON value of at most bodySize bytes and of exactly v's fields.
func decode(c *gin.Context, v any) error {
	// Not every connection has deadlines; the server's have.
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(readDeadline))
	b, err := io.ReadAll(io.LimitReader(c.Request.Body, bodySize+1))
	if err != nil {
		return err
	}
	if len(b) > bodySize {
		return errors.New("body is too long")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}
