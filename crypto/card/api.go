package card

import (
	"errors"
	"slices"
	"strings"
)

// The reviewers' API speaks JSON over HTTP/1.1 (docs/formats.md). These types
// are both ends of it. Every failure is an Error with a constant text.

// Paths of the reviewers' API. An item's bytes are at ItemsPath + "/" + ID, an
// epoch's at EpochsPath + "/" + its number.
//
// A POST of an age file (application/octet-stream) to CasesPath + "/CASE/KIND",
// with a signed Statement in StatementHeader, adds an item to the case; the
// answer is the Item. A POST of a SignedRequest to CasesPath + "/CASE/delete" or
// "/CASE/hold" carries a Delete or a Hold; the answers are a Deletion and the Case.
// One to DesksPath + "/DESK/reading" carries a Reading; the answer is a Noted.
const (
	ChallengePath = "/v1/challenge" // POST {}: Challenge
	LoginPath     = "/v1/login"     // POST LoginRequest: Session
	ItemsPath     = "/v1/items"     // GET: Items
	CasesPath     = "/v1/cases"     // GET: Cases
	EpochsPath    = "/v1/epochs"    // GET: Epochs, for auditors
)

// StatementHeader carries a signed Statement, as EncodeHeader writes it.
const StatementHeader = "Statement"

// Texts of the Error of a 409, which the sender can do something about.
const (
	FetchFirst = "fetch first" // the case has moved on: Number is not its next item
	TagUsed    = "tag used"    // an event of the case has this tag: take the next counter
	WrongDay   = "wrong day"   // a Reading is of a later day than tomorrow: one of the clocks is wrong
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
	Kind   string   `json:"kind"`   // report, followup, reply, ack, note, close, rewrap, recuse
	Number int      `json:"number"` // in its case, from 0
	Day    string   `json:"day"`    // 2006-01-02, UTC
	Desks  []string `json:"desks"`  // of the case, those only that the member belongs to
	Size   int64    `json:"size"`   // bytes of the age file
	SHA256 string   `json:"sha256"` // of the age file, lower-case hex

	// What the log says about the item. The server claims it; a reader proves it:
	// Event and Opening make the tag and the commitment of one leaf of the log, and
	// Opening names the hash of the age file.
	Tag     string `json:"tag"`     // 32 bytes, lower-case hex
	Event   string `json:"event"`   // E, 32 bytes, base64
	Opening string `json:"opening"` // text, first line resguardo/opening/v1
}

// Cases is the list of every case of the member's desks.
type Cases struct {
	Cases []Case `json:"cases"`
}

// Case describes a case. A reader must call Check before use.
type Case struct {
	Case          string   `json:"case"`           // 16 characters of lower-case base32
	Desks         []string `json:"desks"`          // those only that the member belongs to
	Next          int      `json:"next"`           // number of the next item, 1 to MaxNumber+1
	Closed        bool     `json:"closed"`         // a desk has closed it
	Hold          bool     `json:"hold"`           // retention is stopped
	Holds         uint64   `json:"holds"`          // Hold statements so far: the counter of the next
	LastDay       string   `json:"last_day"`       // day of the last item, 2006-01-02, UTC
	EndsDay       string   `json:"ends_day"`       // retention deletes it after this day; empty under hold
	PendingDelete string   `json:"pending_delete"` // signed Delete that needs another signature; or empty
	Gone          []Gone   `json:"gone"`           // items that were deleted alone, by number
}

// SignedRequest carries a signed Delete, Hold or Reading.
type SignedRequest struct {
	Statement string `json:"statement"`
}

// Deletion answers a Delete.
type Deletion struct {
	Deleted bool `json:"deleted"` // false: it waits for another signature
}

// Noted answers a Reading.
type Noted struct {
	Reading string `json:"reading"` // as in Desk, by now
}

// Epochs is the list of the epoch files that are sealed to the auditor.
type Epochs struct {
	Epochs []Epoch `json:"epochs"`
}

