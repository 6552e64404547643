package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// ledger makes the leaves of a log, and its keys.
type ledger struct {
	log, operations, governance note.Signer
	genesis                     *translog.Genesis
	last                        *translog.Governance // newest note of the governance key
	next                        int64                // epoch to close
	cards                       map[string]bool
	desks                       map[string]translog.Desk
}

func testKey(name string) (note.Signer, string) {
	secret, verifier, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	return signer, verifier
}

const testLength = 6 * time.Hour

// newLedger begins in the epoch before this one.
func newLedger(origin string) *ledger {
	l := &ledger{cards: map[string]bool{}, desks: map[string]translog.Desk{}, next: translog.EpochAt(time.Now(), testLength) - 1}
	l.genesis = &translog.Genesis{
		Origin: origin, Threshold: 1, Epoch: testLength, Slots: 16, Time: 1, Memory: 8, Threads: 1,
		Governance: make([]string, 1), Retention: translog.Retention{Days: 180, DeleteSignatures: 2},
	}
	l.log, l.genesis.Log = testKey(origin)
	l.operations, l.genesis.Operations = testKey(origin + "/operations")
	l.governance, l.genesis.Governance[0] = testKey(origin + "/governance")
	l.genesis.Policy = "log " + l.genesis.Log + "\nquorum none\n"
	return l
}

// note signs the next note of the governance key.
func (l *ledger) note(body translog.Body) []byte {
	g := translog.Governance{Epoch: l.next, Kind: translog.KindOf(body), Body: body}
	if l.last != nil {
		g.Seq, g.Prev = l.last.Seq+1, l.last.Digest()
	}
	l.last = &g
	leaf, err := g.Sign(l.governance)
	if err != nil {
		panic(err)
	}
	return leaf
}

// member makes the notes by which a card enters these desks and no others.
func (l *ledger) member(c card.Card, file []byte, desks ...string) (leaves [][]byte) {
	f := c.Fingerprint()
	if !l.cards[f] {
		l.cards[f] = true
		leaves = append(leaves, l.note(translog.Card{Fingerprint: f, Role: string(c.Role), Digest: sha256.Sum256(file)}))
	}
	for _, id := range desks {
		if _, ok := l.desks[id]; !ok {
			l.desks[id] = translog.Desk{ID: id}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.desks)) {
		d := l.desks[id]
		was, is := slices.Contains(d.Reviewers, f), slices.Contains(desks, id) && c.Role == card.Reviewer
		if was == is {
			continue
		}
		d.Reviewers = slices.DeleteFunc(slices.Clone(d.Reviewers), func(s string) bool { return s == f })
		if is {
			d.Reviewers = append(d.Reviewers, f)
		}
		slices.Sort(d.Reviewers)
		l.desks[id] = d
		leaves = append(leaves, l.note(d))
	}
	return leaves
}

// begin begins the log of a vault.
func (l *ledger) begin(v *vault.Vault) error {
	g := v.Genesis()
	l.genesis.Salt = g.Salt
	if err := v.BeginLog(context.Background(), [][]byte{l.note(l.genesis)}, l.log); err != nil {
		return err
	}
	return v.Publish(context.Background(), v.Signed(), l.next, true)
}

// close closes an epoch of the vault, with notes before it.
func (l *ledger) close(v *vault.Vault, notes ...[]byte) error {
	if err := v.CloseEpoch(context.Background(), vault.Closing{Epoch: l.next, Notes: notes, Signer: l.log}); err != nil {
		return err
	}
	l.next++
	return v.Publish(context.Background(), v.Signed(), l.next, true)
}

// fillers are random event leaves of the next epoch, with some others, sorted.
func (l *ledger) fillers(with ...translog.Leaf) (leaves [][]byte) {
	all := slices.Clone(with)
	for n := uint64(len(all)); n < uint64(l.genesis.Slots); n++ {
		tag := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("filler"), uint64(l.next)<<16|n))
		all = append(all, translog.Leaf{Tag: tag, Commitment: tag})
	}
	slices.SortFunc(all, func(a, b translog.Leaf) int { return slices.Compare(a.Tag[:], b.Tag[:]) })
	for _, leaf := range all {
		leaf.Epoch = l.next
		leaves = append(leaves, leaf.Marshal())
	}
	l.next++
	return leaves
}

func sha(b []byte) [32]byte { return sha256.Sum256(b) }
