package vault

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// Tombstone is the event of a deletion.
type Tombstone struct {
	Kind       translog.Kind // source-delete, desk-delete or expire
	Event      translog.Event
	Governance uint64
}

// DeleteCase destroys a case with all its items. When it returns nil, their keys
// are overwritten on the disk, and the tombstone is queued; payloads and free pages
// have followed, unless a Backup runs: then they go at its end. Errors are those of
// Commit, besides ErrNotFound.
//
// A crash at any moment leaves all of the case, or a deletion that the next Open
// completes.
func (v *Vault) DeleteCase(ctx context.Context, id CaseID, t Tombstone) error {
	return v.delete(ctx, t.Event.Tag(t.Kind), func(tx *bbolt.Tx) (deletion, error) {
		d, err := v.wholeCase(tx, id)
		d.queue(t, [32]byte{})
		return d, err
	})
}

// Expire destroys a case with the tombstone that was made when it began.
func (v *Vault) Expire(ctx context.Context, id CaseID, governance uint64) error {
	c, err := v.openedCase(id)
	if err != nil {
		return err
	}
	return v.DeleteCase(ctx, id, Tombstone{Kind: translog.Expire, Event: translog.Event(c.record.Expire), Governance: governance})
}

// DeleteItem destroys one item; its case goes on. Its hash stays in the case
// record, because the next item of its direction names it.
//
// When the log has the tombstone, an old copy of the vault has brought the item back:
// it goes without another event.
func (v *Vault) DeleteItem(ctx context.Context, id ItemID, t Tombstone) error {
	return v.delete(ctx, t.Event.Tag(t.Kind), func(tx *bbolt.Tx) (deletion, error) {
		e, ok := v.index.item(id)
		if !ok {
			return deletion{}, ErrNotFound
		}
		c, err := v.openCaseRow(tx, e.Case)
		if err != nil {
			return deletion{}, err
		}
		c.record.Items = slices.DeleteFunc(slices.Clone(c.record.Items), func(other ItemID) bool { return other == id })
		c.record.Gone = append(slices.Clone(c.record.Gone), gone{Number: e.Number, Kind: e.Kind, Day: e.Day, Sum: e.SHA256[:]})
		d := deletion{items: []ItemID{id}, stays: c, thread: [16]byte(c.record.Thread)}
		d.queue(t, e.Tag)
		return d, nil
	})
}

// deletion is what goes in one step.
type deletion struct {
	items  []ItemID
	kase   *openedCase // goes as well
	stays  *openedCase // or goes on, changed
	thread [16]byte
	event  *translog.Queued // nil: it is in the log already
}

func (d *deletion) queue(t Tombstone, ref [32]byte) {
	q := translog.Queue(t.Event, translog.Opening{Kind: t.Kind, Thread: d.thread, Ref: ref, Governance: t.Governance})
	d.event = &q
}

func (v *Vault) wholeCase(tx *bbolt.Tx, id CaseID) (deletion, error) {
	c, err := v.openCaseRow(tx, id)
	if err != nil {
		return deletion{}, err
	}
	return deletion{items: c.record.Items, kase: c, thread: [16]byte(c.record.Thread)}, nil
}

func (v *Vault) openedCase(id CaseID) (c *openedCase, err error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	err = guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			c, err = v.openCaseRow(tx, id)
			return err
		})
	})
	if err != nil {
		return nil, v.readError(err)
	}
	return c, nil
}

// delete marks rows, overwrites keys and drops the rows in the writer's place;
// then, bit by bit, payloads and free pages. A tombstone that is known is refused
// first, but for an item that is there although its tombstone is in the log.
func (v *Vault) delete(ctx context.Context, tag [32]byte, plan func(*bbolt.Tx) (deletion, error)) error {
	var files []*blobFile
	var d deletion
	err := v.exclusive(ctx, func() error {
		err := v.view(func(tx *bbolt.Tx) (err error) {
			queued, logged := tx.Bucket([]byte(queueBucket)).Get(tag[:]) != nil, v.Logged(tag)
			switch d, err = plan(tx); {
			case logged && !queued && err == nil && d.stays != nil:
				d.event = nil
				return nil
			case logged || queued:
				return ErrExists
			}
			return err
		})
		if err != nil {
			return err
		}
		v.draftMu.Lock()
		for _, id := range d.items {
			v.drafts[id] = true // until its payload is gone
		}
		v.draftMu.Unlock()
		files, err = v.destroy(d)
		return err
	})
	if err != nil {
		return err
	}
	return v.reclaim(d.items, files)
}

