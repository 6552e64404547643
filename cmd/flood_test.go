package cmd_test

// Floods: what a vault does when visitors want more than it has. Every test has
// the real server on loopback and honest visitors beside the flood, counts what
// they got, and then wants everything back as it was.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

var (
	floodTime   = flag.Duration("flood", 20*time.Second, "how long each flood lasts")
	tinyReports = flag.Int("tiny", 40, "reports of one word that are sent one upon the other")
)

// restMemory is what the server may hold in anonymous memory after a flood, bytes.
const restMemory = 48 << 20

// newFloodHouse starts a server, under a command if that is not empty.
func newFloodHouse(t *testing.T, under ...string) *house {
	t.Helper()
	if testing.Short() {
		t.Skip("floods take a while")
	}
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.under = under
	h.start()
	return h
}

// honest is what one visitor after another got who sent a short report.
type honest struct {
	stored  []string // messages
	busy    int      // told so, with a page
	lost    int      // got no answer, or another one
	slowest time.Duration
}

func (o honest) String() string {
	return fmt.Sprintf("honest reports: %d stored, slowest %.1f s; %d told to come back, %d without answer",
		len(o.stored), o.slowest.Seconds(), o.busy, o.lost)
}

// fresh is a visitor with connections of its own: nil dials as usual.
func (h *house) fresh(dial func(context.Context, string, string) (net.Conn, error)) source.Source {
	s := h.visitor()
	s.Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	return s
}

// honestPatience is how long a visitor waits for an answer. The server gives one after
// a minute at most, but machines that run tests are slow.
const honestPatience = 3 * time.Minute

// honestly sends reports until ctx ends and one is stored; the last one is let
// through to its end.
func (h *house) honestly(ctx context.Context, s source.Source) (o honest) {
	began := time.Now()
	for first := true; first || ctx.Err() == nil || len(o.stored) == 0 && time.Since(began) < honestPatience; first = false {
		message := fmt.Sprintf("Vi algo, %d.", time.Now().UnixNano())
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), honestPatience)
		begin := time.Now()
		a, err := s.Send(limit, source.Report{Message: message})
		cancel()
		switch {
		case err == nil && a.Codename != "":
			o.stored = append(o.stored, message)
			o.slowest = max(o.slowest, time.Since(begin))
		case isBusy(a), err != nil && strings.Contains(err.Error(), busyWords): // or the form is not given
			o.busy++
		default:
			o.lost++
			h.t.Logf("an honest report: status %d, %v", a.Status, err)
		}
	}
	return o
}

// isBusy reports whether an answer says in words that there are too many visitors, or
// too much from one circuit.
func isBusy(a source.Answer) bool {
	return a.Status == http.StatusServiceUnavailable && strings.Contains(a.Page, busyWords) ||
		a.Status == http.StatusTooManyRequests && strings.Contains(a.Page, oftenWords)
}

const (
	busyWords  = "Hay mucha gente ahora"
	oftenWords = "Tu conexión tiene demasiado en espera"
)

// during runs a flood and honest visitors beside it, and wants reports stored
// meanwhile, and everything as before when it has ended. flood returns when it is
// under way; stop waits for its end, after the context's.
func (h *house) during(name string, flood func(context.Context) (stop func())) honest {
	h.t.Helper()
	peak := h.watchMemory()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := flood(ctx)
	limit, done := context.WithTimeout(ctx, *floodTime)
	defer done()
	o := h.honestly(limit, h.fresh(nil))
	cancel()
	stop()
	h.t.Logf("%s for %v: %v; %d MiB at most", name, *floodTime, o, peak()>>20)
	if len(o.stored) == 0 {
		h.t.Errorf("%s: no honest report was stored", name)
	}
	h.recovers(o.stored)
	return o
}

// recovers wants a report stored at once, memory given back, and every report of
// the list in the vault.
func (h *house) recovers(messages []string) {
	h.t.Helper()
	begin := time.Now()
	h.mustSend(source.Report{Message: "después"})
	took := time.Since(begin)
	for now := h.anonymous(); now > restMemory; now = h.anonymous() {
		if time.Since(begin) > time.Minute {
			h.t.Errorf("%d MiB are still held a minute after the flood, want at most %d", now>>20, restMemory>>20)
			break
		}
		time.Sleep(100 * time.Millisecond) // the server rests when nobody comes
	}
	h.t.Logf("after it: a report in %.1f s; %d MiB held after %.1f s", took.Seconds(), h.anonymous()>>20, time.Since(begin).Seconds())
	found := map[string]bool{}
	for _, file := range h.fetch() {
		found[h.unseal(file)["message.txt"]] = true
	}
	for _, m := range append(messages, "después") {
		if !found[m] {
			h.t.Errorf("a report whose codename was shown is not there: %q", m)
		}
	}
}

// anonymous is the server's anonymous memory in bytes.
func (h *house) anonymous() int64 { return h.procStatus("RssAnon:") << 10 }

