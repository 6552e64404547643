package statedir

import (
	"slices"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Change is one change of desks or cards. Exactly one field is set. Its JSON
// form goes over the control socket.
type Change struct {
	AddDesk       *Desk       `json:"add_desk,omitempty"`
	AddReviewer   *Joining    `json:"add_reviewer,omitempty"`
	Revoke        *Revocation `json:"revoke,omitempty"`
	AddAuditor    *Joining    `json:"add_auditor,omitempty"`    // without a desk
	RevokeAuditor *Revocation `json:"revoke_auditor,omitempty"` // without a desk
}

// Joining adds a card to a desk, or to the auditors.
type Joining struct {
	Desk string `json:"desk,omitempty"`
	Path string `json:"path"` // where the card came from, for errors
	Card []byte `json:"card"`
}

// Revocation takes a reviewer out of one desk, or of all if Desk is empty. The
// card file stays: a card with the same fingerprint and other keys is refused
// for ever.
type Revocation struct {
	Fingerprint string `json:"fingerprint"` // or its first 8 digits or more
	Desk        string `json:"desk"`
}

// Outcome is what a change did.
type Outcome struct {
	Fingerprint string   `json:"fingerprint,omitempty"` // of the reviewer or auditor
	Desks       []string `json:"desks"`                 // ids of the desks that changed; none = it was so already
	Empty       []string `json:"empty,omitempty"`       // of these, the ones left without reviewers
	Auditors    bool     `json:"auditors,omitempty"`    // the auditors changed
}

// Apply makes the change, on the disk. The caller holds the lock of the
// directory. An error means that nothing was changed, except that a revocation
// from several desks may be half done: repeat it.
func (d Dir) Apply(c Change) (Outcome, error) {
	s, err := d.Load()
	if err != nil {
		return Outcome{}, err
	}
	switch {
	case c.AddDesk != nil:
		return d.addDesk(s, *c.AddDesk)
	case c.AddReviewer != nil:
		return d.addReviewer(s, *c.AddReviewer)
	case c.Revoke != nil:
		return d.revoke(s, *c.Revoke)
	case c.AddAuditor != nil:
		return d.addAuditor(s, *c.AddAuditor)
	case c.RevokeAuditor != nil:
		return d.revokeAuditor(s, *c.RevokeAuditor)
	}
	return Outcome{}, say.Fail(say.T("the change is empty"), say.Text{})
}

func (d Dir) addDesk(s *State, desk Desk) (Outcome, error) {
	desk.Format = DeskFormat
	desk.Demo = s.Config.Demo
	desk.Reviewers = nil
	var f file
	f.checkDesk(desk, s.Config)
	if err := f.err(); err != nil {
		return Outcome{}, err
	}
	if _, found := s.Desk(desk.ID); found {
		return Outcome{}, say.Fail(say.T("there is a desk %s already", desk.ID),
			say.T("choose another id; to change the desk, stop serve and edit %s", d.Path(DesksDir, desk.ID+".toml")))
	}
	if len(s.Desks) == MaxDesks {
		return Outcome{}, say.Fail(say.T("this vault has %s desks, more are not possible", MaxDesks), say.T("make a second vault"))
	}
	return Outcome{Desks: []string{desk.ID}}, d.writeDesk(desk)
}

func (d Dir) addReviewer(s *State, j Joining) (Outcome, error) {
	r, err := parseCard(j.Path, j.Card)
	if err != nil {
		return Outcome{}, err
	}
	if r.Card.Role != card.Reviewer {
		return Outcome{}, &say.Error{Path: j.Path, Line: 2, What: say.T("this is the card of an auditor, not of a reviewer"), Hint: hintCard()}
	}
	desk, err := s.mustDesk(j.Desk)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Fingerprint: r.Card.Fingerprint()}
	if slices.Contains(desk.Reviewers, o.Fingerprint) {
		return o, sameCard(s, j.Path, r.Card)
	}
	if err := sameCard(s, j.Path, r.Card); err != nil {
		return Outcome{}, err
	}
	if len(desk.Reviewers) == MaxReviewers {
		return Outcome{}, say.Fail(say.T("desk %s has %s reviewers, more are not possible", desk.ID, MaxReviewers), say.T("revoke some, or make a second desk"))
	}
	if _, known := s.Reviewer(o.Fingerprint); !known {
		if err := write(d.Path(CardsDir, o.Fingerprint+".card"), j.Card); err != nil {
			return Outcome{}, err
		}
	}
	desk.Reviewers = append(slices.Clone(desk.Reviewers), o.Fingerprint)
	o.Desks = []string{desk.ID}
	return o, d.writeDesk(desk)
}

