package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"resguardo/vault/translog"
)

// Closing is what CloseEpoch needs.
type Closing struct {
	Epoch  int64                                // the epoch that ends; one more than the last, or than the last of a gap note in Notes
	Notes  [][]byte                             // governance leaves, before the events
	Signer note.Signer                          // log key
	Seal   func(records []byte) ([]byte, error) // to the auditors in force; nil = there is none
}

// BeginLog makes the first leaves of an empty log, genesis first, and signs its
// first checkpoint. Until then nothing can be closed.
func (v *Vault) BeginLog(ctx context.Context, notes [][]byte, signer note.Signer) error {
	return v.exclusive(ctx, func() error {
		if v.log.stop != nil || v.log.signed != nil {
			return errors.Join(v.log.stop, errors.New("the log has begun already"))
		}
		if len(notes) == 0 {
			return errors.New("the log begins with a genesis note")
		}
		m, err := beginMonitor(notes[0])
		if err != nil {
			return err
		}
		return v.extend(m, notes, signWith(signer), func(*bbolt.Tx) error { return nil })
	})
}

// CloseEpoch appends an epoch: notes, then what is queued and fillers, sorted by
// tag. In one transaction the queue's rows become leaves, tiles and a signed
// checkpoint; then high-water is written and synced; then the keys of the queue are
// overwritten. Publish decides what others see.
//
// Errors that wrap *translog.Violation, ErrOldCopy, ErrNoHighWater, ErrNoLog or
// ErrFull, and those of Seal and Signer, mean that nothing was changed.
func (v *Vault) CloseEpoch(ctx context.Context, c Closing) error {
	return v.exclusive(ctx, func() error {
		switch {
		case v.log.stop != nil:
			return v.log.stop
		case v.log.monitor == nil:
			return ErrNoLog
		}
		v.keepReserve()
		return v.closeEpoch(c)
	})
}

func (v *Vault) closeEpoch(c Closing) error {
	taken, left, err := v.drawEvents()
	if err != nil {
		return err
	}
	leaves, records := slices.Clone(c.Notes), make([]byte, 0, len(taken)*translog.RecordSize)
	for _, q := range taken {
		leaves = append(leaves, translog.Leaf{Epoch: c.Epoch, Tag: q.Tag, Commitment: q.Commitment}.Marshal())
		records = append(records, q.Record...)
	}
	var sealed []byte
	if c.Seal != nil {
		if sealed, err = c.Seal(records); err != nil {
			return fmt.Errorf("seal the records of epoch %d: %w", c.Epoch, err)
		}
	}
	clear(records)
	next, late, err := v.nextQueue(len(left) > 0)
	if err != nil {
		return err
	}
	old := []slotRef{v.queue, v.late}
	err = v.extend(v.log.monitor, leaves, signWith(c.Signer), func(tx *bbolt.Tx) error {
		if sealed != nil {
			if err := tx.Bucket([]byte(recordsBucket)).Put(epochKey(c.Epoch), sealed); err != nil {
				return err
			}
		}
		return requeue(tx, taken, left, next, late)
	})
	if err != nil {
		return errors.Join(err, v.wipe(next, late))
	}
	v.queue, v.late = next, late
	err = v.wipe(old...)
	v.blobs.touch()
	return err
}

// drawEvents chooses what the epoch takes, fillers included, sorted by tag, and what
// waits for the next one. What has waited already goes first; of the rest chance
// decides, so that no order of arrival shows.
func (v *Vault) drawEvents() (taken, left []translog.Queued, err error) {
	late := 0
	err = v.eachQueued(func(q translog.Queued, isLate bool) {
		if left = append(left, q); isLate {
			left[late], left[len(left)-1] = left[len(left)-1], left[late]
			late++
		}
	})
	if err != nil {
		return nil, nil, err
	}
	for i, rest := 0, left[late:]; i < len(rest); i++ {
		j := i + draw(len(rest)-i)
		rest[i], rest[j] = rest[j], rest[i]
	}
	n := translog.EpochLeaves(v.genesis.Slots, late)
	taken = slices.Clone(left[:min(n, len(left))])
	left = left[len(taken):]
	for len(taken) < n {
		var e translog.Event
		rand.Read(e[:])
		taken = append(taken, translog.Queue(e, translog.Opening{Kind: translog.Filler}))
	}
	slices.SortFunc(taken, func(a, b translog.Queued) int { return bytes.Compare(a.Tag[:], b.Tag[:]) })
	return taken, left, nil
}

// eachQueued calls f for every event that waits. A damaged row stays in the
// queue: Check names it.
func (v *Vault) eachQueued(f func(q translog.Queued, late bool)) error {
	return v.view(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(queueBucket)).ForEach(func(tag, row []byte) error {
			e, o, err := v.slots.openQueued(tag, row)
			if err != nil {
				return nil
			}
			n, _ := rowSlot(row)
			f(translog.Queue(e, o), v.late.used && n == v.late.number)
			return nil
		})
	})
}

// nextQueue makes durable slots for the queue of the next epoch, and for what has to wait for it.
func (v *Vault) nextQueue(more bool) (next, late slotRef, err error) {
	next = v.reserveSlot()
	if more {
		late = v.reserveSlot()
	}
	for _, ref := range []slotRef{next, late} {
		if !ref.used {
			continue
		}
		if err := v.slots.grow(ref.number); isFull(err) {
			v.release(next, late)
			return next, late, ErrFull
		} else if err != nil {
			return next, late, v.fail(err)
		}
		if err := v.slots.put(ref.number, slot{class: queueSlot, key: ref.key}); err != nil {
			return next, late, v.fail(err)
		}
	}
	if err := v.slots.sync(); err != nil {
		return next, late, v.fail(err)
	}
	return next, late, nil
}

