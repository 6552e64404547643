package cmd_test

// A damaged disk, as the operator and a reviewer meet it: the real server, check
// and fetch.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"resguardo/onion/tornet/source"
)

// damage is what happens to the files of a stopped vault, and what must come of it.
type damage struct {
	name    string
	harm    func(t *testing.T, dir string)
	check   int    // exit code
	names   string // what check says
	serve   int    // exit code of a server that does not start; -1: it starts
	says    string // what it says then
	fetched int    // whole reports, of three
}

// TestDamage: check names what is damaged; the server starts and serves everything
// else, or says in a sentence why not, twice; and nobody gets a damaged report.
func TestDamage(t *testing.T) {
	h, files := threeReports(t)
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	part := text[100<<10 : 100<<10+64]
	other := newHouse(t, filepath.Join(t.TempDir(), "other"))
	other.start()
	other.kill()
	const blob, rows, slots = "blobs/00000001.db", "vault.db", "keys.slots"
	for _, d := range []damage{
		{"byte of a payload", flipText(blob, part), 1, `item [0-9a-f]{32}: .*another hash`, -1, "", 2},
		{"byte of an item's row", flipRow("items"), 1, `item [0-9a-f]{32}: .*does not open under its key`, -1, "", 2},
		{"byte of a header", flipRow("headers"), 1, `header of item [0-9a-f]{32}: .*does not open under its key`, -1, "", 2},
		{"byte of a case", flipRow("cases"), 1, `case row [0-9a-f]{16}: `, -1, "", 3},
		{"byte of a key", flipSlot, 1, `keys\.slots, slot \d+: .*key slot does not verify`, -1, "", 2},
		{"page of vault.db", breakPage(rows, 4096), 1, `the vault is damaged or cannot be read: `, 1, `the vault is damaged or cannot be read: `, 0},
		{"meta page 0 of vault.db", flipByte(rows, 40), 1, `vault\.db: .*meta page 0 does not verify`, -1, "", 3},
		{"both meta pages of vault.db", both(flipByte(rows, 40), flipByte(rows, 4096+40)), 1, `vault\.db: `, 1, `vault\.db: `, 0},
		{"meta pages of the blob file", both(flipByte(blob, 40), flipByte(blob, 16<<10+40)), 1, `blobs/00000001\.db: `, -1, "", 0},
		{"blob file cut short", truncate(blob, 256<<10), 1, `blobs/00000001\.db: `, -1, "", 0},
		{"blob file missing", erase(blob), 1, `blobs/00000001\.db: missing or unreadable, with the payloads of 3 items`, -1, "", 0},
		{"foreign file among the blobs", foreignBlob, 1, `blobs/00000009\.age: not a file of this vault`, -1, "", 3},
		{"keys.slots missing", erase(slots), 1, `keys\.slots: no such file`, 1, `keys\.slots: no such file`, 0},
		{"keys.slots empty", truncate(slots, 0), 1, `keys\.slots, slot \d+: `, -1, "", 0},
		{"vault.db cut short", truncate(rows, 5000), 1, `the vault is damaged or cannot be read: `, 1, `the vault is damaged or cannot be read: `, 0},
		{"vault.db of another vault", replace(rows, filepath.Join(other.dir, rows)), 1, `origin is .*, but the vault was made with `, 1, `origin is .*, but the vault was made with `, 0},
		{"tile of the log", flipRow("tiles"), 3, `log: .*damaged`, 3, `damaged`, 0},
		{"checkpoint", flipKey("vault", "signed"), 3, `log: .*the signed checkpoint`, 3, `the signed checkpoint`, 0},
		{"high-water", flipByte("high-water", 20), 3, `log: .*high-water`, 3, `high-water`, 0},
		{"high-water missing", erase("high-water"), 3, `high-water`, 3, `high-water: the file is missing`, 0},
	} {
		t.Run(d.name, func(t *testing.T) { d.see(t, h, files) })
	}
}

// threeReports is a vault with three reports, and the reviewer's copies of them. The server has ended.
func threeReports(t *testing.T) (h *house, files []string) {
	h = newHouse(t, filepath.Join(t.TempDir(), "v"))
	h.start()
	for _, message := range []string{"uno", "dos", "tres"} {
		h.mustSend(source.Report{Message: message, Files: []source.File{{Name: "foto.jpg", Body: io.LimitReader(random{}, 300<<10)}}})
	}
	first := h.reviewer
	h.reviewer = copied(t, first)
	files = h.fetch()
	h.reviewer = first // who has fetched nothing yet
	h.kill()
	if len(files) != 3 {
		t.Fatalf("fetched %v", files)
	}
	return h, files
}

