package torture_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"resguardo/vault/torture/disk"
)

// deletions are the promises about cases and what is deleted of them.
type deletions struct {
	cases map[string]string   // secrets by case
	in    map[string]string   // case by item
	keys  map[string]string   // slot key by its owner, both in hex
	shown map[string]bool     // items
	begun map[string][]string // tombstones, by case or item, of deletions nobody acknowledged
	gone  map[string]string   // the tombstone, of those that happened
}

func newDeletions() deletions {
	return deletions{make(map[string]string), make(map[string]string), make(map[string]string), make(map[string]bool),
		make(map[string][]string), make(map[string]string)}
}

func (d *deletions) clone() deletions {
	return deletions{maps.Clone(d.cases), maps.Clone(d.in), maps.Clone(d.keys), maps.Clone(d.shown), maps.Clone(d.begun), maps.Clone(d.gone)}
}

// take notes a line of a child.
func (d *deletions) take(f []string) {
	switch f[0] {
	case "case":
		d.cases[f[1]] = f[2]
	case "in":
		d.in[f[1]] = f[2]
	case "key":
		d.keys[f[1]] = f[2]
	case "shown":
		d.shown[f[1]] = true
	case "del":
		d.begun[f[1]] = append(slices.Clone(d.begun[f[1]]), f[2])
	case "gone":
		d.gone[f[1]] = f[2]
	}
}

// isGone tells whether an item, or its case, was deleted.
func (d *deletions) isGone(item string) bool { return d.gone[item] != "" || d.gone[d.in[item]] != "" }

// ask writes the questions for verify.
func (d *deletions) ask(w io.Writer) {
	for _, s := range d.cases {
		fmt.Fprintln(w, "mailbox", s[:64])
	}
	for id, tombstone := range d.gone {
		fmt.Fprintf(w, "dead %s\ntombstone %s\n", id, tombstone)
	}
	for _, tombstones := range d.begun {
		for _, t := range tombstones {
			fmt.Fprintln(w, "tombstone", t)
		}
	}
}

// settle decides by their tombstones which deletions happened that a cut ended. Each
// thing is deleted once.
func (d *deletions) settle(there found) (faults []string) {
	for id, tombstones := range d.begun {
		for _, t := range tombstones {
			if !there.known[t] || d.gone[id] == t {
				continue
			}
			if d.gone[id] != "" {
				faults = append(faults, fmt.Sprintf("%s has two tombstones: %s and %s", id, d.gone[id], t))
			}
			d.gone[id] = t
		}
	}
	clear(d.begun)
	return faults
}

// judge compares a vault with the promises about deletions. One that was cut short
// has happened as a whole or not at all.
func (d *deletions) judge(p *promises, there found) []string {
	faults := d.settle(there)
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for id, t := range d.gone {
		if !there.known[t] {
			fault("%s was deleted, its tombstone is neither queued nor in the log", id)
		}
	}
	for item := range there.items {
		if d.isGone(item) {
			fault("item %s was deleted and is there", item)
		}
	}
	settled := make(map[string]bool) // cases that must be there
	for item := range p.acked {
		settled[d.in[item]] = true
	}
	for id, s := range d.cases {
		switch got := there.mailboxes[s[:64]]; {
		case d.gone[id] != "" && got != "-":
			fault("case %s was deleted, its mailbox opens %s", id, got)
		case d.gone[id] == "" && settled[id] && got != id:
			fault("the mailbox of case %s opens %s", id, got)
		}
	}
	for item := range d.shown {
		if !d.isGone(item) && !there.shown[item] {
			fault("item %s was seen, and is no longer", item)
		}
	}
	left := make(map[string]bool)
	for item := range d.gone {
		if c := d.in[item]; c != "" && d.gone[c] == "" {
			sum, err := base64.StdEncoding.DecodeString(p.tried[item])
			if err != nil {
				fault("%v", err)
			}
			left[fmt.Sprintf("%x %s", sum, c)] = true
		}
	}
	if !maps.Equal(left, there.left) {
		fault("of items deleted alone there should be left %v, there is %v", left, there.left)
	}
	return faults
}

