package governance

import (
	"slices"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault/translog"
)

// Force is who may read in one epoch.
type Force struct {
	Desks    map[string][]string // fingerprints of reviewers, by desk
	Auditors []string            // fingerprints, sorted
	Sequence uint64              // of the newest governance note that works
	Policy   string              // that works

	Retention Retention // that works
}

// In tells who is in force in an epoch. A note that adds works once a checkpoint
// that everybody could see has contained it for an epoch: seen is the last epoch that
// such a checkpoint covers. The notes with which the log began work at once.
func (l Log) In(s *statedir.State, epoch, seen int64) Force {
	f := Force{Desks: map[string][]string{}}
	cards, desks := map[string]translog.Card{}, map[string][]string{}
	for _, n := range l.Notes {
		if !n.Kind.ByGovernance() || !works(n, epoch, seen) {
			continue
		}
		f.Sequence = n.Seq
		switch b := n.Body.(type) {
		case *translog.Genesis:
			f.Policy, f.Retention = b.Policy, b.Retention
		case translog.Policy:
			f.Policy = b.Text
		case translog.Retention:
			f.Retention = b
		case translog.Card:
			cards[b.Fingerprint] = b
		case translog.Desk:
			desks[b.ID] = b.Reviewers
		}
	}
	for _, d := range s.Desks {
		for _, fingerprint := range d.Reviewers {
			r, found := s.Reviewer(fingerprint)
			if found && slices.Contains(desks[d.ID], fingerprint) && cards[fingerprint].Digest == r.Digest {
				f.Desks[d.ID] = append(f.Desks[d.ID], fingerprint)
			}
		}
	}
	for _, a := range s.Auditors {
		fingerprint := a.Card.Fingerprint()
		if c := cards[fingerprint]; !a.Revoked && isAuditor(c) && !c.Revoked && c.Digest == a.Digest {
			f.Auditors = append(f.Auditors, fingerprint)
		}
	}
	return f
}

func works(n translog.Logged, epoch, seen int64) bool {
	atOnce := n.From < n.Place+2
	return n.From <= epoch && (atOnce || n.Place <= seen)
}

// Standing says from when a card works somewhere.
type Standing struct {
	Fingerprint string
	Desk        string // empty: as an auditor
	From        int64  // epoch; 0 = not known: the log has not begun, or Unsigned
	Unsigned    bool   // its note waits for a signature
	Works       bool   // now
}

// Standings tells it for every card in the files that is not revoked. plan is what
// Plan says in the current epoch; seen is as of In.
func (l Log) Standings(s *statedir.State, plan []Request, epoch, seen int64) (all []Standing) {
	force := l.In(s, epoch, seen)
	defer func() {
		for i, st := range all {
			in := force.Auditors
			if st.Desk != "" {
				in = force.Desks[st.Desk]
			}
			all[i].Works = slices.Contains(in, st.Fingerprint)
		}
	}()
	for _, r := range s.Reviewers {
		for _, desk := range r.Desks {
			all = append(all, l.standing(plan, epoch, r.Card.Fingerprint(), desk))
		}
	}
	for _, a := range s.Auditors {
		if !a.Revoked {
			all = append(all, l.standing(plan, epoch, a.Card.Fingerprint(), ""))
		}
	}
	return all
}

func (l Log) standing(plan []Request, epoch int64, fingerprint, desk string) Standing {
	st := Standing{Fingerprint: fingerprint, Desk: desk}
	for _, n := range l.Notes {
		switch adds, about := admits(n.Body, fingerprint, desk); {
		case about && !adds:
			st.From = 0
		case about && st.From == 0:
			st.From = n.From
		}
	}
	signed := true
	for _, r := range plan {
		signed = signed && r.Signed
		adds, about := admits(r.Body, fingerprint, desk)
		if !about || !adds || st.From != 0 || l.Genesis == nil {
			continue
		}
		if st.Unsigned = !signed; signed {
			st.From = l.FromNow(epoch)
		}
	}
	return st
}

// admits tells whether a body is about this card in that desk (or as an auditor), and adds it.
func admits(b translog.Body, fingerprint, desk string) (adds, about bool) {
	switch b := b.(type) {
	case translog.Desk:
		return slices.Contains(b.Reviewers, fingerprint), desk != "" && b.ID == desk
	case translog.Card:
		return !b.Revoked, desk == "" && isAuditor(b) && b.Fingerprint == fingerprint
	}
	return false, false
}

// FromNow is the epoch from which a note works that is signed in the given epoch
// and stands before that epoch's events. Its checkpoint appears in the next one, and
// everybody has that epoch to see it.
func (l Log) FromNow(epoch int64) int64 {
	if l.Genesis != nil && l.Notes[0].Place == epoch {
		return epoch + 1 // what stands before the first event leaf works at once
	}
	return epoch + 2
}
