package torture_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"resguardo/vault/torture/disk"
)

// faults are what can fail, by operation and file.
var faults = []struct {
	op     disk.Op
	names  []string
	errnos []syscall.Errno
}{
	{disk.Write, []string{"keys.slots", "vault.db", "0*.db", "0*.db.new", "high-water.new"},
		[]syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT}},
	{disk.Sync, []string{"keys.slots", "vault.db", "0*.db", "0*.db.new", "high-water.new", "vault", "blobs"},
		[]syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}},
	{disk.Truncate, []string{"vault.db", "0*.db", "0*.db.new"}, []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}},
	{disk.Create, []string{"0*.db.new", "high-water.new"}, []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}},
	{disk.Rename, []string{"0*.db", "high-water"}, []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}},
}

// drawFault draws what fails, and when.
func drawFault(r *rand.Rand) disk.Fault {
	f := faults[r.IntN(len(faults))]
	return disk.Fault{
		Op:    f.op,
		Name:  f.names[r.IntN(len(f.names))],
		Nth:   moment(r, 60),
		Ever:  r.IntN(3) == 0,
		Errno: f.errnos[r.IntN(len(f.errnos))],
	}
}

func describe(f disk.Fault) string {
	s := fmt.Sprintf("%v at %v %d of %s", f.Errno, f.Op, f.Nth, f.Name)
	if f.Ever {
		s += " and all later ones"
	}
	return s
}

// TestStorageErrors lets the disk fail while reports are committed and epochs closed.
func TestStorageErrors(t *testing.T) {
	storageErrors(t, "error at the Nth write, sync, truncate, create, rename of each file", share(6), lives(t), drawFault, func(l life, m *machine, r *rand.Rand, s uint64) result {
		out := m.run("", "write", 1+r.IntN(4), 60, l.blobSize, 0, s)
		l.promises.take(out.stdout)
		return out
	})
}

// storageErrors lets the disk fail while a vault works. Whatever happens, nothing
// is acknowledged and missing: after the program was started again, and after the
// power was cut then.
func storageErrors(t *testing.T, fault string, rounds int, starts []life, draw func(*rand.Rand) disk.Fault, work func(life, *machine, *rand.Rand, uint64) result) {
	t.Helper()
	c := tally{fault: fault}
	defer c.end(t)
	stopped, deleted := 0, 0
	for round := range rounds {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		l := starts[round%len(starts)].again(s)
		acked := len(l.promises.acked)
		m := boot(t, l.disk)
		f := draw(r)
		l.disk.Inject(f)
		out := work(l, m, r, s)
		if out.code != 0 && out.code != exitStopped && out.code != exitRefused || strings.Contains(out.stderr, "panic:") {
			t.Fatalf("round %d: %s: exit code %d: %s", round, describe(f), out.code, out.stderr)
		}
		if out.code != 0 && f.Errno == syscall.EOPNOTSUPP {
			t.Fatalf("round %d: %s: that is no error: %s", round, describe(f), out.stderr)
		}
		if out.code != 0 {
			stopped++
		}
		l.disk.Repair()
		for _, when := range []string{"started again", "started again after a cut"} {
			if faults := l.proven(m); len(faults) > 0 {
				t.Fatalf("round %d: %s, %s: %s", round, describe(f), when, strings.Join(faults, "\n"))
			}
			if m.disk.Steps() == 0 { // the second time
				break
			}
			after, report := m.cut()
			c.add(report)
			m = boot(t, after)
		}
		c.acked += len(l.promises.acked) - acked
		deleted += len(l.promises.gone)
		m.halt()
	}
	t.Logf("the vault stopped in %d rounds; %d deletions", stopped, deleted)
	c.little(t, stopped == 0)
}

// TestStorageErrorsGoOn starts the vault again after an error, without a new
// start of the machine: the page cache then shows what a failed sync has not
// written, and no later sync will. New reports must not be built on that.
func TestStorageErrorsGoOn(t *testing.T) {
	starts := lives(t)
	c := tally{fault: "failed sync, started again without a reboot, then a cut"}
	defer c.end(t)
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		l := starts[round%len(starts)].again(s)
		acked := len(l.promises.acked)
		m := boot(t, l.disk)
		f := disk.Fault{Op: disk.Sync, Name: []string{"vault.db", "vault.db", "0*.db", "keys.slots"}[r.IntN(4)], Nth: 1 + r.IntN(4), Errno: syscall.EIO}
		l.disk.Inject(f)
		l.promises.take(m.run("", "write", 1+r.IntN(4), 60, l.blobSize, 0, s).stdout)
		l.disk.Repair()
		l.disk.CutAt(1 + r.IntN(40)) // before the next transaction is whole
		l.promises.take(m.run("", "write", 1+r.IntN(4), 60, l.blobSize, 0, s+1).stdout)
		after, report := m.cut()
		c.add(report)
		c.acked += len(l.promises.acked) - acked
		m = boot(t, after)
		if faults := l.promises.broken(m, l.blobSize); len(faults) > 0 {
			t.Fatalf("round %d: %s, then %v: %s", round, describe(f), report, strings.Join(faults, "\n"))
		}
		m.halt()
	}
}