// procStatus is a number of /proc/PID/status.
func (h *house) procStatus(key string) int64 {
	h.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.server.Process.Pid))
	if err != nil {
		h.t.Fatalf("the server is gone: %v\n%s", err, h.log)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				h.t.Fatal(err)
			}
			return n
		}
	}
	h.t.Fatalf("no %s in:\n%s\n%s", key, b, h.log)
	return 0
}

// openFiles counts the server's files.
func (h *house) openFiles() int {
	h.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.server.Process.Pid))
	if err != nil {
		h.t.Fatalf("the server is gone: %v\n%s", err, h.log)
	}
	return len(files)
}

// TestSlowVisitors: headers and bodies that come byte by byte, and answers that
// are read byte by byte, from 200 connections each.
func TestSlowVisitors(t *testing.T) {
	if _, err := exec.LookPath("slowhttptest"); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	h := newFloodHouse(t)
	seconds := strconv.Itoa(int(floodTime.Seconds()))
	for name, args := range map[string][]string{
		"slow headers": {"-H", "-i", "2"},
		"slow bodies":  {"-B", "-i", "2", "-s", "8192", "-t", "POST", "-x", "10", "-u", h.source + "/es/report"},
		"slow readers": {"-X", "-w", "1", "-y", "4", "-n", "2", "-z", "8", "-k", "3", "-u", h.source + "/es/safety"},
	} {
		h.during(name, func(context.Context) func() {
			var out safeBuffer
			c := exec.Command("slowhttptest", append([]string{"-u", h.source + "/", "-c", "200", "-r", "200", "-p", "3", "-l", seconds}, args...)...)
			c.Stdout, c.Stderr = &out, &out
			before := h.openFiles()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for begin := time.Now(); h.openFiles() < before+100 && time.Since(begin) < 20*time.Second; {
				time.Sleep(10 * time.Millisecond) // slowhttptest is another process
			}
			return func() {
				err := c.Wait()
				text := out.String()
				if err != nil || !strings.Contains(text, "Test ended on") {
					t.Errorf("slowhttptest %v: %v\n%s", args, err, text)
				}
				yes, no := strings.Count(text, "YES"), strings.Count(text, "NO\x1b")
				t.Logf("%s: slowhttptest found the service available in %d of %d looks", name, yes, yes+no)
			}
		})
	}
}

// TestParallelSends is W13: 300 reports in the same second are stored or refused
// in words, and a codename page never lies.
func TestParallelSends(t *testing.T) {
	h := newFloodHouse(t)
	const senders = 300
	tokens := make([]string, senders)
	var forms sync.WaitGroup
	next := make(chan int, senders)
	for i := range senders {
		next <- i
	}
	close(next)
	for range 16 {
		forms.Go(func() {
			for i := range next {
				var err error
				if tokens[i], err = h.visitor().Token(context.Background()); err != nil {
					t.Errorf("form %d: %v", i, err)
				}
			}
		})
	}
	forms.Wait()
	var stored []string
	var mu sync.Mutex
	var busy atomic.Int64
	peak, begin := h.watchMemory(), time.Now()
	var all sync.WaitGroup
	for i, token := range tokens {
		all.Go(func() {
			message := fmt.Sprintf("Uno de muchos, %d.", i)
			a, err := h.fresh(nil).SendWith(context.Background(), token, source.Report{Message: message})
			switch {
			case err == nil && a.Status == http.StatusOK && a.Codename != "":
				mu.Lock()
				defer mu.Unlock()
				stored = append(stored, message)
			case err == nil && isBusy(a):
				busy.Add(1)
				if !strings.Contains(a.Page, message) {
					t.Errorf("report %d: the refusal does not show the text again", i)
				}
			default:
				t.Errorf("report %d: status %d, %v\n%.600s", i, a.Status, err, a.Page)
			}
		})
	}
	all.Wait()
	t.Logf("%d sends at once: %d stored, %d told to come back, in %.1f s; %d MiB at most", senders, len(stored), busy.Load(), time.Since(begin).Seconds(), peak()>>20)
	if len(stored) == 0 {
		t.Error("nothing was stored")
	}
	h.recovers(stored)
}

// dialAll opens up to n connections to addr, 50 at a time.
func dialAll(t *testing.T, n int, addr string) (conns []net.Conn) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range 50 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				c, err := net.DialTimeout("tcp", addr, 5*time.Second)
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return conns
}

// silence opens n connections that say nothing, of which the server holds as many
// as it has files at most. stop closes them.
func (h *house) silence(t *testing.T, n, files int) (stop func()) {
	conns := dialAll(t, n, strings.TrimPrefix(h.source, "http://"))
	most := h.openFiles()
	t.Logf("%d connections opened, the server has %d files open", len(conns), most)
	if most > files {
		t.Errorf("%d connections are held, want at most %d files open", most, files)
	}
	return func() {
		for _, c := range conns {
			c.Close()
		}
	}
}

