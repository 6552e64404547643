package card

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// The reviewers' API speaks JSON over HTTP/1.1 (docs/formats.md). These types
// are both ends of it. Every failure is an Error with a constant text.

// Paths of the reviewers' API. An item's bytes are at ItemsPath + "/" + ID.
const (
	ChallengePath = "/v1/challenge" // POST {}: Challenge
	LoginPath     = "/v1/login"     // POST LoginRequest: Session
	ItemsPath     = "/v1/items"     // GET: Items
)

// Challenge is the server's half of a login.
type Challenge struct {
	Origin string `json:"origin"` // for people; the program pins its own
	Nonce  string `json:"nonce"`  // 16 bytes, base64url; good once, for two minutes
}

// LoginRequest carries a signed Login.
type LoginRequest struct {
	Fingerprint string `json:"fingerprint"`
	Statement   string `json:"statement"` // signed note, first line resguardo/login/v1
}

// Session answers a login. It goes back as "Authorization: Bearer SESSION".
type Session struct {
	Session string   `json:"session"` // 32 bytes, base64url without padding
	Role    Role     `json:"role"`
	Desks   []string `json:"desks"` // the member's desks, sorted
}

// Items is the list of every item of the member's desks.
type Items struct {
	Items []Item `json:"items"`
}

// Item describes one sealed item. A reader must call Check before use: the
// server may be hostile.
type Item struct {
	ID     string   `json:"id"`     // 16 bytes, lower-case hex
	Case   string   `json:"case"`   // 16 characters of lower-case base32
	Kind   string   `json:"kind"`   // report, followup …
	Number int      `json:"number"` // in its case, from 0
	Day    string   `json:"day"`    // 2006-01-02, UTC
	Desks  []string `json:"desks"`  // of the case, those only that the member belongs to
	Size   int64    `json:"size"`   // bytes of the age file
	SHA256 string   `json:"sha256"` // of the age file, lower-case hex
}

// Error is the body of every answer that is not a success.
type Error struct {
	Error string `json:"error"`
}

// Kinds of items that this version knows.
var kinds = [...]string{"report", "followup"}

// Bounds of an Item.
const (
	MaxItems  = 50_000   // items of one list
	MaxNumber = 99_999   // items of one case
	MaxItem   = 64 << 30 // bytes of one item
)

// Check says which field of i cannot be, without quoting it. The fields of an
// item that passes are safe as parts of file names.
func (i Item) Check() error {
	switch {
	case !isHex(i.ID, 32):
		return errors.New("malformed id")
	case len(i.Case) != 16 || strings.Trim(i.Case, "abcdefghijklmnopqrstuvwxyz234567") != "":
		return errors.New("malformed case")
	case !slices.Contains(kinds[:], i.Kind):
		return errors.New("unknown kind")
	case i.Number < 0 || i.Number > MaxNumber:
		return errors.New("number out of range")
	case i.Size < 1 || i.Size > MaxItem:
		return errors.New("size out of range")
	case !isHex(i.SHA256, 64):
		return errors.New("malformed hash")
	}
	if t, err := time.Parse(time.DateOnly, i.Day); err != nil || t.Format(time.DateOnly) != i.Day {
		return errors.New("malformed day")
	}
	for _, desk := range i.Desks {
		if desk == "" || len(desk) > 32 || strings.Trim(desk, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("malformed desk")
		}
	}
	return nil
}
