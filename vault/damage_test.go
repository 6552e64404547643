package vault_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// flip changes one bit of a file.
func flip(t testing.TB, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << rand.IntN(8)
	if _, err := f.WriteAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
}

// find returns the offset of text in a file.
func find(t testing.TB, path string, text []byte) int64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b, text)
	if i < 0 {
		t.Fatalf("%s does not hold the text", path)
	}
	return int64(i)
}

// twoItems makes a vault with an item to damage and one to keep.
func twoItems(t testing.TB) (dir string, victim, other made) {
	t.Helper()
	dir = newDir(t)
	v := open(t, dir, vault.Options{})
	victim = mustSend(t, v, 300<<10, submission("north"))
	other = mustSend(t, v, 300<<10, submission("north"))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, victim, other
}

// damaged opens a damaged vault, expects Check to name something that contains
// where, and the other item to be readable. Open must have swept nothing.
func damaged(t *testing.T, dir, where string, other made) (v *vault.Vault, found []vault.Problem) {
	t.Helper()
	v = open(t, dir, vault.Options{})
	found, err := v.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(p vault.Problem) bool { return strings.Contains(p.Where, where) }) {
		t.Errorf("check does not name %s: %+v", where, found)
	}
	for _, p := range found {
		if p.What == "" || p.Hint == "" {
			t.Errorf("a finding without words or hint: %+v", p)
		}
	}
	if sum, err := hash(v, other.id); err != nil || sum != other.sum {
		t.Errorf("the undamaged item: %v", err)
	}
	mustSend(t, v, 64<<10, submission("north"))
	return v, found
}

func TestFlippedByteInPayloadIsNamed(t *testing.T) {
	dir, victim, other := twoItems(t)
	v := open(t, dir, vault.Options{})
	c, err := v.OpenItem(victim.id)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 32)
	if _, err := c.ReadAt(part, 280<<10); err != nil {
		t.Fatal(err)
	}
	v.Close()
	blob := filepath.Join(dir, "blobs", "00000001.db")
	flip(t, blob, find(t, blob, part)+5)
	v, found := damaged(t, dir, string(victim.id), other)
	if len(found) != 1 {
		t.Errorf("one flipped byte: %+v", found)
	}
	if _, err := hash(v, victim.id); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("the damaged item is read: %v", err)
	}
}

// TestFlippedByteInRowIsNamed changes each part of rows of each bucket.
func TestFlippedByteInRowIsNamed(t *testing.T) {
	dir, victim, other := twoItems(t)
	id, _ := hex.DecodeString(string(victim.id))
	tag := victim.sub.Event.Tag(translog.Report)
	item := string(victim.id)
	for _, row := range []struct {
		bucket string
		key    []byte
		where  string
	}{
		{"cases", victim.sub.Mailbox[:], fmt.Sprintf("case row %.8x", victim.sub.Mailbox[:])},
		{"items", id, "item " + item},
		{"headers", id, "header of item " + item},
		{"queue", tag[:], fmt.Sprintf("queued event %.8x", tag[:])},
	} {
		for _, at := range []int{0, 7, 8, 20, 40, 60, -20, -1} {
			t.Run(fmt.Sprintf("%s/%d", row.bucket, at), func(t *testing.T) {
				dir := copyDir(t, dir)
				changeRow(t, dir, row.bucket, row.key, func(b []byte) []byte {
					b[(at+len(b))%len(b)] ^= 0x10
					return b
				})
				v, _ := damaged(t, dir, row.where, other)
				_, err := hash(v, victim.id)
				if row.bucket == "items" && err != vault.ErrNotFound || row.bucket == "headers" && !errors.Is(err, vault.ErrDamaged) {
					t.Errorf("read of an item with a damaged row: %v", err)
				}
			})
		}
		t.Run(row.bucket+"/gone", func(t *testing.T) {
			dir := copyDir(t, dir)
			changeRow(t, dir, row.bucket, row.key, func([]byte) []byte { return nil })
			damaged(t, dir, item, other)
		})
		t.Run(row.bucket+"/short", func(t *testing.T) {
			dir := copyDir(t, dir)
			changeRow(t, dir, row.bucket, row.key, func(b []byte) []byte { return b[:5] })
			damaged(t, dir, row.where, other)
		})
	}
}

