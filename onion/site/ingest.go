package site

import (
	"context"
	"io"

	"resguardo/crypto/seal"
	"resguardo/vault"
)

// This file is the only one where plaintext of a source and the storage meet.
// Plaintext goes into seal.Writer and nowhere else; age ciphertext comes out of
// it, and goes into vault.Draft and nowhere else:
//
//	message, answers, files ──> seal.Writer ──> intake.Write ──> vault.Draft
//
// A report comes this way, and whatever its source adds later. Nothing is kept
// here: a file passes through in the pieces in which the connection brings it.
// There is no way round the cipher. If sealing or storing fails, the draft is
// dropped and the source is told so.

// item is what a source sends, but for its files.
type item struct {
	manifest   seal.Manifest    // sealed inside the item: only its readers see it
	recipients []seal.Recipient // at least one
	message    string           // empty: none
	answers    []byte           // JSON; nil: none

	// store makes the finished draft an item of the vault: of a new case, or of one
	// that is there. What the vault gets beside the draft is in submission.go.
	store func(context.Context, *vault.Draft) error
}

// intake is one item on its way from the source to the disk. It must end in discard.
type intake struct {
	item   item
	draft  *vault.Draft
	writer *seal.Writer
	err    error // first error of the draft
}

// begin seals the message and the answers. The item is then open for files. Its
// error is a *refusal, or the context's.
func (in *intake) begin(ctx context.Context, v *vault.Vault, i item) (err error) {
	in.item = i
	if in.draft, err = v.Create(ctx); err != nil {
		return storageRefusal(err)
	}
	if in.writer, err = seal.NewWriter(in, i.recipients...); err != nil {
		return in.refusal()
	}
	if i.message != "" && in.writer.WriteMessage([]byte(i.message)) != nil {
		return in.refusal()
	}
	if i.answers != nil && in.writer.WriteAnswers(i.answers) != nil {
		return in.refusal()
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

// commit ends the item and makes it durable. After nil, and only then, the
// source may be told that we have it. Its error is a *refusal.
func (in *intake) commit(ctx context.Context) error {
	if in.writer.Close(in.item.manifest) != nil {
		return in.refusal()
	}
	if err := in.item.store(ctx, in.draft); err != nil {
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
