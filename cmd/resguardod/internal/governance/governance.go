// Package governance compares the operator's files with the public log: which
// notes should stand there and do not, which of them still wait for a signature,
// and which reviewers and auditors are in force.
//
// Nothing is scripted. After every change, at every start and at the end of every
// epoch the same comparison is made, so that a note that was lost or a file that
// was edited by hand is found too. It is pure: files in, notes out.
//
// In force is who stands in the operator's files AND works in the log. So a card
// that leaves the files is out at once, and one that is added waits until everybody
// could see it in the log.
package governance

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// Log is what the public log says.
type Log struct {
	Genesis *translog.Genesis // nil: the log has not begun
	Notes   []translog.Logged
	Last    int64 // newest epoch that is closed, or covered by a gap
	Size    int64 // leaves

	governance, operations chain
}

// chain is what a signer's next note continues.
type chain struct {
	seq  uint64
	prev [32]byte
}

// Of copies what a monitor knows. A nil monitor is a log that has not begun.
func Of(m *translog.Monitor) Log {
	if m == nil || m.Genesis() == nil {
		return Log{}
	}
	l := Log{Genesis: m.Genesis(), Notes: slices.Clone(m.Notes()), Last: m.LastEpoch(), Size: m.Size()}
	l.governance.seq, l.governance.prev = m.Next(translog.DeskNote)
	l.operations.seq, l.operations.prev = m.Next(translog.GapNote)
	return l
}

// Files is what the log should say, as the operator's files have it.
type Files struct {
	Genesis *translog.Genesis // for a log that has not begun
	Cards   []translog.Card   // of reviewers that are in a desk, and of auditors, revoked or not
	Desks   []translog.Desk
	Policy  string
	Retention
}

// Retention is the body of a retention note.
type Retention = translog.Retention

// FilesOf puts the operator's files in the words of the log. genesis brings what
// never changes.
func FilesOf(s *statedir.State, genesis *translog.Genesis, policy string) Files {
	f := Files{Policy: policy, Retention: Retention{Days: s.Config.RetentionDays, DeleteSignatures: s.Config.DeleteBy}}
	g := *genesis
	g.Policy, g.Retention = f.Policy, f.Retention
	f.Genesis = &g
	for _, r := range s.Reviewers {
		if len(r.Desks) > 0 {
			f.Cards = append(f.Cards, cardOf(r.Holder, false))
		}
	}
	for _, a := range s.Auditors {
		f.Cards = append(f.Cards, cardOf(a.Holder, a.Revoked))
	}
	for _, d := range s.Desks {
		reviewers := slices.Clone(d.Reviewers)
		slices.Sort(reviewers)
		f.Desks = append(f.Desks, translog.Desk{ID: d.ID, Organisation: d.Organisation, Government: d.Government, Reviewers: reviewers})
	}
	return f
}

func cardOf(h statedir.Holder, revoked bool) translog.Card {
	return translog.Card{Fingerprint: h.Card.Fingerprint(), Role: string(h.Card.Role), Digest: h.Digest, Revoked: revoked}
}

// said is what the notes of the governance keys say, up to one of them.
type said struct {
	begun     bool
	cards     map[string]translog.Card
	desks     map[string]translog.Desk
	policy    string
	retention Retention
}

// said is what the log says by now, with what does not work yet.
func (l Log) said() said {
	s := said{cards: map[string]translog.Card{}, desks: map[string]translog.Desk{}}
	for _, n := range l.Notes {
		s.hear(n.Body)
	}
	return s
}

func (s *said) hear(b translog.Body) {
	switch b := b.(type) {
	case *translog.Genesis:
		s.begun, s.policy, s.retention = true, b.Policy, b.Retention
	case translog.Card:
		s.cards[b.Fingerprint] = b
	case translog.Desk:
		s.desks[b.ID] = b
	case translog.Policy:
		s.policy = b.Text
	case translog.Retention:
		s.retention = b
	}
}

// missing are the bodies that would make the log say what the files say, in an
// order in which the log takes them: cards before desks, and desks that lose
// all reviewers before others that gain some.
func (s said) missing(f Files) (bodies []translog.Body) {
	if !s.begun {
		bodies = append(bodies, f.Genesis)
		s.policy, s.retention = f.Policy, f.Retention
	}
	for _, c := range f.Cards {
		old, known := s.cards[c.Fingerprint]
		// A card's file never changes: another one under its fingerprint is not in force.
		if !known && !c.Revoked || known && old.Digest == c.Digest && old.Revoked != c.Revoked {
			bodies = append(bodies, c)
		}
	}
	for _, d := range s.desksThatMiss(f) {
		bodies = append(bodies, d)
	}
	if s.policy != f.Policy {
		bodies = append(bodies, translog.Policy{Text: f.Policy})
	}
	if s.retention != f.Retention {
		bodies = append(bodies, f.Retention)
	}
	return bodies
}

func (s said) desksThatMiss(f Files) (desks []translog.Desk) {
	for _, id := range slices.Sorted(maps.Keys(s.desks)) {
		gone := !slices.ContainsFunc(f.Desks, func(d translog.Desk) bool { return d.ID == id })
		if d := s.desks[id]; gone && len(d.Reviewers) > 0 {
			d.Reviewers = nil
			desks = append(desks, d)
		}
	}
	for _, d := range f.Desks {
		if old, known := s.desks[d.ID]; !known || !same(old, d) {
			desks = append(desks, d)
		}
	}
	slices.SortStableFunc(desks, func(a, b translog.Desk) int {
		return cmp.Compare(min(len(a.Reviewers), 1), min(len(b.Reviewers), 1))
	})
	return desks
}

// same tells whether two bodies say the same.
func same(a, b translog.Body) bool {
	text := func(b translog.Body) []byte { return translog.Governance{Kind: translog.KindOf(b), Body: b}.Text() }
	return translog.KindOf(a) == translog.KindOf(b) && bytes.Equal(text(a), text(b))
}

// id is what a request's file name says beside its kind.
func id(b translog.Body) string {
	switch b := b.(type) {
	case *translog.Genesis:
		return b.Origin
	case translog.Desk:
		return b.ID
	case translog.Card:
		return b.Fingerprint[:16]
	case translog.Retention:
		return "days"
	}
	return "text"
}

// Unnoted are the cards whose file is another one than the log names: they are
// never in force.
func (l Log) Unnoted(s *statedir.State) (fingerprints []string) {
	said := l.said()
	for _, c := range FilesOf(s, &translog.Genesis{}, "").Cards {
		if old, known := said.cards[c.Fingerprint]; known && old.Digest != c.Digest {
			fingerprints = append(fingerprints, c.Fingerprint)
		}
	}
	return fingerprints
}

// isAuditor tells the role of a card.
func isAuditor(c translog.Card) bool { return c.Role == string(card.Auditor) }
