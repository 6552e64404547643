package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// cmdProbe opens the vault's files, for the process that started it. bbolt
// panics on some damage, in goroutines of its own too, where no recover helps;
// here it takes only this child with it. What is wrong goes to standard output,
// one JSON object a line.
func cmdProbe(p *say.Printer, args []string) error {
	c := newCommand("probe")
	if err := c.read(args); err != nil {
		return err
	}
	if err := leaveNoCore(); err != nil {
		return err
	}
	err := vault.Probe(c.dir)
	if err == nil {
		return nil
	}
	if err := printJSON(p, p.Lines(vaultError(err))); err != nil {
		return err
	}
	return errTold
}

// probeLimit ends a child that runs in circles: a flipped bit can turn a tree
// into a loop, or a page into billions. A sound vault takes seconds.
const probeLimit = 2 * time.Minute

// probe runs cmdProbe as a child.
func probe(p *say.Printer, d statedir.Dir) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	// The child dies with the thread that started it, so that thread must live.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	child := exec.CommandContext(ctx, exe, "probe", "-dir", d.Path())
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), "GOTRACEBACK=none")
	child.Stdout = &out
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = child.Run()
	if err == nil {
		return nil
	}
	var told say.Told
	for d := json.NewDecoder(&out); ; {
		var l say.Line
		if d.Decode(&l) != nil {
			break
		}
		told = append(told, l)
	}
	if len(told) > 0 {
		return told
	}
	if ctx.Err() != nil {
		return vaultError(fmt.Errorf("the test did not end within %v", probeLimit))
	}
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return vaultError(errors.New(e.ProcessState.String()))
	}
	return say.Fail(say.T("cannot test the vault: %s", err), say.Text{})
}

// vaultError puts an error of package vault into our words.
func vaultError(err error) error {
	switch {
	case errors.Is(err, vault.ErrLocked):
		return &say.Error{Err: err, What: say.T("another program has the vault's files open"),
			Hint: say.T("end it; only one program may use a vault at a time")}
	case errors.Is(err, vault.ErrFormat):
		return &say.Error{Err: err, What: say.T("the vault was written by another version: %s", err),
			Hint: say.T("use the version of resguardod that made it; this one did not change anything")}
	}
	return &say.Error{Err: err, What: say.T("the vault is damaged or cannot be read: %s", err),
		Hint: say.T("change nothing: copy the whole directory to another disk first, then put back the last good backup")}
}
