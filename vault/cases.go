package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// Case is one codename's thread, as its source or its desks may see it.
type Case struct {
	ID        CaseID
	Thread    [16]byte
	Recipient string   // the source's age recipient
	Desks     []string // that have the case now
	Excludes  bool     // the source excluded somebody
	Items     []Item   // that are there, in order of their numbers
	Gone      []Gone   // items deleted alone
	Next      int      // number of the next item
	Day       string   // of the newest item
	Hold      bool     // retention does not delete it
	Holds     uint64   // times that Hold was set or lifted
	Pending   []byte   // a deletion that waits for a second signature; nil = none
}

// Gone is what is left of an item that was deleted alone: its hash, which the
// next item of its direction names.
type Gone struct {
	Number int
	Kind   translog.Kind
	Day    string
	SHA256 [32]byte
}

// Mailbox opens the case of a mailbox, by SHA-256 of its token. Finding none,
// which is ErrNotFound, takes the same work as finding one.
func (v *Vault) Mailbox(mailbox [32]byte) (Case, error) {
	if err := v.usable(); err != nil {
		return Case{}, err
	}
	var c Case
	err := guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			row := tx.Bucket([]byte(casesBucket)).Get(mailbox[:])
			if row == nil || isDeleting(row) {
				v.openDummy()
				return ErrNotFound
			}
			r, err := v.slots.openCase(mailbox[:], row)
			c = v.caseFrom(r)
			return err
		})
	})
	if err != nil {
		return Case{}, v.readError(err)
	}
	return c, nil
}

// openDummy does what opening a case row costs: a slot is read and compared, a
// record opened and decoded.
func (v *Vault) openDummy() {
	v.slots.key(v.queue.number, caseSlot, nil)
	if b, err := openRow(casesBucket, nil, v.dummy.row, stateClear, v.dummy.key); err == nil {
		if r, err := decodeCase(b); err == nil {
			v.caseFrom(r)
		}
	}
}

// dummy is a case row that nobody has.
type dummy struct {
	row []byte
	key [32]byte
}

func newDummy() dummy {
	record := caseRecord{Case: NewCaseID(), Thread: make([]byte, 16), Expire: make([]byte, 32), Desks: []string{"none"},
		Tombstones: [][]byte{make([]byte, 32), make([]byte, 32)}, Items: []ItemID{itemID(make([]byte, 16))}}
	d := dummy{key: newKey()}
	d.row = sealRow(casesBucket, nil, clearState(0), encodeRecord(record, casePad), d.key)
	return d
}

// Case opens a case by its id, or returns ErrNotFound.
func (v *Vault) Case(id CaseID) (Case, error) {
	if err := v.usable(); err != nil {
		return Case{}, err
	}
	var c Case
	err := guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			open, err := v.openCaseRow(tx, id)
			if err == nil {
				c = v.caseFrom(open.record)
			}
			return err
		})
	})
	if err != nil {
		return Case{}, v.readError(err)
	}
	return c, nil
}

// Cases lists the ids of a desk's cases in order; of all for the empty desk.
func (v *Vault) Cases(desk string) []CaseID {
	if v.usable() != nil {
		return nil
	}
	return v.index.caseIDs(desk)
}

func (v *Vault) caseFrom(r caseRecord) Case {
	c := Case{
		ID:        r.Case,
		Thread:    [16]byte(r.Thread),
		Recipient: r.Recipient,
		Desks:     r.Desks,
		Excludes:  r.Excludes,
		Next:      r.Next,
		Day:       r.Day,
		Hold:      r.Hold,
		Holds:     r.Holds,
		Pending:   r.Pending,
	}
	for _, id := range r.Items {
		if e, ok := v.index.item(id); ok {
			c.Items = append(c.Items, e.Item)
		}
	}
	for _, g := range r.Gone {
		c.Gone = append(c.Gone, Gone{Number: g.Number, Kind: g.Kind, Day: g.Day, SHA256: [32]byte(g.Sum)})
	}
	return c
}

// Evidence returns E and the opening of an item's event: with them a reader
// proves that the leaf in the log is about this item.
func (v *Vault) Evidence(id ItemID) (translog.Event, translog.Opening, error) {
	key, ok := id.bytes()
	if err := v.usable(); err != nil || !ok {
		return translog.Event{}, translog.Opening{}, errors.Join(err, ErrNotFound)
	}
	var r itemRecord
	var o translog.Opening
	err := guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) (err error) {
			row := tx.Bucket([]byte(itemsBucket)).Get(key[:])
			if row == nil {
				return ErrNotFound
			}
			r, o, err = v.slots.openItem(key[:], row)
			return err
		})
	})
	if err != nil {
		return translog.Event{}, translog.Opening{}, v.readError(err)
	}
	return translog.Event(r.Event), o, nil
}

// See notes that items were fetched by a reviewer or shown to their source:
// retention waits longer for what nobody has seen. What is gone or seen already
// is passed over.
func (v *Vault) See(ctx context.Context, ids ...ItemID) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id ItemID) bool {
		e, ok := v.index.item(id)
		return !ok || e.Seen
	})
	if len(ids) == 0 {
		return v.usable()
	}
	return v.exclusive(ctx, func() error {
		return v.update(func(tx *bbolt.Tx) error {
			for _, id := range ids {
				if err := v.changeItem(tx, id, func(r *itemRecord) { r.Seen = true }); err != nil {
					return err
				}
			}
			return nil
		}, func() {
			for _, id := range ids {
				v.index.see(id)
			}
		})
	})
}

// SetHold sets or lifts a legal hold: retention does not delete the case.
func (v *Vault) SetHold(ctx context.Context, id CaseID, hold bool) error {
	return v.changeCase(ctx, id, func(r *caseRecord) { r.Hold, r.Holds = hold, r.Holds+1 })
}

// SetPending keeps a deletion that waits for a second signature, in place of
// another one; nil drops it.
func (v *Vault) SetPending(ctx context.Context, id CaseID, statement []byte) error {
	return v.changeCase(ctx, id, func(r *caseRecord) { r.Pending = statement })
}

func (v *Vault) changeCase(ctx context.Context, id CaseID, change func(*caseRecord)) error {
	return v.exclusive(ctx, func() error {
		var c *openedCase
		err := v.view(func(tx *bbolt.Tx) (err error) {
			c, err = v.openCaseRow(tx, id)
			return err
		})
		if err != nil {
			return err
		}
		change(&c.record)
		return v.update(c.put, func() { v.index.addCase(c.mailbox, c.record) })
	})
}

// changeItem rewrites an item's row; one that is gone or damaged stays as it is.
func (v *Vault) changeItem(tx *bbolt.Tx, id ItemID, change func(*itemRecord)) error {
	key, _ := id.bytes()
	b := tx.Bucket([]byte(itemsBucket))
	row := b.Get(key[:])
	r, _, err := v.slots.openItem(key[:], row)
	if err != nil {
		return nil
	}
	change(&r)
	n, _ := rowSlot(row)
	slotKey, err := v.slots.key(n, itemSlot, key[:])
	if err != nil {
		return nil
	}
	return b.Put(key[:], sealRow(itemsBucket, key[:], clearState(n), encodeRecord(r, itemPad), slotKey))
}

// update runs a transaction of vault.db in the writer's place; every error of it
// stops the vault. then runs after it.
func (v *Vault) update(fn func(*bbolt.Tx) error, then func()) error {
	if err := v.meta.Update(fn); err != nil {
		return v.fail(fmt.Errorf("%s: %w", metaName, err))
	}
	then()
	return nil
}
