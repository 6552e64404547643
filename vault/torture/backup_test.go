package torture_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
	"resguardo/vault/torture/disk"
)

// harm plans a cut, early or at any of so many steps, or lets an operation on any file fail.
func (h *house) harm(r *rand.Rand, most int) string {
	switch r.IntN(3) {
	case 0:
		plan(h.disk, r, most)
		return "cut"
	case 1:
		h.disk.CutAt(1 + r.IntN(most))
		return "cut"
	}
	ops := []disk.Op{disk.Write, disk.Sync, disk.Create, disk.Rename, disk.Truncate, disk.Remove}
	f := disk.Fault{Op: ops[r.IntN(len(ops))], Name: "*", Nth: moment(r, most/4), Ever: r.IntN(3) == 0,
		Errno: []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}[r.IntN(3)]}
	h.disk.Inject(f)
	return describe(f)
}

// withReports makes a vault that holds some reports, and what was promised about it.
// More reviewers bring an auditor with them.
func withReports(t *testing.T, number int, more ...string) (*house, *clients) {
	t.Helper()
	h := prepare(t, time.Second)
	h = h.on(t, h.disk)
	for _, name := range more {
		h.must("resguardod", "reviewer", "add", "-dir", h.state(), "-desk", "norte", h.card(name))
		h.must("resguardod", "auditor", "add", "-dir", h.state(), h.card("eva"))
	}
	got := newClients()
	s := h.serve()
	h.sendSome(s, got, "before", number)
	h.stop(s)
	h.rest()
	return h, got
}

// sendSome sends reports one after the other; each must be taken.
func (h *house) sendSome(s *running, c *clients, name string, number int) {
	h.t.Helper()
	before := len(c.messages)
	web, done := client()
	defer done()
	for n := range number {
		r := source.Report{Message: fmt.Sprintf("%s, number %d", name, n)}
		if n == 0 {
			r.Files = []source.File{{Name: "a.bin", Body: bytes.NewReader(make([]byte, 5<<20))}}
		}
		c.sendOne(context.Background(), source.Source{Client: web, URL: s.Preview, Desk: "norte"}, r)
	}
	if len(c.messages) != before+number {
		h.t.Fatalf("%d of %d reports were taken: %q", len(c.messages)-before, number, c.wrong)
	}
}

// Of how many backups the test keeps all, and the keys.
const keep, keepKeys = 3, 1

// backups are what somebody was told of: what was safe in the vault when a backup
// began, by its number.
type backups map[int][]string

// makeBackup runs the command. told: it said that a backup was made.
func (h *house) makeBackup(b backups, got *clients) (told bool) {
	h.t.Helper()
	got.mu.Lock()
	safe := slices.Clone(got.messages)
	got.mu.Unlock()
	keys := h.backupKeys()
	r := h.do("resguardod", "backup", "-dir", h.state(), "-to", h.in("backups"), "-recipients", h.recipients(),
		"-keep", strconv.Itoa(keep), "-keep-keys", strconv.Itoa(keepKeys))
	number := 0
	fmt.Sscanf(r.stdout, "made backup %d in", &number)
	if r.code != 0 || number == 0 {
		return false
	}
	b[number] = safe
	for name := range h.backupKeys() {
		delete(keys, name)
	}
	h.disk.Durable(func(path string, off int64, content []byte) {
		for name, key := range keys {
			if bytes.Contains(content, key[200:264]) {
				h.t.Errorf("keys/%s was removed, and is in %s at %d", name, path, off)
			}
		}
	})
	return true
}

