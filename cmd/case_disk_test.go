package cmd_test

// What the disk of a vault holds of a case, seen by who has the disk and nothing
// else, and what ties leaves of the log together.

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// traces are bytes that the disk has of one case, by name.
type traces struct {
	items []string          // ids, by number
	now   map[string][]byte // are there before the deletion
	old   map[string][]byte // were there earlier, and may be in free pages
	never map[string][]byte // must not be there at any time
}

// remember notes what the disk holds of the case now. Its rows change, so it is
// called more than once.
func (s *caseStory) remember() {
	s.Helper()
	old := s.traces.old
	if old == nil {
		old = map[string][]byte{}
	}
	for name, b := range s.traces.now {
		old[name+" earlier"] = b
	}
	s.traces = traces{now: map[string][]byte{}, old: old, never: map[string][]byte{}}
	meta := snapshot(s.T, filepath.Join(s.dir, "vault.db"))
	s.rememberItems(meta)
	s.rememberCase(meta)
	s.rememberKeys()
	disk := s.rawDisk()
	for name, b := range s.traces.now {
		if !bytes.Contains(disk, b) {
			s.Errorf("%s is not on the disk before: the search would prove nothing", name)
		}
	}
	s.absent(disk, s.traces.never, "although it is sealed")
}

// rememberItems notes rows, headers and payloads, and what ties the leaves of the
// items together. All of it the auditor has in her folder.
func (s *caseStory) rememberItems(meta map[string]map[string][]byte) {
	s.Helper()
	files, err := filepath.Glob(s.folder("auditor", "cases", s.id, "[0-9]*.json"))
	s.must(err)
	for _, file := range files {
		var i struct{ ID, Event, Opening string }
		s.must(json.Unmarshal(s.read(file), &i))
		id, err := hex.DecodeString(i.ID)
		s.must(err)
		name := filepath.Base(strings.TrimSuffix(file, ".json"))
		s.traces.items = append(s.traces.items, i.ID)
		s.traces.now["id of "+name] = id
		s.traces.now["row of "+name] = sealed(s.T, meta["items"][string(id)], 9)
		s.traces.now["header row of "+name] = sealed(s.T, meta["headers"][string(id)], 8)
		header, payload := cutAge(s.T, s.read(strings.TrimSuffix(file, "json")+"age"))
		s.traces.now["payload of "+name] = payload[16 : 16+200] // after the nonce
		s.traces.never["header of "+name] = header
		for _, stanza := range bytes.Split(header, []byte("\n-> "))[1:] {
			s.traces.never["stanza of "+name+": "+string(stanza[:20])] = stanza[:100]
		}
		event, err := base64.StdEncoding.DecodeString(i.Event)
		s.must(err)
		o, err := translog.ParseOpening([]byte(i.Opening))
		s.must(err)
		s.never("thread", o.Thread[:])
		s.never("event of "+name, event)
		s.never("hash of "+name, o.Ciphertext[:])
		s.never("opening of "+name, []byte(i.Opening))
	}
	s.never("id of the case", []byte(s.id))
	s.never("codename", []byte(s.codename))
	if len(files) == 0 {
		s.Fatal("the auditor has nothing of the case")
	}
}

// never notes bytes in every form in which a careless program would write them.
func (s *caseStory) never(name string, b []byte) {
	s.traces.never[name] = b
	s.traces.never[name+" in hex"] = []byte(hex.EncodeToString(b))
	s.traces.never[name+" in base64"] = []byte(base64.RawStdEncoding.EncodeToString(b))
}

// onlyCase is the key of the row of the only case.
func (s *caseStory) onlyCase() string {
	s.Helper()
	for key := range snapshot(s.T, filepath.Join(s.dir, "vault.db"))["cases"] {
		return key
	}
	s.Fatal("the vault has no case")
	return ""
}

// rememberCase notes the row of the case.
func (s *caseStory) rememberCase(meta map[string]map[string][]byte) {
	s.Helper()
	if len(meta["cases"]) != 2 {
		s.Fatalf("%d cases", len(meta["cases"]))
	}
	s.traces.now["name of the mailbox"] = []byte(s.mailbox)
	s.traces.now["row of the case"] = sealed(s.T, meta["cases"][s.mailbox], 9)
}

// rememberKeys notes the keys of the rows: slots of 512 bytes that name their owner.
func (s *caseStory) rememberKeys() {
	s.Helper()
	owners := [][]byte{s.traces.now["name of the mailbox"]}
	for _, id := range s.traces.items {
		b, err := hex.DecodeString(id)
		s.must(err)
		owners = append(owners, b)
	}
	keys := 0
	for slot := range slices.Chunk(s.read(filepath.Join(s.dir, "keys.slots")), 512) {
		for _, owner := range owners {
			if bytes.HasPrefix(slot[32:64], owner) {
				s.traces.now["key of "+hex.EncodeToString(owner)] = bytes.Clone(slot[64:96])
				keys++
			}
		}
	}
	if keys != len(owners) {
		s.Fatalf("%d keys for %d rows", keys, len(owners))
	}
}

// disk: after the deletion no trace is left, while the server runs and after it
// has ended, and the vault is whole.
func (s *caseStory) disk() {
	s.searchDisk("while the server runs")
	s.kill()
	s.searchDisk("after the server")
	run(s.T, "resguardod", "check", "-dir", s.dir)
}

func (s *caseStory) searchDisk(when string) {
	s.Helper()
	disk := s.rawDisk()
	for _, all := range []map[string][]byte{s.traces.now, s.traces.old, s.traces.never} {
		s.absent(disk, all, when)
	}
}

func (s *caseStory) absent(disk []byte, all map[string][]byte, when string) {
	s.Helper()
	for name, b := range all {
		if bytes.Contains(disk, b) {
			s.Errorf("%s is on the disk, %s", name, when)
		}
	}
}

// rawDisk is everything that the server and its tor have written.
func (s *caseStory) rawDisk() (all []byte) {
	s.Helper()
	for _, dir := range []string{s.dir, s.tmp} {
		s.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			all = append(all, b...)
			return err
		}))
	}
	return all
}

// snapshot is every bucket of a database that a server has open. A copy that is the
// same twice was not written to meanwhile.
func snapshot(t *testing.T, path string) map[string]map[string][]byte {
	t.Helper()
	var copied []byte
	for try := 0; ; try++ {
		b, err := os.ReadFile(path)
		if err != nil || try == 100 {
			t.Fatalf("%s does not hold still: %v", path, err)
		}
		if copied != nil && bytes.Equal(b, copied) {
			break
		}
		copied = b
	}
	file := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(file, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string]map[string][]byte{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			rows := map[string][]byte{}
			all[string(name)] = rows
			return b.ForEach(func(key, row []byte) error {
				rows[string(key)] = bytes.Clone(row)
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sealed is what of a row stands behind its clear part.
func sealed(t *testing.T, row []byte, clear int) []byte {
	t.Helper()
	if len(row) < clear+40 { // nonce and tag
		t.Fatalf("a row of %d bytes", len(row))
	}
	return row[clear:]
}

// cutAge cuts an age file behind its header.
func cutAge(t *testing.T, b []byte) (header, payload []byte) {
	t.Helper()
	mac := bytes.Index(b, []byte("\n--- "))
	if mac < 0 {
		t.Fatal("no age file")
	}
	end := mac + 1 + bytes.IndexByte(b[mac+1:], '\n') + 1
	return b[:end], b[end:]
}
