package site

import (
	"slices"
	"strings"
	"time"

	"resguardo/crypto/seal"
)

// Desk is a group of reviewers as the source sees it.
type Desk struct {
	ID           string            // [a-z0-9-]{1,32}
	Name         map[string]string // by language
	Runs         map[string]string // by language: who runs it; empty means kept private
	Regions      []Region          // of N, B, C, S
	Organisation string            // id; may be empty
	Government   bool              // linked to government
	Languages    []string
	Conflict     []string         // codes of states that it does not take
	Recipients   []seal.Recipient // none: the desk cannot receive now
	LastSign     time.Time        // when its reviewers last said that they are reading; zero = not known
}

// silentAfter is how long after its last sign a desk is still proposed. Reviewers
// sign once a month that they are reading.
const silentAfter = 35 * 24 * time.Hour

// silent reports whether the desk gave no sign for too long, or none that is known.
func (d Desk) silent(now time.Time) bool {
	return d.LastSign.IsZero() || now.Sub(d.LastSign) > silentAfter
}

// readers is who can open a report.
type readers struct {
	desks      []Desk
	recipients []seal.Recipient
	excluded   seal.Excluded
}

func (r readers) ids() []string {
	ids := make([]string, len(r.desks))
	for i, d := range r.desks {
		ids[i] = d.ID
	}
	return ids
}

// Values of the field exclude, beside excludeGovernment.
const (
	excludeDesk         = "desk:"
	excludeOrganisation = "org:"
	excludeGovernment   = "government"
)

// choose finds the readers of a report to the desks named, without those that
// exclude names. Its recipients are the keys of these desks less every key that
// an excluded desk holds too: a person in two desks who must not read gets no
// key. A desk that is left without keys in this way is none of the readers.
func choose(all []Desk, desks, exclude []string) (readers, *refusal) {
	var r readers
	shut, ref := r.exclude(all, exclude)
	if ref != nil {
		return readers{}, ref
	}
	denied := keysOf(all, shut)
	taken := map[string]bool{}
	for _, id := range unique(desks) {
		i := slices.IndexFunc(all, func(d Desk) bool { return d.ID == id })
		if i < 0 {
			return readers{}, errUnknownDesk
		}
		if len(all[i].Recipients) == 0 {
			return readers{}, errDeskKeys
		}
		opens := false
		for _, k := range all[i].Recipients {
			if denied[k.String()] {
				continue
			}
			opens = true
			if !taken[k.String()] {
				taken[k.String()] = true
				r.recipients = append(r.recipients, k)
			}
		}
		if opens && !shut[id] {
			r.desks = append(r.desks, all[i])
		}
	}
	switch {
	case len(desks) == 0:
		return readers{}, errNoneChosen
	case len(r.recipients) == 0:
		return readers{}, errNoDesk
	case len(r.recipients) > seal.MaxRecipients:
		return readers{}, errDesksMany
	}
	return r, nil
}

// excludes tells whether the source excluded anybody.
func (r readers) excludes() bool {
	e := r.excluded
	return len(e.Desks) > 0 || len(e.Organisations) > 0 || e.Government
}

// holders finds the readers of a follow-up: the desks that have the case. Whom the
// source excluded stands sealed in the report; if it excluded somebody, every desk
// that does not have the case counts as excluded: a key that such a desk holds too is
// left out. What is passed over then is a reader too few, never one too many.
func holders(all []Desk, has []string, excludes bool) (readers, *refusal) {
	var desks, others []string
	for _, d := range all {
		switch {
		case !slices.Contains(has, d.ID):
			if excludes {
				others = append(others, excludeDesk+d.ID)
			}
		case len(d.Recipients) > 0:
			desks = append(desks, d.ID)
		}
	}
	r, ref := choose(all, desks, others)
	if ref != nil {
		return readers{}, errNoTeam
	}
	r.excluded = seal.Excluded{}
	return r, nil
}

// exclude reads the values of the field exclude into r.excluded, sorted, and
// returns the ids of the desks that they shut out.
func (r *readers) exclude(all []Desk, values []string) (map[string]bool, *refusal) {
	shut := map[string]bool{}
	for _, v := range values {
		known := false
		id, isDesk := strings.CutPrefix(v, excludeDesk)
		org, isOrg := strings.CutPrefix(v, excludeOrganisation)
		for _, d := range all {
			if isDesk && d.ID == id || isOrg && org != "" && d.Organisation == org || v == excludeGovernment && d.Government {
				shut[d.ID], known = true, true
			}
		}
		switch {
		case v == excludeGovernment:
			r.excluded.Government = true
		case !known:
			// Never pass over an exclusion that cannot be honoured.
			return nil, errUnknownDesk
		case isDesk:
			r.excluded.Desks = append(r.excluded.Desks, id)
		default:
			r.excluded.Organisations = append(r.excluded.Organisations, org)
		}
	}
	r.excluded.Desks = unique(r.excluded.Desks)
	r.excluded.Organisations = unique(r.excluded.Organisations)
	return shut, nil
}

// near reports whether the desk works in the region of one of the places, or
// declared a conflict there.
func (d Desk) near(places []string) bool {
	return slices.ContainsFunc(places, func(p string) bool {
		return slices.Contains(d.Conflict, p) || regionOf(p) != "" && slices.Contains(d.Regions, regionOf(p))
	})
}

// takers are the desks that can get a report without those that exclude names.
func takers(all []Desk, exclude []string) ([]Desk, *refusal) {
	shut, ref := new(readers).exclude(all, exclude)
	if ref != nil {
		return nil, ref
	}
	denied := keysOf(all, shut)
	return slices.DeleteFunc(slices.Clone(all), func(d Desk) bool {
		return shut[d.ID] || !slices.ContainsFunc(d.Recipients, func(k seal.Recipient) bool { return !denied[k.String()] })
	}), nil
}

// keysOf are the keys that any of some desks holds.
func keysOf(all []Desk, ids map[string]bool) map[string]bool {
	keys := map[string]bool{}
	for _, d := range all {
		if !ids[d.ID] {
			continue
		}
		for _, k := range d.Recipients {
			keys[k.String()] = true
		}
	}
	return keys
}

// unique returns the values sorted, each once.
func unique(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}

// propose returns the desk to propose for a report about places (states, or
// outside, or unknown): the first that can receive, works in none of their
// regions, declared no conflict there, is not linked to government, is not silent
// and is not excluded. It proposes nothing if a place is unknown, or if there is
// only one desk: then the source chooses alone.
func propose(all []Desk, places, exclude []string, now time.Time) (Desk, bool) {
	if len(places) == 0 || len(all) < 2 || slices.Contains(places, stateUnknown) {
		return Desk{}, false
	}
	left, _ := takers(all, exclude)
	for _, d := range left {
		if !d.near(places) && !d.Government && !d.silent(now) {
			return d, true
		}
	}
	return Desk{}, false
}