// TestSwappedRowsAreNamed puts a row in the place of another one.
func TestSwappedRowsAreNamed(t *testing.T) {
	dir, victim, other := twoItems(t)
	from, _ := hex.DecodeString(string(other.id))
	to, _ := hex.DecodeString(string(victim.id))
	for _, bucket := range []string{"items", "headers"} {
		dir := copyDir(t, dir)
		var row []byte
		changeRow(t, dir, bucket, from, func(b []byte) []byte { row = b; return b })
		changeRow(t, dir, bucket, to, func([]byte) []byte { return row })
		damaged(t, dir, string(victim.id), other)
	}
}

// changeRow replaces a row, or deletes it when change returns nil.
func changeRow(t *testing.T, dir, bucket string, key []byte, change func([]byte) []byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "vault.db"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if row := change(bytes.Clone(b.Get(key))); row != nil {
			return b.Put(key, row)
		}
		return b.Delete(key)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFlippedByteInSlotIsNamed changes each part of each slot in use: of two
// cases, two items and the queue.
func TestFlippedByteInSlotIsNamed(t *testing.T) {
	dir, _, _ := twoItems(t)
	raw, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for n := range len(raw) / 512 {
		s := raw[n*512 : (n+1)*512]
		if bytes.Equal(s, make([]byte, 512)) {
			continue
		}
		used++
		for _, at := range []int{0, 16, 20, 33, 70, 100, 200, 511} {
			dir := copyDir(t, dir)
			flip(t, filepath.Join(dir, "keys.slots"), int64(n*512+at))
			v := open(t, dir, vault.Options{})
			found, err := v.Check(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			where := fmt.Sprintf("keys.slots, slot %d", n)
			if !slices.ContainsFunc(found, func(p vault.Problem) bool { return p.Where == where }) {
				t.Errorf("byte %d of slot %d, class %c: %+v", at, n, s[16], found)
			}
			if s[16] != 'I' && len(v.Items("north")) != 2 || s[16] == 'I' && len(v.Items("north")) != 1 {
				t.Errorf("slot of class %c damaged: %d items", s[16], len(v.Items("north")))
			}
			mustSend(t, v, 64<<10, submission("north"))
			v.Close()
		}
	}
	if used != 5 {
		t.Errorf("%d slots in use, want 5", used)
	}
}

func TestMissingAndForeignFilesAreNamed(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{BlobSize: 1})
	victim := mustSend(t, v, 64<<10, submission("north"))
	other := mustSend(t, v, 64<<10, submission("north"))
	v.Close()
	for name, c := range map[string]struct {
		change func(blobs string) error
		where  string
	}{
		"missing":         {func(b string) error { return os.Remove(filepath.Join(b, "00000001.db")) }, "blobs/00000001.db"},
		"empty":           {func(b string) error { return os.Truncate(filepath.Join(b, "00000001.db"), 0) }, "blobs/00000001.db"},
		"not a database":  {func(b string) error { return os.WriteFile(filepath.Join(b, "00000001.db"), make([]byte, 1<<17), 0o600) }, "blobs/00000001.db"},
		"cut off":         {func(b string) error { return os.Truncate(filepath.Join(b, "00000001.db"), 64<<10) }, "blobs/00000001.db"},
		"foreign name":    {func(b string) error { return os.WriteFile(filepath.Join(b, "notes.txt"), nil, 0o600) }, "blobs/notes.txt"},
		"number too long": {func(b string) error { return os.WriteFile(filepath.Join(b, "000000001.db"), nil, 0o600) }, "blobs/000000001.db"},
		"readable":        {func(b string) error { return os.Chmod(filepath.Join(b, "00000001.db"), 0o644) }, "blobs/00000001.db"},
		"open directory":  {func(b string) error { return os.Chmod(b, 0o755) }, "blobs"},
		"readable rows":   {func(b string) error { return os.Chmod(filepath.Join(b, "../vault.db"), 0o640) }, "vault.db"},
		"readable keys":   {func(b string) error { return os.Chmod(filepath.Join(b, "../keys.slots"), 0o604) }, "keys.slots"},
		"state directory": {func(b string) error { return os.Chmod(filepath.Dir(b), 0o750) }, "."},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, dir)
			if err := c.change(filepath.Join(dir, "blobs")); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := exitCode(t, childCommand(t, nil, "probe", dir)); code != 0 {
				t.Errorf("probe: exit code %d: %s", code, stderr)
			}
			v, found := damaged(t, dir, c.where, other)
			for _, p := range found {
				if p.Where != c.where && p.Where != "item "+string(victim.id) {
					t.Errorf("check names what is not damaged: %+v", p)
				}
			}
			if sum, err := hash(v, victim.id); sum != victim.sum && !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("the item in the damaged file: %v", err)
			}
		})
	}
}

