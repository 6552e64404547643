package vault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// unavailable skips a test that this machine cannot run. In CI it must run.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestFullDisk fills real file systems, each mounted by a child process for itself: a
// tmpfs, and ext4 in an image.
func TestFullDisk(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) { ownMounts(t, "full", kind) })
	}
}

// onDisk are the tests that run in a child, on a file system of 96 MiB. dir holds the image, and its mount.
var onDisk = map[string]func(dir, state string) error{"full": fullDisk, "cached": cached}

// ownMounts runs one of onDisk in a child process that has mounts of its own. Only
// root can mount an image.
func ownMounts(t *testing.T, what, kind string) {
	t.Helper()
	if kind != "tmpfs" && os.Geteuid() != 0 {
		unavailable(t, "only root can mount an image")
	}
	cmd := childCommand(t, nil, "mounted", t.TempDir(), what, kind)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == exitRefused {
		unavailable(t, fmt.Sprintf("no %s: %v %s", kind, err, out))
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// mounted is the child of ownMounts. args: which test, file system.
func mounted(dir string, args []string) int {
	disk := filepath.Join(dir, "disk")
	err := errors.Join(os.Mkdir(disk, 0o700), syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""), mount(dir, disk, args[1]))
	if err != nil {
		fmt.Println(err)
		return exitRefused
	}
	defer syscall.Unmount(disk, 0)
	state := filepath.Join(disk, "vault")
	err = errors.Join(os.Mkdir(state, 0o700), vault.Init(state, genesis))
	if err == nil {
		err = onDisk[args[0]](dir, state)
	}
	if err != nil {
		fmt.Println(err)
		return exitWrong
	}
	return 0
}

// mount makes a file system of 96 MiB.
func mount(dir, disk, kind string) error {
	if kind == "tmpfs" {
		return syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=96m,mode=0700")
	}
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, 96<<20); err != nil {
		return err
	}
	for _, line := range [][]string{{"mkfs." + kind, "-q", "-m", "0", image}, {"mount", "-o", "loop", image, disk}} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %v %s", line, err, out)
		}
	}
	return nil
}

func fullDisk(_, state string) error {
	v, err := vault.Open(state, vault.Options{})
	if err != nil {
		return err
	}
	k := newLogKeys(inChild{})
	k.begin(inChild{}, v)
	disk := filepath.Dir(state)
	for _, step := range []func() error{
		func() error { return noSpace(v, disk) },
		func() error { return belowFloor(v) },
		func() error { return goesOn(v, k, disk) },
		func() error { return stillUsable(v) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return v.Close()
}

// noSpace commits when not one byte is left: the report is refused, the vault goes on.
func noSpace(v *vault.Vault, dir string) error {
	first, err := send(v, 64<<10, submission("north"))
	if err != nil {
		return err
	}
	large, err := begun(v, 3<<20)
	if err != nil {
		return err
	}
	many, err := begunMany(v, 600) // more than keys.slots holds without growing
	if err != nil {
		return err
	}
	if err := fill(filepath.Join(dir, "filler")); err != nil {
		return err
	}
	ctx := context.Background()
	if err := many[0].Commit(ctx, submission("north")); err != vault.ErrFull {
		return fmt.Errorf("no room for its slot: %v", err)
	}
	for _, d := range many {
		d.Discard()
	}
	if err := large.Commit(ctx, submission("north")); err != vault.ErrFull {
		return fmt.Errorf("no room for its payload: %v", err)
	}
	if sum, err := hash(v, first.id); err != nil || sum != first.sum {
		return fmt.Errorf("read on a full disk: %v", err)
	}
	if err := v.Room(); err != vault.ErrFull {
		return fmt.Errorf("room on a full disk: %v", err)
	}
	return os.Remove(filepath.Join(dir, "filler"))
}

// belowFloor uploads until the floor is reached, twice: what the first one had is room again.
func belowFloor(v *vault.Vault) error {
	var sizes [2]int
	for i := range sizes {
		d, err := begun(v, 64<<10)
		if err != nil {
			return err
		}
		piece := payload(1 << 20)
		for err == nil {
			var n int
			n, err = d.Write(piece)
			sizes[i] += n
		}
		if err != vault.ErrFull || v.Room() != vault.ErrFull {
			return fmt.Errorf("below the floor: write %v, room %v", err, v.Room())
		}
		if _, err := v.Create(context.Background()); err != vault.ErrFull {
			return fmt.Errorf("below the floor: create %v", err)
		}
		if err := d.Commit(context.Background(), submission("north")); err != vault.ErrFull {
			return fmt.Errorf("below the floor: commit %v", err)
		}
		if err := v.Room(); err != nil {
			return fmt.Errorf("after the draft is gone: %v", err)
		}
	}
	if sizes[0] < 24<<20 || sizes[1] < sizes[0]*8/10 {
		return fmt.Errorf("two drafts of %d bytes until the floor", sizes)
	}
	return nil
}

// goesOn: where reports are refused, replies are taken; and when others leave not one
// byte, reports are read, epochs close, cases are deleted, and the vault opens again.
func goesOn(v *vault.Vault, k logKeys, disk string) error {
	t := inChild{}
	var all []made
	for range 8 {
		all = append(all, mustSend(t, v, 1<<20, submission("north")))
	}
	k.mustClose(t, v, firstEpoch) // makes the reserve again
	filler := filepath.Join(disk, "filler")
	if err := fillUntil(filler, func() bool { return v.Room() == vault.ErrFull }); err != nil {
		return err
	}
	ctx := context.Background()
	if _, err := v.Create(ctx); err != vault.ErrFull {
		return fmt.Errorf("below the floor: create %v", err)
	}
	if _, err := reply(v, 100<<10, all[0].sub.Case); err != nil {
		return fmt.Errorf("a reply below the floor: %v", err)
	}
	if err := fill(filler); err != nil {
		return err
	}
	if _, err := v.CreateReply(ctx); err != vault.ErrFull {
		return fmt.Errorf("on a full disk: create a reply: %v", err)
	}
	for epoch := range int64(4) {
		if err := k.close(v, firstEpoch+1+epoch); err != nil {
			return fmt.Errorf("epoch on a full disk: %w", err)
		}
		publish(t, v)
		m := all[epoch]
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			return fmt.Errorf("read on a full disk: %v", err)
		}
		if err := v.DeleteCase(ctx, m.sub.Case, tombstone()); err != nil {
			return fmt.Errorf("deletion on a full disk: %w", err)
		}
	}
	return os.Remove(filler)
}

// reply adds an item of n plaintext bytes to a case as a reviewer.
func reply(v *vault.Vault, n int, id vault.CaseID) (made, error) {
	d, err := v.CreateReply(context.Background())
	if err != nil {
		return made{}, err
	}
	defer d.Discard()
	if _, err := d.Write(append([]byte(header), payload(n)...)); err != nil {
		return made{}, err
	}
	_, err = d.Append(context.Background(), addition(id, translog.Reply, "north"))
	return made{id: d.ID()}, err
}

func stillUsable(v *vault.Vault) error {
	m, err := send(v, 64<<10, submission("north"))
	if err != nil {
		return err
	}
	if sum, err := hash(v, m.id); err != nil || sum != m.sum {
		return err
	}
	found, err := v.Check(context.Background())
	if len(found) > 0 {
		err = fmt.Errorf("check: %v", found)
	}
	return err
}

// begun is a draft with a header and the payload of n plaintext bytes.
func begun(v *vault.Vault, n int) (*vault.Draft, error) {
	d, err := v.Create(context.Background())
	if err == nil {
		_, err = d.Write(append([]byte(header), payload(n)...))
	}
	return d, err
}

func begunMany(v *vault.Vault, n int) (drafts []*vault.Draft, err error) {
	for range n {
		d, err := begun(v, 100)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, d)
	}
	return drafts, nil
}

