package translog

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// checkNote finds what is wrong with a note that would be the next leaf, before the
// events of epoch; epoch 0 stands for the one that is due.
func (m *Monitor) checkNote(leaf []byte, epoch int64) (Logged, *Violation) {
	g, err := ParseGovernance(leaf)
	if err != nil {
		return Logged{}, &Violation{Fault: parseFault(err), What: err.Error()}
	}
	n := Logged{Governance: g, Leaf: m.edge.n}
	fault, err := m.checkSigned(leaf, g)
	if err == nil {
		fault, err = m.checkPlace(&n, epoch)
	}
	if err == nil {
		fault, err = m.checkEffective(&n)
	}
	if err == nil {
		fault, err = m.checkBody(n)
	}
	if err != nil {
		return Logged{}, &Violation{Fault: fault, Epoch: n.Place, What: err.Error()}
	}
	return n, nil
}

// checkSigned checks genesis, signatures and chains.
func (m *Monitor) checkSigned(leaf []byte, g Governance) (Fault, error) {
	keys := m.keys
	genesis, isGenesis := g.Body.(*Genesis)
	switch {
	case m.genesis == nil && !isGenesis:
		return NoGenesis, fmt.Errorf("the first leaf is a note of kind %s", g.Kind)
	case m.genesis != nil && isGenesis:
		return SecondGenesis, errors.New("genesis is the first leaf only")
	case isGenesis:
		if fault, err := checkLogKey(genesis, m.log); err != nil {
			return fault, err
		}
		var err error
		if keys, err = genesis.verifiers(); err != nil {
			return BadNote, err
		}
	}
	if fault, err := keys.verify(leaf, g.Kind); err != nil {
		return fault, err
	}
	c := m.chain(g.Kind)
	if g.Seq != c.seq {
		return WrongSequence, fmt.Errorf("seq %d instead of %d", g.Seq, c.seq)
	}
	if g.Prev != c.prev {
		return WrongPrev, fmt.Errorf("prev %x instead of %x", g.Prev, c.prev)
	}
	return "", nil
}

// checkLogKey compares genesis with the log key that whoever watches was given.
func checkLogKey(g *Genesis, log string) (Fault, error) {
	if g.Log == log {
		return "", nil
	}
	if v, err := note.NewVerifier(log); err == nil && v.Name() != g.Origin {
		return WrongOrigin, fmt.Errorf("origin %s instead of %.100q", g.Origin, v.Name())
	}
	return ForeignLogKey, fmt.Errorf("log key %s instead of %.200q", g.Log, log)
}

// checkPlace sets the place of a note: the epoch whose events follow.
func (m *Monitor) checkPlace(n *Logged, epoch int64) (Fault, error) {
	if m.count > 0 && !m.whole() {
		return NoteInsideEpoch, fmt.Errorf("after %d event leaves of epoch %d", m.count, m.epoch)
	}
	next := m.LastEpoch() + 1
	if m.genesis == nil {
		next = n.Epoch
	}
	n.Place = max(next, epoch)
	if epoch != 0 && epoch < next {
		return WrongEpoch, fmt.Errorf("before the events of epoch %d, but the next is %d", epoch, next)
	}
	if gap, ok := n.Body.(Gap); ok {
		switch {
		case gap.From != next:
			return WrongGap, fmt.Errorf("a gap from epoch %d, but the next is %d", gap.From, next)
		case epoch != 0 && gap.To != epoch-1:
			return WrongGap, fmt.Errorf("a gap to epoch %d before the events of %d", gap.To, epoch)
		case m.gap != Gap{}:
			return WrongGap, errors.New("a second gap note before one epoch")
		case m.events && m.batch > 0:
			return WrongGap, errors.New("a gap note after another note")
		}
		n.Place = gap.To + 1
	}
	if n.Epoch > n.Place {
		return NoteFromTheFuture, fmt.Errorf("written in epoch %d, placed before the events of %d", n.Epoch, n.Place)
	}
	return "", nil
}

// checkEffective sets the epoch from which a note works. A note that stands before
// the events of epoch p is in the checkpoint that appears when p ends, that is at
// the start of p+1. Everybody has that epoch to see it: it works from p+2.
func (m *Monitor) checkEffective(n *Logged) (Fault, error) {
	switch {
	case m.genesis == nil:
		n.From = n.Epoch
	case !m.events:
		n.From = m.start
	case n.Kind.ByGovernance():
		n.From = n.Place + 2
	default:
		n.From = n.Place
	}
	if n.Effective != 0 && n.Effective < n.From {
		return TooEarly, fmt.Errorf("effective from epoch %d, but not before %d", n.Effective, n.From)
	}
	n.From = max(n.From, n.Effective)
	return "", nil
}

// checkBody compares what a note says with the notes before it.
func (m *Monitor) checkBody(n Logged) (Fault, error) {
	switch b := n.Body.(type) {
	case Card:
		old, known := m.cards[b.Fingerprint]
		if known && (old.Digest != b.Digest || old.Role != b.Role) {
			return CardChanged, fmt.Errorf("card %s", b.Fingerprint)
		}
		if !known && b.Revoked {
			return CardUnknown, fmt.Errorf("card %s is revoked", b.Fingerprint)
		}
	case Desk:
		return m.checkDesk(b)
	case Policy:
		if log, err := PolicyLog(b.Text); err != nil || log != m.genesis.Log {
			return ForeignLogKey, errors.New("a policy of another log key")
		}
	case Restore:
		if b.To > n.Leaf {
			return WrongRestore, fmt.Errorf("leaves %d to %d, but this is leaf %d", b.From, b.To, n.Leaf)
		}
	}
	return "", nil
}

func (m *Monitor) checkDesk(d Desk) (Fault, error) {
	for _, fingerprint := range d.Reviewers {
		c, known := m.cards[fingerprint]
		if !known {
			return CardUnknown, fmt.Errorf("desk %s has card %s", d.ID, fingerprint)
		}
		if c.Role != reviewerRole {
			return WrongRole, fmt.Errorf("desk %s has card %s of an auditor", d.ID, fingerprint)
		}
	}
	if _, known := m.desks[d.ID]; !known && len(d.Reviewers) > 0 && len(m.desks) >= MaxDesks {
		return TooManyDesks, fmt.Errorf("desk %s is one more than %d", d.ID, MaxDesks)
	}
	return "", nil
}
