package torture_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"resguardo/vault/torture/disk"
)

// tally is what a test met.
type tally struct {
	fault  string // what is done to the disk
	rounds int
	cuts   int
	acked  int // items, reports, backups and changes that somebody was told are safe
	seen   int // checkpoints
	writes int // un-synced at the cuts
	names  int // likewise
	forgot int // of those names
}

func (c *tally) add(r disk.Report) {
	c.cuts++
	c.writes += r.Writes
	c.names += r.Names
	c.forgot += r.Forgot
}

// table is what all passes met, by test.
var table = make(map[string]tally)

// failed are the tests that failed, with their seeds.
var failed = make(map[string]uint64)

// fewRounds is how many rounds may all miss what they are meant for.
const fewRounds = 30

// little fails a test that has met nothing, although it had many rounds.
func (c *tally) little(t *testing.T, nothing bool) {
	t.Helper()
	if nothing && c.rounds >= fewRounds {
		t.Errorf("the test proves little: %+v", *c)
	}
}

// end notes what a test met.
func (c *tally) end(t *testing.T) {
	t.Logf("seed %d: %d rounds, %d cuts, %d acknowledged, %d checkpoints seen, %d un-synced writes at the cuts, %d un-synced names (%d forgotten)",
		*seed, c.rounds, c.cuts, c.acked, c.seen, c.writes, c.names, c.forgot)
	sum := table[t.Name()]
	table[t.Name()] = tally{c.fault, sum.rounds + c.rounds, sum.cuts + c.cuts, sum.acked + c.acked, sum.seen + c.seen,
		sum.writes + c.writes, sum.names + c.names, sum.forgot + c.forgot}
	if t.Failed() {
		failed[t.Name()] = *seed
	}
}

// printTable prints the sums in the form of docs/reliability.md.
func printTable() {
	if len(table) == 0 {
		return
	}
	fmt.Print("\n| Fault | Test | Rounds | Cuts | Acknowledged | Checkpoints seen | Un-synced | Lost |\n|---|---|---|---|---|---|---|---|\n")
	var sum tally
	for _, name := range slices.Sorted(maps.Keys(table)) {
		c, lost := table[name], "0"
		if s, bad := failed[name]; bad {
			lost = fmt.Sprintf("FAILED, seed %d", s)
		}
		fmt.Printf("| %s | `%s` | %d | %d | %d | %d | %d + %d | %s |\n", c.fault, name, c.rounds, c.cuts, c.acked, c.seen, c.writes, c.names, lost)
		sum.rounds, sum.cuts, sum.acked, sum.seen = sum.rounds+c.rounds, sum.cuts+c.cuts, sum.acked+c.acked, sum.seen+c.seen
	}
	fmt.Printf("| all | | %d | %d | %d | %d | | |\n", sum.rounds, sum.cuts, sum.acked, sum.seen)
}
