package vault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// TestOpenCompletesDeletion stops a deletion after each of its steps, as a crash
// would, and opens the vault again: the item is gone, its key too, and the
// tombstone waits once.
func TestOpenCompletesDeletion(t *testing.T) {
	for _, step := range []string{"marked", "one key overwritten", "rows gone"} {
		t.Run(step, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "vault")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Init(dir, Genesis{Origin: "example-0123abcd", Epoch: time.Hour, Slots: 4}); err != nil {
				t.Fatal(err)
			}
			v, s, id := oneItem(t, dir)
			tomb := Tombstone{Kind: translog.SourceDelete, Event: translog.Event{7}}
			err := v.exclusive(context.Background(), func() error {
				var d deletion
				err := v.view(func(tx *bbolt.Tx) (err error) {
					d, err = v.wholeCase(tx, s.Case)
					d.queue(tomb, [32]byte{})
					return err
				})
				if err != nil {
					return err
				}
				if step == "rows gone" {
					_, err := v.destroy(d)
					return err
				}
				if err := v.meta.Update(func(tx *bbolt.Tx) error { return v.mark(tx, d) }); err != nil {
					return err
				}
				if step == "one key overwritten" {
					_, slots, err := v.deleting()
					return errors.Join(err, v.slots.wipe(slots[0]), v.slots.sync())
				}
				return nil
			})
			if err := errors.Join(err, v.Close()); err != nil {
				t.Fatal(err)
			}
			if v, err = Open(dir, Options{}); err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if _, err := v.Mailbox(s.Mailbox); !errors.Is(err, ErrNotFound) {
				t.Errorf("the mailbox opens: %v", err)
			}
			if _, err := v.OpenItem(id); !errors.Is(err, ErrNotFound) {
				t.Errorf("the item opens: %v", err)
			}
			used := 0
			if err := v.slots.scan(func(uint64, slot, error) { used++ }); err != nil || used != 1 {
				t.Errorf("%d slots in use, %v; want the queue's alone", used, err)
			}
			kinds := map[translog.Kind]int{}
			err = v.eachQueued(func(q translog.Queued, _ bool) {
				_, o, _ := translog.ParseRecord(q.Record)
				kinds[o.Kind]++
			})
			if err != nil || kinds[translog.Report] != 1 || kinds[translog.SourceDelete] != 1 {
				t.Errorf("queued %v, %v", kinds, err)
			}
			if found, err := v.Check(context.Background()); err != nil || len(found) > 0 {
				t.Errorf("check: %+v, %v", found, err)
			}
		})
	}
}

// oneItem opens a vault and stores one item.
func oneItem(t *testing.T, dir string) (*Vault, Submission, ItemID) {
	t.Helper()
	v, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := v.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s := Submission{Mailbox: [32]byte{1}, Case: NewCaseID(), Event: translog.Event{2}, Expire: translog.Event{3},
		Recipient: "age1pq1", Desks: []string{"north"}, Day: "2026-11-22", Recipients: 1}
	if _, err := d.Write(append([]byte("age\n--- mac\n"), make([]byte, 16+16+100)...)); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	return v, s, d.ID()
}