// TestNewestBlobFileDamaged: new items go to a new file, the damaged one stays as it is.
func TestNewestBlobFileDamaged(t *testing.T) {
	dir, victim, _ := twoItems(t)
	blob := filepath.Join(dir, "blobs", "00000001.db")
	if err := os.Truncate(blob, 64<<10); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir, vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north"))
	if _, err := os.Stat(filepath.Join(dir, "blobs", "00000002.db")); err != nil {
		t.Error(err)
	}
	for range 2 {
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			t.Errorf("the new item: %v", err)
		}
		if _, err := hash(v, victim.id); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("the lost item: %v", err)
		}
		v.Close()
		v = open(t, dir, vault.Options{})
	}
}

// TestFileCutWhileOpen: a page fault on a mapped file is an error, not the end of the process.
func TestFileCutWhileOpen(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{BlobSize: 1})
	victim := mustSend(t, v, 3<<20, submission("north"))
	other := mustSend(t, v, 64<<10, submission("north"))
	if err := os.Truncate(filepath.Join(dir, "blobs", "00000001.db"), 64<<10); err != nil {
		t.Fatal(err)
	}
	if _, err := hash(v, victim.id); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("read beyond the end: %v", err)
	}
	if sum, err := hash(v, other.id); err != nil || sum != other.sum {
		t.Errorf("the other item: %v", err)
	}
	found, err := v.Check(context.Background())
	if err != nil || len(found) == 0 {
		t.Errorf("check: %v %v", found, err)
	}
}

// TestDamagedMetaPages: with one damaged meta page bbolt may go back a
// transaction, so that is named, and no key is swept that only looks left over.
// With two the vault is refused in words.
func TestDamagedMetaPages(t *testing.T) {
	dir, _, _ := twoItems(t)
	for name, pages := range map[string][]int64{"first": {0}, "second": {1}, "both": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, dir)
			for _, p := range pages {
				flip(t, filepath.Join(dir, "vault.db"), p*4096+40)
			}
			slots, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
			if err != nil {
				t.Fatal(err)
			}
			code, _, stderr := exitCode(t, childCommand(t, nil, "probe", dir))
			if name == "both" {
				if code != exitRefused || !strings.Contains(stderr, "vault.db") {
					t.Errorf("exit code %d: %s", code, stderr)
				}
				if _, err := vault.Open(dir, vault.Options{}); !errors.Is(err, vault.ErrDamaged) {
					t.Errorf("open: %v", err)
				}
				return
			}
			if code != 0 {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			v := open(t, dir, vault.Options{})
			if d := v.Damage(); len(d) == 0 || d[0].Where != "vault.db" {
				t.Errorf("damage: %+v", d)
			}
			if now, err := os.ReadFile(filepath.Join(dir, "keys.slots")); err != nil || !bytes.Equal(now, slots) {
				t.Errorf("keys were swept, %v", err)
			}
			mustSend(t, v, 64<<10, submission("north"))
		})
	}
}

// TestDamagedMetaPageOfBlobFile: nothing is written to that file any more.
func TestDamagedMetaPageOfBlobFile(t *testing.T) {
	dir, _, _ := twoItems(t)
	for page := range int64(2) {
		dir := copyDir(t, dir)
		blob := filepath.Join(dir, "blobs", "00000001.db")
		flip(t, blob, page*(16<<10)+40)
		before, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		v := open(t, dir, vault.Options{})
		if d := v.Damage(); len(d) != 1 || d[0].Where != "blobs/00000001.db" {
			t.Errorf("damage: %+v", d)
		}
		m := mustSend(t, v, 64<<10, submission("north"))
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			t.Error(err)
		}
		if now, err := os.ReadFile(blob); err != nil || !bytes.Equal(now, before) {
			t.Errorf("the damaged file was written to, %v", err)
		}
	}
}
