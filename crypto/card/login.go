package card

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	loginFormat = "resguardo/login/v1"
	// maxStatement is the most bytes of a signed statement; a login has about 700.
	maxStatement = 4 << 10
	nonceSize    = 16
)

// Login is the statement that a reviewer's program signs to open a session. The
// program itself fills in every field but ServerNonce.
//
// Origin and Address stop a server from passing the statement on to another
// vault, or to the same vault under another address: the vault compares both
// with its own.
type Login struct {
	Origin      string // origin of the vault as the reviewer's program knows it
	Address     string // host[:port] that the program dialled, lower case
	ClientNonce string // 16 random bytes, base64url without padding
	ServerNonce string // 16 random bytes, base64url without padding
}

// NewNonce is 16 bytes of crypto/rand in base64url without padding: 22
// characters.
func NewNonce() string {
	var b [nonceSize]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidNonce reports whether s has the form of a nonce.
func ValidNonce(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == nonceSize && base64.RawURLEncoding.EncodeToString(b) == s
}

// ValidOrigin reports whether s can be the origin of a vault: the name of a note
// key of at most 255 bytes, all of whose characters print.
func ValidOrigin(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return r == '+' || r == ' ' || !unicode.IsPrint(r)
	}) < 0
}

// ValidAddress reports whether s can be an address: 1 to 255 printable ASCII
// characters, none of them a space or an upper-case letter.
func ValidAddress(s string) bool {
	return s != "" && len(s) <= 255 && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || 'A' <= r && r <= 'Z'
	}) < 0
}

// Sign encodes l as a signed note (first line resguardo/login/v1).
func (l Login) Sign(signer note.Signer) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return sign(loginFormat, l.fields(), signer)
}

// OpenLogin verifies msg with the card's verifier key and returns its fields.
// Whether they are the right ones is for the caller to decide.
func OpenLogin(msg []byte, c Card) (Login, error) {
	if len(msg) > maxStatement {
		return Login{}, errors.New("statement is too long")
	}
	v, err := note.NewVerifier(c.Verifier)
	if err != nil {
		return Login{}, fmt.Errorf("verifier: %w", err)
	}
	values, err := readFields(msg, loginFormat, "origin", "address", "client-nonce", "server-nonce")
	if err != nil {
		return Login{}, err
	}
	l := Login{Origin: values[0], Address: values[1], ClientNonce: values[2], ServerNonce: values[3]}
	if err := l.check(); err != nil {
		return Login{}, err
	}
	if _, err := verify(msg, encode(loginFormat, l.fields()), v); err != nil {
		return Login{}, err
	}
	return l, nil
}

func (l Login) fields() []field {
	return []field{
		{"origin", l.Origin},
		{"address", l.Address},
		{"client-nonce", l.ClientNonce},
		{"server-nonce", l.ServerNonce},
	}
}

func (l Login) check() error {
	switch {
	case !ValidOrigin(l.Origin):
		return errors.New("line 2: malformed origin")
	case !ValidAddress(l.Address):
		return errors.New("line 3: malformed address")
	case !ValidNonce(l.ClientNonce):
		return errors.New("line 4: malformed client nonce")
	case !ValidNonce(l.ServerNonce):
		return errors.New("line 5: malformed server nonce")
	}
	return nil
}
