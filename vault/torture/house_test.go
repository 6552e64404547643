package torture_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"resguardo/vault"
	"resguardo/vault/torture/disk"
	"resguardo/vault/translog"
)

// built is where the programs are.
var built struct {
	once sync.Once
	dir  string // made by build; empty with -programs
}

// build makes the programs once, unless -programs says where they are.
func build(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var err error
		if *programs != "" {
			if *programs, err = filepath.Abs(*programs); err != nil {
				t.Fatal(err)
			}
			return
		}
		dir, err := os.MkdirTemp("", "torture-programs-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, *programs = dir, dir
		c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", dir+"/", "./cmd/resguardod", "./cmd/resguardo")
		c.Dir = "../.."
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("build the programs: %v\n%s", err, out)
		}
	})
	return *programs
}

// house is a machine with a server on it, and people elsewhere.
type house struct {
	*machine
	programs string
	people   string // a directory of keys for each: ana and other reviewers, eva, an auditor, and the operator
	tmp      string // TMPDIR of the server
}

// command is a program that runs on the machine.
func (h *house) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(h.programs, program), args...)
	c.Env = append(os.Environ(), "TMPDIR="+h.tmp, "LANG=C", "LC_ALL=")
	c.Dir = h.tmp
	return c
}

func (h *house) state() string             { return h.in("vault") }
func (h *house) in(name string) string     { return filepath.Join(h.dir, name) }
func (h *house) card(person string) string { return filepath.Join(h.people, person, "card.txt") }

// do runs a program to its end, or until the power is cut.
func (h *house) do(program string, args ...string) result {
	h.t.Helper()
	return h.wait(h.command(program, args...), "")
}

// must runs a command that has to succeed.
func (h *house) must(program string, args ...string) result {
	h.t.Helper()
	r := h.do(program, args...)
	if r.code != 0 {
		h.t.Fatalf("%s %q: exit code %d\n%s%s", program, args, r.code, r.stdout, r.stderr)
	}
	return r
}

// cheap makes the vault in dir, in which nothing is yet, anew with a key derivation
// that takes no time, and with room for many events in each epoch. It runs in a child.
func cheap(dir string) int {
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		complain(err)
		return exitRefused
	}
	g := v.Genesis()
	g.Time, g.Memory, g.Threads, g.Slots = 1, 8, 1, 64
	config := filepath.Join(dir, "resguardo.toml")
	text, readErr := os.ReadFile(config)
	text = slotsLine.ReplaceAll(text, fmt.Appendf(nil, "slots = %d", g.Slots))
	err = errors.Join(v.Close(), readErr, os.WriteFile(config, text, 0o600))
	for _, name := range []string{"vault.db", "blobs", "keys.slots", "high-water"} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err == nil {
		err = vault.Init(dir, g)
	}
	if err != nil {
		complain(err)
		return exitWrong
	}
	return 0
}

var slotsLine = regexp.MustCompile(`(?m)^slots = .*$`)

// reviewers are those who have keys. Only ana is in the desk at first.
var reviewers = []string{"ana", "berta", "carla"}

// prepare makes a vault with a desk and a reviewer on a disk. Its epochs last that long.
func prepare(t *testing.T, epoch time.Duration) *house {
	t.Helper()
	h := prepareOn(t, boot(t, disk.New(chance(*seed))), epoch)
	h.rest()
	return h
}

