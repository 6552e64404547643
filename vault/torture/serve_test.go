package torture_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/onion/tornet/source"
	"resguardo/vault/torture/disk"
)

// build makes the programs, unless -programs says where they are.
func build(t *testing.T) string {
	t.Helper()
	if *programs != "" {
		return *programs
	}
	dir := t.TempDir()
	c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", dir+"/", "./cmd/resguardod", "./cmd/resguardo")
	c.Dir = "../.."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	return dir
}

// house is a machine with a server on it, and a reviewer elsewhere.
type house struct {
	*machine
	programs string
	reviewer string // directory of keys
	tmp      string // TMPDIR of the server
}

// command is a program that runs on the machine.
func (h *house) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(h.programs, program), args...)
	c.Env = append(os.Environ(), "TMPDIR="+h.tmp, "LANG=C", "LC_ALL=")
	c.Dir = h.tmp
	return c
}

func (h *house) state() string { return filepath.Join(h.dir, "vault") }

// must runs a command that has to succeed.
func (h *house) must(program string, args ...string) {
	h.t.Helper()
	if r := h.wait(h.command(program, args...), ""); r.code != 0 {
		h.t.Fatalf("%s %q: exit code %d\n%s%s", program, args, r.code, r.stdout, r.stderr)
	}
}

// ready are the addresses of a server.
type ready struct {
	Event, Preview string
	PreviewReview  string `json:"preview_review"`
}

// serve starts the server. It returns false when the power went off before it was ready.
func (h *house) serve() (c *exec.Cmd, r ready, ok bool) {
	h.t.Helper()
	c = h.command("resguardod", "serve", "-dir", h.state(), "-tor", "off", "-json", "-preview", "127.0.0.1:0", "-preview-review", "127.0.0.1:0")
	var log bytes.Buffer
	c.Stderr = &log
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { c.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Event == "ready" {
			go io.Copy(io.Discard, out)
			return c, r, true
		}
	}
	c.Wait()
	select {
	case <-h.disk.Dark():
	default:
		h.t.Fatalf("the server ended before it was ready:\n%s", &log)
	}
	return c, r, false
}

// received are the messages whose codename page a client has got as a whole.
type received struct {
	mu       sync.Mutex
	messages []string
}

// send sends reports until the power goes off. Every other one has a file.
func (d *received) send(ctx context.Context, url, name string, large bool) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	s := source.Source{Client: client, URL: url, Desk: "norte"}
	for i := 0; ctx.Err() == nil; i++ {
		r := source.Report{Message: fmt.Sprintf("%s, number %d", name, i)}
		if i%2 == 1 {
			size := 20 << 10
			if large {
				size = 6 << 20
			}
			r.Files = []source.File{{Name: "a.bin", Body: bytes.NewReader(make([]byte, size))}}
		}
		a, err := s.Send(ctx, r)
		if err == nil && a.Status == http.StatusOK && len(strings.Fields(a.Codename)) == 8 && strings.Contains(a.Page, "</html>") {
			d.mu.Lock()
			d.messages = append(d.messages, r.Message)
			d.mu.Unlock()
		}
	}
}

