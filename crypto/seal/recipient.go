package seal

import (
	"errors"
	"strings"

	"filippo.io/age"
	"filippo.io/age/tag"
	"github.com/btcsuite/btcd/btcutil/bech32"

	"resguardo/crypto/card"
)

// Recipient is a post-quantum age recipient with the text it was parsed from.
// The zero value is no recipient.
type Recipient struct {
	age.Recipient
	text string
}

// ParseRecipient accepts age1pq1… and age1tagpq1… and refuses every other kind
// of age recipient with an error that says why. The text must be as age writes
// it. The error holds no part of s.
func ParseRecipient(s string) (Recipient, error) {
	var r interface {
		age.Recipient
		String() string
	}
	var err error
	switch {
	case strings.HasPrefix(s, "age1pq1"):
		r, err = age.ParseHybridRecipient(s)
	case strings.HasPrefix(s, "age1tagpq1"):
		r, err = tag.ParseRecipient(s)
	default:
		return Recipient{}, errors.New(refusal(s))
	}
	// age reads one text for each key. Fingerprints rely on it.
	if err != nil || r.String() != s {
		return Recipient{}, errors.New("malformed age1pq1 or age1tagpq1 recipient: is it cut or mistyped?")
	}
	return Recipient{r, s}, nil
}

// refusal says why a recipient that is not post-quantum is refused.
func refusal(s string) string {
	const want = "; wanted age1pq1… or age1tagpq1…"
	upper := strings.ToUpper(s)
	switch {
	case s == "":
		return "empty recipient" + want
	case strings.HasPrefix(upper, "AGE-SECRET-KEY-"), strings.HasPrefix(upper, "AGE-PLUGIN-"):
		return "this is a secret identity, not a recipient: keep it to yourself" + want
	case strings.HasPrefix(s, "ssh-"), strings.HasPrefix(s, "ecdsa-"), strings.HasPrefix(s, "sk-"):
		return "ssh recipients are refused: they are not post-quantum" + want
	case strings.HasPrefix(s, "age1tag1"):
		return "age1tag1 recipients are refused: they are not post-quantum" + want
	case strings.HasPrefix(upper, "AGE1PQ1"), strings.HasPrefix(upper, "AGE1TAGPQ1"):
		return "recipients are written in lower case" + want
	case strings.HasPrefix(s, "age1") && strings.Contains(s[4:], "1"):
		return "plugin recipients are refused: they would run another program" + want
	case strings.HasPrefix(s, "age1"):
		return "classical age recipients are refused: they are not post-quantum" + want
	}
	return "not an age recipient" + want
}

// String is the recipient in its text form.
func (r Recipient) String() string { return r.text }

// Fingerprint is the SHA-256 of the text form, in lower-case hex.
func (r Recipient) Fingerprint() string { return card.Fingerprint(r.text) }

// Types of the age stanzas that recipients make (https://c2sp.org/age).
const (
	stanzaHybrid = "mlkem768x25519"  // of age1pq1…
	stanzaTag    = "mlkem768p256tag" // of age1tagpq1…
)

// stanza is the type of the age stanza that the recipient makes.
func (r Recipient) stanza() string {
	if strings.HasPrefix(r.text, "age1tagpq1") {
		return stanzaTag
	}
	return stanzaHybrid
}

// WrapWithLabels implements [age.RecipientWithLabels]. Without it the embedded
// interface would hide the label "postquantum", and age would no longer refuse
// to mix the recipient with classical ones.
func (r Recipient) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	l, ok := r.Recipient.(age.RecipientWithLabels)
	if !ok {
		return nil, nil, errors.New("recipient is not post-quantum")
	}
	return l.WrapWithLabels(fileKey)
}

// IdentityFromSeed makes the hybrid identity of a 32-byte seed. Every seed is
// valid. It is the identity that AGE-SECRET-KEY-PQ-1 followed by the bech32 of
// seed denotes; age exports no other way in.
func IdentityFromSeed(seed [32]byte) (*age.HybridIdentity, error) {
	s, err := bech32.EncodeFromBase256("age-secret-key-pq-", seed[:])
	if err != nil {
		return nil, err
	}
	return age.ParseHybridIdentity(strings.ToUpper(s))
}
