// Package logtest gives tests a vault whose public log runs.
package logtest

import (
	"crypto/rand"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// firstEpoch is the epoch of genesis.
const firstEpoch = 83115

// Log is the log of a vault, with its keys.
type Log struct {
	Policy torchwood.Policy // without witnesses

	vault *vault.Vault
	log   note.Signer
	next  int64 // epoch to close
}

// Begin begins the log of v and signs its first checkpoint, which covers one
// leaf. Nothing is published yet.
func Begin(t testing.TB, v *vault.Vault) *Log {
	t.Helper()
	g := v.Genesis()
	body := &translog.Genesis{
		Origin: g.Origin, Threshold: 1, Epoch: g.Epoch, Slots: g.Slots,
		Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads,
		Governance: make([]string, 1), Retention: translog.Retention{Days: 180, DeleteSignatures: 2},
	}
	l := &Log{vault: v, next: firstEpoch}
	var governance note.Signer
	l.log, body.Log = newKey(t, g.Origin)
	_, body.Operations = newKey(t, g.Origin+"/operations")
	governance, body.Governance[0] = newKey(t, g.Origin+"/governance")
	body.Policy = "log " + body.Log + "\nquorum none\n"
	var err error
	if l.Policy, err = torchwood.ParsePolicy([]byte(body.Policy)); err != nil {
		t.Fatal(err)
	}
	leaf, err := translog.Governance{Epoch: firstEpoch, Kind: translog.GenesisNote, Body: body}.Sign(governance)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.BeginLog(t.Context(), [][]byte{leaf}, l.log); err != nil {
		t.Fatal(err)
	}
	return l
}

func newKey(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	secret, verifier, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

// Close closes the next epoch. It publishes nothing.
func (l *Log) Close(t testing.TB) {
	t.Helper()
	if err := l.vault.CloseEpoch(t.Context(), vault.Closing{Epoch: l.next, Signer: l.log}); err != nil {
		t.Fatal(err)
	}
	l.next++
}

// Publish publishes the newest checkpoint.
func (l *Log) Publish(t testing.TB) {
	t.Helper()
	if err := l.vault.Publish(t.Context(), l.vault.Signed(), l.next, true); err != nil {
		t.Fatal(err)
	}
}
