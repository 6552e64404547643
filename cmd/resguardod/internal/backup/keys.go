package backup

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// Recipients are who can open a backup.
type Recipients struct {
	Keys  []age.Recipient
	Texts []string // of Keys
}

// ReadRecipients reads a file of age recipients: one a line, post-quantum or
// classical, but not both, because age would encrypt for the weaker ones.
func ReadRecipients(path string) (Recipients, error) {
	text, err := statedir.ReadFile(path, statedir.MaxFile)
	if err != nil {
		return Recipients{}, err
	}
	hint := say.T("one recipient a line, all age1… or all age1pq1…, as age-keygen -y prints them")
	keys, err := age.ParseRecipients(bytes.NewReader(text))
	if err == nil {
		_, err = age.Encrypt(io.Discard, keys...)
	}
	if err != nil {
		return Recipients{}, &say.Error{Path: path, Err: err, What: say.T("not a file of age recipients: %s", err), Hint: hint}
	}
	r := Recipients{Keys: keys}
	for _, key := range keys {
		r.Texts = append(r.Texts, fmt.Sprint(key))
	}
	return r, nil
}

// ReadIdentities reads a file of age identities, in clear or encrypted to a
// passphrase, for which it asks then.
func ReadIdentities(path string, passphrase func() (string, error)) ([]age.Identity, error) {
	text, err := statedir.ReadFile(path, statedir.MaxFile)
	if err != nil {
		return nil, err
	}
	if sealed := sealedIdentity(text); sealed != nil {
		if text, err = openIdentity(path, sealed, passphrase); err != nil {
			return nil, err
		}
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, &say.Error{Path: path, Err: err, What: say.T("not a file of age identities: %s", err), Hint: say.T("give the file that age-keygen made")}
	}
	return ids, nil
}

// sealedIdentity returns a reader of an age file, or nil for anything else.
func sealedIdentity(text []byte) io.Reader {
	switch {
	case bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")):
		return bytes.NewReader(text)
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte(armor.Header)):
		return armor.NewReader(bufio.NewReader(bytes.NewReader(text)))
	}
	return nil
}

func openIdentity(path string, sealed io.Reader, passphrase func() (string, error)) ([]byte, error) {
	words, err := passphrase()
	if err != nil {
		return nil, err
	}
	wrong := &say.Error{Path: path, What: say.T("the passphrase does not open it"), Hint: say.T("try again")}
	id, err := age.NewScryptIdentity(words)
	if err != nil {
		return nil, wrong
	}
	r, err := age.Decrypt(sealed, id)
	if err != nil {
		return nil, wrong
	}
	text, err := io.ReadAll(io.LimitReader(r, statedir.MaxFile))
	if err != nil {
		return nil, &say.Error{Path: path, Err: err, What: say.T("the file is damaged"), Hint: say.T("put the file back from a backup")}
	}
	return text, nil
}