// backupKeys are the encrypted keys of the backups, by file.
func (h *house) backupKeys() map[string][]byte {
	all := make(map[string][]byte)
	files, _ := filepath.Glob(h.in("backups/keys/*.age"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil && len(b) > 264 && !bytes.Equal(b[200:264], make([]byte, 64)) { // not overwritten before a cut
			all[filepath.Base(file)] = b
		}
	}
	return all
}

// proveBackups looks for every backup that somebody was told of, and restores the
// newest that has a number.
func (h *house) proveBackups(b backups, got *clients) {
	h.t.Helper()
	folders, err := filepath.Glob(h.in("backups/[0-9]*"))
	if err != nil {
		h.t.Fatal(err)
	}
	there := make(map[int]bool)
	for _, f := range folders {
		n, _ := strconv.Atoi(filepath.Base(f))
		there[n] = true
	}
	numbers := slices.Sorted(maps.Keys(there))
	newer := func(n int) (count int) {
		for _, m := range numbers {
			if m > n {
				count++
			}
		}
		return count
	}
	for n := range b {
		if !there[n] && newer(n) < keep {
			h.t.Errorf("backup %d was made, and is gone: there are %v", n, numbers)
		}
	}
	if len(numbers) == 0 {
		return
	}
	h.proveBackup(numbers[len(numbers)-1], b, got)
}

// proveBackup restores one. All that was safe when it, or one before it, began must be in it.
func (h *house) proveBackup(n int, b backups, got *clients) {
	h.t.Helper()
	to := h.in("proof")
	if r := h.do("resguardod", "restore", "-dir", to, "-from", h.in("backups"), "-identity", h.identity(), "-number", strconv.Itoa(n)); r.code != 0 {
		h.t.Errorf("restore backup %d: exit code %d\n%s", n, r.code, r.stderr)
		return
	}
	safe := b[n]
	for older, messages := range b {
		if older < n && len(messages) > len(safe) {
			safe = messages
		}
	}
	h.proveCopy(to, safe, got)
	if err := os.RemoveAll(to); err != nil {
		h.t.Fatal(err)
	}
}

// proveCopy proves that a vault that was put back signs nothing until a person
// answers for it, is whole, and holds these reports.
func (h *house) proveCopy(dir string, safe []string, got *clients) {
	h.t.Helper()
	h.proveSilent(dir)
	if h.t.Failed() {
		return
	}
	h.must("resguardod", "check", "-dir", dir, "-accept-copy")
	if r := h.do("resguardod", "check", "-dir", dir); r.code != 0 {
		h.t.Errorf("check: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	s := h.start(dir)
	if !s.isReady() {
		h.t.Errorf("what was restored does not start:\n%s", &s.log)
		return
	}
	defer s.kill()
	h.proveReports(s, &clients{messages: safe, sent: got.sent})
}

// proveSilent proves that serve refuses a copy of which nobody knows whether it is old.
func (h *house) proveSilent(dir string) {
	h.t.Helper()
	s := h.start(dir)
	if s.isReady() {
		s.kill()
		h.t.Error("a copy that may be old serves")
	} else if code := s.cmd.ProcessState.ExitCode(); code != 3 {
		h.t.Errorf("serve of a copy: exit code %d, want 3\n%s", code, &s.log)
	}
}

// TestBackupPowerCut cuts the power, or lets the disk fail, while a backup is made: by
// the running server, with sources, or by the command alone. A backup of which
// somebody was told is there and can be restored with all that was safe when it
// began; whatever has a number can; the vault has lost nothing; keys that were
// removed are nowhere.
func TestBackupPowerCut(t *testing.T) {
	template, promised := withReports(t, 4)
	var l *disk.Disk
	var got *clients
	var made backups
	c := tally{fault: "power cut or error while `backup` runs, with a server and without"}
	defer c.end(t)
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%5 == 0 {
			l, got, made = template.disk.Copy(chance(s)), promised.clone(), make(backups)
		}
		h := template.on(t, l)
		before := len(made)
		did := h.backUp(r, made, got, round)
		if len(made) > before {
			c.acked++
		}
		h.disk.Repair()
		var report disk.Report
		l, report = h.cut()
		c.add(report)
		t.Logf("round %d: %s: %v; %d backups", round, did, report, len(made))
		h = template.on(t, l)
		h.proveBackups(made, got)
		h.prove(got)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		h.rest()
		l = h.disk
	}
	c.little(t, c.acked == 0)
}

// backUp makes one backup while the disk is harmed.
func (h *house) backUp(r *rand.Rand, made backups, got *clients, round int) string {
	h.t.Helper()
	if r.IntN(2) == 0 {
		did := h.harm(r, 400)
		h.makeBackup(made, got)
		return did + ", no server"
	}
	s := h.serve()
	stop := h.come(s, got, r, name(round))
	did := h.harm(r, 1200)
	h.makeBackup(made, got)
	stop()
	s.kill()
	return did + ", with a server"
}

// TestRestorePowerCut cuts the power, or lets the disk fail, at any step of a
// restore. What is found then at the name of the vault is whole, or there is
// nothing; a restore can be made.
func TestRestorePowerCut(t *testing.T) {
	template, got := withReports(t, 4)
	template = template.on(t, template.disk)
	made := make(backups)
	if !template.makeBackup(made, got) {
		t.Fatal("no backup")
	}
	template.rest()
	c := tally{fault: "power cut or error at any step of `restore`, then another `restore`"}
	defer c.end(t)
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		h := template.on(t, template.disk.Copy(chance(s)))
		did := h.harm(r, 400)
		restore := func() result {
			return h.do("resguardod", "restore", "-dir", h.in("again"), "-from", h.in("backups"), "-identity", h.identity())
		}
		told := restore().code == 0
		h.disk.Repair()
		after, report := h.cut()
		c.add(report)
		if told {
			c.acked++
		}
		t.Logf("round %d: %s: %v; told: %v", round, did, report, told)
		h = template.on(t, after)
		_, err := os.Stat(h.in("again"))
		if err != nil && told {
			t.Fatalf("round %d: the vault that was restored is gone", round)
		}
		if err != nil {
			h.restoreAgain(restore)
		}
		h.proveCopy(h.in("again"), got.messages, got)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		h.halt()
	}
	c.little(t, c.acked == 0)
}

// restoreAgain repeats a restore, as its words say.
func (h *house) restoreAgain(restore func() result) {
	h.t.Helper()
	left := h.in("again.restoring")
	r := restore()
	if _, err := os.Stat(left); err == nil {
		if r.code != 1 || !strings.Contains(r.stderr, "rm -r "+left) {
			h.t.Errorf("beside what was left, restore says: exit code %d\n%s", r.code, r.stderr)
		}
		if err := os.RemoveAll(left); err != nil {
			h.t.Fatal(err)
		}
		r = restore()
	}
	if r.code != 0 {
		h.t.Fatalf("restore: exit code %d\n%s", r.code, r.stderr)
	}
}
