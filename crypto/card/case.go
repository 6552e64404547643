package card

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	deleteFormat = "resguardo/delete/v1"
	holdFormat   = "resguardo/hold/v1"
	// MaxDelete is the most bytes of a signed Delete: room for every item that a
	// case can have.
	MaxDelete = 8 << 20
)

// Statement is what a reviewer's program signs to have an item added to a case.
// It goes to the server beside the age file; the server learns from it who wrote
// (the signature), and nothing of the content.
type Statement struct {
	Kind       string // a desk's kind; stands in the first line
	Origin     string
	Case       string
	Number     int      // that the item will have in its case, 1 to MaxNumber
	Event      [32]byte // E, derived from the desk log key
	Ref        [32]byte // tag of the event that this one answers or repeats; zeros: none
	Ciphertext [32]byte // SHA-256 of the age file
	Desk       string   // rewrap: the desk it is for; recuse: the desk that leaves; else empty
}

// Sign encodes s as a signed note (first line resguardo/KIND/v1).
func (s Statement) Sign(signer note.Signer) ([]byte, error) {
	return signChecked(statementFormat(s.Kind), s.fields(), signer, func(msg []byte) error {
		_, err := parseStatement(msg, s.Kind)
		return err
	})
}

// OpenStatement verifies msg, a statement of this kind, with the verifier key of
// c. Whether its fields are the right ones is for the caller to decide.
func OpenStatement(msg []byte, kind string, c Card) (Statement, error) {
	s, err := parseStatement(msg, kind)
	if err != nil {
		return Statement{}, err
	}
	if _, err := verifyBy(msg, encode(statementFormat(kind), s.fields()), c); err != nil {
		return Statement{}, err
	}
	return s, nil
}

func statementFormat(kind string) string { return "resguardo/" + kind + "/v1" }

func parseStatement(msg []byte, kind string) (s Statement, err error) {
	if !DeskKind(kind) {
		return s, errors.New("no statement of this kind")
	}
	if len(msg) > maxStatement {
		return s, errors.New("statement is too long")
	}
	values, err := readFields(msg, statementFormat(kind), "origin", "case", "number", "event", "ref", "ciphertext", "desk")
	if err != nil {
		return s, err
	}
	r := lines{values: values}
	s = Statement{Kind: kind, Origin: r.text("origin", ValidOrigin), Case: r.text("case", isCase)}
	s.Number = int(r.number("number", 1, MaxNumber))
	s.Event = r.secret("event")
	s.Ref = r.optionalHash("ref")
	s.Ciphertext = r.hash("ciphertext")
	s.Desk = r.text("desk", isDesk) // none has the form of an id
	switch ofDesk := kind == "rewrap" || kind == "recuse"; {
	case r.err != nil:
		return Statement{}, r.err
	case kind == "rewrap" && s.Ref == [32]byte{}:
		return Statement{}, errors.New("line 6: a rewrap must name its original")
	case ofDesk == (s.Desk == none):
		return Statement{}, errors.New("line 8: desk must be - unless the statement is a rewrap or a recuse")
	case s.Desk == none:
		s.Desk = ""
	}
	return s, nil
}

func (s Statement) fields() []field {
	desk := s.Desk
	if desk == "" {
		desk = none
	}
	return []field{
		{"origin", s.Origin},
		{"case", s.Case},
		{"number", strconv.Itoa(s.Number)},
		{"event", EncodeEvent(s.Event)},
		{"ref", formatOptionalHash(s.Ref)},
		{"ciphertext", formatHash(s.Ciphertext)},
		{"desk", desk},
	}
}

// EncodeHeader is the value of [StatementHeader] for a signed statement:
// base64url without padding.
func EncodeHeader(msg []byte) string { return base64.RawURLEncoding.EncodeToString(msg) }

// DecodeHeader reads what EncodeHeader writes and nothing else.
func DecodeHeader(s string) ([]byte, error) {
	msg, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(msg) != s {
		return nil, errors.New("malformed statement header")
	}
	return msg, nil
}

// Delete is what one or two reviewers sign to have a whole case deleted. Who
// signs second builds the text from what its own program fetched; it never signs
// a list that the server made.
type Delete struct {
	Origin string
	Case   string
	Event  [32]byte   // E of desk-delete, derived from the desk log key
	Items  [][32]byte // SHA-256 of the age file of every item of the case, by number
}

// Sign encodes d as a signed note (first line resguardo/delete/v1). pending is
// nil, or the same statement signed by another card: its signature is kept,
// unverified, before the new one. Sign refuses a pending statement with any other
// text.
func (d Delete) Sign(signer note.Signer, pending []byte) ([]byte, error) {
	msg, err := sign(deleteFormat, d.fields(), signer)
	if err != nil {
		return nil, err
	}
	if pending != nil {
		if _, _, err := ParseDelete(pending); err != nil {
			return nil, err
		}
		text := append(encode(deleteFormat, d.fields()), '\n')
		if !bytes.HasPrefix(pending, text) {
			return nil, errors.New("the pending statement covers something else")
		}
		msg = slices.Concat(pending, msg[len(text):])
	}
	if _, _, err := ParseDelete(msg); err != nil {
		return nil, err
	}
	return msg, nil
}

