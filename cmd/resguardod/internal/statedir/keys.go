package statedir

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/say"
)

// Names of the governance key in DIR.keys: in clear, or encrypted with age to a
// passphrase. Stock "age -d" gives the first from the second.
const (
	GovernanceKey       = "governance.key"
	GovernanceSealedKey = "governance.key.age"
)

// Names of the signing keys. A checkpoint's key bears the origin itself.
func operationsName(origin string) string { return origin + "/operations" }
func governanceName(origin string) string { return origin + "/governance" }

// keyPair is a note signer key and its verifier key, each as one line.
type keyPair struct{ signer, verifier string }

func newKeyPair(name string) (keyPair, error) {
	s, v, err := note.GenerateKey(rand.Reader, name)
	return keyPair{s + "\n", v + "\n"}, err
}

// sealKey encrypts a key file to a passphrase (age, scrypt).
func sealKey(key, passphrase string) ([]byte, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(key)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// policy is the C2SP tlog-policy of a log without witnesses.
func policy(logVerifier string) string { return "log " + logVerifier + "quorum none\n" }

// CheckKeys proves that the keys in the directory are there, well formed, of
// this origin and pairs, and that the policy names the log's key.
func (d Dir) CheckKeys(origin string) error {
	signer, err := d.signer(LogKey, origin)
	errs := []error{err}
	verifier, err := d.verifier(LogVerifier, origin)
	errs = append(errs, err)
	if signer != nil && verifier != nil && !pair(signer, verifier) {
		errs = append(errs, &say.Error{Path: d.Path(LogVerifier), Line: 1,
			What: say.T("this verifier key does not belong to %s", LogKey), Hint: say.T("put both files back from one backup")})
	}
	if verifier != nil {
		errs = append(errs, d.checkPolicy())
	}
	_, err = d.signer(OperationsKey, operationsName(origin))
	errs = append(errs, err)
	_, err = d.verifier(GovernanceVerifier, governanceName(origin))
	return errors.Join(append(errs, err)...)
}

// keyLine reads a file that holds one line.
func (d Dir) keyLine(name string) (string, error) {
	b, err := ReadFile(d.Path(name), 4<<10)
	if err != nil {
		return "", err
	}
	line, rest, ended := strings.Cut(string(b), "\n")
	if !ended || rest != "" {
		return "", &say.Error{Path: d.Path(name), Line: 1 + strings.Count(strings.TrimSuffix(string(b), "\n"), "\n"),
			What: say.T("a key file is one line that ends in a line break"), Hint: say.T("put the file back from a backup")}
	}
	return line, nil
}

func (d Dir) signer(name, key string) (note.Signer, error) {
	line, err := d.keyLine(name)
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(line)
	if err != nil { // the library's error may quote the key
		return nil, d.badKey(name, key)
	}
	if s.Name() != key {
		return nil, d.badKey(name, key)
	}
	return s, nil
}

func (d Dir) verifier(name, key string) (note.Verifier, error) {
	line, err := d.keyLine(name)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(line)
	if err != nil || v.Name() != key {
		return nil, d.badKey(name, key)
	}
	return v, nil
}

func (d Dir) badKey(name, key string) error {
	return &say.Error{Path: d.Path(name), Line: 1,
		What: say.T("this is not the key named %s", key), Hint: say.T("put the file back from a backup")}
}

// pair reports whether v verifies what s signs.
func pair(s note.Signer, v note.Verifier) bool {
	msg := []byte("resguardo: do these two belong together?\n")
	sig, err := s.Sign(msg)
	return err == nil && v.Verify(msg, sig)
}

func (d Dir) checkPolicy() error {
	b, err := ReadFile(d.Path(PolicyFile), MaxFile)
	if err != nil {
		return err
	}
	v, err := d.keyLine(LogVerifier)
	if err != nil {
		return err
	}
	for i, l := range strings.Split(string(b), "\n") {
		fields := strings.Fields(l)
		if len(fields) >= 2 && fields[0] == "log" {
			if fields[1] == v {
				return nil
			}
			return &say.Error{Path: d.Path(PolicyFile), Line: i + 1,
				What: say.T("the policy names another log key than %s", LogVerifier), Hint: say.T("put both files back from one backup")}
		}
	}
	return &say.Error{Path: d.Path(PolicyFile),
		What: say.T("the policy has no line that begins with log"), Hint: say.T("put the file back from a backup; it begins: log %s", v)}
}
