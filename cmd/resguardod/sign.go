package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/term"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// cmdSign signs requests with a governance key. It needs no vault: it is for the
// machine that keeps the key.
func cmdSign(p *say.Printer, args []string) error {
	var keyFile, passphraseFile string
	c := newCommand("sign")
	c.StringVar(&keyFile, "key", "", "")
	c.StringVar(&passphraseFile, "passphrase-file", "", "")
	form, err := c.parse(args, "-key FILE", []string{"REQUEST…"})
	if err != nil {
		return err
	}
	if keyFile == "" || c.dir != "" {
		return misuse(say.T("sign needs -key, and no -dir"), say.T("write: %s", form))
	}
	signer, err := readGovernanceKey(p, keyFile, passphraseFile)
	if err != nil {
		return err
	}
	var requests []request
	for _, path := range c.Args() {
		r, err := readRequest(path, signer)
		if err != nil {
			return err
		}
		requests = append(requests, r)
	}
	for _, r := range requests {
		if err := r.sign(p, signer); err != nil {
			return err
		}
	}
	p.Hint(say.T("copy the signed files back to the folder requests of the vault; serve takes them up by itself"))
	return nil
}

// request is a file that shall be signed.
type request struct {
	path string
	text []byte
	note translog.Governance
}

// readRequest reads a request that a key of this name may sign.
func readRequest(path string, signer note.Signer) (request, error) {
	text, err := statedir.ReadFile(path, translog.MaxLeaf)
	if err != nil {
		return request{}, err
	}
	g, err := translog.ParseGovernance(text)
	if err != nil {
		return request{}, &say.Error{Path: path, What: say.T("this is not a governance note: %s", err), Hint: say.T("copy the file again")}
	}
	if !g.Kind.ByGovernance() {
		return request{}, &say.Error{Path: path, What: say.T("notes of the kind %s are not signed by a governance key", string(g.Kind)), Hint: say.T("sign only files from the folder requests")}
	}
	origin, _, _ := strings.Cut(signer.Name(), "/")
	genesis, begins := g.Body.(*translog.Genesis)
	if begins && genesis.Origin != origin {
		return request{}, &say.Error{Path: path, What: say.T("the note is of the vault %s, the key of the vault %s", genesis.Origin, origin), Hint: say.T("use the key of the right vault")}
	}
	_, err = note.Open(text, nil)
	if signed := (*note.UnverifiedNoteError)(nil); errors.As(err, &signed) {
		for _, s := range signed.Note.UnverifiedSigs {
			if theirs, _, _ := strings.Cut(s.Name, "/"); theirs != origin {
				return request{}, &say.Error{Path: path, What: say.T("the note is of the vault %s, the key of the vault %s", theirs, origin), Hint: say.T("use the key of the right vault")}
			}
		}
	}
	return request{path, text, g}, nil
}

// sign shows what is signed, and signs it.
func (r request) sign(p *say.Printer, signer note.Signer) error {
	p.Say(say.T("%s says:", r.path))
	for _, t := range plainWords(r.note) {
		p.Say(say.T("    %s", t))
	}
	signed, err := translog.AddSignature(r.text, signer)
	if err != nil {
		return &say.Error{Path: r.path, What: say.T("cannot be signed: %s", err), Hint: say.T("copy the file again")}
	}
	if bytes.Equal(signed, r.text) {
		p.Say(say.T("it was signed by %s already", signer.Name()))
		return nil
	}
	if err := statedir.ReplaceFile(r.path, signed); err != nil {
		return err
	}
	p.Say(say.T("signed by %s", signer.Name()))
	return nil
}

const governanceSuffix = "/governance"

// readGovernanceKey reads a governance key, in clear or encrypted with age to a
// passphrase.
func readGovernanceKey(p *say.Printer, path, passphraseFile string) (note.Signer, error) {
	b, err := statedir.ReadFile(path, 4<<10)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte("age-encryption.org/v1\n")) {
		if b, err = openKey(p, path, b, passphraseFile); err != nil {
			return nil, err
		}
	}
	signer, err := note.NewSigner(strings.TrimSuffix(string(b), "\n"))
	if err != nil { // the library's error may quote the key
		return nil, &say.Error{Path: path, What: say.T("this is not a signing key"), Hint: say.T("give the file governance.key or governance.key.age")}
	}
	if _, role, _ := strings.Cut(signer.Name(), "/"); "/"+role != governanceSuffix && !strings.HasPrefix("/"+role, governanceSuffix+"-") {
		return nil, &say.Error{Path: path, What: say.T("this is the key named %s, not a governance key", signer.Name()), Hint: say.T("give the file governance.key or governance.key.age")}
	}
	return signer, nil
}

