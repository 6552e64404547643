package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// ledger is the event leaves of a whole log, and what openings say they are.
//
// A record proves what its leaf is, and nothing can prove otherwise: E and the kind
// make the tag, so whoever wants to pass a report off as a filler would have to find
// an E whose HMAC of "tag filler" is the tag that stands there; E and the opening
// make the commitment.
type ledger struct {
	leaves []placed // of events, in the order of the log
	at     map[[32]byte]int
	opened []bool               // by a record; by position in leaves
	events map[[32]byte]*opened // known openings but those of fillers, by tag
	order  []*opened            // the same, in the order in which they were learned
	kinds  map[translog.Kind]int
	epochs []accounted // that have leaves, in order
}

// opened is a leaf whose opening is known.
type opened struct {
	translog.Opening
	leaf  int64 // index in the log
	epoch int64
}

// accounted is an epoch and its records.
type accounted struct {
	epoch                    int64
	leaves, records, fillers int
}

func newLedger() *ledger {
	return &ledger{at: make(map[[32]byte]int), events: make(map[[32]byte]*opened), kinds: make(map[translog.Kind]int)}
}

// add is told each leaf of the log, in order.
func (l *ledger) add(index int64, text []byte) {
	leaf, err := translog.ParseLeaf(text)
	if err != nil {
		return // a note
	}
	l.at[leaf.Tag] = len(l.leaves)
	l.leaves, l.opened = append(l.leaves, placed{index, leaf}), append(l.opened, false)
	if n := len(l.epochs); n == 0 || l.epochs[n-1].epoch != leaf.Epoch {
		l.epochs = append(l.epochs, accounted{epoch: leaf.Epoch})
	}
	l.epochs[len(l.epochs)-1].leaves++
}

// read reads records up to the end of r. A record that does not fit becomes a
// finding; an error means that the stream itself cannot be used.
func (l *ledger) read(r io.Reader) (findings []*finding, err error) {
	record := make([]byte, translog.RecordSize)
	for n := 1; ; n++ {
		_, err := io.ReadFull(r, record)
		switch {
		case n == 1 && (bytes.HasPrefix(record, []byte("age-encryption.org/")) || bytes.HasPrefix(record, []byte("-----BEGIN AGE"))):
			return nil, say.Fail(say.T("the openings are still encrypted"), howToDecrypt())
		case n == 1 && err == io.EOF:
			return nil, say.Fail(say.T("there are no openings in what was given"), howToDecrypt())
		case err == io.EOF:
			return findings, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, say.Fail(say.T("the openings end in the middle of a record, after %s whole ones", n-1),
				say.T("decrypt each epoch file again and look at its size: it is a multiple of %s bytes; if age says that all is well and the size is another one, the vault sealed a file that it must not: tell the other auditors", translog.RecordSize))
		case err != nil:
			return nil, say.Fail(say.T("the openings cannot be read: %s", say.Bare(err)), say.Text{})
		}
		if f := l.take(record); f != nil {
			f.more = fmt.Sprintf("#%d", n)
			findings = append(findings, f)
		}
	}
}

func howToDecrypt() say.Text {
	return say.T("write: %s", "age -d -i identity.txt epoch-83115.age | resguardo-audit account … -openings -")
}

// take compares one record with its leaf.
func (l *ledger) take(record []byte) *finding {
	e, o, err := translog.ParseRecord(record)
	if err != nil {
		return found(recordMalformed, "")
	}
	tag := e.Tag(o.Kind)
	n, ok := l.at[o.Tag]
	if !ok {
		n, ok = l.at[tag]
	}
	if !ok {
		return found(recordUnknown, "")
	}
	at := l.leaves[n]
	wrong := func(f translog.Fault) *finding { return &finding{fault: f, leaf: at.index, epoch: at.leaf.Epoch} }
	switch {
	case o.Tag != tag:
		return wrong(recordTag)
	case e.Commit(o.Marshal()) != at.leaf.Commitment:
		return wrong(recordCommitment)
	case l.opened[n]:
		return wrong(recordRepeated)
	}
	l.opened[n] = true
	epoch := l.epochOf(at.leaf.Epoch)
	epoch.records++
	if o.Kind == translog.Filler {
		epoch.fillers++
		return nil
	}
	l.learn(n, o)
	if !possible(o) {
		return wrong(recordFields)
	}
	return nil
}