// inChild is what test helpers need of a test, in a child process.
type inChild struct{ testing.TB }

func (inChild) Helper()        {}
func (inChild) Cleanup(func()) {}
func (inChild) Fatal(args ...any) {
	fmt.Println(args...)
	os.Exit(exitWrong)
}

// fillUntil writes a file until enough says so.
func fillUntil(path string, enough func() bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for err == nil && !enough() {
		_, err = f.Write(make([]byte, 1<<20))
	}
	return errors.Join(err, f.Close())
}

// fill appends to a file until the disk is full.
func fill(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10} {
		for piece := make([]byte, size); err == nil; {
			_, err = f.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		err = nil
	}
	return nil
}

// TestFloor: reports leave as much free as the operator says.
func TestFloor(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{Floor: 1 << 50})
	if err := v.Room(); err != vault.ErrFull {
		t.Errorf("with less than the floor free: %v", err)
	}
	v.Close()
	v = open(t, dir, vault.Options{Floor: 32 << 20})
	if err := v.Room(); err != nil {
		t.Errorf("with more than the floor free: %v", err)
	}
}

func TestMaxBytes(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{MaxBytes: 8 << 20})
	var stored []made
	for {
		m, err := send(v, 256<<10, submission("north"))
		if err == vault.ErrFull {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if stored = append(stored, m); len(stored) > 40 {
			t.Fatal("no limit")
		}
	}
	if len(stored) < 15 {
		t.Errorf("only %d items fit", len(stored))
	}
	if err := v.Room(); err != vault.ErrFull {
		t.Errorf("room: %v", err)
	}
	for _, m := range stored {
		if sum, err := hash(v, m.id); err != nil || sum != m.sum {
			t.Errorf("item %s: %v", m.id, err)
		}
	}
	clean(t, v)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, open(t, dir, vault.Options{}), 64<<10, submission("north"))
}

// TestIdleVaultIsSmall: files are sparse, so a new vault takes up little disk.
func TestIdleVaultIsSmall(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{MaxBytes: 1 << 20})
	mustSend(t, v, 64<<10, submission("north"))
	if err := v.Room(); err != nil {
		t.Errorf("a vault with one report has more than 1 MiB: %v", err)
	}
}
