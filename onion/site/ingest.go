package site

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// This file is the only one where a report's plaintext and the storage meet.
// Plaintext goes into seal.Writer and nowhere else; age ciphertext comes out of
// it, and goes into vault.Draft and nowhere else:
//
//	message, answers, files ──> seal.Writer ──> intake.Write ──> vault.Draft
//
// Nothing is kept here: a file passes through in the pieces in which the
// connection brings it. There is no way round the cipher. If sealing or storing
// fails, the draft is dropped and the source is told so.

// intake is one report on its way from the source to the disk. It must end in discard.
type intake struct {
	draft      *vault.Draft
	writer     *seal.Writer
	manifest   seal.Manifest    // sealed inside the report: only its readers see it
	submission vault.Submission // kept by the vault under the item's own key
	err        error            // first error of the draft
}

// begin derives the keys of the codename, and seals the message and the answers.
// The report is then open for files. Its error is a *refusal, or the context's.
func (in *intake) begin(ctx context.Context, s *Site, a accepted) error {
	keys, err := s.kdf.derive(ctx, a.codename)
	if err != nil {
		return err
	}
	if err := in.describe(s.config.Origin, a, keys); err != nil {
		return errEncrypt
	}
	if in.draft, err = s.vault.Create(ctx); err != nil {
		return storageRefusal(err)
	}
	if in.writer, err = seal.NewWriter(in, a.readers.recipients...); err != nil {
		return in.refusal()
	}
	if in.writer.WriteMessage([]byte(a.message)) != nil || in.writer.WriteAnswers(a.answers) != nil {
		return in.refusal()
	}
	return nil
}

// describe fills in manifest and submission. The codename is in neither: the
// vault gets the hash of a token derived from it, the readers a key to answer to.
func (in *intake) describe(origin string, a accepted, keys codename.Keys) error {
	identity, err := seal.IdentityFromSeed(keys.Age)
	if err != nil {
		return err
	}
	replyTo := identity.Recipient().String()
	deskLog := keys.DeskLog()
	id := vault.NewCaseID()
	var thread [16]byte
	rand.Read(thread[:])
	in.manifest = seal.Manifest{
		Origin:     origin,
		Case:       string(id),
		Thread:     hex.EncodeToString(thread[:]),
		Kind:       string(translog.Report),
		Day:        a.day,
		Desks:      a.readers.ids(),
		Excluded:   a.readers.excluded,
		Governance: a.governance,
		Share:      a.share,
		ReplyTo:    replyTo,
		ThreadKey:  keys.Thread[:],
		DeskLogKey: deskLog[:],
	}
	in.submission = vault.Submission{
		Mailbox: sha256.Sum256(keys.Mailbox[:]),
		Case:    id,
		Thread:  thread,
		Event:   translog.NewEvent(keys.Log, translog.Report, 0),
		Expire:  translog.NewEvent(keys.Log, translog.Expire, 0),
		Tombstones: [2][32]byte{
			translog.NewEvent(keys.Log, translog.SourceDelete, 0).Tag(translog.SourceDelete),
			translog.NewEvent(deskLog, translog.DeskDelete, 0).Tag(translog.DeskDelete),
		},
		Governance: a.governance,
		Recipient:  replyTo,
		Desks:      a.readers.ids(),
		Day:        a.day,
		Recipients: len(a.readers.recipients),
	}
	return nil
}

// Write takes ciphertext from the sealing to the vault.
func (in *intake) Write(p []byte) (int, error) {
	n, err := in.draft.Write(p)
	if err != nil && in.err == nil {
		in.err = err
	}
	return n, err
}

// file seals one file while it arrives. If body itself fails, so does file, and
// the caller knows body's error.
func (in *intake) file(name, typ string, body io.Reader) error {
	if in.writer.WriteFile(name, typ, body) != nil {
		return in.refusal()
	}
	return nil
}

// commit ends the report and makes it durable. After nil, and only then, the
// source may be told that we have it. Its error is a *refusal.
func (in *intake) commit(ctx context.Context) error {
	if in.writer.Close(in.manifest) != nil {
		return in.refusal()
	}
	if err := in.draft.Commit(ctx, in.submission); err != nil {
		return storageRefusal(err)
	}
	return nil
}

// discard drops what was not committed.
func (in *intake) discard() {
	if in.draft != nil {
		in.draft.Discard()
	}
}

// refusal is the reason why sealing stopped: the vault, if Write failed, or the cipher.
func (in *intake) refusal() *refusal {
	if in.err != nil {
		return storageRefusal(in.err)
	}
	return errEncrypt
}
