package statedir

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// readingSuffix ends the name of the file of a desk's newest note that it is read.
const readingSuffix = ".reading"

// Reading is a desk's note and the fingerprint of who signed it, if there is one that
// counts: of a reviewer who is in the desk now, and of a day no later than tomorrow.
// The error is about a file that is damaged, or is not this desk's.
func (d Dir) Reading(s *State, desk Desk, now time.Time) (r card.Reading, by string, err error) {
	path := d.Path(DesksDir, desk.ID+readingSuffix)
	note, err := ReadFile(path, card.MaxReading)
	if errors.Is(err, fs.ErrNotExist) {
		return card.Reading{}, "", nil
	}
	if err != nil {
		return card.Reading{}, "", err
	}
	damaged := &say.Error{Path: path, What: say.T("this is not a note that desk %s is read", desk.ID),
		Hint: say.T("remove it; a reviewer of the desk sends a new one with: resguardo reading")}
	r, by, err = card.ParseReading(note)
	if err != nil || r.Origin != s.Config.Origin || r.Desk != desk.ID {
		return card.Reading{}, "", damaged
	}
	reviewer, found := s.Reviewer(by)
	if !found || !slices.Contains(desk.Reviewers, by) || r.Early(now) {
		return card.Reading{}, "", nil
	}
	if _, err := card.OpenReading(note, reviewer.Card); err != nil {
		return card.Reading{}, "", damaged
	}
	return r, by, nil
}

// SetReading replaces a desk's note.
func (d Dir) SetReading(desk string, note []byte) error {
	return write(d.Path(DesksDir, desk+readingSuffix), note)
}
