package folder

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"slices"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

const (
	desksFile = "desks.json"
	cardsDir  = "cards"
)

// Desk is what the folder remembers of a desk: fingerprints, sorted.
type Desk struct {
	Now      []string `json:"now"`      // whom the vault listed last
	Ever     []string `json:"ever"`     // whom it ever listed, and the log named
	Accepted []string `json:"accepted"` // to whom items may be sealed

	Own     bool   `json:"own,omitempty"`     // a desk of the card, as the vault said last
	Reading string `json:"reading,omitempty"` // as in card.Desk
}

// Desks returns what SetDesks stored, by id; an empty map before.
func (f *Folder) Desks() (map[string]Desk, error) {
	desks := map[string]Desk{}
	b, err := f.read(desksFile, 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return desks, nil
	}
	if err != nil {
		return nil, err
	}
	damaged := strictJSON(b, &desks) != nil
	for id, d := range desks {
		for _, list := range [][]string{d.Now, d.Ever, d.Accepted} {
			damaged = damaged || slices.ContainsFunc(list, func(s string) bool { return !card.ValidFingerprint(s) })
		}
		damaged = damaged || !card.ValidDesk(id) || d.Reading != "" && !card.ValidDay(d.Reading)
	}
	if damaged {
		return nil, say.Fail(say.T("%s is damaged", f.Path(desksFile)),
			say.T("take it from your backup; without it you must compare the fingerprints of your desk again: delete it then"))
	}
	return desks, nil
}

// SetDesks remembers desks.
func (f *Folder) SetDesks(desks map[string]Desk) error {
	b, err := json.MarshalIndent(desks, "", "  ")
	if err != nil {
		return err
	}
	return f.write(desksFile, append(b, '\n'))
}

// PutReviewer keeps a reviewer's card file, so that its letters can be verified
// for ever.
func (f *Folder) PutReviewer(fingerprint string, file []byte) error {
	if !card.ValidFingerprint(fingerprint) {
		panic("folder: not a fingerprint")
	}
	name := path.Join(cardsDir, fingerprint+".txt")
	if f.exists(name) {
		return nil
	}
	if err := f.mkdirs(cardsDir); err != nil {
		return err
	}
	return f.write(name, file)
}

// Reviewer returns a card that PutReviewer kept; ok is false if there is none.
func (f *Folder) Reviewer(fingerprint string) (c card.Card, ok bool) {
	if !card.ValidFingerprint(fingerprint) {
		return card.Card{}, false
	}
	b, err := f.read(path.Join(cardsDir, fingerprint+".txt"), card.MaxSize)
	if err != nil {
		return card.Card{}, false
	}
	c, err = card.Parse(b)
	return c, err == nil && c.Fingerprint() == fingerprint
}
