package backup_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/cmd/resguardod/internal/backup"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
	"resguardo/vault/translog"
)

const (
	epochLength = 6 * time.Hour
	firstEpoch  = 83115
)

// place is a vault and a folder for its backups.
type place struct {
	t       *testing.T
	dir     statedir.Dir
	vault   *vault.Vault
	folder  string
	to      backup.Recipients
	id      age.Identity
	reports map[vault.ItemID][32]byte
	mu      sync.Mutex
	broken  []string // that the last backup has found
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, folder: filepath.Join(t.TempDir(), "backups"), reports: map[vault.ItemID][32]byte{}}
	d, origin, err := statedir.Create(filepath.Join(t.TempDir(), "vault"),
		statedir.Settings{Name: "x", Epoch: epochLength, Slots: 16, Languages: []string{"es"}},
		func(dir, origin string) error {
			return vault.Init(dir, vault.Genesis{Origin: origin, Epoch: epochLength, Slots: 16, Time: 3, Memory: 65536, Threads: 1})
		})
	p.check(err)
	p.dir = d
	p.id, p.to = p.recipient()
	p.open()
	p.begin(origin)
	return p
}

func (p *place) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) open() {
	p.t.Helper()
	v, err := vault.Open(p.dir.Path(), vault.Options{BlobSize: 1 << 20})
	p.check(err)
	p.vault = v
	p.t.Cleanup(func() { v.Close() })
}

// begin starts the log.
func (p *place) begin(origin string) {
	p.t.Helper()
	keys, err := p.dir.Verifiers()
	p.check(err)
	policy, err := p.dir.Policy()
	p.check(err)
	signer, err := p.dir.GovernanceSigner(origin)
	p.check(err)
	g := translog.Governance{Epoch: firstEpoch, Kind: translog.GenesisNote, Body: &translog.Genesis{
		Origin: origin, Log: keys.Log, Operations: keys.Operations, Governance: keys.Governance, Threshold: 1,
		Epoch: epochLength, Slots: 16, Time: 3, Memory: 65536, Threads: 1, Policy: policy.Text,
		Retention: translog.Retention{Days: 180, DeleteSignatures: 1}}}
	leaf, err := g.Sign(signer)
	p.check(err)
	log, err := p.dir.LogSigner(origin)
	p.check(err)
	p.check(p.vault.BeginLog(p.t.Context(), [][]byte{leaf}, log))
}

// recipient draws an operator.
func (p *place) recipient() (age.Identity, backup.Recipients) {
	p.t.Helper()
	id, err := age.GenerateHybridIdentity()
	p.check(err)
	file := filepath.Join(p.t.TempDir(), "recipients")
	p.check(os.WriteFile(file, []byte("# operator\n"+id.Recipient().String()+"\n"), 0o600))
	to, err := backup.ReadRecipients(file)
	p.check(err)
	return id, to
}

// send stores a report of n bytes.
func (p *place) send(n int) vault.Submission {
	p.t.Helper()
	text := append([]byte("age-encryption.org/v1\n-> x\ny\n--- z\n"), make([]byte, 16+n+16*max(1, (n+65535)>>16))...)
	rand.Read(text[40:])
	s := vault.Submission{Case: vault.NewCaseID(), Recipient: "age1pq1x", Desks: []string{"norte"}, Day: "2026-11-22", Recipients: 1}
	for _, b := range [][]byte{s.Mailbox[:], s.Thread[:], s.Event[:], s.Expire[:]} {
		rand.Read(b)
	}
	d, err := p.vault.Create(context.Background())
	if err == nil {
		defer d.Discard()
		_, err = d.Write(text)
	}
	if err == nil {
		err = d.Commit(context.Background(), s)
	}
	if err != nil {
		p.t.Error(err)
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports[d.ID()] = sha256.Sum256(text)
	return s
}

// stream is what Folder.Store reads.
func (p *place) stream(have []string) io.ReadCloser {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(backup.Stream(context.Background(), w, p.dir, p.vault, have))
	}()
	p.t.Cleanup(func() { r.Close(); <-ended })
	return r
}

func (p *place) owner() backup.Owner {
	p.t.Helper()
	key, err := os.ReadFile(p.dir.Path(statedir.LogKey))
	p.check(err)
	return backup.OwnerOf(key, p.to.Texts)
}