func openKey(p *say.Printer, path string, sealed []byte, passphraseFile string) ([]byte, error) {
	passphrase, err := askPassphrase(p, passphraseFile)
	if err != nil {
		return nil, err
	}
	wrong := &say.Error{Path: path, What: say.T("the passphrase does not open it"), Hint: say.T("try again")}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, wrong
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		return nil, wrong
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, &say.Error{Path: path, Err: err, What: say.T("the file is damaged"), Hint: say.T("put the file back from a backup")}
	}
	return b, nil
}

// askPassphrase reads the passphrase from a file, or from the terminal without
// showing it.
func askPassphrase(p *say.Printer, file string) (string, error) {
	if file != "" {
		return readPassphrase(file)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", say.Fail(say.T("a passphrase is needed, and there is no terminal to ask for it"), say.T("give -passphrase-file FILE"))
	}
	defer tty.Close()
	if _, err := io.WriteString(tty, p.Text(say.T("Passphrase: "))); err != nil {
		return "", err
	}
	b, err := term.ReadPassword(int(tty.Fd()))
	io.WriteString(tty, "\n")
	return string(b), err
}

// plainWords says what a note of the governance keys means.
func plainWords(g translog.Governance) []say.Text {
	texts := []say.Text{say.T("note %s of the governance keys, written in epoch %s", g.Seq, g.Epoch)}
	switch b := g.Body.(type) {
	case *translog.Genesis:
		texts = append(texts, genesisWords(b)...)
	case translog.Desk:
		texts = append(texts, deskWords(b)...)
	case translog.Card:
		switch {
		case b.Revoked:
			texts = append(texts, say.T("the auditor %s leaves", b.Fingerprint))
		case b.Role == string(card.Auditor):
			texts = append(texts, say.T("the auditor %s may open the leaves of the public log from now on", b.Fingerprint))
		default:
			texts = append(texts, say.T("the reviewer %s has a card here; a desk decides what it may read", b.Fingerprint))
		}
	case translog.Policy:
		texts = append(texts, policyWords(b.Text)...)
	case translog.Retention:
		texts = append(texts, retentionWords(b))
	}
	return texts
}

func genesisWords(g *translog.Genesis) []say.Text {
	texts := []say.Text{
		say.T("the public log of the vault %s begins", g.Origin),
		say.T("its keys: %s; %s; %s", g.Log, g.Operations, strings.Join(g.Governance, "; ")),
		say.T("governance signatures needed: %s", g.Threshold),
		say.T("one epoch lasts %s and has %s leaves", g.Epoch, g.Slots),
		retentionWords(g.Retention),
	}
	return append(texts, policyWords(g.Policy)...)
}

func deskWords(d translog.Desk) []say.Text {
	government := say.T("no")
	if d.Government {
		government = say.T("yes")
	}
	texts := []say.Text{say.T("the desk %s; organisation: %s; linked to government: %s; its reviewers, and nobody else:", d.ID, orDash(d.Organisation), government)}
	for _, fingerprint := range d.Reviewers {
		texts = append(texts, say.T("    %s", fingerprint))
	}
	if len(d.Reviewers) == 0 {
		texts = append(texts, say.T("    nobody: it receives no reports"))
	}
	return texts
}

func policyWords(policy string) []say.Text {
	texts := []say.Text{say.T("who must cosign the public log:")}
	for line := range strings.Lines(policy) {
		texts = append(texts, say.T("    %s", strings.TrimSuffix(line, "\n")))
	}
	return texts
}

func retentionWords(r translog.Retention) say.Text {
	return say.T("a mailbox lasts %s days; a deletion needs %s signatures", r.Days, r.DeleteSignatures)
}
