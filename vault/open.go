package vault

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"
)

// Open opens the vault in dir, sweeps drafts without an item and slots without a row, and rebuilds the index.
//
// It returns ErrLocked when another process has the vault open, ErrFormat when a
// newer version wrote it, and ErrDamaged when vault.db does not open. Damage of
// single rows, slots and blob files is no error: Check names it. Nothing is swept
// while there is damage, or while OldCopy speaks against this copy.
func Open(dir string, o Options) (*Vault, error) {
	o.BlobSize = cmp.Or(o.BlobSize, blobSize)
	v := &Vault{
		dir:     dir,
		options: o,
		index:   newIndex(),
		dummy:   newDummy(),
		drafts:  make(map[ItemID]bool),
		jobs:    newJobs(),
		stopped: make(chan struct{}),
		failed:  make(chan struct{}),
		closed:  make(chan struct{}),
	}
	if err := v.open(); err != nil {
		return nil, err
	}
	go v.write()
	return v, nil
}

func (v *Vault) open() (err error) {
	if err := readAnew(v.dir); err != nil {
		return err
	}
	if v.meta, err = openBolt(filepath.Join(v.dir, metaName), metaOptions()); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.meta.Close())
		}
	}()
	s, err := readVault(v.meta)
	if err != nil {
		return err
	}
	v.genesis = s.genesis
	if v.slots, err = openSlots(filepath.Join(v.dir, slotsName)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.slots.close())
		}
	}()
	var damaged []Problem
	if v.blobs, damaged, err = openBlobs(filepath.Join(v.dir, blobsName), v.options.BlobSize); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.blobs.close())
		}
	}()
	l := loader{v: v, found: damaged, slots: map[uint64]bool{s.queue: true}, items: make(map[string]bool), going: make(map[string]bool)}
	if err := checkMetaPages(filepath.Join(v.dir, metaName), metaPage); err != nil {
		l.damage(metaName, err)
	}
	if err := guard(metaName, func() error { return v.meta.View(l.load) }); err != nil {
		return err
	}
	if v.queue, err = l.queueSlot(s.queue); err != nil {
		return err
	}
	for _, late := range s.late {
		l.lateSlot(late)
	}
	if err := v.loadLog(); err != nil {
		return err
	}
	// An old vault.db, or another's, knows nothing of what came later: what looks left
	// over may be that.
	l.keep = l.keep || v.log.stop != nil
	if err := v.completeDeletions(); err != nil {
		return err
	}
	ended := l.ended()
	if err := v.applyTombstones(ended); err != nil {
		return err
	}
	if err := l.sweep(); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if len(l.going)+len(ended) > 0 {
		l.swept = v.blobs.all()
	}
	if len(l.swept) > 0 {
		if err := v.punch(l.swept); err != nil {
			return err
		}
	}
	v.found = l.found
	v.keepReserve()
	return nil
}

// loader reads all rows at start.
type loader struct {
	v     *Vault
	found []Problem
	slots map[uint64]bool // that some row refers to
	items map[string]bool // row keys of items, also of damaged ones
	going map[string]bool // row keys of items and cases that are being deleted
	keep  bool            // a row is damaged, or nothing may be signed: sweep nothing
	swept []*blobFile     // from which payloads were removed
	ends  []caseEnds
}

// caseEnds are the tags of the events that can end a case.
type caseEnds struct {
	id   CaseID
	tags [3][32]byte
}

// ended lists the cases whose deletion is in the log: a recovery that was cut short
// has left them.
func (l *loader) ended() (ids []CaseID) {
	for _, c := range l.ends {
		if slices.ContainsFunc(c.tags[:], l.v.Logged) {
			ids = append(ids, c.id)
		}
	}
	return ids
}

func (l *loader) damage(where string, err error) {
	l.keep = true
	l.found = append(l.found, Problem{Where: where, What: err.Error(), Hint: hintRow})
}

const hintRow = "restore the vault from a backup, or export what is readable; nothing is swept while rows are damaged"

