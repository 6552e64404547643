package cmd_test

// `make bench` measures and writes docs/performance.md. What is compared runs
// side by side in one run, in turns; the figures are medians and ratios.

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/onion/site"
	"resguardo/onion/tornet/source"
	"resguardo/vault"
	"resguardo/vault/translog"
)

var figures = flag.String("figures", "", "file that BenchmarkFigures writes")

const (
	gib   = int64(1 << 30)
	turns = 5 // of each side of a comparison
)

// parts are the chapters of the figures.
var parts = []struct {
	name    string
	measure func(testing.TB, io.Writer)
}{
	{"sizes", sizes}, {"stages", stages}, {"peers", peers}, {"reports", reports}, {"uploads", manyUploads}, {"texts", textReports},
	{"beside", besideUploads}, {"log", publicLog}, {"mailbox", mailbox}, {"backup", backups}, {"tor", overTor}, {"fetch", fetchMany},
}

// BenchmarkFigures runs every measurement once, whatever b.N is, and writes each
// chapter into the file as soon as it is measured. Chapters of which nothing is
// measured (-bench Figures/texts) stay as they are.
func BenchmarkFigures(b *testing.B) {
	if *figures == "" {
		b.Skip("needs -figures FILE: make bench")
	}
	for _, part := range parts {
		b.Run(part.name, func(b *testing.B) {
			debug.FreeOSMemory() // the peak of a command begins with what this process holds
			var doc bytes.Buffer
			part.measure(b, &doc)
			fmt.Fprintf(&doc, "\nMeasured on %s. %s", time.Now().UTC().Format("2 January 2006"), machine())
			b.Logf("%s", doc.Bytes())
			if err := replaceChapter(*figures, part.name, doc.String()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// replaceChapter writes the file with this text as its chapter of that name.
func replaceChapter(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	doc := "# Performance\n\nWritten by `make bench`. Compare ratios, not machines: figures of one table were measured in turns in one run.\n"
	for _, part := range parts {
		begin, end := "\n<!-- "+part.name+" -->\n", "\n<!-- end -->\n"
		_, kept, found := strings.Cut(string(old), begin)
		kept, _, _ = strings.Cut(kept, end)
		if part.name == name {
			kept, found = text, true
		}
		if found {
			doc += begin + kept + end
		}
	}
	return os.WriteFile(file, []byte(doc), 0o644)
}

// machine describes where the figures come from.
func machine() string {
	cpu, mem, kernel := "unknown processor", "", ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			mem = fmt.Sprintf(", %d GiB", kib>>20)
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = ", Linux " + strings.TrimSpace(string(b))
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("Machine: %s, %d cores%s%s, %s; age v1.3.2, bbolt v1.5.0, gin v1.12.0. Load at the start: %s.\n",
		cpu, runtime.NumCPU(), mem, kernel, runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " "))
}

// cost is what one run took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // bytes of anonymous memory
}

func medianOf[T int64 | time.Duration | float64](values []T) T {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}

func column[T int64 | time.Duration | float64](costs []cost, f func(cost) T) T {
	var v []T
	for _, c := range costs {
		v = append(v, f(c))
	}
	return medianOf(v)
}

func wall(c cost) time.Duration { return c.wall }
func cpu(c cost) time.Duration  { return c.cpu }
func peak(c cost) int64         { return c.peak }

// ratio is the median of pairwise ratios of wall times.
func ratio(a, b []cost, f func(cost) time.Duration) float64 {
	var v []float64
	for i := range a {
		v = append(v, f(a[i]).Seconds()/f(b[i]).Seconds())
	}
	return medianOf(v)
}

func writeRandom(t testing.TB, path string, size int64) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
}

// recipient is the age recipient of the house's reviewer.
func (h *house) recipient() string {
	b, err := os.ReadFile(filepath.Join(h.reviewer, "card.txt"))
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if r, ok := strings.CutPrefix(line, "recipient "); ok {
			return r
		}
	}
	h.t.Fatal("the card has no recipient")
	return ""
}

// upload sends the file as an attachment and measures the server.
func (h *house) upload(path string) cost {
	f, err := os.Open(path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	stop := h.watchMemory()
	before, begin := h.cpuTime(), time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	a, err := h.visitor().Send(ctx, video(f))
	if err != nil || a.Codename == "" {
		h.t.Fatalf("upload: %d, %v\n%.1000s", a.Status, err, a.Page)
	}
	return cost{time.Since(begin), h.cpuTime() - before, stop()}
}

// video is a report with one file.
func video(body io.Reader) source.Report {
	return source.Report{Message: "video", Files: []source.File{{Name: "video.mp4", Body: body}}}
}

// cpuTime is the server's user and system time so far.
func (h *house) cpuTime() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.server.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100) // clock ticks: 100 a second on Linux
}

