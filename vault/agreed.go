package vault

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// ErrEvent: the event is not the one that was fixed, when the case began, for
// deleting it.
var ErrEvent = errors.New("not the event that deletes this case")

// Agreement is the deletion of a whole case that its desks have signed.
type Agreement struct {
	Case       CaseID
	Items      [][32]byte     // SHA-256 of the age file of every item that is there, in order of their numbers
	Event      translog.Event // of desk-delete 0
	Governance uint64
}

// Covers tells whether a is about its case as it is now. If not it returns
// ErrNotFound, ErrEvent, or ErrStale when the case has other items.
func (v *Vault) Covers(a Agreement) error {
	c, err := v.openedCase(a.Case)
	if err != nil {
		return err
	}
	return v.covers(a, c.record)
}

// DeleteAgreed is DeleteCase for a case that a covers. Nothing comes between the
// comparison and the deletion: an item that nobody has signed for is not deleted.
func (v *Vault) DeleteAgreed(ctx context.Context, a Agreement) error {
	return v.delete(ctx, a.Event.Tag(translog.DeskDelete), func(tx *bbolt.Tx) (deletion, error) {
		d, err := v.wholeCase(tx, a.Case)
		if err == nil {
			err = v.covers(a, d.kase.record)
		}
		d.queue(Tombstone{Kind: translog.DeskDelete, Event: a.Event, Governance: a.Governance}, [32]byte{})
		return d, err
	})
}

func (v *Vault) covers(a Agreement, r caseRecord) error {
	// An old copy of the vault finds this tag in a newer log; it would not find another one.
	if a.Event.Tag(translog.DeskDelete) != [32]byte(r.Tombstones[1]) {
		return ErrEvent
	}
	items := v.caseFrom(r).Items
	if len(items) != len(a.Items) {
		return ErrStale
	}
	for i, item := range items {
		if item.SHA256 != a.Items[i] {
			return ErrStale
		}
	}
	return nil
}
