package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"resguardo/vault"
)

func TestInitRefusesToOverwrite(t *testing.T) {
	dir := newDir(t)
	for _, name := range []string{"vault.db", "keys.slots", "blobs", "high-water"} {
		if err := vault.Init(dir, genesis); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is there: %v", name, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := vault.Init(dir, genesis); err != nil {
		t.Error(err)
	}
	if err := vault.Init(filepath.Join(dir, "nothing", "here"), genesis); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestGenesisIsKept(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	if v.Genesis() != genesis {
		t.Errorf("genesis %+v", v.Genesis())
	}
	clean(t, v)
	if err := v.Room(); err != nil {
		t.Error(err)
	}
	if v.Err() != nil || len(v.Damage()) != 0 {
		t.Error(v.Err(), v.Damage())
	}
}

func TestOpenMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := vault.Open(dir, vault.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no vault: %v", err)
	}
	if err := vault.Probe(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("probe of no vault: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("Open made %v", entries)
	}
	for _, name := range []string{"keys.slots", "blobs"} {
		dir := newDir(t)
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Open(dir, vault.Options{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no %s: %v", name, err)
		}
		if _, err := vault.Open(dir, vault.Options{}); errors.Is(err, vault.ErrLocked) {
			t.Errorf("no %s: the first Open left its lock", name)
		}
	}
}

func TestSecondOpenIsLocked(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	if _, err := vault.Open(dir, vault.Options{}); err != vault.ErrLocked {
		t.Errorf("second open: %v", err)
	}
	if err := vault.Probe(dir); err != vault.ErrLocked {
		t.Errorf("probe: %v", err)
	}
	if code, _, stderr := exitCode(t, childCommand(t, nil, "check", dir)); code != exitRefused || !strings.Contains(stderr, "in use") {
		t.Errorf("another process: exit code %d: %s", code, stderr)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, vault.Options{})
}

func TestOtherFormatIsRefused(t *testing.T) {
	dir := newDir(t)
	for text, want := range map[string]error{"1": vault.ErrFormat, "3": vault.ErrFormat, "1000": vault.ErrFormat, "0": vault.ErrDamaged, "": vault.ErrDamaged, "one": vault.ErrDamaged} {
		changeRow(t, dir, "vault", []byte("format"), func([]byte) []byte { return []byte(text) })
		if _, err := vault.Open(dir, vault.Options{}); !errors.Is(err, want) {
			t.Errorf("format %q: %v", text, err)
		}
		if err := vault.Probe(dir); !errors.Is(err, want) {
			t.Errorf("probe of format %q: %v", text, err)
		}
	}
}

// TestOpenSweepsDrafts: what a killed process left of drafts is gone after the
// next Open, payloads and slots, and so is a blob file that was being made.
func TestOpenSweepsDrafts(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	kept := mustSend(t, v, 64<<10, submission("north"))
	d, err := begun(v, 9<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil { // drops the draft without a word to the disk
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "00000002.db.new"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if names := payloads(t, dir); len(names) != 2 {
		t.Fatalf("%d payloads, want the item's and the draft's", len(names))
	}
	if used := usedSlots(t, dir); used != 4 {
		t.Fatalf("%d slots in use, want those of queue, case, item and draft", used)
	}
	v = open(t, dir, vault.Options{})
	clean(t, v)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if names := payloads(t, dir); len(names) != 1 || names[0] != string(kept.id) {
		t.Errorf("payloads %v", names)
	}
	if used := usedSlots(t, dir); used != 3 {
		t.Errorf("%d slots in use", used)
	}
	if _, err := d.Write([]byte("x")); err != vault.ErrClosed {
		t.Errorf("write to a dropped draft: %v", err)
	}
}

// payloads are the names of the top-level buckets of the first blob file, in hex.
func payloads(t *testing.T, dir string) (names []string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "blobs", "00000001.db"), 0, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			names = append(names, hexOf(name))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func usedSlots(t *testing.T, dir string) (used int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil || len(raw)%512 != 0 {
		t.Fatalf("%d bytes of slots, %v", len(raw), err)
	}
	for i := 0; i < len(raw); i += 512 {
		if !bytes.Equal(raw[i:i+512], make([]byte, 512)) {
			used++
		}
	}
	return used
}

// TestRefusedCommitLeavesNothing: after each definite refusal no slot and no payload is left.
func TestRefusedCommitLeavesNothing(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	kept := mustSend(t, v, 64<<10, submission("north"))
	change := func(f func(*vault.Submission)) vault.Submission {
		s := submission("north")
		f(&s)
		return s
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		text string
		sub  vault.Submission
	}{
		"cancelled":        {ended, header + string(payload(1)), submission("north")},
		"nothing":          {context.Background(), "", submission("north")},
		"header only":      {context.Background(), header, submission("north")},
		"header cut off":   {context.Background(), header[:len(header)-1], submission("north")},
		"header too long":  {context.Background(), strings.Repeat("-> x\n", 60000) + header, submission("north")},
		"payload cut off":  {context.Background(), header + strings.Repeat("x", 16+65536+16+10), submission("north")},
		"mailbox taken":    {context.Background(), header + string(payload(5<<20)), change(func(s *vault.Submission) { s.Mailbox = kept.sub.Mailbox })},
		"case taken":       {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Case = kept.sub.Case })},
		"event taken":      {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Event = kept.sub.Event })},
		"no case":          {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Case = "" })},
		"case upper case":  {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Case = vault.CaseID(strings.ToUpper(string(s.Case))) })},
		"no desk":          {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Desks = nil })},
		"no recipient":     {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Recipients = 0 })},
		"no source":        {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Recipient = "" })},
		"a time of day":    {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Day = "2026-11-21T10:00" })},
		"no such day":      {context.Background(), header + string(payload(9<<20)), change(func(s *vault.Submission) { s.Day = "2026-02-30" })},
		"day without zero": {context.Background(), header + string(payload(1)), change(func(s *vault.Submission) { s.Day = "2026-2-03" })},
	} {
		d, err := v.Create(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		d.Write([]byte(c.text))
		err = d.Commit(c.ctx, c.sub)
		if err == nil || errors.Is(err, vault.ErrUnknown) || strings.HasSuffix(name, "taken") != (err == vault.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
		if again := d.Commit(context.Background(), submission("north")); again == nil {
			t.Errorf("%s: stored at the second try", name)
		}
	}
	clean(t, v)
	if len(v.Items("north")) != 1 {
		t.Errorf("%d items", len(v.Items("north")))
	}
	v.Close()
	if n, used := len(payloads(t, dir)), usedSlots(t, dir); n != 1 || used != 3 {
		t.Errorf("%d payloads, %d slots in use", n, used)
	}
}

func TestUseAfterClose(t *testing.T) {
	v := open(t, newDir(t), vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north"))
	c, err := v.OpenItem(m.id)
	if err != nil {
		t.Fatal(err)
	}
	d, err := begun(v, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	_, createErr := v.Create(ctx)
	_, itemErr := v.Item(m.id)
	_, openErr := v.OpenItem(m.id)
	_, checkErr := v.Check(ctx)
	_, readErr := c.ReadAt(make([]byte, 10), 1000)
	for i, err := range []error{createErr, itemErr, openErr, checkErr, readErr, v.Room(), d.Commit(ctx, submission("north"))} {
		if !errors.Is(err, vault.ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if len(v.Items("north")) > 0 || v.Err() != nil {
		t.Error("a closed vault lists items or has failed")
	}
	d.Discard()
}
