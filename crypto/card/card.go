// Package card holds the public keys of a reviewer or auditor as a self-signed
// text file, the statements that reviewers sign, and the JSON of the reviewers'
// API.
//
// # Cards
//
// A card is a signed note (golang.org/x/mod/sumdb/note) of five lines, each
// ended by one LF, a blank line and exactly one signature, made by the key that
// the card itself names:
//
//	resguardo/card/v1
//	role reviewer
//	recipient age1pq1…
//	verifier card/FINGERPRINT+HASH+KEY
//	client BASE32
//
//	— card/FINGERPRINT SIGNATURE
//
// FINGERPRINT is the SHA-256 of the recipient string in lower-case hex, so the
// name of the signing key binds it to the age key. The self-signature proves
// that whoever made the card holds the signing key and meant these keys to go
// together; it does not prove who that is: people compare fingerprints.
//
// # Statements
//
// Everything else that a reviewer signs is a signed note too, with a first line
// of its own, so that a text signed for one purpose is never one signed for
// another. The reviewer's program writes every statement itself; it never signs
// a text that a server made.
//
// A [Login] opens a session. A [Letter] lies inside a sealed item and says to its
// readers who wrote it. A [Statement], a [Delete] or a [Hold] goes to the server
// and says what it may do to a case; a [Reading] says that a desk is read. Those that are checked for more than their
// form have an Open function, which takes the card; the Parse functions verify no
// signature, and say so.
//
// All forms are canonical: what does not encode to the same bytes again is
// refused. The package checks recipients by their shape only; crypto/seal parses
// them.
package card

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxSize is the most bytes of a card file. A card has about 2,400.
const MaxSize = 8 << 10

const (
	cardFormat = "resguardo/card/v1"
	namePrefix = "card/"
	clientSize = 32 // bytes of an x25519 public key
	remake     = "ask its owner for the file card.txt again, sent unchanged"
)

// Role is what the holder of a card does.
type Role string

// The roles.
const (
	Reviewer Role = "reviewer"
	Auditor  Role = "auditor"
)

// Card is the set of public keys of one reviewer or auditor. It holds no name.
type Card struct {
	Role      Role
	Recipient string // age recipient: age1pq1… or age1tagpq1…
	Verifier  string // note verifier key, named card/FINGERPRINT
	Client    string // onion client key: x25519 public key, 52 characters of upper-case base32
}

// Fingerprint is the SHA-256 of an age recipient string, in lower-case hex (64
// characters).
func Fingerprint(recipient string) string {
	sum := sha256.Sum256([]byte(recipient))
	return hex.EncodeToString(sum[:])
}

// ValidFingerprint reports whether s has the form of a fingerprint. Such an s is
// safe as a file name.
func ValidFingerprint(s string) bool { return isHex(s, 2*sha256.Size) }

// KeyName is the name of the signing key that belongs to a recipient:
// card/FINGERPRINT.
func KeyName(recipient string) string { return namePrefix + Fingerprint(recipient) }

// Fingerprint is the fingerprint of the card's recipient.
func (c Card) Fingerprint() string { return Fingerprint(c.Recipient) }

// Sign encodes c as a signed note. The signer must be the one c.Verifier names.
// Sign hands out nothing that Parse would refuse.
func Sign(c Card, signer note.Signer) ([]byte, error) {
	msg, err := sign(cardFormat, c.fields(), signer)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(msg); err != nil {
		return nil, err
	}
	return msg, nil
}

// Parse reads and verifies a card file. Errors say what is wrong, on which line,
// and what to do; they quote at most 40 characters of the file, escaped.
func Parse(text []byte) (Card, error) {
	if len(text) > MaxSize {
		return Card{}, fmt.Errorf("more than %d bytes: this is not a card; %s", MaxSize, remake)
	}
	if err := plainText(text); err != nil {
		return Card{}, fmt.Errorf("%w; %s", err, remake)
	}
	values, err := readFields(text, cardFormat, "role", "recipient", "verifier", "client")
	if err != nil {
		return Card{}, fmt.Errorf("%w; %s", err, remake)
	}
	c := Card{Role: Role(values[0]), Recipient: values[1], Verifier: values[2], Client: values[3]}
	if err := c.check(); err != nil {
		return Card{}, err
	}
	v, err := note.NewVerifier(c.Verifier)
	if err != nil {
		return Card{}, fmt.Errorf("line 4: verifier: %w; %s", err, remake)
	}
	if _, err := verify(text, encode(cardFormat, c.fields()), v); err != nil {
		return Card{}, fmt.Errorf("line 7: %w; %s", err, remake)
	}
	return c, nil
}