// traces looks for the keys of what was deleted in all that is durable.
func (d *deletions) traces(of *disk.Disk) (faults []string) {
	keys := make(map[string]string)
	var first [1 << 16]bool
	note := func(id, owner string) {
		if b, err := hex.DecodeString(d.keys[owner]); err == nil && len(b) == 32 {
			keys[string(b)] = id
			first[binary.BigEndian.Uint16(b)] = true
		}
	}
	for id, s := range d.cases {
		if d.gone[id] != "" {
			note(id, s[:64])
		}
	}
	for item := range d.in {
		if d.isGone(item) {
			note(item, item+strings.Repeat("0", 32))
		}
	}
	of.Durable(func(path string, off int64, b []byte) {
		for i := 0; i+32 <= len(b); i++ {
			if !first[binary.BigEndian.Uint16(b[i:])] {
				continue
			}
			if id := keys[string(b[i:i+32])]; id != "" {
				faults = append(faults, fmt.Sprintf("the key of %s, which was deleted, is in %s at %d", id, path, off+int64(i)))
			}
		}
	})
	return faults
}

// questions are what live has to know.
func (d *deletions) questions() string {
	var b strings.Builder
	for id, s := range d.cases {
		fmt.Fprintln(&b, id, s)
	}
	return b.String()
}

// tombstones are those of all that was deleted.
func (d *deletions) tombstones() string {
	return strings.Join(slices.Collect(maps.Values(d.gone)), "\n")
}

// live lets clients work with cases on a machine.
func (l life) live(m *machine, r *rand.Rand, s uint64) result {
	out := m.run(l.promises.questions(), "live", 1+r.IntN(4), 80, l.blobSize, s)
	l.promises.take(out.stdout)
	return out
}

// proven returns what is wrong with a machine's vault, keys of deleted things included.
func (l life) proven(m *machine) []string {
	faults := l.promises.broken(m, l.blobSize)
	return append(faults, l.promises.traces(m.disk)...)
}

// TestDeletionPowerCut cuts the power while cases get items and lose them, and
// cases go, also while a deletion is completed after the cut before. What was
// deleted stays deleted, its keys are nowhere, what was begun is completed or has
// not happened, and nothing else is harmed. In the end every tombstone is in the
// log, once.
func TestDeletionPowerCut(t *testing.T) {
	starts := beginnings(t)
	var l life
	c := tally{fault: "power cut while cases begin, change, lose items and are deleted"}
	defer c.end(t)
	deleted, halfway := 0, 0
	for round := range share(8) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%5 == 0 {
			l = starts[round/5%len(starts)].again(s)
		}
		acked, seen, gone := len(l.promises.acked), len(l.promises.seen), len(l.promises.gone)
		for range 1 + r.IntN(2) {
			m := boot(t, l.disk)
			plan(l.disk, r, 3000)
			out := l.live(m, r, s)
			if out.code == exitWrong || strings.Contains(out.stderr, "panic:") {
				t.Fatalf("round %d: exit code %d: %s", round, out.code, out.stderr)
			}
			var report disk.Report
			l.disk, report = m.cut()
			c.add(report)
			if faults := l.promises.traces(l.disk); len(faults) > 0 {
				t.Fatalf("round %d: %v: %s", round, report, strings.Join(faults, "\n"))
			}
		}
		deleted += len(l.promises.gone) - gone
		gone = len(l.promises.gone)
		m := boot(t, l.disk)
		if faults := l.proven(m); len(faults) > 0 {
			t.Fatalf("round %d: %s", round, strings.Join(faults, "\n"))
		}
		halfway += len(l.promises.gone) - gone
		c.acked += len(l.promises.acked) - acked
		c.seen += len(l.promises.seen) - seen
		if round%5 == 4 {
			if out := m.run(l.promises.tombstones(), "drain"); out.code != 0 {
				t.Fatalf("round %d: all into the log: %+v", round, out)
			}
		}
		m.halt()
	}
	t.Logf("%d deletions acknowledged, %d more completed after a cut", deleted, halfway)
	c.little(t, deleted == 0 || c.writes == 0)
}

// drawDeletionFault draws what fails while cases are deleted: punching and the
// slots more often than the rest.
func drawDeletionFault(r *rand.Rand) disk.Fault {
	f := drawFault(r)
	switch r.IntN(3) {
	case 0:
		f.Op, f.Name, f.Nth = disk.Punch, []string{"vault.db", "0*.db"}[r.IntN(2)], moment(r, 30)
		f.Errno = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS, syscall.EOPNOTSUPP}[r.IntN(4)]
	case 1:
		f.Op, f.Name = []disk.Op{disk.Write, disk.Sync}[r.IntN(2)], "keys.slots"
	}
	return f
}

// TestDeletionErrors lets the disk fail while cases are deleted. A file system
// that cannot punch holes is no error.
func TestDeletionErrors(t *testing.T) {
	storageErrors(t, "error at the Nth punch, or write or sync of the slots, while cases are deleted", share(3), beginnings(t), drawDeletionFault, life.live)
}
