package cmd_test

// The real server while system calls fail, by strace. Package vault/torture does the
// same, and power cuts, with a file system of its own and many more rounds.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
	"resguardo/vault"
)

// What becomes of a server in which a system call fails.
const (
	killed  = "killed"  // by the fault
	stopped = "stopped" // exit code 1: a source was told to send again, or it was not ready yet
	full    = "full"    // the source is told so, all else goes on
	either  = "either"  // it stops, or bears it
)

// injections are the calls that fail, in the first start of a vault ("first"), in a
// later one ("start"), when reports are sent ("send"), when a mailbox is deleted
// ("erase"), and when an epoch ends ("epoch").
var injections = []struct {
	when, file, call, fault, nth string
	want                         string
}{
	{"send", "keys.slots", "pwrite64", "signal=SIGKILL", "1", killed},
	{"send", "keys.slots", "pwrite64", "error=EIO", "1", stopped},
	{"send", "keys.slots", "fdatasync", "error=EIO", "1", stopped},
	{"send", "blobs/00000001.db", "pwrite64", "signal=SIGKILL", "2", killed},
	{"send", "blobs/00000001.db", "pwrite64", "error=EROFS", "1", stopped},
	{"send", "blobs/00000001.db", "pwrite64", "error=ENOSPC", "1+", full},
	{"send", "blobs/00000001.db", "fdatasync", "signal=SIGKILL", "1", killed},
	{"send", "blobs/00000001.db", "fdatasync", "error=EIO", "1", stopped},
	{"send", "vault.db", "pwrite64", "signal=SIGKILL", "1", killed},
	{"send", "vault.db", "pwrite64", "error=EROFS", "1", stopped},
	{"send", "vault.db", "pwrite64", "error=ENOSPC", "1", stopped},
	{"send", "vault.db", "fdatasync", "signal=SIGKILL", "1", killed},
	{"send", "vault.db", "fdatasync", "error=EIO", "1", stopped},
	{"erase", "blobs/00000001.db", "fallocate", "signal=SIGKILL", "1", killed},
	{"erase", "blobs/00000001.db", "fallocate", "error=EIO", "1", either},
	{"erase", "keys.slots", "pwrite64", "error=EROFS", "1", stopped},
	{"epoch", "high-water.new", "write", "signal=SIGKILL", "1", killed},
	{"epoch", "high-water.new", "fsync", "error=EIO", "1+", either},
	{"epoch", "high-water.new", "openat", "error=ENOSPC", "1+", either},
	{"epoch", "high-water.new", "/^rename", "signal=SIGKILL", "1", killed},
	{"epoch", "vault.db", "fdatasync", "error=EIO", "1", either},
	{"first", "high-water.new", "/^rename", "error=EIO", "1", either},
	{"first", "blobs/00000001.db", "ftruncate", "signal=SIGKILL", "1", killed},
	{"first", "blobs", "fsync", "error=EIO", "1", either},
	{"start", "vault.db", "pwrite64", "error=EROFS", "1", either},
	{"start", "seen", "openat", "error=EIO", "1+", either},
}

// TestInjectedErrors lets system calls of the real server fail. Whatever happens, no
// source is told "stored" unless it is; what was said to be deleted is; the log does not
// go back on anything that an auditor saw; and the next start is clean.
func TestInjectedErrors(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no strace")
		}
		t.Skip("no strace")
	}
	long, short := newInjected(t, "6h"), newInjected(t, "1s")
	for _, i := range injections {
		_, fault, _ := strings.Cut(i.fault, "=")
		t.Run(strings.Join([]string{i.when, filepath.Base(i.file), strings.TrimPrefix(i.call, "/^"), fault, i.nth}, "-"), func(t *testing.T) {
			t.Parallel()
			template := long // nothing but what the test does meets the fault
			if i.when == "epoch" {
				template = short
			}
			h := template.copy(t, i.when)
			fault := []string{strace, "-f", "-qq", "-o", "/dev/null", "-P", filepath.Join(h.dir, i.file),
				"-e", "trace=" + i.call, "-e", fmt.Sprintf("inject=%s:%s:when=%s", i.call, i.fault, i.nth)}
			h.under(fault, i.when)
			h.judge(i.want)
			h.kill()
			h.prove()
		})
	}
}