// watchMemory samples the server's anonymous memory until the returned function is
// called, which returns the highest sample in bytes.
func (h *house) watchMemory() func() int64 {
	status := fmt.Sprintf("/proc/%d/status", h.server.Process.Pid)
	done, result := make(chan struct{}), make(chan int64)
	go func() {
		var highest int64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			b, _ := os.ReadFile(status)
			for line := range strings.Lines(string(b)) {
				if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
					kib, _ := strconv.ParseInt(f[1], 10, 64)
					highest = max(highest, kib<<10)
				}
			}
			select {
			case <-done:
				result <- highest
				return
			case <-tick.C:
			}
		}
	}()
	return func() int64 { close(done); return <-result }
}

// stages measures the steps of an upload one upon the other, in this process.
func stages(t testing.TB, doc io.Writer) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := seal.ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := vault.Init(dir, vault.Genesis{Origin: "stages", Epoch: 6 * time.Hour, Slots: 16}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	names := []string{"HTTP and multipart, discarded", "+ SHA-256", "+ zip, SHA-256 and age, discarded", "+ bbolt, durable"}
	steps := []func(io.Reader) error{
		func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
		func(r io.Reader) error { _, err := io.Copy(sha256.New(), r); return err },
		func(r io.Reader) error { return sealTo(io.Discard, r, to) },
		func(r io.Reader) error {
			d, err := v.Create(context.Background())
			if err != nil {
				return err
			}
			defer d.Discard()
			if err := sealTo(d, r, to); err != nil {
				return err
			}
			s := vault.Submission{Case: vault.NewCaseID(), Day: "2026-01-01", Recipients: 1, Desks: []string{"d"}, Recipient: to.String()}
			rand.Read(s.Mailbox[:])
			s.Event = translog.NewEvent(s.Mailbox, translog.Report, 0)
			s.Expire = translog.NewEvent(s.Mailbox, translog.Expire, 0)
			return d.Commit(context.Background(), s)
		},
	}
	costs := make([][]cost, len(steps))
	for range turns {
		for i, step := range steps {
			costs[i] = append(costs[i], stage(t, step))
		}
	}
	fmt.Fprintf(doc, "\n## Where the time goes: stages of 1 GiB\n\nEach row adds a step. Medians of %d, in turns, client and server in one process, so CPU holds both.\n\n| stage | wall s | CPU s |\n| --- | --- | --- |\n", turns)
	for i, name := range names {
		fmt.Fprintf(doc, "| %s | %.2f | %.2f |\n", name, column(costs[i], wall).Seconds(), column(costs[i], cpu).Seconds())
	}
}

func sealTo(dst io.Writer, body io.Reader, to seal.Recipient) error {
	w, err := seal.NewWriter(dst, to)
	if err != nil {
		return err
	}
	if err := w.WriteFile("video.mp4", "video/mp4", body); err != nil {
		return err
	}
	return w.Close(seal.Manifest{Origin: "stages", Case: "aaaaaaaaaaaaaaaa", Thread: strings.Repeat("00", 16), Kind: "report",
		Day: "2026-01-01", Desks: []string{"d"}, Share: "ask", ReplyTo: to.String(), ThreadKey: make([]byte, 32), DeskLogKey: make([]byte, 32)})
}

// stage posts 1 GiB as one multipart file to a handler that gives it to step.
func stage(t testing.TB, step func(io.Reader) error) cost {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts, err := r.MultipartReader()
		if err == nil {
			var part *multipart.Part
			if part, err = parts.NextPart(); err == nil {
				err = step(part)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", "video.mp4")
		if err == nil {
			_, err = io.CopyBuffer(part, io.LimitReader(repeat(rand.Text()), gib), make([]byte, 1<<20))
		}
		if err == nil {
			err = form.Close()
		}
		w.CloseWithError(err)
	}()
	before, begin := selfCPU(), time.Now()
	resp, err := http.Post(server.URL, form.FormDataContentType(), body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("stage: %s", text)
	}
	return cost{wall: time.Since(begin), cpu: selfCPU() - before}
}

func selfCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// manyUploads finds how peak memory grows with the number of uploads at once.
func manyUploads(t testing.TB, doc io.Writer) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	fmt.Fprintf(doc, "\n## Memory of N uploads of 128 MiB at once\n\n| N | peak MiB, anonymous | MiB/s, all together |\n| --- | --- | --- |\n")
	var peaks []int64
	counts := []int{1, 2, 4, 8, 16, 32}
	for _, n := range counts {
		stop, begin := h.watchMemory(), time.Now()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				a, err := h.visitor().Send(context.Background(), video(io.LimitReader(repeat(rand.Text()), 128<<20)))
				if err != nil || a.Codename == "" {
					t.Errorf("upload: %d, %v\n%.500s", a.Status, err, a.Page)
				}
			})
		}
		wg.Wait()
		p := stop()
		peaks = append(peaks, p)
		fmt.Fprintf(doc, "| %d | %d | %.0f |\n", n, p>>20, float64(n*128)/time.Since(begin).Seconds())
	}
	last := len(peaks) - 1
	each := float64(peaks[last]-peaks[0]) / float64(counts[last]-counts[0])
	fmt.Fprintf(doc, "\nFormula: about %d MiB + %.0f MiB for each further upload (straight line through N = %d and %d).\n",
		peaks[0]>>20, each/(1<<20), counts[0], counts[last])
}

