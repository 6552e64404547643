package torture_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"resguardo/vault/torture/disk"
)

var (
	rounds   = flag.Int("rounds", 60, "rounds of all tests together, in each pass")
	duration = flag.Duration("duration", 0, "make passes, each with the next seed, until so much time is over")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of all chance but that of scheduling and of keys")
	programs = flag.String("programs", "", "directory with resguardod and resguardo; built if empty")
)

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(childEnv)); len(args) > 1 {
		os.Exit(child(args))
	}
	flag.Parse()
	os.Exit(passes(m))
}

// passes runs all tests until the time is over or one of them fails, and says what
// they have met.
func passes(m *testing.M) (code int) {
	defer func() { os.RemoveAll(built.dir) }()
	end := time.Now().Add(*duration)
	for ; ; *seed++ {
		fmt.Printf("seed %d, %d rounds, %s\n", *seed, *rounds, time.Now().UTC().Format(time.TimeOnly))
		if code = m.Run(); code != 0 || !time.Now().Before(end) {
			break
		}
	}
	printTable()
	return code
}

// share is how many of the rounds a test has, with so many parts of 60.
func share(parts int) int { return max(1, *rounds*parts/60) }

// roundSeed is the seed of one round of one test.
func roundSeed(t *testing.T, round int) uint64 {
	h := hash(fmt.Append(nil, *seed, t.Name(), round))
	return uint64(h[0]) | uint64(h[1])<<8 | uint64(h[2])<<16 | uint64(h[3])<<24
}

// chance is what a disk draws from.
func chance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// machine has a disk at a mount point, on which children run.
type machine struct {
	t       *testing.T
	disk    *disk.Disk
	dir     string
	mounted *disk.Mounted
	limit   time.Duration // of a child; bbolt can walk in circles in a damaged file
}

// boot mounts a disk. In CI it must work.
func boot(t *testing.T, d *disk.Disk) *machine {
	t.Helper()
	m := &machine{t: t, disk: d, dir: t.TempDir(), limit: 2 * time.Minute}
	var err error
	if m.mounted, err = disk.Mount(d, m.dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no FUSE: %v", err)
		}
		t.Skipf("no FUSE: %v", err)
	}
	t.Cleanup(m.halt)
	return m
}

func (m *machine) halt() {
	if m.mounted == nil {
		return
	}
	if err := m.mounted.Unmount(); err != nil {
		m.t.Error(err)
	}
	m.mounted = nil
}

// result is how a child ended.
type result struct {
	code           int // -1: killed
	stdout, stderr string
}

// run runs this program as a child on the machine until it ends, or is killed
// because the power is cut.
func (m *machine) run(stdin string, args ...any) result {
	m.t.Helper()
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	line := fmt.Sprint(args[0], " ", m.dir, "/vault")
	for _, a := range args[1:] {
		line += fmt.Sprint(" ", a)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+line, "GOTRACEBACK=single")
	return m.wait(cmd, stdin)
}

func (m *machine) wait(cmd *exec.Cmd, stdin string) result {
	m.t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-m.disk.Dark():
		case <-time.After(m.limit):
		case <-ended:
			return
		}
		cmd.Process.Kill()
	}()
	err := cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// cut cuts the power and returns what is found afterwards.
func (m *machine) cut() (*disk.Disk, disk.Report) {
	after, report := m.disk.Cut()
	m.halt()
	return after, report
}

// promises are what children have told so far, in one life of a vault.
type promises struct {
	tried, acked map[string]string // hash by item
	seen         map[int64]string  // root by size
	published    int64
	deletions
}

func newPromises() *promises {
	return &promises{tried: make(map[string]string), acked: make(map[string]string), seen: make(map[int64]string), deletions: newDeletions()}
}

func (p *promises) clone() *promises {
	return &promises{maps.Clone(p.tried), maps.Clone(p.acked), maps.Clone(p.seen), p.published, p.deletions.clone()}
}

// take notes what a child printed. A line without an end was never told.
func (p *promises) take(stdout string) {
	for line := range strings.Lines(stdout) {
		f := strings.Fields(line)
		if !strings.HasSuffix(line, "\n") || len(f) != 3 {
			continue
		}
		switch f[0] {
		case "try":
			p.tried[f[1]] = f[2]
		case "ack":
			p.acked[f[1]] = f[2]
		case "signed", "published":
			n, _ := strconv.ParseInt(f[1], 10, 64)
			p.seen[n] = f[2]
			if f[0] == "published" {
				p.published = max(p.published, n)
			}
		default:
			p.deletions.take(f)
		}
	}
}

// found is what verify printed.
type found struct {
	items     map[string]string // hash by item
	published int64
	mailboxes map[string]string // case by mailbox
	known     map[string]bool   // tombstones that are queued or logged
	shown     map[string]bool   // items
	left      map[string]bool   // hash and case of items deleted alone
	faults    []string
}

func readFound(stdout string) found {
	there := found{items: make(map[string]string), mailboxes: make(map[string]string), known: make(map[string]bool),
		shown: make(map[string]bool), left: make(map[string]bool)}
	for line := range strings.Lines(stdout) {
		switch f := strings.Fields(line); f[0] {
		case "item":
			there.items[f[1]] = f[2]
		case "published":
			there.published, _ = strconv.ParseInt(f[1], 10, 64)
		case "mailbox":
			there.mailboxes[f[1]] = f[2]
		case "known":
			there.known[f[1]] = true
		case "shown":
			there.shown[f[1]] = true
		case "left":
			there.left[f[1]+" "+f[2]] = true
		default:
			there.faults = append(there.faults, strings.TrimSpace(line))
		}
	}
	return there
}

// broken compares a vault with what was promised: nil if all of it is kept.
func (p *promises) broken(m *machine, blobSize int) []string {
	var asked strings.Builder
	for _, n := range slices.Sorted(maps.Keys(p.seen)) {
		fmt.Fprintln(&asked, "seen", n, p.seen[n])
	}
	p.ask(&asked)
	r := m.run(asked.String(), "verify", blobSize)
	if r.code != 0 {
		return []string{fmt.Sprintf("exit code %d: %.2000s", r.code, r.stderr)}
	}
	there := readFound(r.stdout)
	faults := append(there.faults, p.judge(p, there)...)
	for id, sum := range p.acked {
		if there.items[id] != sum && !p.isGone(id) {
			faults = append(faults, fmt.Sprintf("acknowledged item %s is lost: %q", id, there.items[id]))
		}
	}
	for id, sum := range there.items {
		if p.tried[id] != sum {
			faults = append(faults, fmt.Sprintf("item %s is not one that was sent", id))
		}
	}
	if there.published < p.published {
		faults = append(faults, fmt.Sprintf("%d leaves were published, now %d", p.published, there.published))
	}
	return faults
}