// destroy makes items unreadable: their rows say that they go and the tombstone is
// queued, in one transaction; then their keys are overwritten; then the rows go.
// It returns the files that hold their payloads.
func (v *Vault) destroy(d deletion) (files []*blobFile, err error) {
	for _, id := range d.items {
		if e, ok := v.index.item(id); ok {
			if f := v.blobs.file(e.blob); f != nil && !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	err = v.update(func(tx *bbolt.Tx) error { return v.mark(tx, d) }, func() {
		for _, id := range d.items {
			v.index.remove(id)
		}
		if d.kase != nil {
			v.index.removeCase(d.kase.record.Case)
		}
	})
	if err != nil {
		return nil, err
	}
	return files, v.completeDeletions()
}

// mark changes the rows of a deletion into ones that only say that they go.
func (v *Vault) mark(tx *bbolt.Tx, d deletion) error {
	items := tx.Bucket([]byte(itemsBucket))
	for _, id := range d.items {
		key, _ := id.bytes()
		if n, ok := rowSlot(items.Get(key[:])); ok {
			if err := items.Put(key[:], clearDeleting(n)); err != nil {
				return err
			}
		}
	}
	if c := d.kase; c != nil {
		if err := tx.Bucket([]byte(casesBucket)).Put(c.mailbox[:], clearDeleting(c.ref.number)); err != nil {
			return err
		}
	}
	if c := d.stays; c != nil {
		if err := c.put(tx); err != nil {
			return err
		}
	}
	if d.event == nil {
		return nil
	}
	return tx.Bucket([]byte(queueBucket)).Put(d.event.Tag[:], sealQueued(*d.event, v.queue))
}

// completeDeletions overwrites the keys of all rows that say that they go, and
// then drops these rows. Open calls it too.
func (v *Vault) completeDeletions() error {
	rows, slots, err := v.deleting()
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, n := range slots {
		if err := v.slots.wipe(n); err != nil {
			return v.fail(err)
		}
	}
	if err := v.slots.sync(); err != nil {
		return v.fail(err)
	}
	return v.update(func(tx *bbolt.Tx) error {
		for _, r := range rows {
			if err := tx.Bucket([]byte(r.bucket)).Delete(r.key); err != nil {
				return err
			}
		}
		return nil
	}, func() {
		for _, n := range slots {
			v.slots.release(n)
		}
	})
}

type rowRef struct {
	bucket string
	key    []byte
}

// deleting lists the rows that go, with the headers that belong to them, and their slots.
func (v *Vault) deleting() (rows []rowRef, slots []uint64, err error) {
	err = v.view(func(tx *bbolt.Tx) error {
		for _, bucket := range []string{casesBucket, itemsBucket} {
			err := tx.Bucket([]byte(bucket)).ForEach(func(key, row []byte) error {
				if !isDeleting(row) {
					return nil
				}
				n, _ := rowSlot(row)
				rows, slots = append(rows, rowRef{bucket, bytes.Clone(key)}), append(slots, n)
				if bucket == itemsBucket {
					rows = append(rows, rowRef{headersBucket, bytes.Clone(key)})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return rows, slots, err
}

// reclaim removes payloads that no row names any more, some segments at a time,
// and gives free pages back to the file system. What a full disk or a crash leaves
// of it, the next Open does. While Backup copies files, it is put off.
func (v *Vault) reclaim(items []ItemID, files []*blobFile) error {
	r := &v.reclaims
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.copying {
		r.later = append(r.later, leftover{items, files})
		return nil
	}
	return v.reclaimNow(items, files)
}

// reclaimNow is reclaim while nothing is copied. reclaims.mu must be held.
func (v *Vault) reclaimNow(items []ItemID, files []*blobFile) error {
	defer func() {
		for _, id := range items {
			v.forget(id)
		}
	}()
	for _, f := range files {
		for _, id := range items {
			key, _ := id.bytes()
			for gone := false; !gone; {
				err := v.exclusive(context.Background(), func() (err error) {
					if gone, err = f.remove(key[:], removeStep); isFull(err) || errors.Is(err, ErrDamaged) {
						gone, err = true, nil
					} else if err != nil {
						err = v.fail(err)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return v.exclusive(context.Background(), func() error { return v.punch(files) })
}

// punch gives the free pages of vault.db and of these files back to the file system.
func (v *Vault) punch(files []*blobFile) error {
	for _, f := range files {
		if err := f.punch(); err != nil {
			return v.fail(err)
		}
	}
	v.metaMu.Lock()
	defer v.metaMu.Unlock()
	if err := punch(v.meta, metaPage); err != nil {
		return v.fail(err)
	}
	return nil
}

// applyTombstones destroys the cases whose deletion is in the log: those of an old
// copy that has just recovered the leaves it lacked.
func (v *Vault) applyTombstones(cases []CaseID) error {
	for _, id := range cases {
		var d deletion
		err := v.view(func(tx *bbolt.Tx) (err error) {
			d, err = v.wholeCase(tx, id)
			return err
		})
		if err != nil {
			continue // a damaged row: Check names it
		}
		if ends := d.kase.record.ends(); !slices.ContainsFunc(ends[:], v.Logged) {
			continue
		}
		files, err := v.destroy(d)
		if err != nil {
			return err
		}
		for _, f := range files {
			for _, item := range d.items {
				key, _ := item.bytes()
				if err := f.removeAll(key[:]); err != nil && !isFull(err) && !errors.Is(err, ErrDamaged) {
					return v.fail(err)
				}
			}
		}
	}
	return nil
}

// ends are the tags of the events that can end a case.
func (r caseRecord) ends() [3][32]byte {
	return [3][32]byte{[32]byte(r.Tombstones[0]), [32]byte(r.Tombstones[1]), translog.Event(r.Expire).Tag(translog.Expire)}
}
