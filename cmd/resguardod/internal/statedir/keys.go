package statedir

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
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

// CheckKeys proves that the keys in the directory are there, well formed, of
// this origin and pairs, and that the policy names the log's key.
func (d Dir) CheckKeys(origin string) error {
	errs := []error{
		d.checkPair(LogKey, LogVerifier, origin),
		d.checkPair(OperationsKey, OperationsVerifier, operationsName(origin)),
	}
	if errs[0] == nil {
		_, err := d.Policy()
		errs = append(errs, err)
	}
	_, err := d.verifier(GovernanceVerifier, governanceName(origin))
	return errors.Join(append(errs, err)...)
}

// checkPair proves that two key files belong together.
func (d Dir) checkPair(signerFile, verifierFile, key string) error {
	signer, err := d.signer(signerFile, key)
	verifier, err2 := d.verifier(verifierFile, key)
	if err != nil || err2 != nil {
		return errors.Join(err, err2)
	}
	if !pair(signer, verifier) {
		return &say.Error{Path: d.Path(verifierFile), Line: 1,
			What: say.T("this verifier key does not belong to %s", signerFile), Hint: say.T("put both files back from one backup")}
	}
	return nil
}

// LogSigner signs checkpoints.
func (d Dir) LogSigner(origin string) (note.Signer, error) { return d.signer(LogKey, origin) }

// LogVerifier verifies checkpoints.
func (d Dir) LogVerifier(origin string) (note.Verifier, error) {
	return d.verifier(LogVerifier, origin)
}

// OperationsSigner signs what the running server says about itself.
func (d Dir) OperationsSigner(origin string) (note.Signer, error) {
	return d.signer(OperationsKey, operationsName(origin))
}

// Verifiers are the verifier keys that genesis names, as text.
type Verifiers struct {
	Log, Operations string
	Governance      []string // sorted
}

// Verifiers reads the verifier keys. CheckKeys has proven them.
func (d Dir) Verifiers() (v Verifiers, err error) {
	if v.Log, err = d.keyLine(LogVerifier); err != nil {
		return v, err
	}
	if v.Operations, err = d.keyLine(OperationsVerifier); err != nil {
		return v, err
	}
	governance, err := d.keyLine(GovernanceVerifier)
	v.Governance = []string{governance}
	return v, err
}

// GovernanceSigner is the governance key in DIR.keys, or nil if it is not there
// in clear, as it should be, or not readable by this account.
func (d Dir) GovernanceSigner(origin string) (note.Signer, error) {
	path := filepath.Join(d.KeysDir(), GovernanceKey)
	line, err := readKeyLine(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(line)
	if err != nil || s.Name() != governanceName(origin) {
		return nil, badKey(path, governanceName(origin))
	}
	return s, nil
}

// keyLine reads a file of the directory that holds one line.
func (d Dir) keyLine(name string) (string, error) { return readKeyLine(d.Path(name)) }

func readKeyLine(path string) (string, error) {
	b, err := ReadFile(path, 4<<10)
	if err != nil {
		return "", err
	}
	line, rest, ended := strings.Cut(string(b), "\n")
	if !ended || rest != "" {
		return "", &say.Error{Path: path, Line: 1 + strings.Count(strings.TrimSuffix(string(b), "\n"), "\n"),
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

func (d Dir) badKey(name, key string) error { return badKey(d.Path(name), key) }

func badKey(path, key string) error {
	return &say.Error{Path: path, Line: 1,
		What: say.T("this is not the key named %s", key), Hint: say.T("put the file back from a backup")}
}

// pair reports whether v verifies what s signs.
func pair(s note.Signer, v note.Verifier) bool {
	msg := []byte("resguardo: do these two belong together?\n")
	sig, err := s.Sign(msg)
	return err == nil && v.Verify(msg, sig)
}
