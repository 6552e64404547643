package vault_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// checked opens a vault and returns what Check says.
func checked(t *testing.T, dir string) (*vault.Vault, []vault.Problem) {
	t.Helper()
	v := open(t, dir, vault.Options{})
	found, err := v.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return v, found
}

// TestLeftoversAreKeptAndNamed: while a row is damaged, what looks left over is
// not swept. Check names it, and the next Open after a repair sweeps it.
func TestLeftoversAreKeptAndNamed(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north"))
	d, err := begun(v, 5<<20)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := v.Check(context.Background()); err != nil || len(found) > 0 {
		t.Errorf("a draft in the making is a finding: %v, %v", found, err)
	}
	v.Close()
	change := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	changeRow(t, dir, "cases", m.sub.Mailbox[:], change)
	v, found := checked(t, dir)
	for _, what := range []string{"a payload without an item: " + string(d.ID()), "a key without a row"} {
		if !slices.ContainsFunc(found, func(p vault.Problem) bool { return p.What == what }) {
			t.Errorf("check does not say %q: %+v", what, found)
		}
	}
	v.Close()
	changeRow(t, dir, "cases", m.sub.Mailbox[:], change)
	if _, found := checked(t, dir); len(found) > 0 {
		t.Errorf("after the repair: %+v", found)
	}
}

// TestDamagedQueueSlotIsReplaced: the events under it are lost, those after it are not.
func TestDamagedQueueSlotIsReplaced(t *testing.T) {
	dir, victim, _ := twoItems(t)
	flip(t, filepath.Join(dir, "keys.slots"), 70) // slot 0 is the queue's
	v := open(t, dir, vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north"))
	v.Close()
	_, found := checked(t, dir)
	where := func(m made) string {
		tag := m.sub.Event.Tag(translog.Report)
		return fmt.Sprintf("queued event %.8x", tag[:])
	}
	named := func(m made) bool {
		return slices.ContainsFunc(found, func(p vault.Problem) bool { return p.Where == where(m) })
	}
	if !named(victim) || named(m) {
		t.Errorf("check names the event before: %v, the one after: %v; %+v", named(victim), named(m), found)
	}
}

// TestLongerPayloadIsNamed: bytes after the end of an item, which no read shows.
func TestLongerPayloadIsNamed(t *testing.T) {
	dir, victim, _ := twoItems(t)
	id, err := hex.DecodeString(string(victim.id))
	if err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "blobs", "00000001.db"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(id).Bucket([]byte{0, 0, 0, 0}).Put([]byte{0, 0, 0, 2}, []byte("more"))
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, found := checked(t, dir)
	if len(found) != 1 || found[0].Where != "item "+string(victim.id) || !strings.Contains(found[0].What, "bytes long") {
		t.Errorf("check: %+v", found)
	}
}

// TestTornSlotFileEnd: a growth that was cut off is written again.
func TestTornSlotFileEnd(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, "keys.slots")
	if err := os.Truncate(path, 512+100); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir, vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north"))
	v.Close()
	v, found := checked(t, dir)
	if sum, err := hash(v, m.id); err != nil || sum != m.sum || len(found) > 0 {
		t.Errorf("%v, %+v", err, found)
	}
}
