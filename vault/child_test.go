package vault_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/vault"
)

// Tests that kill, starve or damage a vault run it in a child process: this test
// program, called again with what to do in its environment.
const childEnv = "VAULT_TEST_CHILD"

// Exit codes of a child.
const (
	exitStopped = 7 // the vault stopped with ErrUnknown, as it should
	exitFound   = 8 // Check found something
	exitRefused = 9 // Probe or Open returned an error
	exitWrong   = 10
)

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(childEnv)); len(args) > 0 {
		os.Exit(child(args[0], args[1], args[2:]))
	}
	os.Exit(m.Run())
}

func child(what, dir string, args []string) int {
	switch what {
	case "commit":
		return commitLoop(dir, args)
	case "probe":
		return probeOnly(dir)
	case "check":
		return checkAll(dir)
	case "mounted":
		return mounted(dir, args)
	}
	return exitWrong
}

// childCommand is this program as a child, under a wrapper (strace) if one is given.
func childCommand(t testing.TB, wrapper []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	line := append(wrapper, self)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, " "), "GOTRACEBACK=single", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// exitCode runs a command and returns its exit code (2 after a panic, -1 if it
// had to be killed after a minute) and what it wrote.
func exitCode(t testing.TB, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// bbolt can walk in circles in a damaged file: the parent must be able to end that.
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// commitLoop commits items of many sizes from several goroutines and prints a
// line for each one that was acknowledged: id, hash. args: clients, how many in
// all, blob size.
func commitLoop(dir string, args []string) int {
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			panic(err)
		}
		return n
	}
	v, err := vault.Open(dir, vault.Options{BlobSize: int64(number(2))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	var left atomic.Int64
	left.Store(int64(number(1)))
	var wg sync.WaitGroup
	var wrong atomic.Bool
	for range number(0) {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				m, err := send(v, size(), submission("north"))
				switch {
				case err == nil:
					fmt.Printf("%s %x\n", m.id, m.sum)
				case errors.Is(err, vault.ErrUnknown):
					return
				case errors.Is(err, vault.ErrFull):
					fmt.Println("full")
				default:
					fmt.Fprintln(os.Stderr, err)
					wrong.Store(true)
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-v.Failed():
		return afterFailure(v)
	default:
	}
	if err := v.Close(); err != nil || wrong.Load() {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	return 0
}

// size draws the size of a plaintext: mostly texts, now and then more than one segment.
func size() int {
	switch rand.IntN(12) {
	case 0:
		return 5 << 20
	case 1, 2:
		return 300 << 10
	}
	return 64 << 10
}

// afterFailure checks that a vault that has stopped says so everywhere.
func afterFailure(v *vault.Vault) int {
	ctx := context.Background()
	_, createErr := v.Create(ctx)
	_, itemErr := v.Item("")
	_, openErr := v.OpenItem("")
	_, checkErr := v.Check(ctx)
	for _, err := range []error{createErr, itemErr, openErr, checkErr, v.Room(), v.Err()} {
		if !errors.Is(err, vault.ErrUnknown) {
			fmt.Fprintf(os.Stderr, "after a failure: %v\n", err)
			return exitWrong
		}
	}
	if len(v.Items("north")) > 0 {
		return exitWrong
	}
	return exitStopped
}

// acks are the items of the lines that a child printed: id, hash.
func acks(t testing.TB, out string) map[vault.ItemID][32]byte {
	t.Helper()
	items := make(map[vault.ItemID][32]byte)
	s := bufio.NewScanner(strings.NewReader(out[:strings.LastIndexByte(out, '\n')+1]))
	for s.Scan() {
		id, sum, ok := strings.Cut(s.Text(), " ")
		b, err := hex.DecodeString(sum)
		if ok && err == nil && len(b) == 32 {
			items[vault.ItemID(id)] = [32]byte(b)
		}
	}
	return items
}

// present fails the test unless the vault in dir opens, has all these items with
// their hashes, and Check finds nothing.
func present(t testing.TB, dir string, items map[vault.ItemID][32]byte) {
	t.Helper()
	if code, _, stderr := exitCode(t, childCommand(t, nil, "probe", dir)); code != 0 {
		t.Fatalf("probe: exit code %d: %s", code, stderr)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for id, sum := range items {
		if got, err := hash(v, id); err != nil || got != sum {
			t.Errorf("acknowledged item %s: %v", id, err)
		}
	}
	clean(t, v)
}

func probeOnly(dir string) int {
	if err := vault.Probe(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	return 0
}

// checkAll prints the findings of Check and the hash of each item that can be read.
func checkAll(dir string) int {
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	found, err := v.Check(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	for _, p := range found {
		fmt.Printf("found %s: %s\n", p.Where, p.What)
	}
	for _, i := range v.Items("north") {
		if sum, err := hash(v, i.ID); err == nil {
			fmt.Printf("%s %x\n", i.ID, sum)
		}
	}
	if err := v.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitWrong
	}
	if len(found) > 0 {
		return exitFound
	}
	return 0
}