// store makes a backup; through, if not nil, changes what comes from the vault.
func (p *place) store(through func(io.Reader) io.Reader) (backup.Made, error) {
	p.t.Helper()
	f, err := backup.Open(p.folder)
	p.check(err)
	defer f.Close()
	known, broken, err := f.Known(p.owner())
	p.check(err)
	p.broken = broken
	s := p.stream(known.Versions())
	defer s.Close()
	if through == nil {
		return f.Store(s, p.owner(), p.to, known)
	}
	return f.Store(through(s), p.owner(), p.to, known)
}

func (p *place) backup() backup.Made {
	p.t.Helper()
	made, err := p.store(nil)
	p.check(err)
	return made
}

func (p *place) tidy(keep, keepKeys int) {
	p.t.Helper()
	f, err := backup.Open(p.folder)
	p.check(err)
	defer f.Close()
	p.check(f.Tidy(keep, keepKeys))
}

// restore puts a backup back into a new directory.
func (p *place) restore(number int, ids ...age.Identity) (string, error) {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), "restored")
	f, err := backup.OpenToRestore(p.folder)
	p.check(err)
	defer f.Close()
	_, err = f.Restore(dir, number, ids, vault.Probe)
	if left, _ := filepath.Glob(dir + "*"); err != nil && len(left) > 0 {
		p.t.Errorf("after %v: %v", err, left)
	}
	return dir, err
}

// holds proves that a restored vault has exactly these reports, nothing wrong but
// that high-water is missing, and signs nothing.
func (p *place) holds(dir string, reports map[vault.ItemID][32]byte) {
	p.t.Helper()
	v, err := vault.Open(dir, vault.Options{})
	p.check(err)
	defer v.Close()
	if err := v.OldCopy(); !errors.Is(err, vault.ErrNoHighWater) {
		p.t.Errorf("the restored vault may sign: %v", err)
	}
	found, err := v.Check(p.t.Context())
	p.check(err)
	for _, f := range found {
		if f.What != vault.ErrNoHighWater.Error() {
			p.t.Errorf("check: %s: %s", f.Where, f.What)
		}
	}
	if n := len(v.AllItems()); n < len(reports) {
		p.t.Errorf("%d reports, want %d", n, len(reports))
	}
	for id, sum := range reports {
		c, err := v.OpenItem(id)
		if err != nil {
			p.t.Errorf("report %s: %v", id, err)
			continue
		}
		h := sha256.New()
		if _, err := io.Copy(h, c); err != nil || [32]byte(h.Sum(nil)) != sum {
			p.t.Errorf("report %s: another hash, %v", id, err)
		}
	}
}

// files lists what is in the folder of backups, with its content, but for the index.
func (p *place) files() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	p.check(filepath.WalkDir(p.folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if rel, _ := filepath.Rel(p.folder, path); rel != "index" {
			all[rel] = string(b)
		}
		return err
	}))
	return all
}

func (p *place) write(name, content string) {
	p.t.Helper()
	path := filepath.Join(p.dir.Path(), name)
	p.check(os.MkdirAll(filepath.Dir(path), 0o700))
	p.check(os.WriteFile(path, []byte(content), 0o600))
}