// ParseDelete reads a statement without verifying it, and returns the
// fingerprints of the one or two cards that it claims to be signed by.
func ParseDelete(msg []byte) (d Delete, by []string, err error) {
	if d, err = parseDelete(msg); err != nil {
		return Delete{}, nil, err
	}
	names, err := claimed(msg, encode(deleteFormat, d.fields()))
	if err != nil {
		return Delete{}, nil, err
	}
	for _, name := range names {
		fingerprint, ok := strings.CutPrefix(name, namePrefix)
		if !ok || !ValidFingerprint(fingerprint) || slices.Contains(by, fingerprint) {
			return Delete{}, nil, errors.New("not signed by different cards")
		}
		by = append(by, fingerprint)
	}
	if len(by) > 2 {
		return Delete{}, nil, errors.New("more than two signatures")
	}
	return d, by, nil
}

// OpenDelete verifies msg, which one or two of cards must have signed and nobody
// else, and returns the fingerprints of those that did. How many are needed and
// whether the items are those of the case is for the caller to decide.
func OpenDelete(msg []byte, cards ...Card) (Delete, []string, error) {
	d, _, err := ParseDelete(msg)
	if err != nil {
		return Delete{}, nil, err
	}
	by, err := verifyBy(msg, encode(deleteFormat, d.fields()), cards...)
	if err != nil {
		return Delete{}, nil, err
	}
	return d, by, nil
}

func parseDelete(msg []byte) (d Delete, err error) {
	if len(msg) > MaxDelete {
		return d, errors.New("statement is too long")
	}
	keys := []string{"origin", "case", "event"}
	text, _, _ := bytes.Cut(msg, []byte("\n\n"))
	items := max(1, bytes.Count(text, []byte("\n"))-len(keys))
	values, err := readFields(msg, deleteFormat, append(keys, slices.Repeat([]string{"item"}, items)...)...)
	if err != nil {
		return d, err
	}
	r := lines{values: values}
	d = Delete{Origin: r.text("origin", ValidOrigin), Case: r.text("case", isCase), Event: r.secret("event")}
	seen := make(map[[32]byte]bool, items)
	for range items {
		item := r.hash("item")
		if seen[item] {
			r.refuse("item: it is listed twice")
		}
		seen[item] = true
		d.Items = append(d.Items, item)
	}
	if r.err != nil {
		return Delete{}, r.err
	}
	return d, nil
}

func (d Delete) fields() []field {
	fields := []field{{"origin", d.Origin}, {"case", d.Case}, {"event", EncodeEvent(d.Event)}}
	for _, item := range d.Items {
		fields = append(fields, field{"item", formatHash(item)})
	}
	return fields
}

// Hold is what a reviewer signs to stop the retention of a case (a legal hold),
// or to let it run again.
type Hold struct {
	Origin  string
	Case    string
	Hold    bool
	Counter uint64 // how many such statements the case has had: none counts twice
}

// Sign encodes h as a signed note (first line resguardo/hold/v1).
func (h Hold) Sign(signer note.Signer) ([]byte, error) {
	return signChecked(holdFormat, h.fields(), signer, func(msg []byte) error {
		_, err := parseHold(msg)
		return err
	})
}

// OpenHold verifies msg with the verifier key of c.
func OpenHold(msg []byte, c Card) (Hold, error) {
	h, err := parseHold(msg)
	if err != nil {
		return Hold{}, err
	}
	if _, err := verifyBy(msg, encode(holdFormat, h.fields()), c); err != nil {
		return Hold{}, err
	}
	return h, nil
}

func parseHold(msg []byte) (h Hold, err error) {
	if len(msg) > maxStatement {
		return h, errors.New("statement is too long")
	}
	values, err := readFields(msg, holdFormat, "origin", "case", "hold", "counter")
	if err != nil {
		return h, err
	}
	r := lines{values: values}
	h = Hold{Origin: r.text("origin", ValidOrigin), Case: r.text("case", isCase)}
	h.Hold = r.text("hold", func(s string) bool { return s == "yes" || s == "no" }) == "yes"
	h.Counter = r.number("counter", 0, math.MaxUint64)
	if r.err != nil {
		return Hold{}, r.err
	}
	return h, nil
}

func (h Hold) fields() []field {
	hold := "no"
	if h.Hold {
		hold = "yes"
	}
	return []field{{"origin", h.Origin}, {"case", h.Case}, {"hold", hold}, {"counter", strconv.FormatUint(h.Counter, 10)}}
}
