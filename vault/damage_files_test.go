package vault_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"resguardo/vault"
)

// harmed is what happens to one file of a vault, and what must come of it.
type harmed struct {
	name   string
	harm   func(t *testing.T, dir string)
	refuse string // what Open says; empty: it opens
	where  string // what Check names
	lost   []int  // items that are not read, of four
	stops  bool   // nothing is signed any more
}

// whole is a vault with three items that are logged and one that waits, each in a blob file.
func whole(t *testing.T) (dir string, items []made) {
	t.Helper()
	v, dir, k := withLog(t, vault.Options{BlobSize: 1})
	for i := range 4 {
		if i == 3 {
			k.mustClose(t, v, firstEpoch)
		}
		items = append(items, mustSend(t, v, 300<<10, submission("north")))
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, items
}

func cut(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func flipAt(name string, at int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) { flip(t, filepath.Join(dir, name), at) }
}

// change changes a byte in the middle of a row.
func change(bucket string, key []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		changeRow(t, dir, bucket, key, func(row []byte) []byte {
			row[len(row)/2] ^= 0x20
			return row
		})
	}
}

// first is the first key of a bucket.
func first(t *testing.T, dir, bucket string) (key []byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "vault.db"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket([]byte(bucket)).Cursor().First()
		key = bytes.Clone(k)
		return nil
	})
	if err != nil || key == nil {
		t.Fatal("no row", err)
	}
	return key
}

// TestHarmedFiles: what is damaged, missing or of another vault is named or refused in
// words, everything else is read, and once the file is put back, nothing was lost.
func TestHarmedFiles(t *testing.T) {
	dir, items := whole(t)
	other, _ := whole(t)
	fresh := newDir(t)
	from := func(source, name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(source, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []int{0, 1, 2, 3}
	for _, c := range []harmed{
		{name: "signed checkpoint", harm: change("vault", []byte("signed")), where: "log", stops: true},
		{name: "published checkpoint", harm: change("vault", []byte("published")), where: "log", stops: true},
		{name: "tile", harm: change("tiles", first(t, copyDir(t, dir), "tiles")), where: "log", stops: true},
		{name: "high-water", harm: flipAt("high-water", 30), where: "log", stops: true},
		{name: "high-water cut short", harm: cut("high-water", 20), where: "log", stops: true},
		{name: "high-water empty", harm: cut("high-water", 0), where: "log", stops: true},
		{name: "high-water missing", harm: remove("high-water"), where: "log", stops: true},
		{name: "vault.db cut short", harm: cut("vault.db", 3*4096), refuse: "vault.db"},
		{name: "vault.db empty", harm: cut("vault.db", 0), refuse: "vault.db"},
		{name: "vault.db missing", harm: remove("vault.db"), refuse: "vault.db"},
		{name: "vault.db of a new vault", harm: from(fresh, "vault.db"), where: "log", lost: all, stops: true},
		{name: "vault.db of another vault", harm: from(other, "vault.db"), where: "item ", lost: all, stops: true},
		{name: "keys.slots missing", harm: remove("keys.slots"), refuse: "keys.slots"},
		{name: "keys.slots empty", harm: cut("keys.slots", 0), where: "item ", lost: all},
		{name: "keys.slots of another vault", harm: from(other, "keys.slots"), where: "item ", lost: all},
		{name: "blob file of another vault", harm: from(other, "blobs/00000002.db"), where: "item " + string(items[1].id), lost: []int{1}},
		{name: "blob file, meta page 0", harm: flipAt("blobs/00000004.db", 40), where: "blobs/00000004.db"},
		{name: "blob file, meta page 1", harm: flipAt("blobs/00000004.db", 16<<10+40), where: "blobs/00000004.db", lost: []int{3}}, // the newer one
		{name: "blob file, both meta pages", where: "blobs/00000004.db", lost: []int{3}, harm: func(t *testing.T, dir string) {
			flipAt("blobs/00000004.db", 40)(t, dir)
			flipAt("blobs/00000004.db", 16<<10+40)(t, dir)
		}},
		{name: "old blob file, both meta pages", where: "blobs/00000002.db", lost: []int{1}, harm: func(t *testing.T, dir string) {
			flipAt("blobs/00000002.db", 40)(t, dir)
			flipAt("blobs/00000002.db", 16<<10+40)(t, dir)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, sound := copyDir(t, dir), dir
			c.harm(t, dir)
			code, _, stderr := exitCode(t, childCommand(t, nil, "probe", dir))
			if code != 0 && (code != exitRefused || !strings.Contains(stderr, c.refuse) || c.refuse == "") {
				t.Fatalf("probe: exit code %d: %s", code, stderr)
			}
			for range 2 { // what the first start leaves must not harm the second
				if c.refuse == "" {
					c.see(t, dir, items)
				} else if code, _, stderr := exitCode(t, childCommand(t, nil, "check", dir)); code != exitRefused || !strings.Contains(stderr, c.refuse) {
					t.Errorf("open: exit code %d: %s", code, stderr)
				}
			}
			for _, name := range []string{"vault.db", "keys.slots", "high-water", "blobs/00000002.db", "blobs/00000004.db"} {
				from(sound, name)(t, dir)
			}
			v := open(t, dir, vault.Options{BlobSize: 1})
			for i, m := range items {
				if sum, err := hash(v, m.id); err != nil || sum != m.sum {
					t.Errorf("put back: item %d: %v", i, err)
				}
			}
		})
	}
}

// see opens the harmed vault and looks at everything.
func (c harmed) see(t *testing.T, dir string, items []made) {
	t.Helper()
	v, err := vault.Open(dir, vault.Options{BlobSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	found, err := v.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, p := range found {
		named = named || strings.HasPrefix(p.Where, c.where)
		if p.What == "" || p.Hint == "" {
			t.Errorf("a finding without words or hint: %+v", p)
		}
	}
	if !named {
		t.Errorf("check does not name %s: %+v", c.where, found)
	}
	if stops := v.OldCopy() != nil; stops != c.stops {
		t.Errorf("nothing is signed: %v", v.OldCopy())
	}
	lost := map[int]bool{}
	for _, i := range c.lost {
		lost[i] = true
	}
	for i, m := range items {
		sum, err := hash(v, m.id)
		if lost[i] && !errors.Is(err, vault.ErrDamaged) && !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("item %d, which is lost: %v", i, err)
		}
		if !lost[i] && (err != nil || sum != m.sum) {
			t.Errorf("item %d, which is not damaged: %v", i, err)
		}
	}
}
