package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// readers asks for keys and remembers them. A key that the vault lists and its log
// does not name is never used and never remembered.
type readers struct {
	*link
	accept bool                   // without asking
	pins   map[string]folder.Desk // as in the folder
}

// readDesks compares the keys of every desk with the log and with what the folder
// remembers, and tells every change in the card's own desks.
func (r *link) readDesks(ctx context.Context) error {
	r.served = nil
	if r.log == nil {
		return nil
	}
	desks, reading, err := r.client.Desks(ctx)
	if err != nil {
		return err
	}
	pins, err := r.folder.Desks()
	if err != nil {
		return err
	}
	for id, cards := range desks {
		own := slices.Contains(r.desks, id)
		named := slices.DeleteFunc(slices.Clone(cards), func(c api.Reviewer) bool { return !r.log.Names(c.Card, c.File, id, r.epoch()) })
		if len(named) < len(cards) {
			r.broken = true
			r.alarm(say.T("the vault lists keys for desk %s that the public log does not name: %s", id, fingerprints(without(cards, named))),
				say.T("nothing is sealed to them; tell the other reviewers and the auditors: whoever holds such a key could read what is sent to this desk"))
		}
		desks[id] = named
		now, err := r.rememberCards(named)
		if err != nil {
			return err
		}
		pin, known := pins[id]
		if own {
			r.tellChanges(id, pin, known, now)
		}
		if own && !known { // taken on trust once, as the vault itself
			pin.Accepted = now
		}
		pin.Now, pin.Ever = now, union(pin.Ever, now)
		pin.Own, pin.Reading = own, reading[id]
		pins[id] = pin
	}
	for _, id := range r.desks {
		if !slices.ContainsFunc(desks[id], r.mine) {
			r.alarm(say.T("the vault does not list your card among the readers of your desk %s", id),
				say.T("new reports to this desk are not sealed to your key; ask the operator and the other reviewers why"))
		}
	}
	for id, pin := range pins {
		if pin.Own && !slices.Contains(r.desks, id) {
			pin.Own = false
			pins[id] = pin
		}
	}
	r.served = desks
	return r.folder.SetDesks(pins)
}

func (r *link) mine(c api.Reviewer) bool { return c.Card == r.card }

// rememberCards keeps the cards and returns their fingerprints, sorted.
func (r *link) rememberCards(cards []api.Reviewer) ([]string, error) {
	now := []string{}
	for _, c := range cards {
		now = append(now, c.Fingerprint())
		if err := r.folder.PutReviewer(c.Fingerprint(), c.File); err != nil {
			return nil, err
		}
	}
	slices.Sort(now)
	return now, nil
}

// tellChanges names every key of a desk of ours that came or went.
func (r *link) tellChanges(id string, pin folder.Desk, known bool, now []string) {
	compare := say.T("compare the fingerprints with your colleagues, in person or by telephone")
	if !known {
		for _, f := range now {
			r.Hint(say.T("desk %s has the key %s", id, f))
		}
		r.Hint(compare)
		return
	}
	for _, f := range now {
		if !slices.Contains(pin.Now, f) {
			r.Warn(say.T("NEW KEY in your desk %s: %s", id, f), compare)
		}
	}
	for _, f := range pin.Now {
		if !slices.Contains(now, f) {
			r.Warn(say.T("a key has LEFT your desk %s: %s", id, f), say.T("ask the operator and your colleagues why, if you do not know"))
		}
	}
}

func fingerprints(cards []api.Reviewer) string {
	var list []string
	for _, c := range cards {
		list = append(list, c.Fingerprint())
	}
	return strings.Join(list, ", ")
}

// without returns those of all that are not in some.
func without(all, some []api.Reviewer) []api.Reviewer {
	return slices.DeleteFunc(slices.Clone(all), func(c api.Reviewer) bool {
		return slices.ContainsFunc(some, func(s api.Reviewer) bool { return s.Card == c.Card })
	})
}

// union is the sorted strings of both.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// sealTo returns the recipients of desks, sorted by fingerprint. Keys that are
// neither accepted earlier nor among known (those that the report was sealed to)
// must be accepted by the person, or nothing is sealed.
func (r *readers) sealTo(desks, known []string) ([]seal.Recipient, error) {
	byFingerprint := map[string]seal.Recipient{}
	fresh := map[string][]string{}
	for _, id := range desks {
		if len(r.served[id]) == 0 {
			r.Warn(say.T("desk %s has no reviewer in force; it will not be able to read this", id), say.Text{})
		}
		for _, c := range r.served[id] {
			recipient, err := seal.ParseRecipient(c.Recipient)
			if err != nil {
				return nil, err
			}
			f := c.Fingerprint()
			byFingerprint[f] = recipient
			if !slices.Contains(r.pins[id].Accepted, f) && !slices.Contains(known, f) {
				fresh[id] = append(fresh[id], f)
			}
		}
	}
	if err := r.acceptKeys(desks, fresh); err != nil {
		return nil, err
	}
	if _, ok := byFingerprint[r.card.Fingerprint()]; !ok {
		return nil, say.Fail(say.T("your own card is not among those who would read this"),
			say.T("nothing was sealed; ask the operator whether your card is still in a desk that has the case"))
	}
	var list []seal.Recipient
	for _, f := range slices.Sorted(maps.Keys(byFingerprint)) {
		list = append(list, byFingerprint[f])
	}
	return list, nil
}

// acceptKeys asks the person about keys that are new, and remembers the answer.
func (r *readers) acceptKeys(desks []string, fresh map[string][]string) error {
	if len(fresh) == 0 {
		return nil
	}
	for _, id := range desks {
		for _, f := range fresh[id] {
			r.Warn(say.T("desk %s has a key that you have not accepted: %s", id, f), say.Text{})
		}
	}
	if !r.accept {
		err := r.confirm(say.T("Seal to these keys too? Compare the fingerprints first. Write yes: "),
			say.T("nothing was sealed: there is no terminal to ask whether these keys are right"),
			say.T("compare the fingerprints with your colleagues, then give -accept-keys"))
		if err != nil {
			return err
		}
	}
	for id, list := range fresh {
		pin := r.pins[id]
		pin.Accepted = union(pin.Accepted, list)
		r.pins[id] = pin
	}
	return r.folder.SetDesks(r.pins)
}

// writer finds the card that may have signed a letter in a case of these desks.
func writer(f *folder.Folder, pins map[string]folder.Desk, desks []string, fingerprint string) (card.Card, say.Text) {
	member := slices.ContainsFunc(desks, func(id string) bool { return slices.Contains(pins[id].Ever, fingerprint) })
	c, ok := f.Reviewer(fingerprint)
	switch {
	case !ok:
		return card.Card{}, say.T("this folder has never seen the card of its writer")
	case !member:
		return card.Card{}, say.T("its writer is of no desk that has this case")
	}
	return c, say.Text{}
}
