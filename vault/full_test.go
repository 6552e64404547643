package vault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"resguardo/vault"
)

// unavailable skips a test that this machine cannot run. In CI it must run.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestFullDisk fills a real file system, a tmpfs that a child process mounts for itself.
func TestFullDisk(t *testing.T) {
	cmd := childCommand(t, nil, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == exitRefused {
		unavailable(t, fmt.Sprintf("no tmpfs: %v %s", err, out))
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fullDisk is the child of TestFullDisk.
func fullDisk(dir string) int {
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""),
		syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m,mode=0700"))
	if err != nil {
		fmt.Println(err)
		return exitRefused
	}
	state := filepath.Join(dir, "vault")
	if err := errors.Join(os.Mkdir(state, 0o700), vault.Init(state, genesis)); err != nil {
		fmt.Println(err)
		return exitWrong
	}
	v, err := vault.Open(state, vault.Options{})
	if err != nil {
		fmt.Println(err)
		return exitWrong
	}
	for _, step := range []func(*vault.Vault, string) error{noSpace, belowFloor, stillUsable} {
		if err := step(v, dir); err != nil {
			fmt.Println(err)
			return exitWrong
		}
	}
	if err := v.Close(); err != nil {
		fmt.Println(err)
		return exitWrong
	}
	return 0
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
func belowFloor(v *vault.Vault, _ string) error {
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

func stillUsable(v *vault.Vault, _ string) error {
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

// fill writes a file until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
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