func (c Card) fields() []field {
	return []field{
		{"role", string(c.Role)},
		{"recipient", c.Recipient},
		{"verifier", c.Verifier},
		{"client", c.Client},
	}
}

// check finds what is wrong with the values of c; line numbers are those of the
// file.
func (c Card) check() error {
	if c.Role != Reviewer && c.Role != Auditor {
		return fmt.Errorf("line 2: role is %s, not reviewer or auditor; %s", quote(string(c.Role)), remake)
	}
	if err := checkRecipient(c.Recipient); err != nil {
		return fmt.Errorf("line 3: recipient %w", err)
	}
	if err := checkVerifier(c.Verifier, KeyName(c.Recipient)); err != nil {
		return fmt.Errorf("line 4: verifier %w; %s", err, remake)
	}
	if err := checkClient(c.Client); err != nil {
		return fmt.Errorf("line 5: client %w; %s", err, remake)
	}
	return nil
}

// Lengths of the recipients' text forms: bech32 of 1,216 bytes (MLKEM768-X25519)
// and of 1,249 bytes (ML-KEM-768 and P-256), with prefix and checksum.
const (
	hybridLen = 1959
	tagLen    = 2015
)

// checkRecipient checks prefix, length and letters, not the checksum.
func checkRecipient(s string) error {
	const again = "make a new card with: resguardo keygen"
	var want int
	var data string
	switch {
	case strings.HasPrefix(s, "age1pq1"):
		want, data = hybridLen, s[len("age1pq1"):]
	case strings.HasPrefix(s, "age1tagpq1"):
		want, data = tagLen, s[len("age1tagpq1"):]
	case strings.HasPrefix(s, "age1"), strings.HasPrefix(s, "ssh-"):
		return fmt.Errorf("%s is not a post-quantum key (age1pq1… or age1tagpq1…); %s", quote(s), again)
	default:
		return fmt.Errorf("%s is not an age recipient (age1pq1… or age1tagpq1…); %s", quote(s), again)
	}
	if len(s) != want {
		return fmt.Errorf("has %d characters instead of %d; %s", len(s), want, remake)
	}
	if strings.Trim(data, "qpzry9x8gf2tvdw0s3jn54khce6mua7l") != "" {
		return fmt.Errorf("has a character that no age recipient has; %s", remake)
	}
	return nil
}

// checkVerifier checks that vkey is the one encoding of an Ed25519 key with this
// name.
func checkVerifier(vkey, name string) error {
	got, rest, _ := strings.Cut(vkey, "+")
	if got != name {
		return fmt.Errorf("is named %s; its name must be card/ and the fingerprint of the recipient in line 3", quote(got))
	}
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(key64)
	if err != nil || len(key) != 33 || key[0] != 1 {
		return errors.New("is not an Ed25519 key in base64")
	}
	if again, err := note.NewEd25519VerifierKey(name, key[1:]); err != nil || again != vkey {
		return errors.New("does not match its own check sum")
	}
	return nil
}

var clientEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// EncodeClient is the text form of an onion client key: upper-case base32
// without padding, 52 characters for the 32 bytes of an x25519 key.
func EncodeClient(key []byte) string { return clientEncoding.EncodeToString(key) }

func checkClient(s string) error {
	key, err := clientEncoding.DecodeString(s)
	if err != nil || len(key) != clientSize || EncodeClient(key) != s {
		return errors.New("is not an x25519 key in 52 characters of upper-case base32")
	}
	return nil
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// quote shows at most 40 bytes of foreign text, with everything escaped that is
// not a printable character.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return fmt.Sprintf("%+q", s)
}
