package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// rehashed reads all shards again, as fast as it goes.
func rehashed(v *vault.Vault) (all vault.Reread, err error) {
	for shard := range vault.Shards {
		r, err := v.Rehash(context.Background(), shard, func(int) error { return nil })
		if err != nil {
			return all, err
		}
		all.Items += r.Items
		all.Bytes += r.Bytes
		all.Damaged = append(all.Damaged, r.Damaged...)
	}
	return all, nil
}

// damagePayload changes a bit of an item's payload on the disk, at this byte of the age file.
func damagePayload(t testing.TB, dir string, v *vault.Vault, id vault.ItemID, at int64) (repair func()) {
	t.Helper()
	c, err := v.OpenItem(id)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 32)
	if _, err := c.ReadAt(part, at); err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		b, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(b), string(part)); i >= 0 {
			flip(t, blob, int64(i)+5)
			return func() {
				if err := os.WriteFile(blob, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Fatal("no blob file holds it")
	return nil
}

// TestRehashNamesDamage: every byte is read, the damaged item is named and refused, the
// others are read; once it is whole again, so is that one.
func TestRehashNamesDamage(t *testing.T) {
	v, dir, k := withLog(t, vault.Options{BlobSize: 1 << 20})
	var items []made
	size := int64(0)
	for i, n := range []int{100, 300 << 10, 5 << 20, 64 << 10, 64 << 10} {
		items = append(items, mustSend(t, v, n, submission("north")))
		if i == 2 {
			k.mustClose(t, v, firstEpoch) // what is logged and what waits
		}
	}
	for _, i := range v.AllItems() {
		size += i.Size
	}
	if r, err := rehashed(v); err != nil || r.Items != 5 || r.Bytes != size || len(r.Damaged) > 0 {
		t.Fatalf("%+v, %v; want 5 items of %d bytes", r, err, size)
	}
	if found, err := v.CheckRows(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("rows: %v, %v", found, err)
	}
	victim := items[2]
	repair := damagePayload(t, dir, v, victim.id, 4<<20)
	for range 2 {
		r, err := rehashed(v)
		if err != nil || len(r.Damaged) != 1 || r.Damaged[0].Where != "item "+string(victim.id) || r.Damaged[0].Hint == "" || r.Items != 5 {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := v.OpenItem(victim.id); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("the damaged item: %v", err)
		}
		if err := v.Whole(t.Context(), victim.id); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("the damaged item is whole: %v", err)
		}
	}
	for _, m := range slices.Delete(slices.Clone(items), 2, 3) {
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			t.Errorf("an undamaged item: %v", err)
		}
	}
	repair()
	if err := v.Whole(t.Context(), victim.id); err != nil {
		t.Errorf("repaired: %v", err)
	}
	if sum, err := hash(v, victim.id); err != nil || sum != victim.sum {
		t.Errorf("repaired: %v", err)
	}
}

// TestRehashHoldsNobodyUp: between two parts of a long item, reports come in, epochs
// close, the item itself is deleted, and its pages go back to the disk.
func TestRehashHoldsNobodyUp(t *testing.T) {
	v, dir, k := withLog(t, vault.Options{})
	m := mustSend(t, v, 8<<20, submission("north"))
	full := allocated(t, dir)
	parts := 0
	for shard := range vault.Shards {
		r, err := v.Rehash(t.Context(), shard, func(n int) error {
			if n > 256<<10 {
				t.Errorf("a part of %d bytes", n)
			}
			switch parts++; parts {
			case 3:
				mustSend(t, v, 1000, submission("north"))
				k.mustClose(t, v, firstEpoch)
			case 5:
				if err := v.DeleteCase(t.Context(), m.sub.Case, tombstone()); err != nil {
					t.Error(err)
				}
				if now := allocated(t, dir); now > full-7<<20 {
					t.Errorf("%d bytes on the disk, %d before the deletion", now, full)
				}
			}
			return nil
		})
		if err != nil || len(r.Damaged) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if parts < 5 {
		t.Errorf("%d parts", parts)
	}
	clean(t, v)
}

// allocated is what the vault takes up on the disk, in bytes.
func allocated(t testing.TB, dir string) (n int64) {
	t.Helper()
	blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "*.db"))
	for _, path := range append(blobs, filepath.Join(dir, "vault.db")) {
		var s unix.Stat_t
		if err := unix.Stat(path, &s); err != nil {
			t.Fatal(err)
		}
		n += s.Blocks * 512
	}
	return n
}

