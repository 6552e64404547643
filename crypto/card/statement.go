package card

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// A field is one "key value" line of a signed text.
type field struct{ key, value string }

// encode is the text of a note: the format line, then one line for each field.
func encode(format string, fields []field) []byte {
	var b bytes.Buffer
	b.WriteString(format + "\n")
	for _, f := range fields {
		b.WriteString(f.key + " " + f.value + "\n")
	}
	return b.Bytes()
}

// sign makes the signed note of the fields.
func sign(format string, fields []field, signer note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: string(encode(format, fields))}, signer)
}

// signChecked signs the fields and hands out nothing that check refuses.
func signChecked(format string, fields []field, signer note.Signer, check func([]byte) error) ([]byte, error) {
	msg, err := sign(format, fields, signer)
	if err != nil {
		return nil, err
	}
	if err := check(msg); err != nil {
		return nil, err
	}
	return msg, nil
}

// verify checks that msg is text, a blank line and signatures of the text, each
// by another one of known, encoded in the one way that note.Sign encodes them.
// It returns the names of the signers in the order of their signatures; for one
// known verifier that is exactly one.
func verify(msg, text []byte, known ...note.Verifier) ([]string, error) {
	n, err := note.Open(msg, note.VerifierList(known...))
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &invalid):
		return nil, errors.New("the signature does not match the text, so it was changed")
	case errors.As(err, &unverified):
		return nil, errors.New("not signed by the key it must be signed by")
	case err != nil:
		return nil, errNoSignature
	}
	return signers(msg, text, n.Sigs)
}

// verifyBy is verify with the verifier keys of reviewers' cards, none given
// twice. It returns fingerprints.
func verifyBy(msg, text []byte, cards ...Card) ([]string, error) {
	var known []note.Verifier
	for _, c := range cards {
		if c.Role != Reviewer {
			return nil, errors.New("only reviewers' cards sign this")
		}
		v, err := note.NewVerifier(c.Verifier)
		if err != nil {
			return nil, fmt.Errorf("verifier: %w", err)
		}
		known = append(known, v)
	}
	names, err := verify(msg, text, known...)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], namePrefix)
	}
	return names, err
}

// claimed is verify without its verification: the names that stand at the
// signatures. Anybody can write them.
func claimed(msg, text []byte) ([]string, error) {
	_, err := note.Open(msg, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, errNoSignature
	}
	return signers(msg, text, unverified.Note.UnverifiedSigs)
}

var errNoSignature = errors.New("not a signed note: the signature line is damaged or missing")

// signers returns the names of sigs if msg is text with these signatures and
// nothing else: note.Open takes base64 whose last bits are not zero and drops
// repeated and unknown signatures.
func signers(msg, text []byte, sigs []note.Signature) ([]string, error) {
	names := make([]string, len(sigs))
	var again bytes.Buffer
	again.Grow(len(msg))
	again.Write(text)
	again.WriteByte('\n')
	for i, s := range sigs {
		sig, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil {
			return nil, err
		}
		names[i] = s.Name
		again.WriteString("— " + s.Name + " " + base64.StdEncoding.EncodeToString(sig) + "\n")
	}
	if !bytes.Equal(again.Bytes(), msg) {
		return nil, errors.New("more than one signature, or one in another form")
	}
	return names, nil
}

// readFields returns the values of the lines between the format line and the
// blank line, which must be exactly those of keys, in order. It verifies
// nothing.
func readFields(msg []byte, format string, keys ...string) ([]string, error) {
	text, _, found := bytes.Cut(msg, []byte("\n\n"))
	lines := strings.Split(string(text), "\n")
	if lines[0] != format {
		return nil, fmt.Errorf("line 1: %s instead of %s", quote(lines[0]), format)
	}
	values := make([]string, len(keys))
	for i, key := range keys {
		if i+1 >= len(lines) {
			return nil, fmt.Errorf("line %d: missing, %s is expected here", i+2, key)
		}
		value, ok := strings.CutPrefix(lines[i+1], key+" ")
		if !ok {
			return nil, fmt.Errorf("line %d: %s instead of %s and its value", i+2, quote(lines[i+1]), key)
		}
		values[i] = value
	}
	if n := len(keys) + 1; len(lines) > n {
		return nil, fmt.Errorf("line %d: %s is one line too many", n+1, quote(lines[n]))
	}
	if !found {
		return nil, fmt.Errorf("line %d: the blank line and the signature are missing", len(lines)+1)
	}
	return values, nil
}

// plainText names the first line with a byte that no signed text of ours holds.
// Mail programs put most of them there.
func plainText(msg []byte) error {
	for i, line := range bytes.Split(msg, []byte("\n")) {
		switch {
		case bytes.HasSuffix(line, []byte("\r")):
			return fmt.Errorf("line %d: ends in CR LF, as files of other systems do", i+1)
		case !utf8.Valid(line), bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == '\ufeff' }):
			return fmt.Errorf("line %d: has a character that is not plain text", i+1)
		}
	}
	return nil
}
