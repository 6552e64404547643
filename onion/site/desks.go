package site

import (
	"slices"
	"strings"

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
	denied := map[string]bool{}
	for _, d := range all {
		if shut[d.ID] {
			for _, k := range d.Recipients {
				denied[k.String()] = true
			}
		}
	}
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

// unique returns the values sorted, each once.
func unique(values []string) []string {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}

// propose returns the desk to propose for a report about places (states, or
// outside, or unknown): the first that can receive, works in none of their
// regions, declared no conflict there, is not linked to government and is not
// excluded. It proposes nothing if a place is unknown, or if there is only one
// desk: then the source chooses alone.
func propose(all []Desk, places, exclude []string) (Desk, bool) {
	if len(places) == 0 || len(all) < 2 || slices.Contains(places, stateUnknown) {
		return Desk{}, false
	}
	for _, d := range all {
		near := slices.ContainsFunc(places, func(p string) bool {
			return slices.Contains(d.Conflict, p) || regionOf(p) != "" && slices.Contains(d.Regions, regionOf(p))
		})
		if near || d.Government {
			continue
		}
		if r, ref := choose(all, []string{d.ID}, exclude); ref == nil && len(r.desks) == 1 {
			return d, true
		}
	}
	return Desk{}, false
}
