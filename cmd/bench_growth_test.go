package cmd_test

// What a vault costs when it has grown: 10^3 to 10^5 reports.

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// reports fills one vault and measures it at 10^3, 10^4 and 10^5 reports.
func reports(t testing.TB, doc io.Writer) {
	fmt.Fprintf(doc, "\n## A vault that grows\n\nReports of 64 KiB, the least that one takes, in the vault alone, without HTTP and sealing. Store: one report at a time until it is durable, median of 200. Sign-in: a mailbox found by its key, or not found, without the key derivation, median of 200. "+
		"List: the items of a desk that has them all. Open: as `serve` does it, read from the disk: tested in full, then opened, log proven and index built, with what memory it then holds. Delete: one case, median of 50.\n\n"+
		"| reports | store ms | sign-in hit µs | miss µs | list ms | open s | memory after open MiB | vault.db bytes/report | delete ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	dir := filepath.Join(t.TempDir(), "vault")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vault.Init(dir, vault.Genesis{Origin: "bench-0123abcd", Epoch: 6 * time.Hour, Slots: 16, Time: 3, Memory: 64 << 10, Threads: 1}); err != nil {
		t.Fatal(err)
	}
	g := &grown{t: t, dir: dir}
	g.open()
	defer func() { g.vault.Close() }()
	for _, n := range []int64{1_000, 10_000, 100_000} {
		g.fill(n)
		g.row(doc, n)
	}
	fmt.Fprintf(doc, "\nWhat binds: syncs of the disk for store and delete; for open the processor, which opens every row.\n")
}

// grown is a vault that is filled.
type grown struct {
	t     testing.TB
	dir   string
	vault *vault.Vault
	n     int64
	last  vault.Submission // stored last
}

func (g *grown) open() (took time.Duration) {
	var err error
	begin := time.Now()
	if err = vault.Probe(g.dir); err != nil {
		g.t.Fatal(err)
	}
	if g.vault, err = vault.Open(g.dir, vault.Options{}); err != nil {
		g.t.Fatal(err)
	}
	return time.Since(begin)
}

// fill stores reports until there are n, 64 at once.
func (g *grown) fill(n int64) {
	var wg sync.WaitGroup
	var next atomic.Int64
	next.Store(g.n)
	for range 64 {
		wg.Go(func() {
			for next.Add(1) <= n {
				if _, err := storeSealed(g.vault, 64<<10); err != nil {
					g.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	g.n = n
}

// row measures and writes one line.
func (g *grown) row(doc io.Writer, n int64) {
	store := g.times(200, func() error { return g.store() })
	hit := g.times(200, func() error { _, err := g.vault.Mailbox(g.last.Mailbox); return err })
	miss := g.times(200, func() error {
		var other [32]byte
		rand.Read(other[:])
		if _, err := g.vault.Mailbox(other); err != vault.ErrNotFound {
			return fmt.Errorf("a mailbox that nobody has: %v", err)
		}
		return nil
	})
	list := g.times(9, func() error {
		if got := int64(len(g.vault.Items("north"))); got < n {
			return fmt.Errorf("%d items, want %d", got, n)
		}
		return nil
	})
	deletes := make([]float64, 0, 50)
	for range 50 {
		if err := g.store(); err != nil {
			g.t.Fatal(err)
		}
		tomb := vault.Tombstone{Kind: translog.SourceDelete}
		rand.Read(tomb.Event[:])
		begin := time.Now()
		if err := g.vault.DeleteCase(context.Background(), g.last.Case, tomb); err != nil {
			g.t.Fatal(err)
		}
		deletes = append(deletes, float64(time.Since(begin).Microseconds()))
	}
	info, err := os.Stat(filepath.Join(g.dir, "vault.db"))
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.vault.Close(); err != nil {
		g.t.Fatal(err)
	}
	before := heap()
	opened := g.open()
	fmt.Fprintf(doc, "| %d | %.1f | %.0f | %.0f | %.1f | %.2f | %.0f | %d | %.1f |\n", n, store/1e3, hit, miss, list/1e3, opened.Seconds(),
		float64(heap()-before)/(1<<20), info.Size()/n, medianOf(deletes)/1e3)
}

// store stores one more report and remembers it.
func (g *grown) store() error {
	s, err := storeSealed(g.vault, 64<<10)
	g.last = s
	return err
}

// times is the median of n runs in microseconds.
func (g *grown) times(n int, f func() error) float64 {
	var took []float64
	for range n {
		begin := time.Now()
		if err := f(); err != nil {
			g.t.Fatal(err)
		}
		took = append(took, float64(time.Since(begin).Nanoseconds())/1e3)
	}
	return medianOf(took)
}

// heap is what is reachable, in bytes.
func heap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