// TestRehashEnds: with its context, and with what pause says.
func TestRehashEnds(t *testing.T) {
	v, _, _ := withLog(t, vault.Options{})
	mustSend(t, v, 1<<20, submission("north"))
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(t.Context())
	for want, pause := range map[error]func(int) error{
		stop:             func(int) error { return stop },
		context.Canceled: func(int) error { cancel(); return nil },
	} {
		var got error
		for shard := range vault.Shards {
			if r, err := v.Rehash(ctx, shard, pause); err != nil {
				got = err
				if len(r.Damaged) > 0 {
					t.Errorf("%v: %+v", want, r)
				}
			}
		}
		if !errors.Is(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		ctx, cancel = context.WithCancel(t.Context())
	}
	cancel()
}

// TestRehashBesideDeletions: what goes while it is read is no damage.
func TestRehashBesideDeletions(t *testing.T) {
	v, _, _ := withLog(t, vault.Options{})
	var all []made
	for range 30 {
		all = append(all, mustSend(t, v, 300<<10, submission("north")))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, m := range all {
			if err := v.DeleteCase(t.Context(), m.sub.Case, tombstone()); err != nil {
				t.Error(err)
			}
		}
	})
	for range 3 {
		if r, err := rehashed(v); err != nil || len(r.Damaged) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
		clean(t, v)
	}
	wg.Wait()
}

// TestCheckBesideWriters: what comes, changes and goes while Check reads is no damage.
func TestCheckBesideWriters(t *testing.T) {
	v, _, k := withLog(t, vault.Options{BlobSize: 8 << 20})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				s := submission("north")
				if _, err := send(v, []int{5 << 20, 64 << 10}[min(i, 1)], s); err != nil {
					t.Error(err)
					return
				}
				reply := mustAdd(t, v, 100, addition(s.Case, translog.Reply, "north"))
				var errs error
				if i%2 == 0 {
					errs = v.DeleteItem(context.Background(), reply.id, tombstone())
				}
				if i%3 != 0 {
					errs = errors.Join(errs, v.DeleteCase(context.Background(), s.Case, tombstone()))
				}
				if errs != nil {
					t.Error(errs)
				}
			}
		})
	}
	wg.Go(func() {
		for e := int64(firstEpoch); ctx.Err() == nil; e++ {
			k.mustClose(t, v, e)
		}
	})
	for range 12 {
		clean(t, v)
	}
	stop()
	wg.Wait()
	clean(t, v)
}

// TestRehashReadsTheDisk: a byte that has changed below the file system is found
// although the kernel still holds the old one in memory.
func TestRehashReadsTheDisk(t *testing.T) {
	ownMounts(t, "cached", "ext4")
}

// cached is the child of TestRehashReadsTheDisk. dir holds the image and the mount of it.
func cached(dir, state string) error {
	v, err := vault.Open(state, vault.Options{})
	if err != nil {
		return err
	}
	defer v.Close()
	m, err := send(v, 600<<10, submission("north"))
	if err != nil {
		return err
	}
	if sum, err := hash(v, m.id); err != nil || sum != m.sum {
		return fmt.Errorf("before: %v", err)
	}
	c, err := v.OpenItem(m.id)
	if err != nil {
		return err
	}
	part := make([]byte, 64)
	if _, err := c.ReadAt(part, 500<<10); err != nil {
		return err
	}
	if out, err := exec.Command("sync", "-f", state).CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %v %s", err, out)
	}
	image := filepath.Join(dir, "image")
	b, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	i := strings.Index(string(b), string(part))
	if i < 0 {
		return errors.New("the image does not hold it")
	}
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte{part[0] ^ 1}, int64(i)); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if sum, err := hash(v, m.id); err != nil || sum != m.sum {
		return fmt.Errorf("the kernel held nothing, so this shows nothing: %v", err)
	}
	r, err := rehashed(v)
	if err != nil || len(r.Damaged) != 1 {
		return fmt.Errorf("rehash: %+v, %v", r, err)
	}
	return nil
}

// TestOpenPunchesWhatItSweeps: a process that ended while a backup kept payloads in
// their place leaves them to the next Open, which gives their pages back.
func TestOpenPunchesWhatItSweeps(t *testing.T) {
	v, dir, _ := withLog(t, vault.Options{})
	m := mustSend(t, v, 8<<20, submission("north"))
	mustSend(t, v, 1000, submission("north"))
	full := allocated(t, dir)
	c, err := v.OpenItem(m.id)
	if err != nil {
		t.Fatal(err)
	}
	mark := make([]byte, 64)
	if _, err := c.ReadAt(mark, 4<<20); err != nil {
		t.Fatal(err)
	}
	var left string
	_, err = v.Backup(t.Context(), func(vault.Part) (io.Writer, error) {
		err := v.DeleteCase(context.Background(), m.sub.Case, tombstone())
		left = copyDir(t, dir)
		return nil, errors.Join(err, context.Canceled)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	dir = left
	find(t, filepath.Join(dir, "blobs", "00000001.db"), mark) // still there
	v = open(t, dir, vault.Options{})
	if now := allocated(t, dir); now > full-7<<20 {
		t.Errorf("%d bytes on the disk, %d before", now, full)
	}
	if strings.Contains(string(readAll(t, dir)), string(mark)) {
		t.Error("the payload is still on the disk")
	}
	clean(t, v)
}
