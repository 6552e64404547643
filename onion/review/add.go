package review

import (
	"crypto/sha256"
	"io"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// add makes the handler that adds an item of one kind to a case. The body is the
// age file, which is stored as it comes; the statement in the header says what it
// is, and who answers for that.
//
// What can be refused is refused before the body is read: a program that sends
// "Expect: 100-continue" then has nothing to send.
func (r *Review) add(kind translog.Kind) func(*gin.Context, Member) {
	return func(c *gin.Context, m Member) {
		id, err := r.take(c, m, kind)
		if err != nil {
			refuse(c, err)
			return
		}
		// A member whose desk has just left the case still gets its answer.
		s, ok := r.sees(m, id)
		if !ok && s.ID == "" {
			fail(c, notFound) // deleted since
			return
		}
		item, err := r.describe(s)
		if err = storage(err); err != nil {
			refuse(c, err)
			return
		}
		answer(c, item)
	}
}

// take checks and stores what a member adds. Its error is a failure.
func (r *Review) take(c *gin.Context, m Member, kind translog.Kind) (vault.ItemID, error) {
	kase, desks, err := r.ownCase(c, m)
	if err != nil {
		return "", err
	}
	s, err := r.statement(c, m, kind, kase)
	if err != nil {
		return "", err
	}
	a, err := r.addition(s, kase, desks)
	if err != nil {
		return "", err
	}
	if c.Request.ContentLength > r.config.MaxItem {
		return "", tooLong
	}
	if !r.uploads.begin(m.Card.Fingerprint()) {
		return "", tooMany
	}
	defer r.uploads.end(m.Card.Fingerprint())
	return r.store(c, s, a, func() bool {
		now, ok := r.now(m)
		return ok && slices.Equal(shared(kase.Desks, now.Desks), desks)
	})
}

// statement opens what the member signed. It must be about this vault, this case
// and the next item of it. Its error is a failure.
func (r *Review) statement(c *gin.Context, m Member, kind translog.Kind, kase vault.Case) (card.Statement, error) {
	values := c.Request.Header.Values(card.StatementHeader)
	if len(values) != 1 {
		return card.Statement{}, malformed
	}
	msg, err := card.DecodeHeader(values[0])
	if err != nil {
		return card.Statement{}, malformed
	}
	s, err := card.OpenStatement(msg, string(kind), m.Card)
	switch {
	case err != nil || s.Origin != r.config.Origin || s.Case != string(kase.ID):
		return card.Statement{}, badStatement
	case s.Number != kase.Next:
		return card.Statement{}, fetchFirst
	case r.vault.Logged(translog.Event(s.Event).Tag(kind)): // the vault compares with what is queued, too
		return card.Statement{}, tagUsed
	}
	return s, nil
}

// addition is what the vault is asked to store for a statement. desks are those of
// the member that have the case. Its error is a failure.
//
// A rewrap hands the case to another desk as well. Whom the source excluded is
// sealed inside the report, where the server cannot read it: that a rewrap obeys
// the source is checked by the program that makes it and by every program that
// opens it (seal.Writer.Rewrap, seal.Open). The server refuses a desk that has no
// reviewer in force.
func (r *Review) addition(s card.Statement, kase vault.Case, desks []string) (vault.Addition, error) {
	a := vault.Addition{
		Case:       kase.ID,
		Number:     s.Number,
		Kind:       translog.Kind(s.Kind),
		Event:      translog.Event(s.Event),
		Ref:        s.Ref,
		Day:        time.Now().UTC().Format(time.DateOnly),
		Desks:      desks,
		Governance: r.config.Governance(),
	}
	staffed := r.staffed()
	switch a.Kind {
	case translog.Rewrap:
		if staffed[s.Desk] == nil {
			return a, noSuchDesk
		}
		a.Joins = s.Desk
		if !slices.Contains(desks, s.Desk) {
			a.Desks = append(slices.Clone(desks), s.Desk)
		}
	case translog.Recuse:
		if !slices.Contains(desks, s.Desk) {
			return a, badStatement
		}
		if !slices.ContainsFunc(kase.Desks, func(d string) bool { return d != s.Desk && staffed[d] != nil }) {
			return a, lastDesk
		}
		a.Leaves = s.Desk
	}
	return a, nil
}

// store takes the body while allowed says so. It holds some MiB of it at a time,
// however long it is. Its error is a failure.
func (r *Review) store(c *gin.Context, s card.Statement, a vault.Addition, allowed func() bool) (vault.ItemID, error) {
	b := r.newBody(c, r.config.MaxItem, allowed)
	n, file, err := recipients(b)
	if err != nil {
		return "", b.failure(otherBody)
	}
	a.Recipients = n
	d, err := r.vault.CreateReply(c.Request.Context())
	if err != nil {
		return "", storage(err)
	}
	defer d.Discard()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(d, sum), file); err != nil {
		if b.err != nil {
			return "", b.failure(malformed)
		}
		return "", storage(err)
	}
	if [32]byte(sum.Sum(nil)) != s.Ciphertext {
		return "", otherBody
	}
	if _, err := d.Append(c.Request.Context(), a); err != nil {
		return "", storage(err)
	}
	return d.ID(), nil
}
