package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"resguardo/crypto/card"
)

// VerifyLetter verifies who wrote r: that the card c signed its letter, that the
// letter was written under the 32-byte thread key (in a reply; nil for readers
// who do not have the key), and that it is about this manifest and about the
// source whose age recipient has this fingerprint. It is the only check of a
// desk's item that tells its writer: anybody can seal to a recipient.
//
// The manifest holds the hashes of the contents: they are compared when they are
// read (all of them by [Report.Verify]).
func (r *Report) VerifyLetter(c card.Card, recipient string, threadKey []byte) (card.Letter, error) {
	if r.letter == nil {
		return card.Letter{}, errors.New("this item has no letter")
	}
	l, err := card.OpenLetter(r.letter, c, threadKey)
	if err != nil {
		return card.Letter{}, fmt.Errorf("letter: %w", err)
	}
	if l.Recipient != recipient {
		return card.Letter{}, errors.New("the letter is for another source")
	}
	if err := r.Manifest.checkLetter(r.ManifestSHA256, l); err != nil {
		return card.Letter{}, err
	}
	return l, nil
}

// Letter is the signed note in signature.note, unverified: [card.ParseLetter]
// tells whose card to give to VerifyLetter. It is nil in what a source sent. The
// caller must not modify it.
func (r *Report) Letter() []byte { return r.letter }

// writeLetter adds signature.note.
func (w *Writer) writeLetter(m *Manifest, sum [32]byte, sign func([32]byte) ([]byte, error)) error {
	w.err = errInterrupted // what remains if sign panics
	msg, err := sign(sum)
	if err != nil {
		w.err = fmt.Errorf("sign: %w", err)
		return w.err
	}
	l, _, err := card.ParseLetter(msg)
	if err == nil {
		err = m.checkLetter(sum, l)
	}
	if w.err = err; err != nil {
		return err
	}
	_, _, err = w.writeEntry(entryLetter, bytes.NewReader(msg))
	return err
}

// readLetter reads the letter in e. It verifies nothing: whoever is shown a
// letter that does not hold must be told so by name.
func (r *Report) readLetter(e entry, want string) (err error) {
	if e.size < 1 || e.size > card.MaxLetter {
		return fmt.Errorf("letter has %d bytes, not 1 to %d", e.size, card.MaxLetter)
	}
	if r.letter, err = io.ReadAll(r.content(e, want)); err != nil {
		return fmt.Errorf("read letter: %w", err)
	}
	return nil
}

// checkLetter checks that l is about the item that m, whose text has this
// SHA-256, is the manifest of, and that the source it names can open the item
// if it is a reply and only then.
func (m *Manifest) checkLetter(sum [32]byte, l card.Letter) error {
	previous := ""
	if l.Sequence > 0 {
		previous = hex.EncodeToString(l.Previous[:])
	}
	switch {
	case l.Manifest != sum:
		return errors.New("the letter is about another manifest")
	case l.Origin != m.Origin, l.Case != m.Case, l.Kind != m.Kind, l.Sequence != m.Sequence, previous != m.Previous:
		return errors.New("the letter is about another item")
	case slices.Contains(m.Recipients, l.Recipient) != (m.Kind == kindReply):
		return errors.New("a reply is sealed to the source, and nothing else of a desk is")
	}
	return nil
}