// see damages a copy of the vault and looks at it with the real programs.
func (d damage) see(t *testing.T, sound *house, files []string) {
	h := *sound
	h.t, h.dir, h.log = t, copied(t, sound.dir), &safeBuffer{}
	d.harm(t, h.dir)
	d.wants(t, "check", d.check, d.names, filepath.Join(programs, "resguardod"), "check", "-dir", h.dir)
	for range 2 {
		if d.serve >= 0 {
			d.wants(t, "serve", d.serve, d.says, filepath.Join(programs, "resguardod"), "serve", "-dir", h.dir, "-tor", "off", "-preview", "127.0.0.1:0")
			continue
		}
		h.start()
		h.reviewer = copied(t, sound.reviewer)
		got := d.fetches(t, h)
		whole := 0
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && got[string(b)] {
				whole++
			}
		}
		if whole != d.fetched || len(got) != whole {
			t.Errorf("fetched %d files, %d of them whole, want %d", len(got), whole, d.fetched)
		}
		h.kill()
	}
}

// wants runs a program that must end so, within a minute, with a sentence and no stack.
func (d damage) wants(t *testing.T, what string, code int, says, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
	out, err := c.CombinedOutput()
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("%s: exit code %d (%v), want %d", what, got, err, code)
	}
	if !regexp.MustCompile(`(?m)^resguardod: error: .*` + says).Match(out) {
		t.Errorf("%s does not say %s:\n%s", what, says, out)
	}
	if bytes.Contains(out, []byte("goroutine ")) || code != 0 && !bytes.Contains(out, []byte("hint: ")) {
		t.Errorf("%s: a stack, or no hint:\n%s", what, out)
	}
}

// fetches returns the files that a reviewer gets, by content.
func (d damage) fetches(t *testing.T, h house) map[string]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(programs, "resguardo"), "fetch", "-dir", h.reviewer, "-server", h.review)
	c.Env = append(os.Environ(), "LANG=C", "LC_ALL=")
	out, err := c.CombinedOutput()
	if d.fetched < 3 && d.check == 1 && d.lists() && !bytes.Contains(out, []byte("damaged there")) && !bytes.Contains(out, []byte("(hash)")) {
		t.Errorf("fetch does not say what is damaged:\n%s", out)
	}
	if bytes.Contains(out, []byte("goroutine ")) || (err != nil) != bytes.Contains(out, []byte("error: ")) {
		t.Errorf("fetch: %v\n%s", err, out)
	}
	got := map[string]bool{}
	stored, err := filepath.Glob(filepath.Join(h.reviewer, "cases", "*", "*.age"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stored {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got[string(b)] = true
	}
	return got
}

// lists tells whether the server still lists what is damaged: it does unless the row, or its key, is.
func (d damage) lists() bool {
	return d.name != "byte of an item's row" && d.name != "byte of a key" && d.name != "keys.slots empty"
}

// copied copies a folder; its files stay sparse.
func copied(t *testing.T, dir string) string {
	t.Helper()
	base, err := os.MkdirTemp("", "d") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	to := filepath.Join(base, filepath.Base(dir))
	if out, err := exec.Command("cp", "-a", "--sparse=always", dir, to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return to
}

func both(harms ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, harm := range harms {
			harm(t, dir)
		}
	}
}

func flipByte(name string, at int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[0] ^ 0x10}, at); err != nil {
			t.Fatal(err)
		}
	}
}

// flipText flips a byte where the file holds this text.
func flipText(name string, text []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		i := bytes.Index(b, text)
		if err != nil || i < 0 {
			t.Fatalf("%s does not hold it: %v", name, err)
		}
		flipByte(name, int64(i)+3)(t, dir)
	}
}

// breakPage overwrites the header of every page but the meta pages.
func breakPage(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for at := 2 * size; at < info.Size(); at += size {
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 16), at); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// flipRow changes a byte in the middle of the first row of a bucket of vault.db.
func flipRow(bucket string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { changeValue(t, dir, bucket, nil) }
}

func flipKey(bucket, key string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { changeValue(t, dir, bucket, []byte(key)) }
}

func changeValue(t *testing.T, dir, bucket string, key []byte) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "vault.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if key == nil {
			key, _ = b.Cursor().First()
		}
		row := bytes.Clone(b.Get(key))
		row[len(row)/2] ^= 0x10
		return b.Put(bytes.Clone(key), row)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// flipSlot changes the key of the first item in keys.slots.
func flipSlot(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(b); at += 512 {
		if b[at+16] == 'I' {
			flipByte("keys.slots", int64(at)+70)(t, dir)
			return
		}
	}
	t.Fatal("no key of an item")
}

func truncate(name string, size int64) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
}

func erase(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func replace(name, by string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		b, err := os.ReadFile(by)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// foreignBlob puts a file of a backup among the blob files.
func foreignBlob(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "blobs", "00000009.age"), []byte("x"), 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}

// random is bytes that nothing compresses.
type random struct{}

func (random) Read(p []byte) (int, error) {
	f, err := os.Open("/dev/urandom")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Read(p)
}
