package cmd_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/onion"
	"resguardo/onion/tornet"
	"resguardo/onion/tornet/source"
)

// overTor compares an upload through the vault's onion service with one through a bare
// server that discards it, behind an onion service with the same lines.
func overTor(t testing.TB, doc io.Writer) {
	n := network.Network(t)
	dir, err := os.MkdirTemp("", "bench") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h := newHouse(t, filepath.Join(dir, "v"))
	h.startOnion(n)
	bare, stop := bareOnion(t, n, filepath.Join(dir, "b"))
	defer stop()
	visitor, err := n.Client(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	fmt.Fprintf(doc, "\n## Over a private Tor network on loopback\n\n3 authorities, 5 relays, the vault's tor, a visitor's tor and both programs share the %d cores.\n", runtime.NumCPU())
	largeOverTor(t, doc, h, visitor, bare)
	manyOverTor(t, doc, h, visitor)
}

// bareOnion serves a handler that discards every body behind its own onion service.
func bareOnion(t testing.TB, n *tornet.Network, dir string) (url string, stop func()) {
	c := onion.Config{Dir: dir, Include: n.Include(), SourceSocket: filepath.Join(dir, "s")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := onion.ListenSource(c.SourceSocket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })}
	go server.Serve(l)
	o, err := onion.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	<-o.Ready()
	return "http://" + o.Health().Source.Address, func() { o.Close(); server.Close() }
}

// largeOverTor uploads 100 MiB to the vault and to the bare server, in turns.
func largeOverTor(t testing.TB, doc io.Writer, h *house, visitor *tornet.Client, bare string) {
	const size = 100 << 20
	stop := h.watchMemory()
	var ours, theirs []cost
	for i := range turns {
		s := source.Source{Client: visitor.HTTP(fmt.Sprint("vault ", i)), URL: h.source, Desk: "norte"}
		token, err := s.Token(context.Background()) // the circuit stands
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		a, err := s.SendWith(context.Background(), token, video(io.LimitReader(repeat(rand.Text()), size)))
		if err != nil || a.Codename == "" {
			t.Fatalf("upload over tor: %d, %v\n%.500s", a.Status, err, a.Page)
		}
		ours = append(ours, cost{wall: time.Since(begin)})
		theirs = append(theirs, cost{wall: bareUpload(t, visitor.HTTP(fmt.Sprint("bare ", i)), bare, size)})
	}
	memory := stop()
	rate := func(c []cost) float64 { return float64(size>>20) / column(c, wall).Seconds() }
	fmt.Fprintf(doc, "\n| upload of 100 MiB, one stream, medians of %d in turns | MiB/s |\n| --- | --- |\n", turns)
	fmt.Fprintf(doc, "| to the vault: sealed, durable, codename page received | %.2f |\n| to a bare server that discards it | %.2f |\n| ratio of rates, pairwise | %.2f |\n",
		rate(ours), rate(theirs), ratio(theirs, ours, wall))
	fmt.Fprintf(doc, "\nAim: at least 0.95 of the bare server's rate. The vault's memory meanwhile: %d MiB, anonymous, at most.\n", memory>>20)
}

func bareUpload(t testing.TB, client *http.Client, url string, size int64) time.Duration {
	if resp, err := client.Get(url); err != nil { // the circuit stands
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	begin := time.Now()
	resp, err := client.Post(url, "application/octet-stream", io.LimitReader(repeat(rand.Text()), size))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return time.Since(begin)
}

// manyOverTor lets 50 visitors, each on a circuit of its own, send at once.
func manyOverTor(t testing.TB, doc io.Writer, h *house, visitor *tornet.Client) {
	const clients = 50
	fmt.Fprintf(doc, "\n| %d visitors at once, own circuits | p50 s | p99 s | all s | errors | vault's memory, MiB |\n| --- | --- | --- | --- | --- | --- |\n", clients)
	for _, r := range []struct {
		name   string
		report func() source.Report
	}{
		{"text of 2 kB", func() source.Report { return source.Report{Message: strings.Repeat("palabras ", 220)} }},
		{"text and a file of 1 MiB", func() source.Report { return video(io.LimitReader(repeat(rand.Text()), 1<<20)) }},
	} {
		stop, begin := h.watchMemory(), time.Now()
		took := make([]time.Duration, clients)
		var mu sync.Mutex
		var failures []string
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
				defer cancel()
				sent := time.Now()
				s := source.Source{Client: visitor.HTTP(fmt.Sprint(r.name, i)), URL: h.source, Desk: "norte"}
				if a, err := s.Send(ctx, r.report()); err != nil || a.Codename == "" {
					mu.Lock()
					failures = append(failures, fmt.Sprintf("%d %v", a.Status, err))
					mu.Unlock()
				}
				took[i] = time.Since(sent)
			})
		}
		wg.Wait()
		all := time.Since(begin)
		slices.Sort(took)
		fmt.Fprintf(doc, "| %s: form, send, codename | %.1f | %.1f | %.1f | %d | %d |\n", r.name,
			took[clients/2].Seconds(), took[clients*99/100].Seconds(), all.Seconds(), len(failures), stop()>>20)
		if len(failures) > 0 {
			t.Logf("%s: %v", r.name, failures)
		}
	}
	fmt.Fprintf(doc, "\nAim: no errors. The derivation of codenames (two at once) is what binds the texts.\n")
}
