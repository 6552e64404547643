package folder

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/disk"
	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

const (
	cardFile = "card.txt"
	maxKeys  = 16 << 10 // bytes of a key file
)

// Keys are the secrets that a reviewer's program uses against the vault. They
// open no report.
type Keys struct {
	Signer note.Signer
	Client *ecdh.PrivateKey // x25519, for the onion service
}

// ClientSecret is the private onion client key as tor reads it, 52 characters of
// base32.
func (k Keys) ClientSecret() string { return base32Secret.EncodeToString(k.Client.Bytes()) }

// Passphrase asks for the passphrase of the key files. It is called only if they
// are encrypted.
type Passphrase func() (string, error)

// New are the keys of a folder that Create writes.
type New struct {
	Name       string    // nickname; stays in this folder
	Role       card.Role // reviewer or auditor
	Passphrase string    // empty: the key files are not encrypted
}

// Create makes the keys of a new reviewer or auditor in dir, which is made if
// need be. It never overwrites a file; if it fails it leaves none of its own.
func Create(dir string, n New) (card.Card, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return card.Card{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return card.Card{}, err
	}
	defer root.Close()
	f := &Folder{root: root, path: dir}
	for _, file := range []string{"identity.txt", "identity.age", "keys.txt", "keys.age", cardFile} {
		if f.exists(file) {
			return card.Card{}, say.Fail(say.T("%s exists already; nothing was written", f.Path(file)), say.T("choose another folder with -dir"))
		}
	}
	if err := root.Chmod(".", 0o700); err != nil {
		return card.Card{}, err
	}
	c, files, err := generate(n)
	if err != nil {
		return card.Card{}, err
	}
	var written []string
	for _, file := range files {
		if err := f.create(file.name, file.data); err != nil {
			for _, w := range written {
				err = errors.Join(err, root.Remove(w))
			}
			return card.Card{}, err
		}
		written = append(written, file.name)
	}
	return c, nil
}

// create writes a file that must not exist.
func (f *Folder) create(name string, data []byte) error {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, f.root.Remove(name))
	}
	return nil
}

type newFile struct {
	name string
	data []byte
}

// generate makes the keys and the files that hold them.
func generate(n New) (card.Card, []newFile, error) {
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return card.Card{}, nil, err
	}
	recipient := identity.Recipient().String()
	secret, verifier, err := note.GenerateKey(rand.Reader, card.KeyName(recipient))
	if err != nil {
		return card.Card{}, nil, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return card.Card{}, nil, err
	}
	client, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return card.Card{}, nil, err
	}
	c := card.Card{Role: n.Role, Recipient: recipient, Verifier: verifier, Client: card.EncodeClient(client.PublicKey().Bytes())}
	text, err := card.Sign(c, signer)
	if err != nil {
		return card.Card{}, nil, err
	}
	about := fmt.Sprintf("# name: %s\n# role: %s\n# fingerprint: %s\n", n.Name, n.Role, c.Fingerprint())
	id, err := secretFile("identity", about+"# public key: "+recipient+"\n"+identity.String()+"\n", n.Passphrase)
	if err != nil {
		return card.Card{}, nil, err
	}
	keys, err := secretFile("keys", about+encodeKeys(secret, client), n.Passphrase)
	if err != nil {
		return card.Card{}, nil, err
	}
	return c, []newFile{id, keys, {cardFile, text}}, nil
}