// injected is a house in which calls fail.
type injected struct {
	*house
	fresh  string // a vault that was never started, in the template
	told   []string
	sent   map[string]bool
	gone   string // codename of a mailbox that was deleted, and that was said
	victim string // codename of the mailbox to delete
	full   bool   // a source was told that there is no room
	again  bool   // a source was told to send again
	ended  chan struct{}
	tracer *exec.Cmd
}

// newInjected makes the vaults that the others are copies of: one before its first
// start, and one with two reports. An epoch lasts that long.
func newInjected(t *testing.T, epoch string) *injected {
	t.Helper()
	base := t.TempDir()
	i := &injected{house: &house{t: t, dir: filepath.Join(base, "vault"), reviewer: filepath.Join(base, "reviewer"),
		tmp: filepath.Join(base, "tmp"), log: &safeBuffer{}}, fresh: filepath.Join(base, "fresh"), sent: make(map[string]bool)}
	if err := os.Mkdir(i.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "resguardod", "init", "-dir", i.dir, "-origin", "inject.example", "-demo", "-epoch", epoch)
	cheapen(t, i.dir)
	run(t, "resguardo", "keygen", "-dir", i.reviewer, "-name", "ana", "-no-passphrase")
	run(t, "resguardod", "desk", "add", "-dir", i.dir, "-id", "norte", "-name-es", "Equipo norte", "-name-en", "North team", "-region", "N")
	run(t, "resguardod", "reviewer", "add", "-dir", i.dir, "-desk", "norte", filepath.Join(i.reviewer, "card.txt"))
	copyTree(t, i.dir, i.fresh)
	copyTree(t, i.dir+".keys", i.fresh+".keys")
	i.start()
	i.send(source.Report{Message: "first"})
	i.send(source.Report{Message: "victim", Files: []source.File{{Name: "a.bin", Body: bytes.NewReader(make([]byte, 300<<10))}}})
	if len(i.told) != 2 {
		t.Fatalf("received %q", i.told)
	}
	i.server.Process.Signal(syscall.SIGTERM)
	if err := i.server.Wait(); err != nil {
		t.Fatal(err)
	}
	i.server = nil
	return i
}

