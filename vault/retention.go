package vault

import (
	"time"

	"resguardo/vault/translog"
)

// Retention is how long a case lasts after its newest item.
type Retention struct {
	Days  int // after the newest item
	Extra int // once more, while something in the case was never seen: by a reviewer what the source sent, by the source a reply
}

// Ends is the day (2006-01-02, UTC) on which a case ends if nothing more happens;
// empty while it is held.
func (c Case) Ends(r Retention) string {
	if c.Hold {
		return ""
	}
	seen := true
	for _, i := range c.Items {
		seen = seen && (i.Seen || !i.forSomeone())
	}
	return ends(c.Day, r, seen)
}

// forSomeone tells whether it matters that the item is seen: a note of a desk to
// itself need not be.
func (i Item) forSomeone() bool {
	switch i.Kind {
	case translog.Report, translog.Followup, translog.Reply:
		return true
	}
	return false
}

func ends(day string, r Retention, seen bool) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ""
	}
	days := r.Days
	if !seen {
		days += r.Extra
	}
	return t.AddDate(0, 0, days).Format(time.DateOnly)
}

// Due lists the cases whose end is today (2006-01-02, UTC) or before.
func (v *Vault) Due(today string, r Retention) []CaseID {
	var due []CaseID
	for _, id := range v.Cases("") {
		c, err := v.Case(id)
		if err != nil {
			continue
		}
		if end := c.Ends(r); end != "" && end <= today {
			due = append(due, id)
		}
	}
	return due
}
