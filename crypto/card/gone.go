package card

import (
	"errors"
	"slices"
)

// Gone is what is left of an item that was deleted alone: the next item of its
// direction names its hash, and its number is not given out again.
type Gone struct {
	Number int    `json:"number"`
	Kind   string `json:"kind"`
	SHA256 string `json:"sha256"` // of the age file, lower-case hex
}

// checkGone says what cannot be about the items that are gone.
func (c Case) checkGone() error {
	last := -1
	for _, g := range c.Gone {
		switch {
		case g.Number <= last || g.Number >= c.Next:
			return errors.New("items that are gone are out of order")
		case !slices.Contains(sourceKinds[:], g.Kind) && !DeskKind(g.Kind):
			return errors.New("an item that is gone has an unknown kind")
		case !isHex(g.SHA256, 64):
			return errors.New("an item that is gone has a malformed hash")
		}
		last = g.Number
	}
	return nil
}
