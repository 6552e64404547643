package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// withLog is an open vault whose log has begun.
func withLog(t testing.TB, o vault.Options) (*vault.Vault, string, logKeys) {
	t.Helper()
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, o)
	k.begin(t, v)
	return v, dir, k
}

// copyTo makes a take function that writes the parts into a new directory.
func copyTo(t testing.TB) (dir string, take func(vault.Part) (io.Writer, error)) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "copy")
	if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func(p vault.Part) (io.Writer, error) {
		f, err := os.OpenFile(filepath.Join(dir, p.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			t.Cleanup(func() { f.Close() })
		}
		return f, err
	}
}

func mustBackup(t testing.TB, v *vault.Vault, take func(vault.Part) (io.Writer, error)) {
	t.Helper()
	missing, err := v.Backup(t.Context(), take)
	if err != nil || len(missing) > 0 {
		t.Fatalf("backup: %v, missing %v", err, missing)
	}
}

// cleanCopy opens a copy, which must have nothing wrong but a missing high-water.
func cleanCopy(t testing.TB, dir string) *vault.Vault {
	t.Helper()
	if err := vault.Probe(dir); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir, vault.Options{})
	if err := v.OldCopy(); !errors.Is(err, vault.ErrNoHighWater) {
		t.Errorf("the copy may sign: %v", err)
	}
	found, err := v.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		if p.What != vault.ErrNoHighWater.Error() {
			t.Errorf("check of the copy: %s: %s", p.Where, p.What)
		}
	}
	return v
}

