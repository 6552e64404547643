package cmd_test

// What the public log costs: appends, the closing of epochs, proofs, and the
// work of an auditor, up to a million leaves (at four epochs of 16 leaves a day
// that is 42 years).

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// publicLog measures the log.
func publicLog(t testing.TB, doc io.Writer) {
	fmt.Fprintf(doc, "\n## The public log\n")
	appends(t, doc)
	fmt.Fprintf(doc, "\nEpochs of 4,096 leaves until the log has so many. The first line is a log of epochs of 16. Proofs: median of 1,000. "+
		"Verify is `resguardo-audit verify` on a mirror in a folder: every leaf, every tile, the root, all rules. SHA-256 alone hashes leaves and nodes as often as the tree has them.\n\n")
	fmt.Fprintf(doc, "| leaves | close of an epoch ms | vault.db bytes/leaf | inclusion µs | consistency µs | verify s | leaves/s | SHA-256 alone s |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, size := range []struct {
		slots  int
		leaves int64
	}{{16, 1_000}, {4096, 10_000}, {4096, 100_000}, {4096, 1_000_000}} {
		growth(t, doc, size.slots, size.leaves)
	}
}

// benchLog is a vault with a log.
type benchLog struct {
	vault   *vault.Vault
	dir     string
	signer  note.Signer
	genesis *translog.Genesis
	epoch   int64
	closes  []time.Duration
}

// newBenchLog begins a log so that n epochs end just now.
func newBenchLog(t testing.TB, slots int, n int64) *benchLog {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vault")
	g := vault.Genesis{Origin: "bench-0123abcd", Epoch: 6 * time.Hour, Slots: slots, Time: 3, Memory: 64 << 10, Threads: 1}
	l := &benchLog{dir: dir, epoch: translog.EpochAt(time.Now(), g.Epoch) - n}
	key := func(name string) (note.Signer, string) {
		s, v, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(s)
		if err != nil {
			t.Fatal(err)
		}
		return signer, v
	}
	l.genesis = &translog.Genesis{Origin: g.Origin, Threshold: 1, Epoch: g.Epoch, Slots: slots, Time: g.Time, Memory: g.Memory, Threads: g.Threads,
		Retention: translog.Retention{Days: 180, DeleteSignatures: 2}}
	l.signer, l.genesis.Log = key(g.Origin)
	_, l.genesis.Operations = key(g.Origin + "/operations")
	governance, vkey := key(g.Origin + "/governance")
	l.genesis.Governance = []string{vkey}
	l.genesis.Policy = "log " + l.genesis.Log + "\nquorum none\n"
	leaf, err := translog.Governance{Epoch: l.epoch, Kind: translog.GenesisNote, Body: l.genesis}.Sign(governance)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vault.Init(dir, g); err != nil {
		t.Fatal(err)
	}
	if l.vault, err = vault.Open(dir, vault.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.vault.Close() })
	if err := l.vault.BeginLog(context.Background(), [][]byte{leaf}, l.signer); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *benchLog) close(t testing.TB) {
	t.Helper()
	begin := time.Now()
	if err := l.vault.CloseEpoch(context.Background(), vault.Closing{Epoch: l.epoch, Signer: l.signer}); err != nil {
		t.Fatal(err)
	}
	l.closes = append(l.closes, time.Since(begin))
	l.epoch++
}

