package governance

import (
	"resguardo/vault/translog"
)

// Report is what the operations key has to say at the end of an epoch.
type Report struct {
	Epoch       int64 // that ends
	Revoked     []translog.Incident
	Unwitnessed int64 // first epoch that was published without a quorum; 0 = none
	Restored    translog.Restore
	Assets      translog.Assets
}

// Operations are the notes of the operations key that must stand before the events
// of r.Epoch, in order; a gap note comes first.
func (l Log) Operations(r Report) []translog.Governance {
	var bodies []translog.Body
	if r.Epoch > l.Last+1 {
		bodies = append(bodies, translog.Gap{From: l.Last + 1, To: r.Epoch - 1})
	}
	if r.Restored.To > 0 && r.Restored.To <= l.Size && !l.has(r.Restored) {
		bodies = append(bodies, r.Restored)
	}
	for _, i := range r.Revoked {
		bodies = append(bodies, i)
	}
	if i := (translog.Incident{What: translog.Unwitnessed, Epoch: r.Unwitnessed}); r.Unwitnessed > 0 && !l.has(i) {
		bodies = append(bodies, i)
	}
	if r.Assets.Build != "" && !l.newest(r.Assets) {
		bodies = append(bodies, r.Assets)
	}
	next := l.operations
	var notes []translog.Governance
	for _, b := range bodies {
		g := translog.Governance{Seq: next.seq, Prev: next.prev, Epoch: r.Epoch, Kind: translog.KindOf(b), Body: b}
		next = chain{g.Seq + 1, g.Digest()}
		notes = append(notes, g)
	}
	return notes
}

// has tells whether a note with this body is in the log.
func (l Log) has(b translog.Body) bool {
	for _, n := range l.Notes {
		if same(n.Body, b) {
			return true
		}
	}
	return false
}

// newest tells whether the newest note of that kind says the same.
func (l Log) newest(b translog.Body) bool {
	for i := len(l.Notes) - 1; i >= 0; i-- {
		if n := l.Notes[i]; n.Kind == translog.KindOf(b) {
			return same(n.Body, b)
		}
	}
	return false
}

// Removals are the incidents that the log lacks: cards that a desk, or the auditors,
// have in the log and no longer have in the files.
func (l Log) Removals(f Files) (incidents []translog.Incident) {
	type place struct{ fingerprint, desk string }
	listed := map[place]bool{} // since the last note that says otherwise
	var order []place
	put := func(p place) {
		if !listed[p] {
			listed[p] = true
			order = append(order, p)
		}
	}
	for _, n := range l.Notes {
		switch b := n.Body.(type) {
		case translog.Desk:
			for p := range listed {
				if p.desk == b.ID {
					delete(listed, p)
				}
			}
			for _, fingerprint := range b.Reviewers {
				put(place{fingerprint, b.ID})
			}
		case translog.Card:
			if isAuditor(b) && !b.Revoked {
				put(place{b.Fingerprint, ""})
			} else if isAuditor(b) {
				delete(listed, place{b.Fingerprint, ""})
			}
		case translog.Incident:
			delete(listed, place{b.Fingerprint, b.Desk})
		}
	}
	here := map[place]bool{}
	for _, d := range f.Desks {
		for _, fingerprint := range d.Reviewers {
			here[place{fingerprint, d.ID}] = true
		}
	}
	for _, c := range f.Cards {
		here[place{c.Fingerprint, ""}] = isAuditor(c) && !c.Revoked
	}
	for _, p := range order {
		if listed[p] && !here[p] {
			listed[p] = false // order may name it twice
			incidents = append(incidents, translog.Incident{What: translog.Revoked, Fingerprint: p.fingerprint, Desk: p.desk})
		}
	}
	return incidents
}
