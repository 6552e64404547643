package main

import (
	"errors"
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/onion/site"
	"resguardo/vault/translog"
)

// signs tells when each desk with keys gave its last sign that it is read: by the
// note of a reviewer in force, or by coming into force, whichever is later. The note
// is read and verified anew. since is as of governance.Log.Since.
func (l *live) signs(since map[string]int64, force governance.Force) map[string]time.Time {
	signs := map[string]time.Time{}
	for id, epoch := range since {
		signs[id] = translog.EpochStart(epoch, l.genesis.Epoch)
		desk, _ := l.state.Desk(id)
		// A file that is damaged is no sign; check names it.
		r, by, err := l.dir.Reading(l.state, desk, l.now())
		if err == nil && slices.Contains(force.Desks[id], by) && r.Time().After(signs[id]) {
			signs[id] = r.Time()
		}
	}
	return signs
}

// believable is desks less the signs that are more than a day ahead of the clock:
// after the clock went back, nobody knows how old they are.
func believable(desks []site.Desk, now time.Time) []site.Desk {
	latest := now.Add(24 * time.Hour)
	ahead := func(d site.Desk) bool { return d.LastSign.After(latest) }
	if !slices.ContainsFunc(desks, ahead) {
		return desks
	}
	desks = slices.Clone(desks)
	for i := range desks {
		if ahead(desks[i]) {
			desks[i].LastSign = time.Time{}
		}
	}
	return desks
}

// lastSign is when a desk gave its last sign; zero if that is not known.
func (l *live) lastSign(id string) time.Time {
	for _, d := range l.desks() {
		if d.ID == id {
			return d.LastSign
		}
	}
	return time.Time{}
}

// keep keeps a note of a member that a desk is read, unless one is here that counts
// and is as new.
func (l *live) keep(r card.Reading, by card.Card, note []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.members()[by.Fingerprint()].Desks, r.Desk) {
		return errors.New("the card has just left the desk")
	}
	desk, found := l.state.Desk(r.Desk)
	if !found {
		return errors.New("the desk has just gone")
	}
	old, signer, err := l.dir.Reading(l.state, desk, l.now())
	if err == nil && old.Day >= r.Day && slices.Contains(l.members()[signer].Desks, r.Desk) {
		return nil
	}
	if err := l.dir.SetReading(r.Desk, note); err != nil {
		return err
	}
	log := l.log()
	l.refresh(log, l.epoch(log))
	return nil
}

// readings warns of every desk that is silent, and names files that are no notes.
// signs is as of live.signs.
func (c *checker) readings(s *statedir.State, signs map[string]time.Time, now time.Time) {
	for _, desk := range s.Desks {
		_, _, err := c.dir.Reading(s, desk, now)
		c.fail(err)
		sign, works := signs[desk.ID]
		hint := say.T("a reviewer of the desk who reads it sends a sign of life with: resguardo reading")
		switch {
		case !works:
		case sign.After(now.Add(24 * time.Hour)):
			c.print.Warn(say.T("desk %s counts as silent, so it is not proposed to sources: its last sign is of %s, after today", desk.ID, sign.UTC().Format(time.DateOnly)),
				say.T("set the clock"))
		case now.Sub(sign) > card.SilentAfter:
			c.print.Warn(say.T("desk %s is silent since %s, so it is not proposed to sources", desk.ID, sign.UTC().Format(time.DateOnly)), hint)
		}
	}
}

// listedDesk is one line of desk list -json.
type listedDesk struct {
	statedir.Desk
	Reading string `json:"reading"` // day of its newest note that it is read; empty: none counts
}

func withReading(d statedir.Dir, s *statedir.State) (all []listedDesk) {
	for _, desk := range s.Desks {
		all = append(all, listedDesk{desk, readingDay(d, s, desk)})
	}
	return all
}

// readingDay is the day of a desk's note that counts, or empty. A damaged one does
// not count; check names it.
func readingDay(d statedir.Dir, s *statedir.State, desk statedir.Desk) string {
	r, _, _ := d.Reading(s, desk, time.Now())
	return r.Day
}