// Epoch describes the sealed openings of one epoch. A reader must call Check
// before use.
type Epoch struct {
	Epoch  int64  `json:"epoch"`  // number
	Size   int64  `json:"size"`   // bytes of the age file
	SHA256 string `json:"sha256"` // of the age file, lower-case hex
}

// Error is the body of every answer that is not a success.
type Error struct {
	Error string `json:"error"`
}

// Bounds of what a server may list.
const (
	MaxItems   = 50_000   // items of one list
	MaxCases   = 50_000   // cases of one list
	MaxEpochs  = 100_000  // epochs of one list: 68 years of 6 hours each
	MaxNumber  = 99_999   // items of one case
	MaxItem    = 64 << 30 // bytes of one item
	MaxEpoch   = 64 << 20 // bytes of one epoch's age file
	maxOpening = 354      // bytes of the longest opening
)

// Check says which field of i cannot be, without quoting it. The fields of an
// item that passes are safe as parts of file names, and Tag, Event and Opening
// have the form of what they must be; Check proves nothing about the log.
func (i Item) Check() error {
	_, event := DecodeEvent(i.Event)
	switch {
	case !isHex(i.ID, 32):
		return errors.New("malformed id")
	case !isCase(i.Case):
		return errors.New("malformed case")
	case !slices.Contains(sourceKinds[:], i.Kind) && !DeskKind(i.Kind):
		return errors.New("unknown kind")
	case i.Number < 0 || i.Number > MaxNumber:
		return errors.New("number out of range")
	case i.Size < 1 || i.Size > MaxItem:
		return errors.New("size out of range")
	case !isHex(i.SHA256, 64):
		return errors.New("malformed hash")
	case !isDay(i.Day):
		return errors.New("malformed day")
	case !isHex(i.Tag, 64):
		return errors.New("malformed tag")
	case !event:
		return errors.New("malformed event")
	case !isOpening(i.Opening):
		return errors.New("malformed opening")
	}
	return checkDesks(i.Desks)
}

// Check says which field of c cannot be, without quoting it.
func (c Case) Check() error {
	switch {
	case !isCase(c.Case):
		return errors.New("malformed case")
	case c.Next < 1 || c.Next > MaxNumber+1:
		return errors.New("next number out of range")
	case !isDay(c.LastDay):
		return errors.New("malformed last day")
	case c.EndsDay == "" && !c.Hold:
		return errors.New("no last day of the retention")
	case c.EndsDay != "" && (!isDay(c.EndsDay) || c.EndsDay < c.LastDay || c.Hold):
		return errors.New("malformed last day of the retention")
	}
	if c.PendingDelete != "" {
		d, by, err := ParseDelete([]byte(c.PendingDelete))
		if err != nil || len(by) != 1 || d.Case != c.Case {
			return errors.New("malformed pending deletion")
		}
	}
	if err := c.checkGone(); err != nil {
		return err
	}
	return checkDesks(c.Desks)
}

// Check says which field of e cannot be, without quoting it.
func (e Epoch) Check() error {
	switch {
	case e.Epoch < 0 || e.Epoch > 1<<40:
		return errors.New("epoch out of range")
	case e.Size < 1 || e.Size > MaxEpoch:
		return errors.New("size out of range")
	case !isHex(e.SHA256, 64):
		return errors.New("malformed hash")
	}
	return nil
}

func checkDesks(desks []string) error {
	for _, desk := range desks {
		if !isDesk(desk) {
			return errors.New("malformed desk")
		}
	}
	return nil
}

// isOpening checks the shape of an opening: lines of printable ASCII, the first
// of them resguardo/opening/v1. Whoever proves it parses it.
func isOpening(s string) bool {
	return len(s) <= maxOpening && strings.HasPrefix(s, "resguardo/opening/v1\n") && strings.HasSuffix(s, "\n") &&
		!strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') })
}