// learn notes the proven opening of the leaf at a position.
func (l *ledger) learn(n int, o translog.Opening) {
	if l.events[o.Tag] != nil {
		return
	}
	at := l.leaves[n]
	known := &opened{o, at.index, at.leaf.Epoch}
	l.events[o.Tag] = known
	l.order = append(l.order, known)
	l.kinds[o.Kind]++
}

// possible tells whether an opening says what an event of its kind can say.
func possible(o translog.Opening) bool {
	if deletes(o.Kind) {
		return o == (translog.Opening{Kind: o.Kind, Tag: o.Tag, Thread: o.Thread, Ref: o.Ref, Governance: o.Governance}) && o.Thread != [16]byte{}
	}
	return o.Thread != [16]byte{} && o.Ciphertext != [32]byte{} && o.SizeClass > 0 && o.Recipients > 0
}

// deletes tells whether events of that kind are deletions. All others stand for an item.
func deletes(k translog.Kind) bool {
	return k == translog.SourceDelete || k == translog.DeskDelete || k == translog.Expire
}

func (l *ledger) place(epoch int64) (int, bool) {
	return slices.BinarySearchFunc(l.epochs, epoch, func(a accounted, e int64) int { return int(a.epoch - e) })
}

func (l *ledger) epochOf(epoch int64) *accounted {
	n, _ := l.place(epoch)
	return &l.epochs[n]
}

// from is how many epochs have leaves from epoch on.
func (l *ledger) from(epoch int64) int {
	n, _ := l.place(epoch)
	return len(l.epochs) - n
}

// accountedFrom is how many epochs from epoch on have records, up to the last that has.
func (l *ledger) accountedFrom(epoch int64) (n int) {
	first, _ := l.place(epoch)
	for _, a := range l.epochs[first:] {
		if a.records > 0 {
			n++
		}
	}
	return n
}

// follows tells whether an event in epoch may have happened before another one
// in the epoch end: both in one epoch, or it had to wait for the next one, because
// the epoch end had no room left for fillers.
func (l *ledger) follows(epoch, end int64) bool {
	if epoch <= end {
		return true
	}
	n, _ := l.place(end)
	a := l.epochs[n]
	return n+1 < len(l.epochs) && l.epochs[n+1].epoch == epoch && a.fillers == 0 && a.records == a.leaves
}

// lateOpenings is how many epochs at the end may lack their openings: they are
// fetched after the epoch is over, and the log may have grown meanwhile.
const lateOpenings = 2

// unopened names the epochs without records, and those whose records are not
// complete. blind are the epochs in which something can have happened unseen: those
// without records, less the newest.
func (l *ledger) unopened() (findings []*finding, blind []int64) {
	first := slices.IndexFunc(l.epochs, func(a accounted) bool { return a.records > 0 })
	for n := 0; n < len(l.epochs); n++ {
		a := l.epochs[n]
		if a.records > 0 {
			if a.records < a.leaves {
				findings = append(findings, &finding{fault: recordMissing, leaf: -1, epoch: a.epoch, more: fmt.Sprintf("%d < %d", a.records, a.leaves)})
			}
			continue
		}
		end := n
		for end+1 < len(l.epochs) && l.epochs[end+1].records == 0 {
			end++
		}
		f := &finding{fault: notAccounted, leaf: -1, epoch: a.epoch, to: l.epochs[end].epoch}
		newest := end == len(l.epochs)-1 && end-n < lateOpenings
		if first >= 0 && n > first && !newest {
			f.fault = openingsMissing
		}
		for ; n <= end && !newest; n++ {
			blind = append(blind, l.epochs[n].epoch)
		}
		findings = append(findings, f)
		n = end
	}
	return findings, blind
}