func prepareOn(t *testing.T, m *machine, epoch time.Duration) *house {
	t.Helper()
	base := t.TempDir()
	h := &house{machine: m, programs: build(t), people: filepath.Join(base, "people"), tmp: filepath.Join(base, "tmp")}
	if err := errors.Join(os.Mkdir(h.tmp, 0o700), os.Mkdir(h.people, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(slices.Clone(reviewers), "operator") {
		h.must("resguardo", "keygen", "-dir", filepath.Join(h.people, name), "-name", name, "-no-passphrase")
	}
	h.must("resguardo", "keygen", "-dir", filepath.Join(h.people, "eva"), "-name", "eva", "-role", "auditor", "-no-passphrase")
	h.writeRecipients()
	h.must("resguardod", "init", "-dir", h.state(), "-origin", "torture.example", "-demo", "-epoch", epoch.String())
	if r := h.run("", "cheap"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	h.must("resguardod", "desk", "add", "-dir", h.state(), "-id", "norte", "-name-es", "Norte", "-name-en", "North", "-region", "N")
	h.must("resguardod", "reviewer", "add", "-dir", h.state(), "-desk", "norte", h.card("ana"))
	return h
}

// writeRecipients writes the age recipient of the operator into a file of its own.
func (h *house) writeRecipients() {
	h.t.Helper()
	card, err := os.ReadFile(h.card("operator"))
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(string(card)) {
		if r, ok := strings.CutPrefix(line, "recipient "); ok {
			err = os.WriteFile(h.recipients(), []byte(r), 0o600)
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) recipients() string { return filepath.Join(h.people, "recipients.txt") }
func (h *house) identity() string   { return filepath.Join(h.people, "operator", "identity.txt") }

// rest makes all durable and switches the machine off. Its disk can be copied then.
func (h *house) rest() {
	h.t.Helper()
	h.machine.disk, _ = h.machine.disk.CutWith(disk.KeepAll)
	h.halt()
}

// on is the house with another disk.
func (h *house) on(t *testing.T, d *disk.Disk) *house {
	t.Helper()
	return &house{machine: boot(t, d), programs: h.programs, people: h.people, tmp: h.tmp}
}

// running is a server.
type running struct {
	Event, Preview string
	PreviewReview  string `json:"preview_review"`

	cmd   *exec.Cmd
	log   bytes.Buffer  // to be read when it has ended
	ready chan struct{} // closed when it is ready
	ended chan struct{} // closed when it has ended
}

// start starts a server on one of the machine's directories and waits until it is
// ready or has ended.
func (h *house) start(dir string) *running {
	h.t.Helper()
	s := &running{ready: make(chan struct{}), ended: make(chan struct{})}
	s.cmd = h.command("resguardod", "serve", "-dir", dir, "-tor", "off", "-json", "-preview", "127.0.0.1:0", "-preview-review", "127.0.0.1:0")
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if json.Unmarshal(lines.Bytes(), s) == nil && s.Event == "ready" {
				close(s.ready)
			}
		}
		s.cmd.Wait()
	}()
	h.t.Cleanup(s.kill)
	select {
	case <-s.ready:
	case <-s.ended:
	case <-h.disk.Dark():
		s.kill()
	case <-time.After(time.Minute):
		s.kill()
		h.t.Errorf("the server was not ready within a minute:\n%s", &s.log)
	}
	return s
}

// isReady tells whether a server became ready.
func (s *running) isReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// serve starts the server of the vault. It must become ready unless the power goes off.
func (h *house) serve() *running {
	h.t.Helper()
	s := h.start(h.state())
	if s.isReady() {
		return s
	}
	select {
	case <-h.disk.Dark():
	default:
		h.t.Fatalf("the server ended before it was ready:\n%s", &s.log)
	}
	return s
}

// kill ends a server as a power cut does.
func (s *running) kill() {
	s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.ended
}

// stop tells a server to end, as an operator does.
func (h *house) stop(s *running) {
	h.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.ended
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		h.t.Fatalf("the server ended with exit code %d:\n%s", code, &s.log)
	}
}

// prove checks the vault, starts its server, and looks for all that clients were
// promised: as a reviewer and as a reader of the log.
func (h *house) prove(c *clients) {
	h.t.Helper()
	if r := h.do("resguardod", "check", "-dir", h.state()); r.code != 0 {
		h.t.Errorf("check: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	s := h.serve()
	if !s.isReady() {
		return
	}
	defer s.kill()
	h.proveLog(s, c)
	h.proveReports(s, c)
}

// proveReports fetches and opens every report as ana does.
func (h *house) proveReports(s *running, c *clients) {
	h.t.Helper()
	there := h.fetch(s, "ana")
	for _, message := range c.messages {
		if there[message] == "" {
			h.t.Errorf("lost: %q", message)
		}
	}
	for message := range there {
		if !c.sent[message] {
			h.t.Errorf("nobody sent %q", message)
		}
		if c.gone[message] {
			h.t.Errorf("deleted, and there: %q", message)
		}
	}
}

// fetch brings all reports to a new folder of a reviewer: files by message.
func (h *house) fetch(s *running, who string) map[string]string {
	h.t.Helper()
	desk := filepath.Join(h.t.TempDir(), who)
	h.copyKeys(who, desk)
	h.judgeFetch(h.do("resguardo", "fetch", "-dir", desk, "-server", s.PreviewReview))
	files, err := filepath.Glob(filepath.Join(desk, "cases", "*", "*.age"))
	if err != nil {
		h.t.Fatal(err)
	}
	there := make(map[string]string)
	for _, file := range files {
		message, err := open(file, filepath.Join(desk, "identity.txt"))
		if err != nil {
			h.t.Errorf("%s: %v", file, err)
		}
		there[message] = file
	}
	return there
}

// late are the alarms of a fetch for which epochs of a second are to blame: an item or
// the log is some epochs late. That nothing is missing is what check is for.
var late = regexp.MustCompile(`is NOT in the public log, although it should be by now|the log ends [0-9]+ epochs of 1s ago`)

// judgeFetch lets a fetch fail for no other reason.
func (h *house) judgeFetch(r result) {
	h.t.Helper()
	if r.code == 0 {
		return
	}
	for line := range strings.Lines(r.stderr) {
		if strings.Contains(line, "error: ") && !late.MatchString(line) || r.code != 1 {
			h.t.Errorf("fetch: exit code %d\n%s", r.code, r.stderr)
			return
		}
	}
}

// copyKeys makes a reviewer's directory in which nothing was fetched yet.
func (h *house) copyKeys(who, to string) {
	h.t.Helper()
	files, err := os.ReadDir(filepath.Join(h.people, who))
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	for _, f := range files {
		var b []byte
		if err == nil && f.Type().IsRegular() {
			if b, err = os.ReadFile(filepath.Join(h.people, who, f.Name())); err == nil {
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

// proveLog reads the whole log over HTTP, as an auditor does, and compares it with
// every checkpoint that anybody has seen.
func (h *house) proveLog(s *running, c *clients) *translog.Monitor {
	h.t.Helper()
	m, err := h.readLog(s, c.seen)
	if err != nil {
		h.t.Errorf("the public log: %v", err)
	}
	return m
}

func (h *house) readLog(s *running, seen map[int64]string) (*translog.Monitor, error) {
	key, err := os.ReadFile(filepath.Join(h.state(), "log.vkey"))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	if err != nil {
		return nil, err
	}
	text, err := get(context.Background(), s.Preview+"/log/checkpoint")
	if err != nil {
		return nil, err
	}
	if _, err := note.Open(text, note.VerifierList(verifier)); err != nil {
		return nil, err
	}
	tree, err := checkpoint(text)
	if err != nil {
		return nil, err
	}
	tiles, err := torchwood.NewTileFetcher(s.Preview + "/log/")
	if err != nil {
		return nil, err
	}
	m := translog.NewMonitor(strings.TrimSpace(string(key)))
	var wrong error
	err = translog.Replay(context.Background(), m, tree.Tree, tiles, func(i int64, _ []byte) {
		if want := seen[i+1]; want != "" && m.Tree().Hash.String() != want {
			wrong = fmt.Errorf("another history of %d leaves was seen", i+1)
		}
	})
	for n := range seen {
		if n > tree.N {
			wrong = fmt.Errorf("somebody has seen %d leaves, the log has %d", n, tree.N)
		}
	}
	return m, errors.Join(err, wrong)
}
