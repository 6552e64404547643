package translog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// AddSignature signs a note or a request, and keeps the signatures that it has.
// It verifies none of them; an older one of the same key is replaced.
func AddSignature(request []byte, signer note.Signer) ([]byte, error) {
	g, err := ParseGovernance(request)
	if err != nil {
		return nil, err
	}
	n := &note.Note{Text: string(g.Text())}
	if isSigned(request) {
		if n, err = signatures(request); err != nil {
			return nil, err
		}
	}
	leaf, err := note.Sign(n, signer)
	if err != nil {
		return nil, err
	}
	if len(leaf) > MaxLeaf {
		return nil, errTooLong
	}
	return leaf, nil
}

// isSigned tells a signed note from a request: no line of the text is blank.
func isSigned(leaf []byte) bool { return bytes.Contains(leaf, []byte("\n\n")) }

// signatures reads the signature lines of a note without verifying them. Their
// encoding must be the one that note.Sign writes, and no key may sign twice:
// note.Open would drop the second line unread.
func signatures(leaf []byte) (*note.Note, error) {
	_, err := note.Open(leaf, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return nil, errors.New("the signatures of the note are damaged")
	}
	n := unverified.Note
	var again strings.Builder
	again.WriteString(n.Text + "\n")
	seen := make(map[note.Signature]bool)
	for _, s := range n.UnverifiedSigs {
		key := note.Signature{Name: s.Name, Hash: s.Hash}
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != s.Base64 || seen[key] {
			return nil, errNotCanonical
		}
		seen[key] = true
		again.WriteString("— " + s.Name + " " + s.Base64 + "\n")
	}
	if again.String() != string(leaf) {
		return nil, errNotCanonical
	}
	return n, nil
}

// verifiers are the keys that sign notes.
type verifiers struct {
	all        note.Verifiers
	operations note.Signature // name and hash
	threshold  int
}

func (g *Genesis) verifiers() (verifiers, error) {
	v := verifiers{threshold: g.Threshold}
	var all []note.Verifier
	for _, vkey := range append([]string{g.Operations}, g.Governance...) {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return v, err
		}
		all = append(all, verifier)
	}
	v.operations = note.Signature{Name: all[0].Name(), Hash: all[0].KeyHash()}
	v.all = note.VerifierList(all...)
	return v, nil
}

// verify checks the signatures of a note that ParseGovernance has accepted.
func (v verifiers) verify(leaf []byte, kind GovernanceKind) (Fault, error) {
	if !isSigned(leaf) {
		return Unsigned, errors.New("no signature")
	}
	n, err := note.Open(leaf, v.all)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return WrongSigner, errors.New("no signature by a key of genesis")
	case errors.As(err, &invalid):
		return BadSignature, fmt.Errorf("the signature of %s does not verify", invalid.Name)
	case err != nil:
		return BadNote, err
	case len(n.UnverifiedSigs) > 0:
		return WrongSigner, errors.New("a signature by a key that genesis does not name")
	}
	for _, s := range n.Sigs {
		byOperations := s.Name == v.operations.Name && s.Hash == v.operations.Hash
		if byOperations == kind.ByGovernance() {
			return WrongSigner, fmt.Errorf("%s signs a note of kind %s", s.Name, kind)
		}
	}
	if kind.ByGovernance() && len(n.Sigs) < v.threshold {
		return TooFewSignatures, fmt.Errorf("%d of %d signatures", len(n.Sigs), v.threshold)
	}
	return "", nil
}
