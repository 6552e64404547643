package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// addition draws an addition to a case.
func addition(id vault.CaseID, kind translog.Kind, desks ...string) vault.Addition {
	a := vault.Addition{Case: id, Number: -1, Kind: kind, Day: "2026-11-22", Desks: desks, Recipients: 2}
	rand.Read(a.Event[:])
	return a
}

// add stores an item of n plaintext bytes in a case.
func add(v *vault.Vault, n int, a vault.Addition) (made, int, error) {
	d, err := v.Create(context.Background())
	if err != nil {
		return made{}, 0, err
	}
	defer d.Discard()
	text := append([]byte(header), payload(n)...)
	if _, err := d.Write(text); err != nil {
		return made{}, 0, err
	}
	number, err := d.Append(context.Background(), a)
	return made{id: d.ID(), sum: sha256.Sum256(text)}, number, err
}

func mustAdd(t testing.TB, v *vault.Vault, n int, a vault.Addition) made {
	t.Helper()
	m, _, err := add(v, n, a)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCaseTakesItems: a mailbox opens its case with every item in order, also
// after a restart, and nobody else's.
func TestCaseTakesItems(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	s := submission("north")
	first := mustSend(t, v, 100, s)
	other := mustSend(t, v, 100, submission("north"))
	reply := mustAdd(t, v, 100, addition(s.Case, translog.Reply, "north"))
	more := mustAdd(t, v, 5<<20, addition(s.Case, translog.Followup, "north"))
	for range 2 {
		c, err := v.Mailbox(s.Mailbox)
		if err != nil {
			t.Fatal(err)
		}
		if c.ID != s.Case || c.Thread != s.Thread || c.Recipient != s.Recipient || c.Next != 3 || c.Day != "2026-11-22" {
			t.Errorf("case %+v", c)
		}
		var ids []vault.ItemID
		for i, item := range c.Items {
			if item.Number != i {
				t.Errorf("item %d has number %d", i, item.Number)
			}
			ids = append(ids, item.ID)
		}
		if !slices.Equal(ids, []vault.ItemID{first.id, reply.id, more.id}) {
			t.Errorf("items %v", ids)
		}
		if sum, err := hash(v, more.id); err != nil || sum != more.sum {
			t.Errorf("follow-up: %v", err)
		}
		if _, o, err := v.Evidence(reply.id); err != nil || o.Kind != translog.Reply || o.Thread != s.Thread || o.Ciphertext != reply.sum {
			t.Errorf("opening %+v, %v", o, err)
		}
		if c, err := v.Mailbox(other.sub.Mailbox); err != nil || len(c.Items) != 1 {
			t.Errorf("the other mailbox: %+v, %v", c, err)
		}
		clean(t, v)
		v.Close()
		v = open(t, dir, vault.Options{})
	}
	if _, err := v.Mailbox([32]byte{1}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("unknown mailbox: %v", err)
	}
}

// TestAppendRefuses: a stale number, a used event and an unknown case are definite
// refusals, and nothing of them stays.
func TestAppendRefuses(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	s := submission("north")
	mustSend(t, v, 100, s)
	used := addition(s.Case, translog.Ack, "north")
	mustAdd(t, v, 100, used)
	stale := addition(s.Case, translog.Reply, "north")
	stale.Number = 1
	unknown := addition(vault.NewCaseID(), translog.Reply, "north")
	report := addition(s.Case, translog.Report, "north")
	for name, c := range map[string]struct {
		a    vault.Addition
		want error
	}{"stale": {stale, vault.ErrStale}, "used event": {used, vault.ErrExists}, "unknown case": {unknown, vault.ErrNotFound}, "a second report": {report, nil}} {
		_, _, err := add(v, 300<<10, c.a)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || errors.Is(err, vault.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stale.Number = 2
	if _, number, err := add(v, 100, stale); err != nil || number != 2 {
		t.Errorf("the right number: %d, %v", number, err)
	}
	clean(t, v)
	v.Close()
	v, found := checked(t, dir)
	if len(found) > 0 || len(v.AllItems()) != 3 {
		t.Errorf("%d items, %+v", len(v.AllItems()), found)
	}
}

// TestOneOfManyGetsANumber: of many who answer at once with the same number
// exactly one succeeds; without a number all do.
func TestOneOfManyGetsANumber(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	s := submission("north")
	mustSend(t, v, 100, s)
	var stored, stale int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			a := addition(s.Case, translog.Reply, "north")
			if i%2 == 0 {
				a.Number = 1
			}
			_, _, err := add(v, 100, a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, vault.ErrStale) && i%2 == 0:
				stale++
			case err == nil:
				stored++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	c, err := v.Case(s.Case)
	if err != nil || len(c.Items) != 1+stored || stale < 15 {
		t.Errorf("%d items, %d stored, %d stale, %v", len(c.Items), stored, stale, err)
	}
	for i, item := range c.Items {
		if item.Number != i {
			t.Errorf("item %d has number %d", i, item.Number)
		}
	}
	clean(t, v)
}

// TestHandedOverCase: a desk that joins sees what is for it, one that leaves sees
// nothing of the case any more.
func TestHandedOverCase(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	s := submission("north")
	mustSend(t, v, 100, s)
	rewrap := addition(s.Case, translog.Rewrap, "south")
	rewrap.Joins = "south"
	again := mustAdd(t, v, 100, rewrap)
	recuse := addition(s.Case, translog.Recuse, "south")
	recuse.Leaves = "north"
	mustAdd(t, v, 100, recuse)
	if north, south := v.Items("north"), v.Items("south"); len(north) != 0 || len(south) != 2 || south[0].ID != again.id && south[1].ID != again.id {
		t.Errorf("north sees %d items, south %d", len(north), len(south))
	}
	if len(v.Cases("north")) != 0 || !slices.Equal(v.Cases("south"), []vault.CaseID{s.Case}) {
		t.Error("the case is not where it was handed")
	}
}

// rawFiles is everything on the disk of a vault.
func rawFiles(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// traces are bytes that only these items and their case have on the disk: sealed
// rows, sealed headers, payloads and keys.
func traces(t *testing.T, dir string, mailbox [32]byte, ids ...vault.ItemID) map[string][]byte {
	t.Helper()
	found := map[string][]byte{"row of the case": rawRow(t, dir, "cases", mailbox[:])[9:]}
	for _, id := range ids {
		key := []byte(unhex(t, string(id)))
		found["row of item "+string(id)] = rawRow(t, dir, "items", key)[9:]
		found["header of item "+string(id)] = rawRow(t, dir, "headers", key)[8:]
	}
	slots, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(slots) >= 512; slots = slots[512:] {
		owner := slots[32:64]
		if slots[16] == 'C' && bytes.Equal(owner, mailbox[:]) {
			found["key of the case"] = bytes.Clone(slots[64:96])
		}
		for _, id := range ids {
			if slots[16] == 'I' && bytes.HasPrefix(owner, []byte(unhex(t, string(id)))) {
				found["key of item "+string(id)] = bytes.Clone(slots[64:96])
			}
		}
	}
	return found
}

// TestDeletionLeavesNothing: after a deletion the raw files hold no key, no sealed
// row, no header and no payload of the case, and the tombstone waits for the log.
func TestDeletionLeavesNothing(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	s := submission("north")
	first := mustSend(t, v, 300<<10, s)
	second := mustAdd(t, v, 9<<20, addition(s.Case, translog.Followup, "north"))
	kept := mustSend(t, v, 200<<10, submission("north"))
	k.mustClose(t, v, firstEpoch)
	file, err := v.OpenItem(second.id)
	if err != nil {
		t.Fatal(err)
	}
	marker := make([]byte, 64)
	if _, err := file.ReadAt(marker, 5<<20); err != nil {
		t.Fatal(err)
	}
	file.Close()
	v.Close()
	old := traces(t, dir, s.Mailbox, first.id, second.id)
	old["payload"] = marker
	if len(old) != 1+2*3+1+1 {
		t.Fatalf("%d traces", len(old))
	}
	before := rawFiles(t, dir)
	for name, trace := range old {
		if !bytes.Contains(before, trace) {
			t.Fatalf("%s is not on the disk before: the test would prove nothing", name)
		}
	}
	v = open(t, dir, vault.Options{})
	tomb := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(tomb.Event[:])
	if err := v.DeleteCase(context.Background(), s.Case, tomb); err != nil {
		t.Fatal(err)
	}
	after := rawFiles(t, dir)
	for name, trace := range old {
		if bytes.Contains(after, trace) {
			t.Errorf("%s is still on the disk", name)
		}
	}
	if _, err := v.Mailbox(s.Mailbox); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the mailbox opens: %v", err)
	}
	if _, err := v.OpenItem(first.id); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an item opens: %v", err)
	}
	if sum, err := hash(v, kept.id); err != nil || sum != kept.sum {
		t.Errorf("another case: %v", err)
	}
	k.mustClose(t, v, firstEpoch+1)
	if !v.Logged(tomb.Event.Tag(translog.SourceDelete)) {
		t.Error("the tombstone is not in the log")
	}
	if err := v.DeleteCase(context.Background(), s.Case, tomb); err == nil {
		t.Error("deleted twice")
	}
	clean(t, v)
	v.Close()
	clean(t, open(t, dir, vault.Options{}))
}

// TestDeletedItemLeavesItsHash: one item goes, its case stays and knows that it was there.
func TestDeletedItemLeavesItsHash(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	s := submission("north")
	mustSend(t, v, 100, s)
	reply := mustAdd(t, v, 100, addition(s.Case, translog.Reply, "north"))
	tomb := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(tomb.Event[:])
	if err := v.DeleteItem(context.Background(), reply.id, tomb); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := v.Mailbox(s.Mailbox)
		if err != nil || len(c.Items) != 1 || c.Next != 2 || len(c.Gone) != 1 || c.Gone[0].SHA256 != reply.sum || c.Gone[0].Number != 1 {
			t.Errorf("case %+v, %v", c, err)
		}
		clean(t, v)
		v.Close()
		v = open(t, dir, vault.Options{})
	}
}

// TestRecoverAppliesTombstones: an old copy destroys the case whose deletion is in
// the leaves that it recovers.
func TestRecoverAppliesTombstones(t *testing.T) {
	dir, k, backup := newDir(t), newLogKeys(t), t.TempDir()
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	tomb := vault.Tombstone{Kind: translog.DeskDelete}
	rand.Read(tomb.Event[:])
	s := submission("north")
	s.Tombstones[1] = tomb.Event.Tag(translog.DeskDelete)
	m := mustSend(t, v, 100, s)
	other := submission("north")
	kept := mustSend(t, v, 100, other)
	reply := mustAdd(t, v, 100, addition(other.Case, translog.Reply, "north"))
	alone := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(alone.Event[:])
	expired := submission("north")
	mustSend(t, v, 100, expired)
	k.mustClose(t, v, firstEpoch)
	v.Close()
	copyFiles(t, dir, backup)
	v = open(t, dir, vault.Options{})
	if err := errors.Join(v.DeleteCase(context.Background(), s.Case, tomb), v.Expire(context.Background(), expired.Case, 0), v.DeleteItem(context.Background(), reply.id, alone)); err != nil {
		t.Fatal(err)
	}
	k.mustClose(t, v, firstEpoch+1)
	mirror := exported(t, v)
	v.Close()
	copyFiles(t, backup, dir)
	v = open(t, dir, vault.Options{})
	if _, err := v.Mailbox(s.Mailbox); err != nil {
		t.Fatalf("the backup lacks the case: %v", err)
	}
	if _, _, err := v.Recover(context.Background(), mirror.checkpoint, mirror, k.verifier(t)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []vault.Submission{s, expired} {
		if _, err := v.Mailbox(s.Mailbox); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("a deleted case is back: %v", err)
		}
	}
	if _, err := v.OpenItem(m.id); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an item of it opens: %v", err)
	}
	if sum, err := hash(v, kept.id); err != nil || sum != kept.sum {
		t.Errorf("another case: %v", err)
	}

	// Only the codename tells that the reply was deleted, so it is still there. It goes
	// without another event: the log takes none twice.
	if !v.Logged(alone.Event.Tag(alone.Kind)) {
		t.Error("its tombstone is not in the log")
	}
	if err := v.DeleteItem(context.Background(), reply.id, alone); err != nil {
		t.Fatal(err)
	}
	if _, err := v.OpenItem(reply.id); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the reply opens: %v", err)
	}
	k.mustClose(t, v, firstEpoch+2)
	clean(t, v)
}