// sameCard refuses a card that shares a key, but not all keys, with one that is
// here: who may read, sign and connect would otherwise depend on the order in
// which cards came.
func sameCard(s *State, path string, c card.Card) error {
	hint := say.T("let the reviewer make new keys with \"resguardo keygen\" in a new directory, and ask over the phone who sent this card")
	for _, r := range s.holders() {
		switch {
		case r.Card == c:
			return nil
		case r.Card.Fingerprint() == c.Fingerprint():
			return &say.Error{Path: path, Line: 4, What: say.T("another card with fingerprint %s and other keys is here already", c.Fingerprint()), Hint: hint}
		case r.Card.Client == c.Client:
			return &say.Error{Path: path, Line: 5, What: say.T("the card of %s has the same client key", r.Card.Fingerprint()), Hint: hint}
		}
	}
	return nil
}

func (d Dir) revoke(s *State, r Revocation) (Outcome, error) {
	fingerprint, err := s.find(r.Fingerprint, card.Reviewer)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Fingerprint: fingerprint}
	if r.Desk != "" {
		if _, err := s.mustDesk(r.Desk); err != nil {
			return Outcome{}, err
		}
	}
	for _, desk := range s.Desks {
		i := slices.Index(desk.Reviewers, fingerprint)
		if i < 0 || r.Desk != "" && desk.ID != r.Desk {
			continue
		}
		desk.Reviewers = slices.Delete(slices.Clone(desk.Reviewers), i, i+1)
		if err := d.writeDesk(desk); err != nil {
			return o, err
		}
		o.Desks = append(o.Desks, desk.ID)
		if len(desk.Reviewers) == 0 {
			o.Empty = append(o.Empty, desk.ID)
		}
	}
	return o, nil
}

func (s *State) mustDesk(id string) (Desk, error) {
	desk, found := s.Desk(id)
	if !found {
		return Desk{}, say.Fail(say.T("there is no desk %s", quote(id)), say.T("see the desks with: resguardod desk list -dir DIR"))
	}
	return desk, nil
}

// holders are all cards.
func (s *State) holders() []Holder {
	var all []Holder
	for _, r := range s.Reviewers {
		all = append(all, r.Holder)
	}
	for _, a := range s.Auditors {
		all = append(all, a.Holder)
	}
	return all
}

// find returns the one fingerprint of that role that begins with prefix.
func (s *State) find(prefix string, role card.Role) (string, error) {
	const shortest = 8
	if len(prefix) < shortest || !isOf(prefix, "0123456789abcdef", 64) {
		return "", say.Fail(say.T("%s is not a fingerprint", quote(prefix)),
			say.T("give the 64 hex digits that \"resguardod reviewer list\" or \"auditor list\" shows, or at least the first %s", shortest))
	}
	var found []string
	for _, h := range s.holders() {
		if f := h.Card.Fingerprint(); h.Card.Role == role && strings.HasPrefix(f, prefix) {
			found = append(found, f)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", say.Fail(say.T("%s cards begin with %s", len(found), prefix), say.T("give more digits"))
	case role == card.Auditor:
		return "", say.Fail(say.T("there is no auditor %s", prefix), say.T("see the auditors with: resguardod auditor list -dir DIR"))
	}
	return "", say.Fail(say.T("there is no reviewer %s", prefix), say.T("see the reviewers with: resguardod reviewer list -dir DIR"))
}
