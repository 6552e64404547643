package site

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// newCase describes a report: the first item of a new case. The vault gets the
// hash of a token derived from the codename, and the events that the source
// cannot make later.
func newCase(origin string, a accepted, keys codename.Keys) (item, error) {
	id := vault.NewCaseID()
	var thread [16]byte
	rand.Read(thread[:])
	m, err := reportManifest(origin, string(id), thread, a, keys)
	if err != nil {
		return item{}, errEncrypt
	}
	s := submission(a, keys, m.ReplyTo)
	s.Case, s.Thread = id, thread
	return item{
		manifest:   m,
		recipients: a.readers.recipients,
		message:    a.message,
		answers:    a.answers,
		store:      func(ctx context.Context, d *vault.Draft) error { return d.Commit(ctx, s) },
	}, nil
}

// submission is what the vault gets beside the sealed report, less case and thread.
func submission(a accepted, keys codename.Keys, replyTo string) vault.Submission {
	return vault.Submission{
		Mailbox: sha256.Sum256(keys.Mailbox[:]),
		Event:   translog.NewEvent(keys.Log, translog.Report, 0),
		Expire:  translog.NewEvent(keys.Log, translog.Expire, 0),
		Tombstones: [2][32]byte{
			translog.NewEvent(keys.Log, translog.SourceDelete, 0).Tag(translog.SourceDelete),
			translog.NewEvent(keys.DeskLog(), translog.DeskDelete, 0).Tag(translog.DeskDelete),
		},
		Governance: a.governance,
		Recipient:  replyTo,
		Desks:      a.readers.ids(),
		Excludes:   a.readers.excludes(),
		Day:        a.day,
		Recipients: len(a.readers.recipients),
	}
}

// followup describes one more item of a case. Two at once have one event, so
// that the second one is refused and sent again.
func followup(origin string, c vault.Case, a accepted, keys codename.Keys) item {
	sent := direction(c, false)
	last := sent[len(sent)-1]
	counter := uint64(0)
	for _, l := range sent {
		if l.kind == translog.Followup {
			counter++
		}
	}
	add := vault.Addition{
		Case:       c.ID,
		Number:     -1,
		Kind:       translog.Followup,
		Event:      translog.NewEvent(keys.Log, translog.Followup, counter),
		Day:        a.day,
		Desks:      a.readers.ids(),
		Recipients: len(a.readers.recipients),
		Governance: a.governance,
	}
	return item{
		manifest:   followupManifest(origin, string(c.ID), c.Thread, a, uint64(len(sent)), last.sum),
		recipients: a.readers.recipients,
		message:    a.message,
		store: func(ctx context.Context, d *vault.Draft) error {
			_, err := d.Append(ctx, add)
			return err
		},
	}
}

// link is an item that a case has or had. The next one of its direction names its hash.
type link struct {
	number int
	kind   translog.Kind
	day    string
	sum    [32]byte
}

// direction is the chain of everything that the source (or the desk) ever put
// into the case, in order: what was deleted alone is a part of it.
func direction(c vault.Case, desk bool) []link {
	var chain []link
	add := func(l link) {
		if card.DeskKind(string(l.kind)) == desk {
			chain = append(chain, l)
		}
	}
	for _, i := range c.Items {
		add(link{i.Number, i.Kind, i.Day, i.SHA256})
	}
	for _, g := range c.Gone {
		add(link{g.Number, g.Kind, g.Day, g.SHA256})
	}
	slices.SortFunc(chain, func(a, b link) int { return a.number - b.number })
	return chain
}