// TestRetention: a case lasts some days after its newest item, longer while
// something in it was never seen, and for ever while it is held.
func TestRetention(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	s := submission("north") // 2026-11-21
	m := mustSend(t, v, 100, s)
	r := vault.Retention{Days: 180, Extra: 90}
	ends := func(want string) {
		t.Helper()
		c, err := v.Case(s.Case)
		if err != nil || c.Ends(r) != want {
			t.Errorf("ends %q, %v; want %q", c.Ends(r), err, want)
		}
	}
	ends("2027-08-18")
	if err := v.See(context.Background(), m.id); err != nil {
		t.Fatal(err)
	}
	v.Close()
	v = open(t, dir, vault.Options{})
	ends("2027-05-20")
	reply := mustAdd(t, v, 100, addition(s.Case, translog.Reply, "north")) // 2026-11-22
	ends("2027-08-19")
	if err := v.See(context.Background(), reply.id); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, v, 100, addition(s.Case, translog.Note, "north"))
	ends("2027-05-21")
	if due := v.Due("2027-05-20", r); len(due) != 0 {
		t.Errorf("due a day early: %v", due)
	}
	if err := v.SetHold(context.Background(), s.Case, true); err != nil {
		t.Fatal(err)
	}
	ends("")
	if due := v.Due("2099-01-01", r); len(due) != 0 {
		t.Errorf("a held case is due: %v", due)
	}
	if err := v.SetHold(context.Background(), s.Case, false); err != nil {
		t.Fatal(err)
	}
	if due := v.Due("2027-05-21", r); !slices.Equal(due, []vault.CaseID{s.Case}) {
		t.Errorf("due: %v", due)
	}
	if err := v.Expire(context.Background(), s.Case, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Mailbox(s.Mailbox); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an expired case opens: %v", err)
	}
	clean(t, v)
}

// rawRow reads a row of vault.db, which nobody has open.
func rawRow(t *testing.T, dir, bucket string, key []byte) (row []byte) {
	t.Helper()
	changeRow(t, dir, bucket, key, func(b []byte) []byte { row = bytes.Clone(b); return b })
	return row
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
