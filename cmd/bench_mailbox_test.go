package cmd_test

// What coming back costs: signing in, and deleting.

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"resguardo/crypto/codename"
	"resguardo/onion/tornet/source"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// mailbox measures sign-ins and the deletion of a large report.
func mailbox(t testing.TB, doc io.Writer) {
	fmt.Fprintf(doc, "\n## Coming back\n\nSign-in with eight words until the mailbox is there: Argon2id with 64 MiB on two places, then the vault. More clients wait in a queue of 64.\n\n| clients | sign-ins/s | p50 ms | p99 ms |\n| --- | --- | --- | --- |\n")
	p := newInProcess(t, codename.DefaultParams)
	sent, err := p.visit.Send(context.Background(), source.Report{Message: "Vi a tres personas en la garita."})
	if err != nil {
		t.Fatal(err)
	}
	for _, clients := range []int{1, 32} {
		r := p.signIns(t, sent.Codename, clients, 40+clients)
		fmt.Fprintf(doc, "| %d | %.1f | %.0f | %.0f |\n", clients, r.rate, r.p50, r.p99)
	}
	stored, deleted := deleteLarge(t)
	fmt.Fprintf(doc, "\nA report of 1 GiB in the vault, without HTTP and sealing: stored in %.1f s, deleted in %.2f s: rows marked, keys overwritten and synced, payload removed, free pages punched.\n", stored.Seconds(), deleted.Seconds())
}

// signIns opens the mailbox n times.
func (p *inProcess) signIns(t testing.TB, words string, clients, n int) rates {
	var next atomic.Int64
	var mu sync.Mutex
	var took []float64
	var wg sync.WaitGroup
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				start := time.Now()
				resp, err := p.visit.Client.PostForm(p.visit.URL+"/es/mailbox", url.Values{"codename": {words}})
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				if resp.Body.Close(); resp.StatusCode != http.StatusOK {
					t.Errorf("status %d", resp.StatusCode)
				}
				mu.Lock()
				took = append(took, time.Since(start).Seconds()*1e3)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all := time.Since(begin)
	slices.Sort(took)
	return rates{float64(len(took)) / all.Seconds(), took[len(took)/2], took[len(took)*99/100]}
}

// deleteLarge stores 1 GiB as one item and deletes its case.
func deleteLarge(t testing.TB) (stored, deleted time.Duration) {
	l := newBenchLog(t, 16, 1)
	d, err := l.vault.Create(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	s := vault.Submission{Case: vault.NewCaseID(), Recipient: "age1pq1", Desks: []string{"north"}, Day: "2026-11-22", Recipients: 1}
	for _, b := range [][]byte{s.Mailbox[:], s.Thread[:], s.Event[:], s.Expire[:]} {
		rand.Read(b)
	}
	begin := time.Now()
	if _, err := d.Write([]byte("age-encryption.org/v1\n-> x y\nz\n--- mac\n" + string(make([]byte, 16)))); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 64<<10+16)
	rand.Read(chunk)
	for range gib / (64 << 10) {
		if _, err := d.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Commit(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	stored = time.Since(begin)
	tomb := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(tomb.Event[:])
	begin = time.Now()
	if err := l.vault.DeleteCase(context.Background(), s.Case, tomb); err != nil {
		t.Fatal(err)
	}
	deleted = time.Since(begin)
	var left unix.Stat_t
	if err := unix.Stat(filepath.Join(l.dir, "blobs", "00000001.db"), &left); err != nil || left.Blocks*512 > gib/4 {
		t.Errorf("%d bytes of the file are still allocated, %v", left.Blocks*512, err)
	}
	return stored, deleted
}
