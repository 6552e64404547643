package cmd_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// fetchMany measures a reviewer who fetches 1,000 new cases over Tor, and a second
// time when nothing is new.
func fetchMany(t testing.TB, doc io.Writer) {
	const cases = 1000
	n := network.Network(t)
	dir, err := os.MkdirTemp("", "bench") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h := newHouse(t, filepath.Join(dir, "v"))
	h.start()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range cases / 8 {
				a, err := h.visitor().Send(context.Background(), source.Report{Message: "reporte " + strconv.Itoa(i*1000+j)})
				if err != nil || a.Codename == "" {
					t.Errorf("report: %d, %v", a.Status, err)
				}
			}
		})
	}
	wg.Wait()
	h.kill()
	h.startOnion(n)
	fetch := func() float64 {
		begin := time.Now()
		run(t, "resguardo", "fetch", "-dir", h.reviewer, "-server", h.review, "-tor-include", n.Include())
		return time.Since(begin).Seconds()
	}
	first, again := fetch(), fetch()
	files, err := filepath.Glob(filepath.Join(h.reviewer, "cases", "*", "000-report.age"))
	if err != nil || len(files) != cases {
		t.Errorf("%d reports were fetched, %v", len(files), err)
	}
	fmt.Fprintf(doc, "\n## A reviewer fetches over a private Tor network\n\n| | s |\n| --- | --- |\n| %d new reports of text (64 KiB each), proven against the log | %.1f |\n| nothing new | %.1f |\n\nBoth hold the start of the reviewer's own tor.\n", cases, first, again)
}