// textReports measures reports of text alone, with the key derivation and without it.
func textReports(t testing.TB, doc io.Writer) {
	fmt.Fprintf(doc, "\n## Reports of text alone\n\nForms were fetched before. Without derivation Argon2id runs with its smallest memory, all else is the same: HTTP, sealing to one reviewer, slot, blob and row made durable. 4 KiB append + fdatasync on the same disk: %s.\n\n", fsyncRate(t))
	fmt.Fprintf(doc, "| clients | with derivation: reports/s | p50 ms | p99 ms | without: reports/s | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	with := newInProcess(t, codename.DefaultParams)
	without := newInProcess(t, codename.Params{Time: 1, Memory: 8, Threads: 1})
	for _, clients := range []int{1, 8, 64} {
		a := with.texts(t, clients, 60+clients)
		b := without.texts(t, clients, 2000)
		fmt.Fprintf(doc, "| %d | %.1f | %.0f | %.0f | %.0f | %.1f | %.1f |\n", clients, a.rate, a.p50, a.p99, b.rate, b.p50, b.p99)
	}
}

// fsyncRate measures the bare disk.
func fsyncRate(t testing.TB) string {
	f, err := os.Create(filepath.Join(t.TempDir(), "fsync"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	n, begin := 0, time.Now()
	for ; time.Since(begin) < 2*time.Second; n++ {
		if _, err := f.Write(page); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%.0f a second", float64(n)/time.Since(begin).Seconds())
}

// inProcess is a visitor of the site on a vault, in this process, so that the derivation can be made cheap.
type inProcess struct {
	visit source.Source
}

func newInProcess(t testing.TB, p codename.Params) *inProcess {
	dir := t.TempDir()
	if err := vault.Init(dir, vault.Genesis{Origin: "bench", Epoch: 6 * time.Hour, Slots: 16}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := seal.ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	desk := site.Desk{ID: "norte", Name: map[string]string{"es": "Equipo norte", "en": "North team"}, Regions: []string{"N"}, Recipients: []seal.Recipient{to}}
	s, err := site.New(site.Config{Origin: "bench", Languages: []string{"es", "en"}, Hosts: []string{l.Addr().String()}, Params: p},
		v, func() []site.Desk { return []site.Desk{desk} })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	return &inProcess{source.Source{Client: client, URL: "http://" + l.Addr().String(), Desk: "norte"}}
}

// rates are reports a second and latencies in milliseconds.
type rates struct{ rate, p50, p99 float64 }

// texts sends n reports from as many clients and measures their sends.
func (p *inProcess) texts(t testing.TB, clients, n int) rates {
	tokens := make(chan string, n)
	for range n {
		token, err := p.visit.Token(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		tokens <- token
	}
	close(tokens)
	took := make(chan time.Duration, n)
	var wg sync.WaitGroup
	var busy atomic.Int64
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			for token := range tokens {
				sent := time.Now()
				a, err := p.visit.SendWith(context.Background(), token, source.Report{Message: "Vi a tres personas en la garita."})
				if err != nil || a.Codename == "" {
					busy.Add(1)
				}
				took <- time.Since(sent)
			}
		})
	}
	wg.Wait()
	all := time.Since(begin)
	close(took)
	if busy.Load() > 0 {
		t.Errorf("%d of %d reports were refused", busy.Load(), n)
	}
	var ms []float64
	for d := range took {
		ms = append(ms, d.Seconds()*1000)
	}
	slices.Sort(ms)
	return rates{float64(n) / all.Seconds(), ms[len(ms)/2], ms[len(ms)*99/100]}
}

// besideUploads measures text reports while files of 1 GiB go in beside them.
func besideUploads(t testing.TB, doc io.Writer) {
	p := newInProcess(t, codename.Params{Time: 1, Memory: 8, Threads: 1})
	alone := p.texts(t, 1, 200)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				p.visit.Send(ctx, video(io.LimitReader(repeat(rand.Text()), gib)))
			}
		})
	}
	beside := p.texts(t, 1, 200)
	cancel()
	wg.Wait()
	fmt.Fprintf(doc, "\n## Reports of text while two files of 1 GiB go in beside them\n\nOne client, without derivation.\n\n| | p50 ms | p99 ms |\n| --- | --- | --- |\n| alone | %.1f | %.1f |\n| beside two uploads | %.1f | %.1f |\n\nAim: p99 under 250 ms plus the derivation.\n",
		alone.p50, alone.p99, beside.p50, beside.p99)
}