func (l *loader) load(tx *bbolt.Tx) error {
	listed := make(map[ItemID]CaseID)
	err := l.each(tx, casesBucket, func(key, value []byte) error {
		r, err := l.v.slots.openCase(key, value)
		if err != nil || len(key) != 32 {
			return errors.Join(err, sized(key, 32))
		}
		l.v.index.addCase([32]byte(key), r)
		l.ends = append(l.ends, caseEnds{r.Case, r.ends()})
		for _, id := range r.Items {
			listed[id] = r.Case
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = l.each(tx, itemsBucket, func(key, value []byte) error {
		l.items[string(key)] = true
		r, o, err := l.v.slots.openItem(key, value)
		if err != nil || len(key) != 16 {
			return errors.Join(err, sized(key, 16))
		}
		e := newEntry(itemID(key), r, o)
		l.v.index.add(e)
		if listed[e.ID] != e.Case {
			return fmt.Errorf("%w: its case does not list it", ErrDamaged)
		}
		delete(listed, e.ID)
		if tx.Bucket([]byte(headersBucket)).Get(key) == nil {
			return fmt.Errorf("%w: its header is missing", ErrDamaged)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := range listed {
		l.damage("item "+string(id), fmt.Errorf("%w: its case lists it, its row is missing", ErrDamaged))
	}
	for _, bucket := range []string{headersBucket, queueBucket} {
		err := l.each(tx, bucket, func(key, value []byte) error {
			if bucket == headersBucket && !l.items[string(key)] && !l.going[string(key)] {
				return fmt.Errorf("%w: a header without an item", ErrDamaged)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func sized(key []byte, n int) error {
	if len(key) != n {
		return fmt.Errorf("%w: its key is %d bytes long", ErrDamaged, len(key))
	}
	return nil
}

// each calls row for every row of a bucket, notes the slot it refers to, and takes an error as damage.
func (l *loader) each(tx *bbolt.Tx, bucket string, row func(key, value []byte) error) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(key, value []byte) error {
		if n, ok := rowSlot(value); ok {
			l.slots[n] = true
		}
		if (bucket == casesBucket || bucket == itemsBucket) && isDeleting(value) {
			l.going[string(key)] = true
			return nil
		}
		if err := row(key, value); err != nil {
			l.damage(rowName(bucket, key), err)
		}
		return nil
	})
}

// rowName names a row in a Problem: an item by its id, a case and an event by the
// start of their keys. A damaged key can be very long.
func rowName(bucket string, key []byte) string {
	switch bucket {
	case itemsBucket:
		return fmt.Sprintf("item %.16x", key)
	case headersBucket:
		return fmt.Sprintf("header of item %.16x", key)
	case casesBucket:
		return fmt.Sprintf("case row %.8x", key)
	default:
		return fmt.Sprintf("queued event %.8x", key)
	}
}

// queueSlot returns the queue's key. If that slot is damaged, the events under
// it are lost, but new ones must not be: they get a new slot.
func (l *loader) queueSlot(n uint64) (slotRef, error) {
	key, err := l.v.slots.key(n, queueSlot, nil)
	if err == nil {
		return slotRef{number: n, key: key, used: true}, nil
	}
	l.damage(fmt.Sprintf("%s, slot %d", slotsName, n), fmt.Errorf("the queue's slot: %w", err))
	ref := slotRef{number: l.v.slots.next, key: newKey(), used: true}
	l.v.slots.next++
	l.slots[ref.number] = true
	err = l.v.slots.grow(ref.number)
	if err == nil {
		err = l.v.slots.put(ref.number, slot{class: queueSlot, key: ref.key})
	}
	if err == nil {
		err = l.v.slots.sync()
	}
	if err != nil {
		return slotRef{}, err
	}
	return ref, l.v.meta.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(vaultBucket)).Put(queueKey, binary.BigEndian.AppendUint64(nil, ref.number))
	})
}

// lateSlot notes the key of late events. If its slot is damaged, they are lost;
// the next epoch makes another.
func (l *loader) lateSlot(n uint64) {
	l.slots[n] = true
	key, err := l.v.slots.key(n, queueSlot, nil)
	if err != nil {
		l.damage(fmt.Sprintf("%s, slot %d", slotsName, n), fmt.Errorf("the slot of late events: %w", err))
		return
	}
	l.v.late = slotRef{number: n, key: key, used: true}
}

// sweep removes what a crash left of drafts, unless there is damage, and notes which slots are free.
func (l *loader) sweep() error {
	s := l.v.slots
	var orphans []uint64
	used := make(map[uint64]bool)
	err := s.scan(func(n uint64, _ slot, _ error) {
		used[n] = true
		if !l.slots[n] {
			orphans = append(orphans, n)
		}
	})
	if err != nil {
		return err
	}
	for n := range s.next {
		if !used[n] && !l.slots[n] {
			s.free = append(s.free, n)
		}
	}
	for _, f := range l.v.blobs.all() {
		if f.exists() {
			if err := l.sweepBlobs(f); err != nil {
				return err
			}
		}
	}
	if l.keep || len(orphans) == 0 {
		return nil
	}
	for _, n := range orphans {
		if err := s.wipe(n); err != nil {
			return err
		}
		s.free = append(s.free, n)
	}
	return s.sync()
}

// sweepBlobs removes payloads without an item from a file.
func (l *loader) sweepBlobs(f *blobFile) error {
	names, err := f.names()
	if err != nil {
		l.found = append(l.found, f.problem(err))
		return nil
	}
	for _, name := range names {
		if l.items[name] || l.keep {
			continue
		}
		if !slices.Contains(l.swept, f) {
			l.swept = append(l.swept, f)
		}
		if err := f.removeAll([]byte(name)); isFull(err) {
			return nil // the next start tries again
		} else if errors.Is(err, ErrDamaged) {
			l.found = append(l.found, f.problem(err))
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// removeAll deletes an item's payload, some segments at a time.
func (f *blobFile) removeAll(id []byte) error {
	for {
		gone, err := f.remove(bytes.Clone(id), removeStep)
		if gone || err != nil {
			return err
		}
	}
}
