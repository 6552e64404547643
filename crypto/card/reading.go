package card

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	readingFormat = "resguardo/reading/v1"
	// MaxReading is the most bytes of a signed Reading. One has about 250.
	MaxReading = maxStatement
	// SilentAfter is how long a Reading counts. After that the desk is silent.
	SilentAfter = 35 * 24 * time.Hour
)

// Reading is what a reviewer signs once a month to say that a desk reads what it
// gets. A desk that is silent is not proposed to sources.
type Reading struct {
	Origin string
	Desk   string
	Day    string // 2006-01-02, UTC
}

// Sign encodes r as a signed note (first line resguardo/reading/v1).
func (r Reading) Sign(signer note.Signer) ([]byte, error) {
	return signChecked(readingFormat, r.fields(), signer, func(msg []byte) error {
		_, err := parseReading(msg)
		return err
	})
}

// ParseReading reads a note without verifying it, and returns the fingerprint of the
// card that it claims to be signed by: whose card to give to OpenReading.
func ParseReading(msg []byte) (r Reading, fingerprint string, err error) {
	if r, err = parseReading(msg); err != nil {
		return Reading{}, "", err
	}
	names, err := claimed(msg, encode(readingFormat, r.fields()))
	if err != nil {
		return Reading{}, "", err
	}
	fingerprint, ok := strings.CutPrefix(names[0], namePrefix)
	if len(names) != 1 || !ok || !ValidFingerprint(fingerprint) {
		return Reading{}, "", errors.New("not signed by one card")
	}
	return r, fingerprint, nil
}

// OpenReading verifies msg with the verifier key of c, a reviewer's card. Whether
// the card is in the desk, and whether the note is about the right vault and of a day
// that can be ([Reading.Early]), is for the caller to decide.
func OpenReading(msg []byte, c Card) (Reading, error) {
	r, err := parseReading(msg)
	if err != nil {
		return Reading{}, err
	}
	if _, err := verifyBy(msg, encode(readingFormat, r.fields()), c); err != nil {
		return Reading{}, err
	}
	return r, nil
}

// Early reports whether the day of the note is later than tomorrow, UTC. Clocks
// differ by some hours; a note of a day that is further off counts nowhere.
func (r Reading) Early(now time.Time) bool {
	return r.Day > now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
}

// Time is the beginning of the note's day, UTC; zero if the day is malformed.
func (r Reading) Time() time.Time {
	t, err := time.Parse(time.DateOnly, r.Day)
	if err != nil {
		return time.Time{}
	}
	return t
}

func parseReading(msg []byte) (r Reading, err error) {
	if len(msg) > MaxReading {
		return r, errors.New("statement is too long")
	}
	values, err := readFields(msg, readingFormat, "origin", "desk", "day")
	if err != nil {
		return r, err
	}
	l := lines{values: values}
	r = Reading{Origin: l.text("origin", ValidOrigin), Desk: l.text("desk", isDesk), Day: l.text("day", isDay)}
	if l.err != nil {
		return Reading{}, l.err
	}
	return r, nil
}

func (r Reading) fields() []field {
	return []field{{"origin", r.Origin}, {"desk", r.Desk}, {"day", r.Day}}
}
