package main

import (
	"slices"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// summary is what a log says about itself, once it is proven to be whole.
type summary struct {
	Event      string    `json:"event"`
	Exit       int       `json:"exit"`
	Origin     string    `json:"origin"`
	Size       int64     `json:"size"`
	Root       string    `json:"root"`
	FirstEpoch int64     `json:"first_epoch"`
	LastEpoch  int64     `json:"last_epoch"`
	Ended      time.Time `json:"ended"`
	Length     int64     `json:"epoch_seconds"`
	Slots      int       `json:"slots"`
	Events     int64     `json:"events"` // event leaves, fillers included
	Witnesses  int       `json:"witnesses"`
	Cosigned   []string  `json:"cosigned"`
	CosignedAt time.Time `json:"cosigned_at,omitzero"`
	Witnessed  int64     `json:"witnessed_epoch,omitempty"`
	Desks      []desk    `json:"desks"`
	Auditors   int       `json:"auditors"`
	Notes      []change  `json:"notes"` // after the first event leaf
	Retention  int       `json:"retention_days"`
	Deleters   int       `json:"delete_signatures"`
	Build      string    `json:"build,omitempty"`
	Assets     int       `json:"assets,omitempty"`
}

// auditor is the role of an auditor's card.
const auditor = "auditor"

// desk is a desk in force.
type desk struct {
	ID        string `json:"id"`
	Reviewers int    `json:"reviewers"`
}

// change is a note that came after the log had begun.
type change struct {
	Leaf  int64    `json:"leaf"`
	Epoch int64    `json:"epoch"` // place
	From  int64    `json:"from"`  // works from this epoch
	Kind  string   `json:"kind"`
	What  say.Text `json:"-"`
	Words string   `json:"what"`
}

// summary collects what the whole log says.
func (a *audit) summary(code int) summary {
	g, m := a.monitor.Genesis(), a.monitor
	s := summary{
		Event: "log", Exit: code, Origin: a.checkpoint.Origin, Size: a.checkpoint.N, Root: a.checkpoint.Hash.String(),
		FirstEpoch: m.Notes()[0].Place, LastEpoch: m.LastEpoch(), Ended: a.ended(), Length: int64(g.Epoch / time.Second),
		Slots: g.Slots, Events: a.checkpoint.N - int64(len(m.Notes())),
		Witnesses: len(a.policy.witnesses), CosignedAt: a.checkpoint.newest(), Witnessed: a.witnessed,
		Cosigned: []string{}, Desks: []desk{}, Notes: []change{},
		Retention: g.Retention.Days, Deleters: g.Retention.DeleteSignatures,
	}
	for _, c := range a.checkpoint.cosigned {
		s.Cosigned = append(s.Cosigned, c.witness)
	}
	desks, auditors := map[string]int{}, map[string]bool{}
	for _, n := range m.Notes() {
		if n.Leaf != 0 {
			if c, ok := changed(n, a.firstEvent); ok {
				s.Notes = append(s.Notes, c)
			}
		}
		if n.From > s.LastEpoch+1 {
			continue
		}
		switch b := n.Body.(type) {
		case translog.Desk:
			desks[b.ID] = len(b.Reviewers)
		case translog.Card:
			if b.Role == auditor {
				auditors[b.Fingerprint] = !b.Revoked
			}
		case translog.Retention:
			s.Retention, s.Deleters = b.Days, b.DeleteSignatures
		case translog.Assets:
			s.Build, s.Assets = b.Build, len(b.Files)
		}
	}
	for id, reviewers := range desks {
		s.Desks = append(s.Desks, desk{id, reviewers})
	}
	slices.SortFunc(s.Desks, func(a, b desk) int { return strings.Compare(a.ID, b.ID) })
	for _, in := range auditors {
		if in {
			s.Auditors++
		}
	}
	return s
}

// changed puts a note into words. Notes of the beginning and lists of files are
// in the summary already.
func changed(n translog.Logged, firstEvent int64) (change, bool) {
	c := change{Leaf: n.Leaf, Epoch: n.Place, From: n.From, Kind: string(n.Kind)}
	begun := firstEvent >= 0 && n.Leaf > firstEvent
	switch b := n.Body.(type) {
	case translog.Gap:
		c.What = say.T("the log did not grow in epochs %s to %s", b.From, b.To)
		return c, true
	case translog.Restore:
		c.What = say.T("an old copy of the vault was put back: what leaves %s to %s stand for is lost", b.From, b.To-1)
		return c, true
	case translog.Incident:
		c.What = incident(b)
		return c, true
	case translog.Desk:
		c.What = say.T("desk %s, reviewers: %s", b.ID, len(b.Reviewers))
	case translog.Card:
		switch {
		case b.Revoked:
			c.What = say.T("the card of an auditor leaves: %s", b.Fingerprint)
		case b.Role == auditor:
			c.What = say.T("the card of an auditor enters: %s", b.Fingerprint)
		default:
			c.What = say.T("the card of a reviewer enters: %s", b.Fingerprint)
		}
	case translog.Policy:
		c.What = say.T("the log names another policy")
	case translog.Retention:
		c.What = say.T("reports are kept for %s days; %s signatures delete one", b.Days, b.DeleteSignatures)
	case translog.Assets:
		c.What = say.T("the program or what the pages load changed: build %s, files: %s", b.Build, len(b.Files))
	}
	return c, begun && !c.What.IsZero()
}

func incident(b translog.Incident) say.Text {
	switch {
	case b.What == translog.Unwitnessed:
		return say.T("published without witnesses from epoch %s on", b.Epoch)
	case b.Desk != "":
		return say.T("the operator alone took a card out of desk %s: %s", b.Desk, b.Fingerprint)
	}
	return say.T("the operator alone took out a card: %s", b.Fingerprint)
}

// summarise prints the summary, for people or for programs.
func (p *program) summarise(o *options, a *audit, code int) {
	s := a.summary(code)
	if o.json {
		for i, c := range s.Notes {
			s.Notes[i].Words = p.Text(c.What)
		}
		p.object(s)
		return
	}
	p.Say(say.T("log: %s", s.Origin))
	p.Say(say.T("size: %s leaves, %s of them events or fillers", s.Size, s.Events))
	p.Say(say.T("root: %s", s.Root))
	if s.LastEpoch < s.FirstEpoch {
		p.Say(say.T("epochs: none has ended yet; the first is %s, of %s, %s leaves or more each", s.FirstEpoch, a.monitor.Genesis().Epoch.String(), s.Slots))
	} else {
		p.Say(say.T("epochs: %s to %s, of %s, %s leaves or more each", s.FirstEpoch, s.LastEpoch, a.monitor.Genesis().Epoch.String(), s.Slots))
		p.Say(say.T("last epoch ended: %s", clock(s.Ended)))
	}
	p.Say(say.T("signed by: the log's key and %s", a.signatures()))
	if !s.CosignedAt.IsZero() {
		p.Say(say.T("newest witness signature: %s (%s)", clock(s.CosignedAt), strings.Join(s.Cosigned, ", ")))
	}
	for _, d := range s.Desks {
		p.Say(say.T("desk: %s, reviewers: %s", d.ID, d.Reviewers))
	}
	p.Say(say.T("auditors: %s", s.Auditors))
	p.Say(say.T("kept for: %s days; %s signatures delete a report", s.Retention, s.Deleters))
	if s.Build != "" {
		p.Say(say.T("program: build %s, files: %s", s.Build, s.Assets))
	}
	for _, c := range s.Notes {
		if c.From > c.Epoch {
			p.Say(say.T("epoch %s: %s (from epoch %s)", c.Epoch, c.What, c.From))
		} else {
			p.Say(say.T("epoch %s: %s", c.Epoch, c.What))
		}
	}
	if code == exitOK {
		p.Say(say.T("result: every check passed"))
	} else {
		p.Say(say.T("result: the log is whole, but see above"))
	}
}
