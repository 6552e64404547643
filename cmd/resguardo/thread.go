package main

import (
	"encoding/hex"
	"errors"
	"slices"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// thread is a case as the folder has it: its items in order, and what they say
// about each other.
type thread struct {
	*opener
	id     string
	place  int
	state  card.Case // as the vault listed it last
	items  []*item   // by number
	report *seal.Manifest
	desks  []string  // that have the case now
	next   direction // of the desk's next item
}

// item is one item of a thread.
type item struct {
	folder.Record
	manifest *seal.Manifest // nil if it is not here, or does not open
	original *seal.Manifest // of a rewrap
	letter   *card.Letter   // if it was verified
	author   string         // fingerprint that the letter claims
	why      say.Text       // why a letter does not hold
	err      error          // why it does not open
	alarms   []say.Text
}

// direction is where the chain of one side of a thread stands.
type direction struct {
	known    bool // false: items before are not for us to see
	sequence uint64
	previous [32]byte // SHA-256 of the item before; zeros if there is none
}

// newThread opens the items of a case that are here. The records are those of one
// case.
func (o *opener) newThread(records []folder.Record) (*thread, error) {
	t := &thread{opener: o, id: records[0].Case, place: records[0].Place}
	pins, err := o.folder.Desks()
	if err != nil {
		return nil, err
	}
	var listed bool
	if t.state, listed = o.folder.Case(t.id); !listed {
		t.state.Next = records[len(records)-1].Number + 1
	}
	reports := map[*item]*seal.Report{}
	for _, r := range records {
		i := &item{Record: r}
		t.items = append(t.items, i)
		if !o.folder.Here(r) {
			continue
		}
		before := len(o.alarms)
		report, f, err := o.unseal(r)
		if err != nil {
			i.err = err
			continue
		}
		f.Close()
		i.alarms = slices.Clone(o.alarms[before:])
		reports[i] = report
		i.manifest = &report.Manifest
		if report.Original != nil {
			i.original = &report.Original.Manifest
		}
	}
	t.findReport()
	t.verifyLetters(reports, pins)
	t.findDesks(pins)
	t.verifyChains(listed)
	return t, nil
}

// findReport finds the manifest that says whom to answer, and under which keys:
// that of the report, or of a rewrap of it.
func (t *thread) findReport() {
	for _, i := range t.items {
		switch {
		case i.manifest == nil:
		case i.manifest.Kind == "report" && i.Number == 0:
			t.report = i.manifest
			return
		case i.original != nil && i.original.Kind == "report" && t.report == nil:
			t.report = i.original
		}
	}
}

// source is the fingerprint of the source's age recipient.
func (t *thread) source() string { return card.Fingerprint(t.report.ReplyTo) }

// verifyLetters finds out who wrote each item of the desk.
func (t *thread) verifyLetters(reports map[*item]*seal.Report, pins map[string]folder.Desk) {
	for _, i := range t.items {
		report := reports[i]
		if report == nil || report.Letter() == nil {
			continue
		}
		if t.report == nil {
			i.why = say.T("the report that it belongs to is not here")
			continue
		}
		_, fingerprint, err := card.ParseLetter(report.Letter())
		if err != nil {
			i.why = say.T("%s", err)
			continue
		}
		i.author = fingerprint
		var c card.Card
		if c, i.why = t.writer(pins, fingerprint); !i.why.IsZero() {
			continue
		}
		l, err := report.VerifyLetter(c, t.source(), t.report.ThreadKey)
		if err != nil {
			i.why = say.T("%s", err)
			continue
		}
		i.letter = &l
	}
	for _, i := range t.items {
		if !i.why.IsZero() {
			t.chainAlarm(i.Number, say.T("%s: who wrote it is NOT verified: %s", t.folder.Path(i.File()), i.why))
		}
	}
}

// writer finds the card that signed a letter, in any desk that ever had the case.
func (t *thread) writer(pins map[string]folder.Desk, fingerprint string) (card.Card, say.Text) {
	desks := slices.Clone(t.report.Desks)
	for _, i := range t.items {
		if i.Kind == "rewrap" && i.manifest != nil {
			desks = append(desks, i.manifest.Desks...)
		}
	}
	return writer(t.folder, pins, desks, fingerprint)
}

// findDesks follows who has the case. Only letters that hold change it.
func (t *thread) findDesks(pins map[string]folder.Desk) {
	if t.report == nil {
		return
	}
	t.desks = slices.Clone(t.report.Desks)
	if first := t.joined(); first != nil { // those that could read the first rewrap had it then
		t.desks = slices.DeleteFunc(t.desks, func(id string) bool {
			return !slices.ContainsFunc(pins[id].Ever, func(f string) bool { return slices.Contains(first.manifest.Recipients, f) })
		})
	}
	for _, i := range t.items {
		switch {
		case i.letter == nil:
		case i.Kind == "rewrap":
			t.desks = union(t.desks, i.manifest.Desks)
		case i.Kind == "recuse":
			t.desks = slices.DeleteFunc(t.desks, func(id string) bool { return slices.Contains(i.manifest.Desks, id) })
		}
	}
}

// joined is the rewrap by which our desk got the case, or by which we got it as a
// new colleague; nil if we could read it from the beginning.
func (t *thread) joined() *item {
	if t.items[0].manifest != nil {
		return nil
	}
	for _, i := range t.items {
		if i.Kind == "rewrap" && i.manifest != nil {
			return i
		}
	}
	return nil
}

// before tells whether an item that does not open is from the time before we
// joined.
func (t *thread) before(i *item) bool {
	first := t.joined()
	none := (*age.NoIdentityMatchError)(nil)
	return first != nil && first.letter != nil && i.Number < first.Number && errors.As(i.err, &none)
}

// verifyChains checks that no item of either side is missing, repeated or out of
// order. What was deleted alone leaves a gap, if the vault says so.
func (t *thread) verifyChains(listed bool) {
	byNumber := map[int]*item{}
	for _, i := range t.items {
		byNumber[i.Number] = i
	}
	gone := map[int]card.Gone{}
	for _, g := range t.state.Gone {
		gone[g.Number] = g
	}
	first := t.items[0].Number
	source, desk := direction{known: first == 0}, direction{known: first == 0}
	for n := range max(t.state.Next, t.items[len(t.items)-1].Number+1) {
		side := &source
		i, g := byNumber[n], gone[n]
		switch {
		case i != nil && card.DeskKind(i.Kind), i == nil && card.DeskKind(g.Kind):
			side = &desk
		}
		switch {
		case i != nil && i.Gone && listed && g.Kind == "":
			t.chainAlarm(n, notListed(n, t.id))
			t.follow(side, i)
		case i != nil:
			t.follow(side, i)
		case g.Kind != "":
			h, _ := hex.DecodeString(g.SHA256)
			side.advance([32]byte(h))
		case n > first:
			t.chainAlarm(n, notListed(n, t.id))
			source.known, desk.known = false, false
		}
	}
	t.next = desk
}

func notListed(n int, id string) say.Text {
	return say.T("the vault neither lists item %s of case %s nor says that it was deleted", n, id)
}

func (t *thread) chainAlarm(n int, what say.Text) {
	t.alarms = append(t.alarms, what)
	for _, i := range t.items {
		if i.Number == n {
			i.alarms = append(i.alarms, what)
		}
	}
}

// follow compares an item with the one before it.
func (t *thread) follow(d *direction, i *item) {
	h, err := hex.DecodeString(i.SHA256)
	if err != nil {
		panic("resguardo: hash was not checked")
	}
	if m := i.manifest; m != nil {
		previous := ""
		if d.sequence > 0 {
			previous = hex.EncodeToString(d.previous[:])
		}
		if d.known && (m.Sequence != d.sequence || m.Previous != previous) {
			t.chainAlarm(i.Number, say.T("%s does not follow the item before it: one is missing, repeated or out of order", t.folder.Path(i.File())))
		}
		d.known, d.sequence = true, m.Sequence
		if t.report != nil && m.Thread != t.report.Thread {
			t.chainAlarm(i.Number, say.T("%s is of another thread than the report", t.folder.Path(i.File())))
		}
	}
	d.advance([32]byte(h))
}

func (d *direction) advance(sum [32]byte) {
	d.sequence++
	d.previous = sum
}

// count is how many items of this kind the case ever had, as far as is known.
func (t *thread) count(kind string) (n uint64) {
	for _, i := range t.items {
		if i.Kind == kind {
			n++
		}
	}
	for _, g := range t.state.Gone {
		if g.Kind == kind && !slices.ContainsFunc(t.items, func(i *item) bool { return i.Number == g.Number }) {
			n++
		}
	}
	return n
}