// secretFile is text as name.txt, or as name.age under a passphrase.
func secretFile(name, text, passphrase string) (newFile, error) {
	if passphrase == "" {
		return newFile{name + ".txt", []byte(text)}, nil
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return newFile{}, err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err != nil {
		return newFile{}, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return newFile{}, err
	}
	if err := w.Close(); err != nil { // writes the last chunk
		return newFile{}, err
	}
	return newFile{name + ".age", b.Bytes()}, nil
}

// readSecret returns the text of name.txt or name.age.
func (f *Folder) readSecret(name string, ask Passphrase) (text []byte, file string, err error) {
	file = name + ".txt"
	text, err = f.readPrivate(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, file, err
	}
	file = name + ".age"
	sealed, err := f.readPrivate(file)
	if err != nil {
		return nil, file, err
	}
	passphrase, err := ask()
	if err != nil {
		return nil, file, err
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, file, err
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if wrong := (*age.NoIdentityMatchError)(nil); errors.As(err, &wrong) {
		return nil, file, say.Fail(say.T("the passphrase does not open %s", f.Path(file)), say.T("try again; nobody can recover it"))
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(r, maxKeys))
	}
	if err != nil {
		return nil, file, say.Fail(say.T("%s is damaged: %s", f.Path(file), err), say.T("take it from your backup"))
	}
	return text, file, nil
}

// readPrivate reads a file that nobody else may read.
func (f *Folder) readPrivate(name string) ([]byte, error) {
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !disk.Private(info) {
		return nil, say.Fail(say.T("others can read %s", f.Path(name)), say.T("run: chmod 600 %s", f.Path(name)))
	}
	return f.read(name, maxKeys)
}

// Identity returns the age identity, which opens reports.
func (f *Folder) Identity(ask Passphrase) (*age.HybridIdentity, error) {
	text, file, err := f.readSecret("identity", ask)
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err == nil && len(ids) == 1 {
		if id, ok := ids[0].(*age.HybridIdentity); ok {
			return id, nil
		}
	}
	// The error of age may quote the line, which is the secret.
	return nil, say.Fail(say.T("%s is not one age identity AGE-SECRET-KEY-PQ-…", f.Path(file)), say.T("take it from your backup"))
}

// Keys returns the signing key and the onion client key.
func (f *Folder) Keys(ask Passphrase) (Keys, error) {
	text, file, err := f.readSecret("keys", ask)
	if err != nil {
		return Keys{}, err
	}
	k, line := parseKeys(string(text))
	if line > 0 {
		e := say.Fail(say.T("not the key that belongs here"), say.T("take the file from your backup"))
		e.Path, e.Line = f.Path(file), line
		return Keys{}, e
	}
	return k, nil
}

// Card returns the card and checks that it holds the public halves of k.
func (f *Folder) Card(k Keys) (card.Card, error) {
	text, err := f.read(cardFile, card.MaxSize)
	if err != nil {
		return card.Card{}, err
	}
	c, err := card.Parse(text)
	if err != nil {
		return card.Card{}, say.Fail(say.T("%s: %s", f.Path(cardFile), err), say.T("take the file from your backup"))
	}
	v, err := note.NewVerifier(c.Verifier)
	if err != nil || v.Name() != k.Signer.Name() || v.KeyHash() != k.Signer.KeyHash() ||
		c.Client != card.EncodeClient(k.Client.PublicKey().Bytes()) {
		return card.Card{}, say.Fail(say.T("%s belongs to other keys than the key file beside it", f.Path(cardFile)), say.T("take both from the same backup"))
	}
	return c, nil
}

// CardFile is the name of the card in the folder.
const CardFile = cardFile

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// The key file has comments and then these two lines.
const (
	signingLine = "signing "
	clientLine  = "client "
)

func encodeKeys(signing string, client *ecdh.PrivateKey) string {
	return signingLine + signing + "\n" + clientLine + Keys{Client: client}.ClientSecret() + "\n"
}

// parseKeys reads a key file. If it is malformed, line is the first line that is
// wrong, from 1.
func parseKeys(text string) (k Keys, line int) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	n := 0
	for n < len(lines) && strings.HasPrefix(lines[n], "#") {
		n++
	}
	signing, ok := cutLine(lines, n, signingLine)
	if k.Signer, _ = note.NewSigner(signing); !ok || k.Signer == nil {
		return Keys{}, n + 1
	}
	secret, ok := cutLine(lines, n+1, clientLine)
	if b, err := base32Secret.DecodeString(secret); err == nil && ok && base32Secret.EncodeToString(b) == secret {
		k.Client, _ = ecdh.X25519().NewPrivateKey(b)
	}
	if k.Client == nil {
		return Keys{}, n + 2
	}
	if len(lines) > n+2 {
		return Keys{}, n + 3
	}
	return k, 0
}

func cutLine(lines []string, n int, prefix string) (string, bool) {
	if n >= len(lines) {
		return "", false
	}
	return strings.CutPrefix(lines[n], prefix)
}

// Locked reports whether the identity is encrypted with a passphrase.
func (f *Folder) Locked() bool { return !f.exists("identity.txt") }
