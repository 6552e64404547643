package vault_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/vault"
)

// BenchmarkCommit stores text reports of the smallest padded size (64 KiB) from
// 1, 8 and 64 clients at once.
func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			v := open(b, newDir(b), vault.Options{})
			b.SetBytes(64 << 10)
			b.ResetTimer()
			commits(b, v, clients, b.N)
		})
	}
}

// commits stores n text reports from several clients and reports rate and percentiles.
func commits(b *testing.B, v *vault.Vault, clients, n int) {
	text := append([]byte(header), payload(64<<10)...)
	var next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	before := written()
	start := time.Now()
	for range clients {
		wg.Go(func() {
			var mine []time.Duration
			for next.Add(1) <= int64(n) {
				begin := time.Now()
				if err := sendBytes(v, text); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(begin))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(written()-before)/float64(len(took))/1024, "KiB-written/op")
	b.ReportMetric(float64(len(took))/time.Since(start).Seconds(), "reports/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func sendBytes(v *vault.Vault, text []byte) error {
	d, err := v.Create(context.Background())
	if err != nil {
		return err
	}
	defer d.Discard()
	if _, err := d.Write(text); err != nil {
		return err
	}
	return d.Commit(context.Background(), submission("north"))
}

// BenchmarkUpload writes drafts of 1 GiB in pieces of 64 KiB.
func BenchmarkUpload(b *testing.B) {
	v := open(b, newDir(b), vault.Options{})
	b.SetBytes(1 << 30)
	b.ResetTimer()
	for range b.N {
		if err := upload(v, 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}

func upload(v *vault.Vault, size int) error {
	d, err := v.Create(context.Background())
	if err != nil {
		return err
	}
	defer d.Discard()
	if _, err := d.Write([]byte(header)); err != nil {
		return err
	}
	piece := payload(64 << 10)[:64<<10]
	for range size / len(piece) {
		if _, err := d.Write(piece); err != nil {
			return err
		}
	}
	return d.Commit(context.Background(), submission("north"))
}

// BenchmarkCommitDuringUpload stores text reports while uploads of 1 GiB run beside.
func BenchmarkCommitDuringUpload(b *testing.B) {
	v := open(b, newDir(b), vault.Options{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := upload(v, 1<<30); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ResetTimer()
	commits(b, v, 1, b.N)
	b.StopTimer()
	close(stop)
	wg.Wait()
}

// written is the number of bytes that this process has written to files.
func written() (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "wchar: %d", &n)
	}
	return n
}
