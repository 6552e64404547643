package card

import (
	"errors"
	"fmt"
)

// DesksPath answers GET with Desks, for reviewers.
const DesksPath = "/v1/desks"

// Bounds of Desks.
const (
	MaxDesks     = 1000 // desks of one vault
	MaxDeskCards = 100  // reviewers of one desk
)

// Desks is the list of every desk of the vault that has a reviewer in force,
// sorted by id, with the cards of its reviewers, sorted by fingerprint: whom a
// report can be sealed to. The server claims it; the log says which fingerprints
// are right, and a reader remembers them.
type Desks struct {
	Desks []Desk `json:"desks"`
}

// Desk is a desk and its reviewers.
type Desk struct {
	ID    string   `json:"id"`
	Cards []string `json:"cards"` // card files, 1 to MaxDeskCards, each as Sign writes it

	// Reading is told of the member's own desks only: the day, 2006-01-02, UTC, of the
	// newest Reading that counts, or from which the desk has keys if that is later.
	// Empty: not known, so the desk counts as silent.
	Reading string `json:"reading"`
}

// Check reads and verifies the cards of every desk, and says what cannot be,
// without quoting it. The result has the desks' ids as keys, and their cards in
// the order of the list.
func (d Desks) Check() (map[string][]Card, error) {
	if len(d.Desks) > MaxDesks {
		return nil, errors.New("too many desks")
	}
	cards := make(map[string][]Card, len(d.Desks))
	for n, desk := range d.Desks {
		switch {
		case !isDesk(desk.ID):
			return nil, errors.New("malformed desk")
		case cards[desk.ID] != nil || n > 0 && desk.ID < d.Desks[n-1].ID:
			return nil, errors.New("desks are repeated or out of order")
		case desk.Reading != "" && !isDay(desk.Reading):
			return nil, errors.New("malformed day of a desk")
		case len(desk.Cards) < 1 || len(desk.Cards) > MaxDeskCards:
			return nil, errors.New("a desk without cards, or with too many")
		}
		list, err := desk.parse()
		if err != nil {
			return nil, err
		}
		cards[desk.ID] = list
	}
	return cards, nil
}

func (d Desk) parse() ([]Card, error) {
	var list []Card
	last := ""
	for n, text := range d.Cards {
		c, err := Parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("malformed card %d of a desk", n+1)
		}
		if c.Role != Reviewer {
			return nil, errors.New("a desk's card that is not a reviewer's")
		}
		if f := c.Fingerprint(); f <= last {
			return nil, errors.New("cards are repeated or out of order")
		} else {
			last = f
		}
		list = append(list, c)
	}
	return list, nil
}

// ValidDesk reports whether s has the form of a desk's id.
func ValidDesk(s string) bool { return isDesk(s) }

// ValidDay reports whether s has the form of a day, 2006-01-02.
func ValidDay(s string) bool { return isDay(s) }

// ValidCase reports whether s has the form of a case's id. Such an s is safe as
// a file name.
func ValidCase(s string) bool { return isCase(s) }
