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

// verify checks that msg is text, a blank line and exactly one signature of the
// text, by v, encoded in the one way that note.Sign encodes it.
func verify(msg, text []byte, v note.Verifier) error {
	n, err := note.Open(msg, note.VerifierList(v))
	var invalid *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &invalid):
		return errors.New("the signature does not match the text, so it was changed")
	case errors.As(err, &unverified):
		return errors.New("not signed by the key it must be signed by")
	case err != nil:
		return errors.New("not a signed note: the signature line is damaged or missing")
	}
	// note.Open takes base64 whose last bits are not zero and drops repeated and
	// unknown signatures.
	sig, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil {
		return err
	}
	again := string(text) + "\n— " + v.Name() + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
	if again != string(msg) {
		return errors.New("more than one signature, or one in another form")
	}
	return nil
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
