package torture_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resguardo/vault/torture/disk"
)

// life is a vault on a disk, with what was promised about it.
type life struct {
	disk     *disk.Disk
	promises *promises
	blobSize int
}

// again is a copy of a life to go on with.
func (l life) again(seed uint64) life {
	return life{l.disk.Copy(chance(seed)), l.promises.clone(), l.blobSize}
}

// beginnings are two vaults whose log has begun: a new one, and one that rolls its
// blob files after each megabyte.
func beginnings(t *testing.T) []life {
	t.Helper()
	m := boot(t, disk.New(chance(*seed)))
	if r := m.run("", "init"); r.code != 0 {
		t.Fatalf("init: exit code %d: %s", r.code, r.stderr)
	}
	fresh := life{m.disk, newPromises(), 0}
	r := m.run("", "write", 1, 0, 0, 0, *seed)
	if r.code != 0 {
		t.Fatalf("begin the log: exit code %d: %s", r.code, r.stderr)
	}
	fresh.promises.take(r.stdout)
	m.halt()
	fresh.disk = m.disk.Copy(chance(*seed))
	rolling := fresh.again(*seed)
	rolling.blobSize = 1 << 20
	return []life{fresh, rolling}
}

// lives are beginnings and a vault whose file of key slots is nearly full.
func lives(t *testing.T) []life {
	t.Helper()
	starts := beginnings(t)
	full := starts[0].again(*seed)
	m := boot(t, full.disk)
	r := m.run("", "write", 8, 251, 0, 1, *seed)
	if r.code != 0 {
		t.Fatalf("fill the slots: exit code %d: %s", r.code, r.stderr)
	}
	full.promises.take(r.stdout)
	m.halt()
	full.disk = full.disk.Copy(chance(*seed))
	return append(starts, full)
}

// moment draws a number of steps from 1 to most, small ones as often as large ones.
func moment(r *rand.Rand, most int) int {
	return max(1, int(math.Exp(r.Float64()*math.Log(float64(most)))))
}

// plan draws when the power will be cut.
func plan(d *disk.Disk, r *rand.Rand, most int) {
	if n := moment(r, most); r.IntN(2) == 0 {
		d.CutAt(n)
	} else {
		d.CutAtSync(n)
	}
}

// TestPowerCut cuts the power while reports are committed and epochs closed, also
// while the vault recovers from the cut before, and looks for everything that
// was ever acknowledged.
func TestPowerCut(t *testing.T) {
	starts := lives(t)
	var l life
	c := tally{fault: "power cut while reports are committed and epochs closed"}
	defer c.end(t)
	for round := range share(12) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%5 == 0 {
			l = starts[round/5%len(starts)].again(s)
		}
		acked, seen := len(l.promises.acked), len(l.promises.seen)
		for range 1 + r.IntN(2) {
			m := boot(t, l.disk)
			plan(l.disk, r, 2000)
			out := m.run("", "write", 1+r.IntN(6), 150, l.blobSize, 0, s)
			if out.code == exitWrong || strings.Contains(out.stderr, "panic:") {
				t.Fatalf("round %d: exit code %d: %s", round, out.code, out.stderr)
			}
			l.promises.take(out.stdout)
			var report disk.Report
			l.disk, report = m.cut()
			c.add(report)
			t.Logf("round %d: %v", round, report)
		}
		c.acked += len(l.promises.acked) - acked
		c.seen += len(l.promises.seen) - seen
		m := boot(t, l.disk)
		if faults := l.promises.broken(m, l.blobSize); len(faults) > 0 {
			t.Fatalf("round %d: %s", round, strings.Join(faults, "\n"))
		}
		m.halt()
	}
	c.little(t, c.acked < c.rounds || c.writes == 0)
}

// TestControl lets the disk ignore all syncs: what is acknowledged must get lost
// soon, or TestPowerCut would prove nothing.
func TestControl(t *testing.T) {
	start := beginnings(t)[0]
	begun := time.Now()
	for round := range 20 {
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		l := start.again(s)
		m := boot(t, l.disk)
		l.disk.Lie()
		l.disk.CutAt(50 + moment(r, 1000))
		l.promises.take(m.run("", "write", 4, 150, 0, 0, s).stdout)
		after, report := m.cut()
		m = boot(t, after)
		m.limit = 20 * time.Second // running in circles is a fault too
		if faults := l.promises.broken(m, 0); len(faults) > 0 {
			t.Logf("after %d rounds and %v: %v: %d faults, the first: %s", round+1, time.Since(begun).Round(time.Millisecond), report, len(faults), faults[0])
			return
		}
	}
	t.Error("nothing was lost in 20 rounds without syncs")
}

// TestPowerCutAtFirstStart cuts the power while a vault is made and begins its
// log. It is there as a whole or can be made again.
func TestPowerCutAtFirstStart(t *testing.T) {
	c := tally{fault: "power cut while a vault is made and begins its log"}
	defer c.end(t)
	m := boot(t, disk.New(chance(*seed)))
	m.run("", "init")
	m.run("", "write", 1, 2, 0, 0, 1)
	steps := m.disk.Steps()
	for round := range share(4) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		m := boot(t, disk.New(chance(s)))
		cut := 1 + r.IntN(steps)
		if round < steps && share(4) >= steps {
			cut = 1 + round // each one, when there are enough rounds
		}
		m.disk.CutAt(cut)
		p := newPromises()
		made := strings.Contains(m.run("", "init").stdout, "made\n")
		if made {
			p.take(m.run("", "write", 1, 2, 0, 0, s).stdout)
		}
		after, report := m.cut()
		c.add(report)
		c.acked += len(p.acked)
		m = boot(t, after)
		out := m.run("", "init")
		if out.code != 0 || made && !strings.Contains(out.stdout, "there already") {
			t.Fatalf("round %d, %v: made %v, then: %+v", round, report, made, out)
		}
		if faults := p.broken(m, 0); len(faults) > 0 {
			t.Fatalf("round %d, %v: %s", round, report, strings.Join(faults, "\n"))
		}
		m.halt()
	}
}

// TestCutAtSecondName begins where a cut has left high-water under both of its
// names, as it may when a rename was not synced: the next checkpoint must not be
// written through the other name. The power is cut at each step of closing an epoch.
func TestCutAtSecondName(t *testing.T) {
	start := beginnings(t)[0]
	m := boot(t, start.disk)
	file := filepath.Join(m.dir, "vault", "high-water")
	if err := errors.Join(os.Link(file, file+".new"), syncDir(filepath.Dir(file))); err != nil {
		t.Fatal(err)
	}
	m.halt()
	start.disk = m.disk
	closing := func(cut int) *machine { // 0 = never
		l := start.again(*seed)
		m := boot(t, l.disk)
		if cut > 0 {
			l.disk.CutAt(cut)
		}
		m.run("", "write", 1, 7, 0, 1, *seed)
		return m
	}
	m = closing(0)
	steps := m.disk.Steps()
	m.halt()
	for cut := steps - 30; cut <= steps; cut++ {
		m := closing(cut)
		after, report := m.disk.CutWith(disk.KeepAll)
		m.halt()
		m = boot(t, after)
		if r := m.run("", "verify", 0); r.code != 0 || strings.Contains(r.stdout, "wrong") {
			t.Errorf("%v: %+v", report, r)
		}
		m.halt()
	}
}