// prepare makes a vault with a desk and a reviewer on a disk.
func prepare(t *testing.T, programs string) (h *house) {
	t.Helper()
	base := t.TempDir()
	h = &house{machine: boot(t, disk.New(chance(*seed))), programs: programs, reviewer: filepath.Join(base, "reviewer"), tmp: filepath.Join(base, "tmp")}
	if err := os.Mkdir(h.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	h.must("resguardo", "keygen", "-dir", h.reviewer, "-name", "ana", "-no-passphrase")
	h.must("resguardod", "init", "-dir", h.state(), "-origin", "torture.example", "-epoch", "1h")
	h.must("resguardod", "desk", "add", "-dir", h.state(), "-id", "norte", "-name-es", "Norte", "-name-en", "North", "-region", "N")
	h.must("resguardod", "reviewer", "add", "-dir", h.state(), "-desk", "norte", filepath.Join(h.reviewer, "card.txt"))
	h.halt()
	return h
}

// on is the house with another disk.
func (h *house) on(t *testing.T, d *disk.Disk) *house {
	t.Helper()
	return &house{machine: boot(t, d), programs: h.programs, reviewer: h.reviewer, tmp: h.tmp}
}

// TestServePowerCut cuts the power under a server that receives reports, or kills
// the server first. Every report whose codename page a client has got as a whole
// is there after the next start, and opens.
func TestServePowerCut(t *testing.T) {
	template := prepare(t, build(t))
	var l *disk.Disk
	var got *received
	var c tally
	defer c.log(t)
	for round := range share(6) {
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%3 == 0 {
			l, got = template.disk.Copy(chance(s)), new(received)
		}
		h := template.on(t, l)
		before := len(got.messages)
		h.receive(r, got, round)
		var report disk.Report
		l, report = h.cut()
		c.add(report)
		c.acked += len(got.messages) - before
		t.Logf("round %d: %v; %d reports received", round, report, len(got.messages)-before)
		h = template.on(t, l)
		h.proveAll(got.messages)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		l, _ = h.disk.CutWith(disk.KeepAll)
		h.halt()
	}
	if c.acked == 0 {
		t.Error("nothing was received: the test proves nothing")
	}
}

// receive lets clients send until the power goes off or the server is killed.
func (h *house) receive(r *rand.Rand, got *received, round int) {
	h.t.Helper()
	plan(h.disk, r, 1000)
	server, addresses, ok := h.serve()
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for n := range 1 + r.IntN(3) {
		clients.Go(func() { got.send(ctx, addresses.Preview, fmt.Sprintf("round %d, source %d", round, n), n == 2) })
	}
	limit := 5 * time.Second
	if r.IntN(3) == 0 {
		limit = time.Duration(r.IntN(2000)) * time.Millisecond // killed, and then the power goes
	}
	select {
	case <-h.disk.Dark():
	case <-time.After(limit):
	}
	server.Process.Signal(syscall.SIGKILL)
	server.Wait()
	cancel()
	clients.Wait()
}

// proveAll checks the directory, starts the server again, and opens every report as its reviewer.
func (h *house) proveAll(want []string) {
	h.t.Helper()
	if r := h.wait(h.command("resguardod", "check", "-dir", h.state()), ""); r.code != 0 {
		h.t.Errorf("check: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	server, addresses, ok := h.serve()
	if !ok {
		return
	}
	defer server.Wait()
	defer server.Process.Kill()
	desk := filepath.Join(h.t.TempDir(), "reviewer")
	h.copyKeys(desk)
	h.must("resguardo", "fetch", "-dir", desk, "-server", addresses.PreviewReview)
	files, err := filepath.Glob(filepath.Join(desk, "cases", "*", "*.age"))
	if err != nil {
		h.t.Fatal(err)
	}
	var there []string
	for _, file := range files {
		message, err := open(file, filepath.Join(desk, "identity.txt"))
		if err != nil {
			h.t.Errorf("%s: %v", file, err)
		}
		there = append(there, message)
	}
	for _, message := range want {
		if !slices.Contains(there, message) {
			h.t.Errorf("lost: %q", message)
		}
	}
}

// copyKeys makes a reviewer's directory in which nothing was fetched yet.
func (h *house) copyKeys(to string) {
	h.t.Helper()
	files, err := os.ReadDir(h.reviewer)
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	for _, f := range files {
		var b []byte
		if err == nil && f.Type().IsRegular() {
			if b, err = os.ReadFile(filepath.Join(h.reviewer, f.Name())); err == nil {
				err = os.WriteFile(filepath.Join(to, f.Name()), b, 0o600)
			}
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// open decrypts a report with age and zip alone and returns its message.
func open(file, identity string) (string, error) {
	keys, err := os.ReadFile(identity)
	if err != nil {
		return "", err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(keys))
	if err != nil {
		return "", err
	}
	sealed, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(plain)
	if err != nil {
		return "", err
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return "", err
	}
	f, err := z.Open("message.txt")
	if err != nil {
		return "", err
	}
	defer f.Close()
	message, err := io.ReadAll(f)
	return string(message), err
}

// TestInitPowerCut cuts the power while an operator makes a vault. What init
// has confirmed is there; otherwise it can be made in another directory at least.
func TestInitPowerCut(t *testing.T) {
	template := prepare(t, build(t))
	var c tally
	defer c.log(t)
	again := 0
	for round := range share(4) {
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		h := template.on(t, disk.New(chance(s)))
		plan(h.disk, r, 90)
		made := h.wait(h.command("resguardod", "init", "-dir", h.state(), "-origin", "torture.example"), "").code == 0
		after, report := h.cut()
		c.add(report)
		h = template.on(t, after)
		first := h.wait(h.command("resguardod", "check", "-dir", h.state()), "")
		if first.code != 0 {
			if made {
				t.Fatalf("round %d: %v: init was confirmed, check says\n%s", round, report, first.stderr)
			}
			if r := h.wait(h.command("resguardod", "init", "-dir", h.state(), "-origin", "torture.example"), ""); r.code != 0 {
				if _, err := os.Stat(h.state()); err == nil {
					t.Fatalf("round %d: %v: half a vault is there: %s\n%s", round, report, first.stderr, r.stderr)
				}
				h.must("resguardod", "init", "-dir", h.state()+"2", "-origin", "torture.example")
			}
			again++
		}
		h.halt()
	}
	t.Logf("made again after %d of %d cuts", again, c.cuts)
}