// TestIdleConnections: 5,000 connections that say nothing keep nobody out.
func TestIdleConnections(t *testing.T) {
	h := newFloodHouse(t)
	h.during("5,000 silent connections", func(context.Context) func() { return h.silence(t, 5000, 1024+64) })
}

// TestFewFiles: with a limit of 256 open files there are fewer connections, and
// the vault can open what it needs.
func TestFewFiles(t *testing.T) {
	h := newFloodHouse(t, "sh", "-c", `ulimit -n 256; exec "$@"`, "sh")
	pid := h.server.Process.Pid
	h.during("600 silent connections", func(context.Context) func() { return h.silence(t, 600, 128+64) })
	if h.server.Process.Pid != pid || strings.Count(h.log.String(), "msg=start") != 1 {
		t.Errorf("the server was started again:\n%s", h.log)
	}
	run(t, "resguardod", "check", "-dir", h.dir)
}

// uploadPlaces is limits.uploads of a new vault.
const uploadPlaces = 32

// TestEndlessUploads: uploads that go on and on hold every place for files. Texts
// go through, and later files go through too.
func TestEndlessUploads(t *testing.T) {
	h := newFloodHouse(t)
	h.during("an upload without an end at every place", func(context.Context) func() { return h.endless(t, uploadPlaces, h.visitor()) })
	h.mustSend(video(strings.NewReader("later")))
}

// endless begins n uploads that hold a place each: they send 12 MiB, which fills
// their buffers, and then 4 KiB a second. It returns what cuts them off.
func (h *house) endless(t testing.TB, n int, s source.Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	began := make(chan struct{}, n)
	for range n {
		all.Go(func() {
			slow := readerFunc(func(p []byte) (int, error) {
				select {
				case began <- struct{}{}:
				default:
				}
				select {
				case <-ctx.Done():
					return 0, ctx.Err()
				case <-time.After(time.Second):
					return copy(p, strings.Repeat("x", 4<<10)), nil
				}
			})
			a, err := s.Send(ctx, video(io.MultiReader(io.LimitReader(repeat("x"), 12<<20), slow)))
			if ctx.Err() == nil {
				t.Errorf("an upload ended by itself: %d, %v\n%.400s", a.Status, err, a.Page)
			}
		})
	}
	for range n {
		<-began
	}
	return func() { cancel(); all.Wait() }
}

// TestSignInFlood: more wrong codenames than may wait, without pause, are refused in
// words. Reports, which wait apart, go through; a right codename opens its mailbox
// afterwards.
func TestSignInFlood(t *testing.T) {
	h := newFloodHouse(t)
	words := h.mustSend(source.Report{Message: "con buzón"})
	var wrong, busy, other atomic.Int64
	open := func(ctx context.Context, words string) error {
		m, err := h.fresh(nil).SignIn(ctx, words)
		if err == nil {
			err = m.Close(ctx)
		}
		return err
	}
	o := h.during("96 visitors with wrong codenames", func(ctx context.Context) func() {
		var all sync.WaitGroup
		for range 96 {
			all.Go(func() {
				for ctx.Err() == nil {
					switch r := (*source.Refused)(nil); {
					case ctx.Err() != nil:
					case !errors.As(open(ctx, "abeja abeja abeja abeja abeja abeja abeja abeja"), &r):
						if ctx.Err() == nil {
							other.Add(1)
						}
					case r.Status == http.StatusUnprocessableEntity:
						wrong.Add(1)
					case r.Status == http.StatusServiceUnavailable && r.Reason != "":
						busy.Add(1)
					default:
						other.Add(1)
					}
				}
			})
		}
		t.Logf("the right codename, meanwhile: %v", open(ctx, words))
		return all.Wait
	})
	t.Logf("wrong codenames: %d told so, %d told to come back, %d otherwise", wrong.Load(), busy.Load(), other.Load())
	if other.Load() > 0 || o.lost > 0 {
		t.Error("some got no answer in words")
	}
	if err := open(context.Background(), words); err != nil {
		t.Errorf("the right codename, afterwards: %v", err)
	}
}

// TestTinyReports: many reports of one word, one upon the other, cost no memory.
func TestTinyReports(t *testing.T) {
	h := newFloodHouse(t)
	peak, begin := h.watchMemory(), time.Now()
	left := make(chan int, *tinyReports)
	for i := range *tinyReports {
		left <- i
	}
	close(left)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range left {
				h.mustSend(source.Report{Message: "sí"})
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	t.Logf("%d reports in %.1f s, %.1f a second; %d MiB at most", *tinyReports, took.Seconds(), float64(*tinyReports)/took.Seconds(), peak()>>20)
	h.mustSend(source.Report{Message: "después"})
	for h.anonymous() > restMemory {
		if time.Since(begin) > took+time.Minute {
			t.Fatalf("%d MiB are still held", h.anonymous()>>20)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
