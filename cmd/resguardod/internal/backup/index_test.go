package backup_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// blobs lists the blob files of the folder of backups.
func (p *place) blobs() []string {
	p.t.Helper()
	all, err := filepath.Glob(filepath.Join(p.folder, "blobs", "*.age"))
	p.check(err)
	return all
}

// rot changes a byte in the middle of a file; with quiet, its time stays.
func (p *place) rot(path string, quiet bool) {
	p.t.Helper()
	info, err := os.Stat(path)
	p.check(err)
	b, err := os.ReadFile(path)
	p.check(err)
	b[len(b)/2] ^= 1
	p.check(os.WriteFile(path, b, 0o600))
	at := time.Now().Add(time.Hour)
	if quiet {
		at = info.ModTime()
	}
	p.check(os.Chtimes(path, at, at))
}

// TestDamagedCopyIsMadeAgain: a blob file in the folder that has not the hash of its
// manifest is named and copied again, also where its time tells nothing, once a month.
func TestDamagedCopyIsMadeAgain(t *testing.T) {
	p := newPlace(t)
	p.send(1 << 20)
	p.send(1 << 20)
	p.backup()
	if m := p.backup(); m.Kept != 2 || len(p.broken) > 0 {
		t.Fatalf("%+v, %v", m, p.broken)
	}
	victim, other := p.blobs()[0], p.blobs()[1] // a copy that is made again gets a name of its own
	p.rot(victim, true)
	if m := p.backup(); m.Kept != 2 || len(p.broken) > 0 { // not read: nothing shows
		t.Errorf("unread: %+v, %v", m, p.broken)
	}
	p.age(victim, 29)
	if m := p.backup(); m.Kept != 2 {
		t.Errorf("after 29 days: %+v, %v", m, p.broken)
	}
	p.age(victim, 32)
	p.seesDamage(victim)
	p.rot(other, false)
	p.seesDamage(other)
	p.check(os.WriteFile(filepath.Join(p.folder, "index"), []byte("not ours"), 0o600))
	if m := p.backup(); m.Kept != 2 || m.Copied != 0 {
		t.Errorf("with another index: %+v, %v", m, p.broken)
	}
}

// seesDamage makes a backup, which must name this file, copy it again and be whole.
func (p *place) seesDamage(path string) {
	p.t.Helper()
	name := "blobs/" + filepath.Base(path)
	if m := p.backup(); m.Kept != 1 || m.Copied != 1 || !slices.Contains(p.broken, name) {
		p.t.Errorf("%s: %+v, %v", name, m, p.broken)
	}
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
	if _, err := p.restore(1, p.id); !says(err, "the file is damaged") {
		p.t.Errorf("the old backup: %v", err)
	}
}

// age lets a file have been read so many days ago.
func (p *place) age(path string, days int) {
	p.t.Helper()
	file := filepath.Join(p.folder, "index")
	b, err := os.ReadFile(file)
	p.check(err)
	var all map[string]map[string]json.RawMessage
	p.check(json.Unmarshal(b, &all))
	all["blobs/"+filepath.Base(path)]["day"] = time.Now().UTC().AddDate(0, 0, -days).AppendFormat(nil, `"2006-01-02"`)
	b, err = json.Marshal(all)
	p.check(err)
	p.check(os.WriteFile(file, b, 0o600))
}

// TestRestoreLeavesHoles: what was deleted takes up no disk after a restore.
func TestRestoreLeavesHoles(t *testing.T) {
	p := newPlace(t)
	gone := p.send(12 << 20)
	p.send(100 << 10)
	p.check(p.vault.DeleteCase(t.Context(), gone.Case, vault.Tombstone{Kind: translog.SourceDelete, Event: translog.Event{7}}))
	for id := range p.reports {
		if _, err := p.vault.Item(id); err != nil {
			delete(p.reports, id)
		}
	}
	p.backup()
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
	for _, name := range []string{"blobs/00000001.db", "vault.db"} {
		was, is := p.disk(p.dir.Path(name)), p.disk(filepath.Join(dir, name))
		if is.Blocks > was.Blocks+128 {
			t.Errorf("%s: %d bytes in %d blocks, was %d in %d", name, is.Size, is.Blocks, was.Size, was.Blocks)
		}
	}
	if b := p.disk(filepath.Join(dir, "keys.slots")); b.Blocks*512 < b.Size {
		t.Errorf("keys.slots has holes: %d of %d bytes", b.Blocks*512, b.Size)
	}
	sum, err := os.ReadFile(filepath.Join(dir, "blobs/00000001.db"))
	p.check(err)
	if !bytes.Contains(sum, make([]byte, 8<<20)) {
		t.Error("there was no hole to keep")
	}
}

func (p *place) disk(path string) (s unix.Stat_t) {
	p.t.Helper()
	p.check(unix.Stat(path, &s))
	return s
}