// TestCleanMachineGetsEverything: every report that was acknowledged before the
// backup began, the operator's files and the onions' keys, while reports come in.
func TestCleanMachineGetsEverything(t *testing.T) {
	p := newPlace(t)
	belong := []string{"onion/source/hs_ed25519_secret_key", "onion/source/hostname", "onion/reviewers/authorized_clients/x.auth", "requests/000003-desk-norte.note", "restore"}
	stay := []string{"onion/data/state", "onion/torrc", "accept-gap", "desks/.norte.toml.new", "core", "onion/source/hs_ed25519_secret_key.tmp"}
	for _, name := range append(belong, stay...) {
		p.write(name, "content of "+name)
	}
	for i := range 6 {
		p.send(i * 700_000)
	}
	before := map[vault.ItemID][32]byte{}
	for id, sum := range p.reports {
		before[id] = sum
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for range 3 {
		senders.Go(func() {
			for ctx.Err() == nil {
				p.send(100_000)
			}
		})
	}
	p.backup()
	stop()
	senders.Wait()
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, before)
	for _, name := range append(belong, statedir.ConfigFile, statedir.LogKey, statedir.OperationsKey, statedir.LogVerifier, statedir.PolicyFile, statedir.GovernanceVerifier) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		want, _ := os.ReadFile(p.dir.Path(name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range append(stay, statedir.HighWaterFile) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was restored", name)
		}
	}
	p.check(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if info, err := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

// TestNothingInClear: the folder shows no name, key or id of the vault.
func TestNothingInClear(t *testing.T) {
	p := newPlace(t)
	p.write("desks/canarydesk.toml", "CANARYTEXT")
	s := p.send(100)
	p.backup()
	key, err := os.ReadFile(p.dir.Path(statedir.LogKey))
	p.check(err)
	words := []string{"CANARYTEXT", "canarydesk", "PRIVATE+KEY", string(s.Case), p.vault.Genesis().Origin, string(key[:20]), string(s.Mailbox[:])}
	for id := range p.reports {
		words = append(words, string(id))
	}
	for name, content := range p.files() {
		for _, w := range words {
			if strings.Contains(name+content, w) {
				t.Errorf("%s shows %q", name, w)
			}
		}
	}
}

// TestSecondBackupCopiesWhatChanged: unchanged blob files are not written again, and
// every backup can be restored; for new recipients all is.
func TestSecondBackupCopiesWhatChanged(t *testing.T) {
	p := newPlace(t)
	for range 3 {
		p.send(1 << 20) // a blob file each
	}
	if m := p.backup(); m.Number != 1 || m.Copied != 3 || m.Kept != 0 {
		t.Errorf("first: %+v", m)
	}
	first, before := p.files(), map[vault.ItemID][32]byte{}
	for id, sum := range p.reports {
		before[id] = sum
	}
	p.send(1000)
	if m := p.backup(); m.Number != 2 || m.Copied != 1 || m.Kept != 3 {
		t.Errorf("second: %+v", m)
	}
	for name, content := range first {
		if p.files()[name] != content {
			t.Errorf("%s has changed", name)
		}
	}
	if m := p.backup(); m.Copied != 0 || m.Kept != 4 {
		t.Errorf("third: %+v", m)
	}
	old := p.id
	p.id, p.to = p.recipient()
	if m := p.backup(); m.Copied != 4 || m.Kept != 0 {
		t.Errorf("to others: %+v", m)
	}
	for number, id := range map[int]age.Identity{1: old, 3: old, 4: p.id} {
		dir, err := p.restore(number, id)
		p.check(err)
		if number == 1 {
			p.holds(dir, before)
		} else {
			p.holds(dir, p.reports)
		}
	}
	p.tidy(1, 1)
	left := p.files()
	if len(left) != 4+4 {
		t.Errorf("left: %d files", len(left))
	}
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
}

// TestRestoredVaultIsNotMistaken: a vault that was put back and went on with the same
// numbers of transactions gets its own blob files.
func TestRestoredVaultIsNotMistaken(t *testing.T) {
	p := newPlace(t)
	p.send(1000)
	p.backup()
	p.send(1000) // lost
	p.backup()
	dir, err := p.restore(1, p.id)
	p.check(err)
	p.check(p.vault.Close())
	p.dir, err = statedir.Open(dir)
	p.check(err)
	p.open()
	p.reports = map[vault.ItemID][32]byte{}
	for _, item := range p.vault.AllItems() {
		p.reports[item.ID] = item.SHA256
	}
	p.send(1000)
	p.backup()
	dir, err = p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
}

// TestBackupThatIsCutShort: wherever the copy ends, with an error or without,
// nothing looks like a backup, and what was there is as it was.
func TestBackupThatIsCutShort(t *testing.T) {
	p := newPlace(t)
	p.send(1 << 20)
	p.send(1000)
	p.backup()
	p.send(1000)
	before := p.files()
	all, err := io.ReadAll(p.stream(nil))
	p.check(err)
	for i := range 24 {
		n := int64(len(all)) * int64(i) / 24
		if i > 20 {
			n = int64(len(all)) - 1024 - int64(24-i)*512 // at the end
		}
		for _, end := range []io.Reader{strings.NewReader(""), failing{}} {
			_, err := p.store(func(io.Reader) io.Reader { return io.MultiReader(bytes.NewReader(all[:n]), end) })
			if !says(err, "the copy of the vault broke off") {
				t.Errorf("after %d of %d bytes: %v", n, len(all), err)
			}
		}
		p.tidy(9, 9)
		if now := p.files(); len(now) != len(before) {
			t.Fatalf("after %d bytes: %d files, before %d", n, len(now), len(before))
		}
	}
	for name, content := range p.files() {
		if before[name] != content {
			t.Errorf("%s has changed", name)
		}
	}
	if m := p.backup(); m.Number != 2 {
		t.Errorf("next: %+v", m)
	}
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("cut") }

// TestKilledBackupIsSwept: what a kill leaves at its worst moments is no backup,
// stands in nobody's way, and goes.
func TestKilledBackupIsSwept(t *testing.T) {
	p := newPlace(t)
	p.send(1000)
	p.backup()
	before := p.files()
	for _, name := range []string{".new/manifest", ".new/state.age", "blobs/.new", "keys/.new", "keys/000002.age", "blobs/00000001-0123456789abcdef.age"} {
		path := filepath.Join(p.folder, name)
		p.check(os.MkdirAll(filepath.Dir(path), 0o700))
		p.check(os.WriteFile(path, []byte("half"), 0o600))
	}
	dir, err := p.restore(0, p.id)
	p.check(err)
	p.holds(dir, p.reports)
	p.tidy(9, 9)
	if now := p.files(); len(now) != len(before) {
		t.Errorf("%d files, before %d", len(now), len(before))
	}
	p.check(os.WriteFile(filepath.Join(p.folder, "keys/000002.age"), []byte("half"), 0o600))
	p.check(os.MkdirAll(filepath.Join(p.folder, ".new"), 0o700))
	if m := p.backup(); m.Number != 3 {
		t.Errorf("%+v", m)
	}
}

// inChild is set where TestFullDisk runs with mounts of its own.
const inChild = "BACKUP_TEST_IN_CHILD"

// TestFullDisk: a backup and a restore that do not fit leave nothing, and say so.
// Their disks are tmpfs that a child process mounts for itself.
func TestFullDisk(t *testing.T) {
	if os.Getenv(inChild) != "" {
		fullDisk(t)
		return
	}
	child := exec.Command("/proc/self/exe", "-test.run=^TestFullDisk$", "-test.v")
	child.Env = append(os.Environ(), inChild+"=yes")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		child.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := child.CombinedOutput()
	if skipped := child.ProcessState == nil || bytes.Contains(out, []byte("--- SKIP")); skipped && os.Getenv("CI") != "true" {
		t.Skipf("no tmpfs: %v %s", err, out)
	} else if err != nil || skipped {
		t.Fatalf("%v: %s", err, out)
	}
}

func fullDisk(t *testing.T) {
	p := newPlace(t)
	small := t.TempDir()
	p.check(os.Mkdir(p.folder, 0o700))
	err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, "")
	for dir, size := range map[string]string{p.folder: "size=3m", small: "size=1m"} {
		err = errors.Join(err, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,"+size))
	}
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Unmount(p.folder, 0)
	defer syscall.Unmount(small, 0)
	p.send(1 << 20)
	p.backup()
	before := p.files()
	p.send(2 << 20)
	if _, err := p.store(nil); !errors.Is(err, syscall.ENOSPC) || !says(err, "cannot be written: no space left") {
		t.Errorf("backup: %v", err)
	}
	p.tidy(9, 9)
	if now := p.files(); len(now) != len(before) {
		t.Errorf("%d files, before %d", len(now), len(before))
	}
	f, err := backup.OpenToRestore(p.folder)
	p.check(err)
	defer f.Close()
	_, err = f.Restore(filepath.Join(small, "d"), 0, []age.Identity{p.id}, vault.Probe)
	if left, _ := os.ReadDir(small); !errors.Is(err, syscall.ENOSPC) || !says(err, "cannot be written: no space left") || len(left) > 0 {
		t.Errorf("restore: %v, left %v", err, left)
	}
}
