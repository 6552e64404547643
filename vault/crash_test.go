package vault_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"resguardo/vault"
)

// TestCommitSurvivesKill kills a committing process at random moments and looks
// for everything that it had acknowledged, in all rounds so far.
func TestCommitSurvivesKill(t *testing.T) {
	const rounds = 40
	var dir string
	var acked map[vault.ItemID][32]byte
	total := 0
	for round := range rounds {
		if round%5 == 0 {
			dir, acked = newDir(t), make(map[vault.ItemID][32]byte)
		}
		out := killed(t, dir, time.Duration(5+rand.IntN(250))*time.Millisecond)
		fresh := acks(t, out)
		total += len(fresh)
		maps.Copy(acked, fresh)
		present(t, dir, acked)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	t.Logf("%d acknowledged in %d rounds", total, rounds)
	if total < rounds {
		t.Errorf("only %d acknowledged: the test proves little", total)
	}
}

// killed lets a child commit for a while, kills it, and returns what it printed.
func killed(t *testing.T, dir string, after time.Duration) string {
	t.Helper()
	cmd := childCommand(t, nil, "commit", dir, "8", "1000000", strconv.Itoa(4<<20))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var out bytes.Buffer
	io.Copy(&out, pipe)
	cmd.Wait()
	return out.String()
}

// strace returns the wrapper that injects one fault on one file.
func strace(t *testing.T, args ...string) []string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		unavailable(t, "no strace")
	}
	return append([]string{path, "-f", "-qq", "-o", "/dev/null"}, args...)
}

// TestStorageErrors injects errors of every kind into the writes and syncs of
// each file. Nothing is acknowledged and missing, whatever happens; a full disk
// refuses single reports, and all else stops the vault.
func TestStorageErrors(t *testing.T) {
	blob := filepath.Join("blobs", "00000001.db")
	for _, c := range []struct {
		file, call, fault string
		when              []string // the nth call of a thread; n+ is all from the nth
		want              int      // exit code
	}{
		{"keys.slots", "fdatasync", "EIO", []string{"1", "2", "5"}, exitStopped},
		{"keys.slots", "pwrite64", "EIO", []string{"1", "3"}, exitStopped},
		{"keys.slots", "pwrite64", "ENOSPC", []string{"2"}, exitStopped},
		{blob, "fdatasync", "EIO", []string{"1", "2", "3", "4", "9"}, exitStopped},
		{blob, "fdatasync", "ENOSPC", []string{"1", "2"}, exitStopped},
		{blob, "pwrite64", "EIO", []string{"1", "2", "3", "11"}, exitStopped},
		{blob, "pwrite64", "EROFS", []string{"1"}, exitStopped},
		{blob, "pwrite64", "ENOSPC", []string{"1", "2", "7", "1+", "4+"}, 0},
		{blob, "pwrite64", "EDQUOT", []string{"1"}, 0},
		{blob, "pwrite64", "EFBIG", []string{"1"}, 0},
		{"vault.db", "fdatasync", "EIO", []string{"1", "2", "3", "4", "9"}, exitStopped},
		{"vault.db", "pwrite64", "EIO", []string{"1", "2", "3", "11"}, exitStopped},
		{"vault.db", "pwrite64", "ENOSPC", []string{"1", "2"}, exitStopped},
	} {
		for _, when := range c.when {
			t.Run(fmt.Sprintf("%s/%s/%s/%s", filepath.Base(c.file), c.call, c.fault, when), func(t *testing.T) {
				dir := newDir(t)
				v := open(t, dir, vault.Options{})
				first := mustSend(t, v, 64<<10, submission("north"))
				if err := v.Close(); err != nil {
					t.Fatal(err)
				}
				clients := "4"
				if c.want == 0 {
					clients = "1" // among several, one that failed once fits when it is tried alone
				}
				cmd := childCommand(t, strace(t, "-P", filepath.Join(dir, c.file),
					"-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%s", c.call, c.fault, when)),
					"commit", dir, clients, "60", "0")
				code, out, stderr := exitCode(t, cmd)
				if code != c.want {
					t.Errorf("exit code %d, want %d: %s", code, c.want, stderr)
				}
				if c.want == 0 && !strings.Contains(out, "full\n") {
					t.Error("no report was refused")
				}
				items := acks(t, out)
				items[first.id] = first.sum
				present(t, dir, items)
			})
		}
	}
}