// appends stores reports of 16 KiB beside the disk's own rate of syncs.
func appends(t testing.TB, doc io.Writer) {
	fmt.Fprintf(doc, "\nReports of 16 KiB stored in the vault, without HTTP and sealing. The disk's own rate in the same run: %s.\n\n| clients | reports/s |\n| --- | --- |\n", fsyncRate(t))
	for _, clients := range []int{1, 64, 512} {
		l := newBenchLog(t, 16, 1)
		n := 200 + 10*clients
		var next atomic.Int64
		var wg sync.WaitGroup
		begin := time.Now()
		for range clients {
			wg.Go(func() {
				for next.Add(1) <= int64(n) {
					if _, err := storeSealed(l.vault, 16<<10); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		fmt.Fprintf(doc, "| %d | %.0f |\n", clients, float64(n)/time.Since(begin).Seconds())
	}
}

// storeSealed stores a report whose payload has so many bytes.
func storeSealed(v *vault.Vault, size int) (vault.Submission, error) {
	s := vault.Submission{Case: vault.NewCaseID(), Recipient: "age1pq1", Desks: []string{"north"}, Day: "2026-11-22", Recipients: 1}
	for _, b := range [][]byte{s.Mailbox[:], s.Thread[:], s.Event[:], s.Expire[:]} {
		rand.Read(b)
	}
	d, err := v.Create(context.Background())
	if err != nil {
		return s, err
	}
	defer d.Discard()
	if _, err := d.Write(append([]byte("age-encryption.org/v1\n-> x y\nz\n--- mac\n"), make([]byte, 16+size+16)...)); err != nil {
		return s, err
	}
	return s, d.Commit(context.Background(), s)
}

// growth makes a log of so many leaves and prints one line of the table.
func growth(t testing.TB, doc io.Writer, slots int, leaves int64) {
	epochs := (leaves + int64(slots) - 1) / int64(slots)
	l := newBenchLog(t, slots, epochs)
	for range epochs {
		l.close(t)
	}
	if err := l.vault.Publish(context.Background(), l.vault.Signed(), l.epoch, true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(l.dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	n := 1 + epochs*int64(slots)
	mirror := l.mirror(t, n)
	policy := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(policy, []byte(l.genesis.Policy), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	run(t, "resguardo-audit", "verify", "-url", "file://"+mirror+"/", "-policy", policy)
	took := time.Since(begin)
	fmt.Fprintf(doc, "| %d | %.1f | %d | %.0f | %.0f | %.2f | %.0f | %.2f |\n", n, medianOf(l.closes).Seconds()*1e3, info.Size()/n,
		l.proofs(t, n, func(i int64) error { _, err := tlog.ProveRecord(n, i, l.vault.Hashes()); return err }),
		l.proofs(t, n, func(i int64) error { _, err := tlog.ProveTree(n, i+1, l.vault.Hashes()); return err }),
		took.Seconds(), float64(n)/took.Seconds(), hashing(n).Seconds())
}

// proofs is the median time of 1,000 proofs in microseconds.
func (l *benchLog) proofs(t testing.TB, n int64, prove func(int64) error) float64 {
	var took []float64
	for i := range int64(1000) {
		begin := time.Now()
		if err := prove(i * (n - 1) / 1000); err != nil {
			t.Fatal(err)
		}
		took = append(took, float64(time.Since(begin).Microseconds()))
	}
	return medianOf(took)
}

// mirror writes the published log into a folder, as log export does.
func (l *benchLog) mirror(t testing.TB, size int64) string {
	dir := t.TempDir()
	put := func(name string, b []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := size
	for level := -1; n > 0; level++ {
		for i := int64(0); i*torchwood.TileWidth < n; i++ {
			tile := tlog.Tile{H: torchwood.TileHeight, L: level, N: i, W: int(min(torchwood.TileWidth, n-i*torchwood.TileWidth))}
			b, err := l.vault.Tile(tile)
			if err != nil {
				t.Fatal(err)
			}
			put(torchwood.TilePath(tile), b)
		}
		if level >= 0 {
			n /= torchwood.TileWidth
		}
	}
	put("checkpoint", l.vault.Published())
	return dir
}

// hashing is how long the hashes of a tree of n leaves take by themselves.
func hashing(n int64) time.Duration {
	leaf, node := bytes.Repeat([]byte{1}, 122), make([]byte, 65)
	begin := time.Now()
	for range n {
		sum := sha256.Sum256(leaf)
		copy(node[1:], sum[:])
		sha256.Sum256(node)
	}
	return time.Since(begin)
}