// cheapen makes a vault, in which nothing is yet, anew with a key derivation that takes
// no time.
func cheapen(t *testing.T, dir string) {
	t.Helper()
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := v.Genesis()
	g.Time, g.Memory = 1, 8
	err = v.Close()
	for _, name := range []string{"vault.db", "blobs", "keys.slots", "high-water"} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err := errors.Join(err, vault.Init(dir, g)); err != nil {
		t.Fatal(err)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
}

// copy is a house of its own for one fault.
func (i *injected) copy(t *testing.T, when string) *injected {
	t.Helper()
	base := t.TempDir()
	c := &injected{house: &house{t: t, dir: filepath.Join(base, "vault"), reviewer: filepath.Join(base, "reviewer"), tmp: filepath.Join(base, "tmp"),
		log: &safeBuffer{}}, sent: make(map[string]bool), victim: i.victim}
	from := i.dir
	if when == "first" {
		from = i.fresh
	} else {
		c.told, c.sent = slices.Clone(i.told), map[string]bool{"first": true, "victim": true}
	}
	copyTree(t, from, c.dir)
	copyTree(t, from+".keys", c.dir+".keys")
	copyTree(t, i.reviewer, c.reviewer)
	if err := os.Mkdir(c.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

// begin starts the server, under a fault if one is given, and waits until it is ready
// or has ended.
func (i *injected) begin(fault ...string) (ready bool) {
	i.t.Helper()
	line := append(fault, filepath.Join(programs, "resguardod"), "serve", "-dir", i.dir, "-json", "-tor", "off",
		"-preview", "127.0.0.1:0", "-preview-review", "127.0.0.1:0")
	c := exec.Command(line[0], line[1:]...)
	c.Env = append(os.Environ(), "TMPDIR="+i.tmp, "LANG=C", "LC_ALL=")
	c.Dir, c.Stderr = i.tmp, i.log
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.server, i.ended = c, make(chan struct{})
	up := make(chan event, 1)
	go func() {
		defer close(i.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e event
			if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "ready" {
				up <- e
			}
		}
		c.Wait()
	}()
	i.t.Cleanup(i.kill)
	select {
	case e := <-up:
		i.source, i.review = e.Preview, e.PreviewReview
		return true
	case <-i.ended:
		return false
	case <-time.After(time.Minute):
		i.t.Fatalf("the server does not become ready:\n%s", i.log)
		return false
	}
}

// kill ends the server and its tracer.
func (i *injected) kill() {
	if i.server != nil && i.ended != nil {
		i.server.Process.Kill()
		<-i.ended
	} else {
		i.house.kill()
	}
	if i.tracer != nil { // its tracee is gone
		i.tracer.Wait()
		i.tracer = nil
	}
}

// under lets a server meet a fault.
func (i *injected) under(fault []string, when string) {
	i.t.Helper()
	if when == "first" || when == "start" {
		// -D: the server is our child, and strace its own.
		if i.begin(append(slices.Insert(slices.Clone(fault), 1, "-D"), "--")...) {
			i.visit(when)
		}
		return
	}
	if !i.begin() {
		i.t.Fatalf("the server ended:\n%s", i.log)
	}
	i.audit()
	i.attach(fault)
	i.visit(when)
}

// attach lets strace take hold of every thread of the server.
func (i *injected) attach(fault []string) {
	i.t.Helper()
	pid := i.server.Process.Pid
	i.tracer = exec.Command(fault[0], append(fault[1:], "-p", fmt.Sprint(pid))...)
	if err := i.tracer.Start(); err != nil {
		i.t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil || time.Now().After(end) {
			i.t.Fatalf("strace does not take hold of the server: %v", err)
		}
		free := slices.ContainsFunc(files, func(file string) bool {
			b, err := os.ReadFile(file)
			return err == nil && bytes.Contains(b, []byte("TracerPid:\t0\n"))
		})
		if !free {
			return
		}
	}
}

// visit does what the fault waits for.
func (i *injected) visit(when string) {
	i.t.Helper()
	switch when {
	case "epoch":
		select {
		case <-i.ended:
		case <-time.After(2500 * time.Millisecond): // two epochs' ends
		}
	case "erase":
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		m, err := i.visitor().SignIn(ctx, i.victim)
		if err == nil {
			err = m.Erase(ctx)
		}
		if err == nil {
			i.gone = i.victim
		}
		i.told = slices.DeleteFunc(i.told, func(m string) bool { return m == "victim" }) // whole or not: see prove
		var no *source.Refused
		i.again = errors.As(err, &no) && no.Status >= 500
	default:
		for n := range 4 {
			file := source.File{Name: "a.bin", Body: bytes.NewReader(make([]byte, 300<<10))}
			if !i.send(source.Report{Message: fmt.Sprintf("under fault %d", n), Files: []source.File{file}}) {
				break
			}
		}
	}
}

// send sends a report and notes what the source was told.
func (i *injected) send(r source.Report) (stored bool) {
	i.t.Helper()
	i.sent[r.Message] = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := i.visitor().Send(ctx, r)
	whole := err == nil && strings.Contains(a.Page, "</html>")
	switch {
	case whole && a.Status == http.StatusOK && len(strings.Fields(a.Codename)) == 8:
		i.told = append(i.told, r.Message)
		if r.Message == "victim" {
			i.victim = a.Codename
		}
		return true
	case a.Codename != "":
		i.t.Errorf("a codename with status %d", a.Status)
	case whole && strings.Contains(a.Page, "No pudimos guardar tu reporte"):
		i.again = a.Status >= 500
	case whole && a.Status >= 500 && strings.Contains(a.Page, "no tiene espacio"):
		i.full = true
	case whole:
		i.t.Errorf("a good report: status %d:\n%.1000s", a.Status, a.Page)
	}
	return false
}

// judge compares what has become of the server with what should.
func (i *injected) judge(want string) {
	i.t.Helper()
	if want == stopped || want == killed {
		select {
		case <-i.ended:
		case <-time.After(20 * time.Second): // it ends within ten
		}
	}
	state := "running"
	select {
	case <-i.ended:
		state = stopped
		if s, ok := i.server.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			state = killed
		} else if i.server.ProcessState.ExitCode() != 1 || !strings.Contains(i.log.String(), "resguardod: error: ") {
			i.t.Errorf("exit code %d", i.server.ProcessState.ExitCode())
		}
	default:
	}
	if strings.Contains(i.log.String(), "goroutine ") {
		i.t.Error("it has panicked")
	}
	right := state == want || want == either && state != killed || want == full && state == "running" && i.full
	if !right || want == stopped && !i.again {
		i.t.Errorf("the server: %s, want %s; told to send again: %v, told that it is full: %v", state, want, i.again, i.full)
	}
	if i.t.Failed() {
		i.t.Logf("it said:\n%s", i.log)
	}
}

// audit follows the public log as an auditor does. Late it may be, but not wrong.
func (i *injected) audit() {
	i.t.Helper()
	c := exec.Command(filepath.Join(programs, "resguardo-audit"), "follow", "-url", i.source+"/log/",
		"-policy", filepath.Join(i.dir, "policy"), "-state", filepath.Join(i.tmp, "audit"))
	out, err := c.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		i.t.Errorf("audit: %v\n%s", err, out)
	}
}

// prove starts the server again, without a fault.
func (i *injected) prove() {
	i.t.Helper()
	i.log = &safeBuffer{}
	if !i.begin() {
		i.t.Fatalf("the next start:\n%s", i.log)
	}
	i.audit()
	if i.gone != "" {
		no := (*source.Refused)(nil)
		if _, err := i.visitor().SignIn(context.Background(), i.gone); !errors.As(err, &no) {
			i.t.Errorf("the mailbox that was deleted: %v", err)
		}
	}
	if !i.send(source.Report{Message: "afterwards"}) {
		i.t.Error("no report is taken afterwards")
	}
	there := i.fetchMessages()
	for _, message := range i.told {
		if !slices.Contains(there, message) {
			i.t.Errorf("lost: %q", message)
		}
	}
	for _, message := range there {
		if !i.sent[message] || i.gone != "" && message == "victim" {
			i.t.Errorf("should not be there: %q", message)
		}
	}
	if i.t.Failed() {
		i.t.Logf("it said:\n%s", i.log)
	}
	i.kill()
	run(i.t, "resguardod", "check", "-dir", i.dir)
}

// tooLate are the alarms of a fetch for which epochs of a second are to blame.
var tooLate = regexp.MustCompile(`is NOT in the public log, although it should be by now|the log ends [0-9]+ epochs of 1s ago`)

// fetchMessages opens everything as the reviewer does, with age and zip alone.
func (i *injected) fetchMessages() (messages []string) {
	i.t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(filepath.Join(programs, "resguardo"), "fetch", "-dir", i.reviewer, "-server", i.review)
	c.Env, c.Stderr = append(os.Environ(), "LANG=C", "LC_ALL="), &stderr
	err := c.Run()
	for line := range strings.Lines(stderr.String()) {
		if err != nil && strings.Contains(line, "error: ") && !tooLate.MatchString(line) {
			i.t.Errorf("fetch: %v\n%s", err, stderr.String())
		}
	}
	files, err := filepath.Glob(filepath.Join(i.reviewer, "cases", "*", "*.age"))
	if err != nil {
		i.t.Fatal(err)
	}
	for _, file := range files {
		messages = append(messages, i.unseal(file)["message.txt"])
	}
	return messages
}
