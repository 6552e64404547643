package torture_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/onion/tornet/source"
	"resguardo/vault/torture/disk"
)

var (
	tiny = flag.Int("tiny", 100, "reports that TestTinyReports sends; the first pass of several sends so many, the others 100")
	gibs = flag.Int("gib", 0, "GiB in the vault of TestLargeBackup; 0 = leave it out")
)

// realHouse stands on a disk of this machine, which does not fail.
func realHouse(t *testing.T) *house {
	t.Helper()
	return prepareOn(t, &machine{t: t, disk: disk.New(chance(*seed)), dir: t.TempDir(), limit: time.Hour}, time.Hour)
}

// maxAnonymous is the most bytes of anonymous memory that a server may have while tiny
// reports come in.
const maxAnonymous = 160 << 20

// TestTinyReports floods a server with tiny reports from many sources at once. Memory
// is bounded; what was confirmed is there after a SIGKILL and opens.
func TestTinyReports(t *testing.T) {
	number := *tiny
	*tiny = min(*tiny, 100)
	h := realHouse(t)
	s := h.serve()
	got := newClients()
	var left, most atomic.Int64
	left.Store(int64(number))
	done := make(chan struct{})
	var watching, all sync.WaitGroup
	watching.Go(func() { watchMemory(s, &most, done) })
	begun := time.Now()
	for n := range 32 {
		all.Go(func() {
			web, done := client()
			defer done()
			for left.Add(-1) >= 0 {
				got.sendOne(context.Background(), source.Source{Client: web, URL: s.Preview, Desk: "norte"},
					source.Report{Message: fmt.Sprintf("source %d, %d left", n, left.Load())})
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	close(done)
	watching.Wait()
	s.kill()
	for _, w := range got.wrong {
		t.Error(w)
	}
	t.Logf("%d of %d tiny reports were taken in %v; at most %d MiB of anonymous memory", len(got.messages), number, took.Round(time.Millisecond), most.Load()>>20)
	if most.Load() == 0 || most.Load() > maxAnonymous {
		t.Errorf("%d bytes of anonymous memory", most.Load())
	}
	if len(got.messages) < number {
		t.Errorf("%d reports were refused", number-len(got.messages))
	}
	h.prove(got)
	c := tally{fault: "many tiny reports at once, then SIGKILL", rounds: 1, acked: len(got.messages)}
	c.end(t)
}

// watchMemory notes the highest RssAnon of a server.
func watchMemory(s *running, most *atomic.Int64, done chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
				kib, _ := strconv.ParseInt(f[1], 10, 64)
				most.Store(max(most.Load(), kib<<10))
			}
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// TestLargeBackup makes a backup of a large vault while it serves, loses the vault, and
// puts the backup back. It needs three times -gib of space.
func TestLargeBackup(t *testing.T) {
	if *gibs == 0 {
		t.Skip("needs -gib and space: go test . -run TestLargeBackup -v -timeout 0 -args -gib 10")
	}
	h := realHouse(t)
	s := h.serve()
	got := newClients()
	web, done := client()
	defer done()
	web.Timeout = 0
	for n := range *gibs {
		noise := rand.NewChaCha8([32]byte{byte(n), byte(*seed)})
		if !got.sendOne(t.Context(), source.Source{Client: web, URL: s.Preview, Desk: "norte"}, source.Report{Message: strconv.Itoa(n),
			Files: []source.File{{Name: "a.bin", Body: io.LimitReader(noise, 1<<30)}}}) {
			t.Fatalf("report %d was refused: %q", n, got.wrong)
		}
	}
	h.timed("backup, while the server runs", "resguardod", "backup", "-dir", h.state(), "-to", h.in("backups"), "-recipients", h.recipients())
	h.timed("backup again, nothing is new", "resguardod", "backup", "-dir", h.state(), "-to", h.in("backups"), "-recipients", h.recipients())
	h.stop(s)
	if err := os.RemoveAll(h.state()); err != nil {
		t.Fatal(err)
	}
	h.timed("restore", "resguardod", "restore", "-dir", h.state(), "-from", h.in("backups"), "-identity", h.identity())
	if err := os.RemoveAll(h.in("backups")); err != nil {
		t.Fatal(err)
	}
	h.proveSilent(h.state())
	h.must("resguardod", "check", "-dir", h.state(), "-accept-copy")
	s = h.serve()
	h.proveLarge(s, *gibs)
	h.stop(s)
}

// timed runs a command that has to succeed, and says what it took.
func (h *house) timed(what, program string, args ...string) {
	h.t.Helper()
	c := h.command(program, args...)
	begun := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v\n%s", what, err, out)
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	h.t.Logf("%s: %v, CPU %v, at most %d MiB resident", what, time.Since(begun).Round(10*time.Millisecond),
		(c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Round(10*time.Millisecond), usage.Maxrss>>10)
}

// proveLarge fetches large reports and opens each to its end: age proves every byte.
func (h *house) proveLarge(s *running, number int) {
	h.t.Helper()
	desk := filepath.Join(h.t.TempDir(), "ana")
	h.copyKeys("ana", desk)
	h.timed("fetch", "resguardo", "fetch", "-dir", desk, "-server", s.PreviewReview)
	files, err := filepath.Glob(filepath.Join(desk, "cases", "*", "*.age"))
	if err != nil || len(files) != number {
		h.t.Fatalf("%d of %d reports, %v", len(files), number, err)
	}
	for _, file := range files {
		if n, err := opened(file, filepath.Join(desk, "identity.txt")); err != nil || n <= 1<<30 {
			h.t.Errorf("%s: %d bytes, %v", file, n, err)
		}
	}
}

// opened decrypts a file to its end and returns its length.
func opened(file, identity string) (int64, error) {
	keys, err := os.Open(identity)
	if err != nil {
		return 0, err
	}
	defer keys.Close()
	ids, err := age.ParseIdentities(keys)
	if err != nil {
		return 0, err
	}
	sealed, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer sealed.Close()
	plain, err := age.Decrypt(sealed, ids...)
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, plain)
}