// TestBackupWhileReportsComeIn: what was acknowledged before Backup is in the copy,
// and of what came in meanwhile the whole or nothing.
func TestBackupWhileReportsComeIn(t *testing.T) {
	v, _, k := withLog(t, vault.Options{BlobSize: 4 << 20})
	var before []made
	for i := range 8 {
		before = append(before, mustSend(t, v, 1<<20*(i%3)+1000, submission("north")))
	}
	k.mustClose(t, v, firstEpoch)
	before = append(before, mustSend(t, v, 100, submission("north")))
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for i := range 3 {
		senders.Go(func() {
			for ctx.Err() == nil {
				if _, err := send(v, i*(5<<20)+1000, submission("north")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	dir, take := copyTo(t)
	epoch := int64(firstEpoch + 1)
	mustBackup(t, v, func(p vault.Part) (io.Writer, error) {
		k.mustClose(t, v, epoch) // the queue's key goes, and leaves come
		epoch++
		return take(p)
	})
	stop()
	senders.Wait()
	clean(t, v)
	c := cleanCopy(t, dir)
	for _, m := range before {
		if sum, err := hash(c, m.id); err != nil || sum != m.sum {
			t.Errorf("item %s in the copy: %v", m.id, err)
		}
	}
	if err := k.close(c, epoch); !errors.Is(err, vault.ErrNoHighWater) {
		t.Errorf("the copy signed: %v", err)
	}
}

// TestDeletionDuringBackup: it is not held up, its keys go at once, and its payload
// when the backup has ended. The copy is of the moment before.
func TestDeletionDuringBackup(t *testing.T) {
	v, dir, _ := withLog(t, vault.Options{})
	m, stays := mustSend(t, v, 2<<20, submission("north")), mustSend(t, v, 10, submission("north"))
	c, err := v.OpenItem(m.id)
	if err != nil {
		t.Fatal(err)
	}
	mark := make([]byte, 64)
	if _, err := c.ReadAt(mark, 1<<20); err != nil {
		t.Fatal(err)
	}
	there := func() bool { return bytes.Contains(readAll(t, dir), mark) }
	copied, take := copyTo(t)
	mustBackup(t, v, func(p vault.Part) (io.Writer, error) {
		if p.Name == "vault.db" {
			before := usedSlots(t, dir)
			err := v.DeleteCase(t.Context(), m.sub.Case, tombstone())
			if err != nil {
				t.Error(err)
			}
			if now := usedSlots(t, dir); now != before-2 {
				t.Errorf("%d slots in use after the deletion, %d before", now, before)
			}
			if !there() {
				t.Error("the payload went while files were copied")
			}
			if names := readBlobNames(t, v); names != "" {
				t.Errorf("check meanwhile: %s", names)
			}
		}
		return take(p)
	})
	if there() {
		t.Error("the payload is left after the backup")
	}
	clean(t, v)
	restored := cleanCopy(t, copied)
	for _, m := range []made{m, stays} {
		if sum, err := hash(restored, m.id); err != nil || sum != m.sum {
			t.Errorf("item %s in the copy: %v", m.id, err)
		}
	}
}

// TestShreddedInBackup: with newer keys than its own, a copy gives what was not
// deleted, and nothing of what was.
func TestShreddedInBackup(t *testing.T) {
	v, _, _ := withLog(t, vault.Options{})
	m, stays := mustSend(t, v, 1<<20, submission("north")), mustSend(t, v, 10, submission("north"))
	old, take := copyTo(t)
	mustBackup(t, v, take)
	if err := v.DeleteCase(t.Context(), m.sub.Case, tombstone()); err != nil {
		t.Fatal(err)
	}
	newer, take := copyTo(t)
	mustBackup(t, v, take)
	if err := os.Rename(filepath.Join(newer, "keys.slots"), filepath.Join(old, "keys.slots")); err != nil {
		t.Fatal(err)
	}
	c := open(t, old, vault.Options{})
	if _, err := c.OpenItem(m.id); err == nil {
		t.Error("the deleted item opens")
	}
	if sum, err := hash(c, stays.id); err != nil || sum != stays.sum {
		t.Errorf("the other item: %v", err)
	}
	found, err := c.Check(t.Context())
	if err != nil || !slices.ContainsFunc(found, func(p vault.Problem) bool { return strings.Contains(p.Where, string(m.id)) }) {
		t.Errorf("check does not name the deleted item: %v %v", found, err)
	}
}

// TestBlobVersions: a file has another version exactly when it holds other items,
// also where two histories have the same transaction numbers.
func TestBlobVersions(t *testing.T) {
	v, _, _ := withLog(t, vault.Options{BlobSize: 1 << 20})
	versions := func(v *vault.Vault) map[string]string {
		all := map[string]string{}
		mustBackup(t, v, func(p vault.Part) (io.Writer, error) { all[p.Name] = p.Version; return nil, nil })
		return all
	}
	mustSend(t, v, 2<<20, submission("north"))
	mustSend(t, v, 10, submission("north"))
	first := versions(v)
	if len(first["blobs/00000001.db"]) != 64 || len(first) != 4 {
		t.Fatalf("parts %v", first)
	}
	dir, take := copyTo(t)
	mustBackup(t, v, take)
	mustSend(t, v, 10, submission("north"))
	second := versions(v)
	c := open(t, dir, vault.Options{BlobSize: 1 << 20})
	if again := versions(c); again["blobs/00000001.db"] != first["blobs/00000001.db"] || again["blobs/00000002.db"] != first["blobs/00000002.db"] {
		t.Errorf("the copy has other versions: %v, %v", again, first)
	}
	mustSend(t, c, 10, submission("north"))
	other := versions(c)
	if second["blobs/00000001.db"] != first["blobs/00000001.db"] {
		t.Error("a file that did not change has another version")
	}
	if v := []string{first["blobs/00000002.db"], second["blobs/00000002.db"], other["blobs/00000002.db"]}; v[0] == v[1] || v[1] == v[2] || v[0] == v[2] {
		t.Errorf("other items, the same version: %v", v)
	}
}

// TestBackupEnds: however a backup ends, the vault goes on, and what was put off is done.
func TestBackupEnds(t *testing.T) {
	full := errors.New("disk full")
	for name, end := range map[string]func(cancel func(), v *vault.Vault) (io.Writer, error){
		"cancelled":   func(cancel func(), _ *vault.Vault) (io.Writer, error) { cancel(); return io.Discard, nil },
		"take fails":  func(func(), *vault.Vault) (io.Writer, error) { return nil, full },
		"write fails": func(func(), *vault.Vault) (io.Writer, error) { return failing{full}, nil },
		"second backup": func(_ func(), v *vault.Vault) (io.Writer, error) {
			_, err := v.Backup(t.Context(), nil)
			return nil, err
		},
		"vault is shut": func(_ func(), v *vault.Vault) (io.Writer, error) { go v.Close(); return &closing{t: t, v: v}, nil },
		"by itself":     func(func(), *vault.Vault) (io.Writer, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			v, dir, _ := withLog(t, vault.Options{})
			m := mustSend(t, v, 1<<20, submission("north"))
			mustSend(t, v, 100, submission("north"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			deleted := false
			_, err := v.Backup(ctx, func(p vault.Part) (io.Writer, error) {
				if !deleted {
					deleted = true
					if err := v.DeleteCase(t.Context(), m.sub.Case, tombstone()); err != nil {
						t.Error(err)
					}
				}
				if strings.HasPrefix(p.Name, "blobs") {
					return end(cancel, v)
				}
				return nil, nil
			})
			want := map[string]error{"cancelled": context.Canceled, "take fails": full, "write fails": full, "second backup": vault.ErrCopying,
				"vault is shut": vault.ErrClosed, "by itself": nil}[name]
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
			if name == "vault is shut" {
				v = open(t, dir, vault.Options{})
			}
			mustSend(t, v, 10, submission("north"))
			clean(t, v)
			mustBackup(t, v, func(vault.Part) (io.Writer, error) { return nil, nil })
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// closing takes the first bytes when the vault is being closed, and no others.
type closing struct {
	t      *testing.T
	v      *vault.Vault
	closed bool
}

func (c *closing) Write(p []byte) (int, error) {
	if c.closed {
		c.t.Error("the copy goes on in a vault that is being closed")
	}
	for c.v.Room() != vault.ErrClosed { // Close has begun, and waits for the copy
	}
	c.closed = true
	return len(p), nil
}

// TestBackupOfDamagedVault names what it lacks and copies the rest.
func TestBackupOfDamagedVault(t *testing.T) {
	v, dir, _ := withLog(t, vault.Options{BlobSize: 1 << 20})
	mustSend(t, v, 2<<20, submission("north"))
	m := mustSend(t, v, 10, submission("north"))
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "00000001.db"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, vault.Options{BlobSize: 1 << 20})
	copied, take := copyTo(t)
	missing, err := v.Backup(t.Context(), take)
	if err != nil || len(missing) != 1 || missing[0].Where != "blobs/00000001.db" {
		t.Fatalf("backup: %v, missing %v", err, missing)
	}
	if sum, err := hash(open(t, copied, vault.Options{}), m.id); err != nil || sum != m.sum {
		t.Errorf("the undamaged item: %v", err)
	}
}

func TestBackupNeedsLog(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	if _, err := v.Backup(t.Context(), nil); !errors.Is(err, vault.ErrNoLog) {
		t.Errorf("error %v", err)
	}
}

// tombstone is that of a deletion by the source.
func tombstone() vault.Tombstone {
	t := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(t.Event[:])
	return t
}

// readBlobNames is what Check says about payloads.
func readBlobNames(t testing.TB, v *vault.Vault) string {
	t.Helper()
	found, err := v.Check(t.Context())
	if err != nil {
		t.Error(err)
	}
	var all []string
	for _, p := range found {
		all = append(all, p.What)
	}
	return strings.Join(all, "\n")
}
