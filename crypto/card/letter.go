package card

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	letterFormat = "resguardo/letter/v1"
	// labelLetter goes before the lines that the thread key authenticates.
	labelLetter = "resguardo/v1/letter\n"
	// MaxLetter is the most bytes of a letter. One has about 1,000.
	MaxLetter = maxStatement
)

// kindReply is the only kind that is sealed to the source.
const kindReply = "reply"

// Kinds of sealed items: those that a source sends, and those that a desk writes.
var (
	sourceKinds = [...]string{"report", "followup"}
	deskKinds   = [...]string{kindReply, "ack", "note", "close", "rewrap", "recuse"}
)

// DeskKind reports whether items of this kind are written by a desk: reply, ack,
// note, close, rewrap, recuse. Each holds a [Letter].
func DeskKind(kind string) bool { return slices.Contains(deskKinds[:], kind) }

// Letter says, inside a sealed item that a desk wrote, who wrote it and for whom
// (entry signature.note). The manifest binds the content, the letter binds the
// manifest, the signature of a card and, in a reply, the thread key bind the
// letter.
//
// Recipient stops passing one source's reply on to another source; Sequence and
// Previous show an item that is missing, repeated or out of order.
type Letter struct {
	Origin    string
	Case      string
	Kind      string   // a desk's kind
	Recipient string   // fingerprint of the source's age recipient, in every kind
	Sequence  uint64   // of the desk's direction, all its kinds together, from 0
	Previous  [32]byte // SHA-256 of the age file of the desk's item before; zeros in the first
	Manifest  [32]byte // SHA-256 of manifest.json
	// Thread is HMAC-SHA256 of the lines before it, under the thread key. Only who
	// has opened the report, or has its codename, can make it. Zeros unless Kind is
	// reply. Sign computes it.
	Thread [32]byte
}

// Sign encodes l as a signed note (first line resguardo/letter/v1). A reply needs
// the 32-byte thread key of the report's manifest; no other kind may have one.
func (l Letter) Sign(signer note.Signer, threadKey []byte) ([]byte, error) {
	l.Thread = [32]byte{}
	if l.Kind == kindReply {
		if len(threadKey) != 32 {
			return nil, errors.New("a reply needs the thread key, 32 bytes")
		}
		l.Thread = l.mac(threadKey)
	} else if len(threadKey) != 0 {
		return nil, errors.New("only a reply is written under the thread key")
	}
	return signChecked(letterFormat, l.fields(), signer, func(msg []byte) error {
		_, _, err := ParseLetter(msg)
		return err
	})
}

// ParseLetter reads a letter without verifying it, and returns the fingerprint
// of the card that it claims to be signed by: whose card to give to OpenLetter.
func ParseLetter(msg []byte) (l Letter, fingerprint string, err error) {
	if l, err = parseLetter(msg); err != nil {
		return Letter{}, "", err
	}
	names, err := claimed(msg, encode(letterFormat, l.fields()))
	if err != nil {
		return Letter{}, "", err
	}
	fingerprint, ok := strings.CutPrefix(names[0], namePrefix)
	if len(names) != 1 || !ok || !ValidFingerprint(fingerprint) {
		return Letter{}, "", errors.New("not signed by one card")
	}
	return l, fingerprint, nil
}

// OpenLetter verifies msg with the verifier key of c and, in a reply, with the
// 32-byte thread key. A nil threadKey is for readers who do not have it: then
// Thread says nothing. Whether the letter is about the item that it lies in is
// for the caller to decide (resguardo/crypto/seal does).
func OpenLetter(msg []byte, c Card, threadKey []byte) (Letter, error) {
	l, err := parseLetter(msg)
	if err != nil {
		return Letter{}, err
	}
	if _, err := verifyBy(msg, encode(letterFormat, l.fields()), c); err != nil {
		return Letter{}, err
	}
	if l.Kind != kindReply || threadKey == nil {
		return l, nil
	}
	want := l.mac(threadKey)
	if len(threadKey) != 32 || !hmac.Equal(l.Thread[:], want[:]) {
		return Letter{}, errors.New("not written under the key of this thread")
	}
	return l, nil
}

func parseLetter(msg []byte) (l Letter, err error) {
	if len(msg) > MaxLetter {
		return l, errors.New("letter is too long")
	}
	values, err := readFields(msg, letterFormat, "origin", "case", "kind", "recipient", "sequence", "previous", "manifest", "thread")
	if err != nil {
		return l, err
	}
	r := lines{values: values}
	l = Letter{
		Origin:    r.text("origin", ValidOrigin),
		Case:      r.text("case", isCase),
		Kind:      r.text("kind", DeskKind),
		Recipient: r.text("recipient", ValidFingerprint),
		Sequence:  r.number("sequence", 0, math.MaxUint64),
		Previous:  r.optionalHash("previous"),
		Manifest:  r.hash("manifest"),
		Thread:    r.optionalHash("thread"),
	}
	switch zero := [32]byte{}; {
	case r.err != nil:
		return Letter{}, r.err
	case (l.Sequence == 0) != (l.Previous == zero):
		return Letter{}, errors.New("line 7: previous must be - in the first item and in no other")
	case (l.Kind == kindReply) != (l.Thread != zero):
		return Letter{}, errors.New("line 9: thread must be - unless kind is reply")
	}
	return l, nil
}

func (l Letter) fields() []field {
	return []field{
		{"origin", l.Origin},
		{"case", l.Case},
		{"kind", l.Kind},
		{"recipient", l.Recipient},
		{"sequence", strconv.FormatUint(l.Sequence, 10)},
		{"previous", formatOptionalHash(l.Previous)},
		{"manifest", formatHash(l.Manifest)},
		{"thread", formatOptionalHash(l.Thread)},
	}
}

// mac is HMAC-SHA256 (RFC 2104) of the label and all lines but thread.
func (l Letter) mac(threadKey []byte) (sum [32]byte) {
	fields := l.fields()
	h := hmac.New(sha256.New, threadKey)
	h.Write([]byte(labelLetter))
	h.Write(encode(letterFormat, fields[:len(fields)-1]))
	return [32]byte(h.Sum(nil))
}