func (v *Vault) reserveSlot() slotRef {
	return slotRef{number: v.slots.reserve(), key: newKey(), used: true}
}

func (v *Vault) release(refs ...slotRef) {
	for _, ref := range refs {
		if ref.used {
			v.slots.release(ref.number)
		}
	}
}

// wipe overwrites keys for good.
func (v *Vault) wipe(refs ...slotRef) error {
	if err := v.Err(); err != nil {
		return nil // extend has failed already; the next start sweeps
	}
	for _, ref := range refs {
		if !ref.used {
			continue
		}
		if err := v.slots.wipe(ref.number); err != nil {
			return v.fail(err)
		}
	}
	if err := v.slots.sync(); err != nil {
		return v.fail(err)
	}
	v.release(refs...)
	return nil
}

// requeue takes rows out of the queue and seals what is left under the key of late events.
func requeue(tx *bbolt.Tx, taken, left []translog.Queued, next, late slotRef) error {
	queue, b := tx.Bucket([]byte(queueBucket)), tx.Bucket([]byte(vaultBucket))
	for _, q := range taken {
		if err := queue.Delete(q.Tag[:]); err != nil {
			return err
		}
	}
	for _, q := range left {
		if err := queue.Put(q.Tag[:], sealQueued(q, late)); err != nil {
			return err
		}
	}
	if err := b.Put(queueKey, binary.BigEndian.AppendUint64(nil, next.number)); err != nil {
		return err
	}
	if !late.used {
		return b.Delete(lateKey)
	}
	return b.Put(lateKey, binary.BigEndian.AppendUint64(nil, late.number))
}

// extend appends leaves that m, the monitor of this log, must take, together with
// other rows. sign makes the checkpoint of the tree that they give. After an error
// of sign or of m nothing is changed.
func (v *Vault) extend(m *translog.Monitor, leaves [][]byte, sign func(torchwood.Checkpoint) ([]byte, error), also func(*bbolt.Tx) error) error {
	l := &v.log
	var g growth
	err := v.view(func(tx *bbolt.Tx) (err error) {
		g, err = grow(tx, l.tree.N, leaves)
		return err
	})
	if err != nil {
		return err
	}
	if err := v.observe(m, leaves); err != nil {
		return err
	}
	signed, err := v.signed(m, torchwood.Checkpoint{Origin: v.genesis.Origin, Tree: g.tree}, sign)
	if err != nil {
		return errors.Join(err, v.forgetLeaves())
	}
	err = v.meta.Update(func(tx *bbolt.Tx) error {
		return errors.Join(g.put(tx), tx.Bucket([]byte(vaultBucket)).Put(signedKey, signed), also(tx))
	})
	if err != nil {
		return v.fail(fmt.Errorf("%s: %w", metaName, err))
	}
	l.mu.Lock()
	l.monitor, l.tree, l.signed = m, g.tree, signed
	l.mu.Unlock()
	if err := v.writeHighWater(); err != nil {
		return v.fail(fmt.Errorf("%s: %w", highWaterName, err))
	}
	return nil
}

// observe lets the monitor take the leaves, so that nothing is signed that an
// auditor would refuse.
func (v *Vault) observe(m *translog.Monitor, leaves [][]byte) error {
	v.log.mu.Lock()
	defer v.log.mu.Unlock()
	if err := m.Append(leaves...); err != nil {
		return err
	}
	if !v.genesis.matches(m.Genesis()) {
		return errors.New("this genesis is not that of the vault")
	}
	return nil
}

// forgetLeaves makes the monitor anew after it took leaves that are not signed.
func (v *Vault) forgetLeaves() error {
	l := &v.log
	if l.signed == nil {
		return nil
	}
	m, err := v.replay(context.Background(), nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.monitor = m; err != nil {
		l.stop = err
	}
	return err
}

// signed calls sign, and opens what it made with the key that genesis names.
func (v *Vault) signed(m *translog.Monitor, c torchwood.Checkpoint, sign func(torchwood.Checkpoint) ([]byte, error)) ([]byte, error) {
	key, err := note.NewVerifier(m.Genesis().Log)
	if err != nil {
		return nil, err
	}
	signed, err := sign(c)
	if err != nil {
		return nil, err
	}
	if again, err := verifiedBy(signed, key); err != nil || again != c {
		return nil, errors.Join(errors.New("the checkpoint is not signed by the log's key"), err)
	}
	return signed, nil
}

// signWith signs checkpoints with the log's key.
func signWith(signer note.Signer) func(torchwood.Checkpoint) ([]byte, error) {
	return func(c torchwood.Checkpoint) ([]byte, error) {
		return note.Sign(&note.Note{Text: c.String()}, signer)
	}
}

// verifiedBy opens a checkpoint with the log's key.
func verifiedBy(checkpoint []byte, key note.Verifier) (torchwood.Checkpoint, error) {
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(key.Name()), torchwood.SingleVerifierPolicy(key))
	c, _, err := torchwood.VerifyCheckpoint(checkpoint, policy)
	return c, err
}

// cutNote splits a signed note into its text and its signatures.
func cutNote(b []byte) (text, signatures string, ok bool) {
	i := strings.LastIndex(string(b), "\n\n")
	if i < 0 {
		return "", "", false
	}
	return string(b[:i+1]), string(b[i+2:]), true
}
