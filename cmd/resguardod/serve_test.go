package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
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

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// nobody is the account that serves in these tests when they run as root: root
// may write everywhere and owns everything under /proc.
const nobody = 65534

// host is a directory of a machine that serves a demo vault with one desk and
// one reviewer: vault, vault.keys, tmp and home.
type host struct {
	t    *testing.T
	dir  string
	exe  string
	base string // address of the pages
	cmd  *exec.Cmd
	out  *bufio.Reader // the server's standard output
	logs *bytes.Buffer // its standard error, complete once it has ended
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	h.exe = filepath.Join(h.dir, "bin", "resguardod")
	for _, dir := range []string{"bin", "tmp", "home"} {
		h.check(os.Mkdir(filepath.Join(h.dir, dir), 0o755))
	}
	// Another account can neither enter the test's directory nor run its binary.
	h.check(os.Chmod(filepath.Dir(h.dir), 0o711))
	binary, err := os.ReadFile("/proc/self/exe")
	h.check(err)
	h.check(os.WriteFile(h.exe, binary, 0o755))
	h.check(os.Chmod(h.exe, 0o755))
	h.own()
	h.run("resguardod", "init", "-dir", "vault", "-origin", "x", "-demo")
	h.run("resguardod", "desk", "add", "-dir", "vault", "-id", "norte", "-name-es", "Norte", "-name-en", "North", "-region", "N")
	h.run("makecard", "home/ana")
	h.run("resguardod", "reviewer", "add", "-dir", "vault", "-desk", "norte", "home/ana.card")
	return h
}

func (h *host) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// own gives the directory to the account that serves.
func (h *host) own() {
	if os.Geteuid() == 0 {
		h.check(filepath.WalkDir(h.dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, nobody, nobody))
		}))
	}
}

// command is the program name (resguardod, or a command of the tests) on the
// host.
func (h *host) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(h.exe, args...)
	c.Args[0] = name
	c.Dir = h.dir
	c.Env = []string{"PATH=/usr/bin:/usr/sbin:/bin", "LANG=C.UTF-8", "HOME=" + filepath.Join(h.dir, "home"), "TMPDIR=" + filepath.Join(h.dir, "tmp"), "GOTRACEBACK=crash"}
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return c
}

func (h *host) run(name string, args ...string) string {
	h.t.Helper()
	out, err := h.command(name, args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// serve starts the server with a preview and without tor.
func (h *host) serve() {
	h.t.Helper()
	h.serveWith("-tor", "off", "-preview", "127.0.0.1:0")
}

// serveWith starts the server and waits until it is ready.
func (h *host) serveWith(args ...string) {
	h.t.Helper()
	h.cmd = h.command("resguardod", append([]string{"serve", "-json", "-dir", "vault"}, args...)...)
	h.logs = &bytes.Buffer{}
	h.cmd.Stderr = h.logs
	out, err := h.cmd.StdoutPipe()
	h.check(err)
	h.check(h.cmd.Start())
	server := h.cmd
	h.t.Cleanup(func() { // with its tor, which would go on writing while the folder goes
		late := time.AfterFunc(30*time.Second, func() { server.Process.Kill() })
		defer late.Stop()
		server.Process.Signal(syscall.SIGTERM) // it may have ended
		server.Wait()
	})
	h.out = bufio.NewReader(out)
	h.base = h.told("ready").Preview
}

// event is a line of serve -json, of any kind.
type event struct{ Event, Preview, Source, Reviewers, Torrc string }

// told is the next line of the server's, which must be of the given kind.
func (h *host) told(kind string) (e event) {
	h.t.Helper()
	late := time.AfterFunc(100*time.Second, func() { h.cmd.Process.Kill() })
	line, _ := h.out.ReadBytes('\n')
	late.Stop()
	if err := json.Unmarshal(line, &e); err != nil || e.Event != kind {
		h.cmd.Process.Kill()
		h.cmd.Wait()
		h.t.Fatalf("not %s: %q %v\n%s", kind, line, err, h.logs)
	}
	return e
}

// end sends a signal and returns how the server ended and how long it took.
func (h *host) end(s syscall.Signal) (time.Duration, error) {
	begin := time.Now()
	late := time.AfterFunc(30*time.Second, func() { h.cmd.Process.Kill() })
	defer late.Stop()
	h.check(h.cmd.Process.Signal(s))
	err := h.cmd.Wait()
	return time.Since(begin), err
}

func (h *host) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", h.cmd.Process.Pid, name) }

// items are the reports that the stopped vault holds.
func (h *host) items() []vault.Item {
	h.t.Helper()
	v, err := vault.Open(filepath.Join(h.dir, "vault"), vault.Options{})
	h.check(err)
	defer v.Close()
	defer h.own() // the files that we have just opened as root
	problems, err := v.Check(context.Background())
	if err != nil || len(problems) > 0 {
		h.t.Errorf("check: %v %v", err, problems)
	}
	return v.Items("norte")
}

var tokenForm = regexp.MustCompile(`<input type="hidden" name="token" value="([^"]+)">`)

// post begins to send a report with one file, whose content comes from body.
func (h *host) post(message string, body io.Reader) *http.Request {
	h.t.Helper()
	resp, err := http.Get(h.base + "/en/report?desk=norte")
	h.check(err)
	page, err := io.ReadAll(resp.Body)
	h.check(errors.Join(err, resp.Body.Close()))
	token := tokenForm.FindSubmatch(page)
	if token == nil {
		h.t.Fatalf("no token in the form:\n%s", page)
	}
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		w.CloseWithError(errors.Join(
			form.WriteField("token", string(token[1])),
			form.WriteField("desk", "norte"),
			form.WriteField("message", message),
			copyFile(form, "secret-name.txt", body),
			form.Close()))
	}()
	req, err := http.NewRequest(http.MethodPost, h.base+"/en/report", r)
	h.check(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	return req
}

func copyFile(form *multipart.Writer, name string, body io.Reader) error {
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, body)
	return err
}

var codenameForm = regexp.MustCompile(`<output id="codename">([^<]+)</output>`)

// send sends a report and returns its codename.
func (h *host) send(message, file string) string {
	h.t.Helper()
	resp, err := http.DefaultClient.Do(h.post(message, strings.NewReader(file)))
	h.check(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	h.check(err)
	codename := codenameForm.FindSubmatch(page)
	if codename == nil {
		h.t.Fatalf("no codename: %s\n%s", resp.Status, page)
	}
	return string(codename[1])
}

// half sends the beginning of a report, 5 MiB of its file included, and keeps
// the connection open. It returns when the server has taken all of that.
func (h *host) half(message, file string) {
	h.t.Helper()
	const size = 5 << 20
	taken := make(chan struct{})
	r, w := io.Pipe()
	go func() {
		w.Write(bytes.Repeat([]byte(file), size/len(file)))
		close(taken)
	}()
	req := h.post(message, r)
	answered := make(chan string, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		page, _ := io.ReadAll(resp.Body)
		answered <- resp.Status + "\n" + string(page)
	}()
	select {
	case <-taken:
	case page := <-answered:
		h.t.Fatalf("the upload was answered half-way: %s", page)
	}
	h.t.Cleanup(func() { w.Close() })
}

// grep returns the files below the host's directory that hold one of the
// strings, and paths whose name does.
func (h *host) grep(words ...string) (found []string) {
	h.t.Helper()
	h.check(filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		content := []byte(path)
		if e.Type().IsRegular() && path != h.exe {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = append(content, b...)
		}
		for _, w := range words {
			if bytes.Contains(content, []byte(w)) {
				found = append(found, path+" holds "+w)
			}
		}
		return nil
	}))
	return found
}

// outside lists what lies on the host, less the vault.
func (h *host) outside() (paths []string) {
	h.t.Helper()
	h.check(filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if path == filepath.Join(h.dir, "vault") {
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		paths = append(paths, fmt.Sprint(path, info.Size(), info.ModTime()))
		return err
	}))
	return paths
}

func TestTermEndsServerAndDropsUploads(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.send("first", "whole")
	h.half("second", "half ")
	took, err := h.end(syscall.SIGTERM)
	if err != nil || took > 10*time.Second {
		t.Errorf("ended with %v after %v\n%s", err, took, h.logs)
	}
	if n := len(h.items()); n != 1 {
		t.Errorf("%d reports, want 1: the other one was never acknowledged", n)
	}
}

func TestAcknowledgedReportsSurviveKill(t *testing.T) {
	h := newHost(t)
	const rounds = 5
	for i := range rounds {
		h.serve()
		if i%2 == 1 {
			h.half("unfinished", "half ")
		}
		h.send(fmt.Sprint("report ", i), "file")
		h.end(syscall.SIGKILL)
		if n := len(h.items()); n != i+1 {
			t.Fatalf("%d reports after %d were acknowledged", n, i+1)
		}
	}
}

// TestServeWritesNothingElsewhereAndNothingInClear is the operator's view of
// promise P1: every file on the host, and what the server printed.
func TestServeWritesNothingElsewhereAndNothingInClear(t *testing.T) {
	h := newHost(t)
	before := h.outside()
	h.serve()
	codename := h.send("canary-message", "canary-body")
	h.half("canary-half", "canary-stream ")
	h.end(syscall.SIGKILL)
	logs := h.logs.String()
	h.serve()
	h.half("canary-half", "canary-stream ")
	h.end(syscall.SIGTERM)
	logs += h.logs.String()

	if after := h.outside(); !slices.Equal(before, after) {
		t.Errorf("outside the vault, before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	canaries := []string{"canary-", "secret-name.txt", codename}
	if found := h.grep(canaries...); len(found) > 0 {
		t.Errorf("in clear on disk: %v", found)
	}
	for _, c := range append(canaries, "127.0.0.1", "/en/report") {
		if strings.Contains(logs, c) {
			t.Errorf("printed %q:\n%s", c, logs)
		}
	}
	// The search must be able to find something.
	if len(h.grep("PRIVATE+KEY")) == 0 {
		t.Error("the search does not search")
	}
}

// TestStorageErrorEndsServer: when nobody knows what the disk took, the source
// is told to send again, and the server ends.
func TestStorageErrorEndsServer(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.send("first", "whole")
	h.run("limit", fmt.Sprint(h.cmd.Process.Pid))
	resp, err := http.DefaultClient.Do(h.post("second", strings.NewReader("whole")))
	h.check(err)
	page, err := io.ReadAll(resp.Body)
	h.check(errors.Join(err, resp.Body.Close()))
	if resp.StatusCode < 500 || codenameForm.Match(page) || !bytes.Contains(page, []byte("second")) {
		t.Errorf("answered %s\n%s", resp.Status, page)
	}
	exit := (*exec.ExitError)(nil)
	if err := h.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if logs := h.logs.String(); !strings.Contains(logs, "resguardod: error: the disk did not take a report") || strings.Contains(logs, "goroutine") {
		t.Errorf("printed:\n%s", logs)
	}
	if n := len(h.items()); n < 1 {
		t.Errorf("%d reports: the one that was acknowledged is lost", n)
	}
	h.serve()
	h.send("second", "again")
}

func TestServeLeavesNoMemoryBehind(t *testing.T) {
	h := newHost(t)
	h.serve()
	limits, err := os.ReadFile(h.proc("limits"))
	h.check(err)
	if !regexp.MustCompile(`(?m)^Max core file size\s+0\s+0\s`).Match(limits) {
		t.Errorf("core dumps are possible:\n%s", limits)
	}
	// The kernel gives the files of a process that must not be dumped to root.
	info, err := os.Stat(h.proc("mem"))
	h.check(err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("/proc/PID/mem belongs to %d: the process can be dumped and traced", uid)
	}
	status, err := os.ReadFile(h.proc("status"))
	h.check(err)
	if !bytes.Contains(status, []byte("NoNewPrivs:\t1")) {
		t.Errorf("the process is not confined:\n%s", status)
	}
}

// listeners are the TCP sockets on which a process listens, such as
// "0100007F:1F90".
func (h *host) listeners(pid int) (all []string) {
	h.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", pid)
	fds, err := os.ReadDir(proc + "fd")
	h.check(err)
	held := map[string]bool{}
	for _, fd := range fds {
		if link, err := os.Readlink(proc + "fd/" + fd.Name()); err == nil {
			held[strings.Trim(strings.TrimPrefix(link, "socket:"), "[]")] = true
		}
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		b, err := os.ReadFile(proc + table)
		h.check(err)
		for _, line := range strings.Split(string(b), "\n")[1:] {
			f := strings.Fields(line)
			if len(f) >= 10 && f[3] == "0A" && held[f[9]] {
				all = append(all, f[1])
			}
		}
	}
	return all
}

func TestServerHoldsOnlyItsDoors(t *testing.T) {
	h := newHost(t)
	h.serve()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(h.base, "http://"))
	h.check(err)
	var want int
	fmt.Sscan(port, &want)
	if got := h.listeners(h.cmd.Process.Pid); !slices.Equal(got, []string{fmt.Sprintf("0100007F:%04X", want)}) {
		t.Errorf("listens at %s, want port %d of loopback alone", got, want)
	}
}

// TestOwnerOnly: root would leave files that the server's account cannot read.
func TestOwnerOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can try to work in another account's directory")
	}
	h := newHost(t)
	d, err := statedir.Open(filepath.Join(h.dir, "vault"))
	h.check(err)
	_, err = d.Lock(0)
	if err == nil || !strings.Contains(err.Error(), "belongs to the account with number 65534") {
		t.Errorf("got %v", err)
	}
}

// TestCrashOfTheProbe: when the child that opens the vault first crashes, its
// parent says so and lives.
func TestCrashOfTheProbe(t *testing.T) {
	d, _, err := statedir.Create(filepath.Join(t.TempDir(), "vault"),
		statedir.Settings{Name: "x", Epoch: time.Hour, Slots: 16, Languages: []string{"es"}},
		func(string, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	self := os.Args[0]
	defer func() { os.Args[0] = self }()
	os.Args[0] = "crash" // the child finds its command there
	want := "the vault is damaged or cannot be read: exit status 2"
	if err := probe(say.English(), d); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestDamageEndsInASentence: a vault whose file makes bbolt crash ends serve with a
// sentence.
func TestDamageEndsInASentence(t *testing.T) {
	h := newHost(t)
	path := filepath.Join(h.dir, "vault", "vault.db")
	good, err := os.ReadFile(path)
	h.check(err)
	for _, damage := range []struct {
		name string
		at   int
		with []byte
	}{
		{"both meta pages", 0, make([]byte, 8192)},
		{"every page but the meta pages", 8192, bytes.Repeat([]byte{0xff}, len(good)-8192)},
		{"everything", 0, bytes.Repeat([]byte("resguardo"), 2000)},
	} {
		t.Run(damage.name, func(t *testing.T) {
			bad := bytes.Clone(good)
			copy(bad[damage.at:], damage.with)
			h.check(os.WriteFile(path, bad, 0o600))
			c := h.command("resguardod", "serve", "-dir", "vault", "-tor", "off", "-preview", "127.0.0.1:0")
			timer := time.AfterFunc(time.Minute, func() { c.Process.Kill() }) // it must not serve
			out, err := c.CombinedOutput()
			timer.Stop()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("ended with %v", err)
			}
			if !bytes.HasPrefix(out, []byte("resguardod: error: the vault is damaged or cannot be read: ")) || bytes.Contains(out, []byte("goroutine")) {
				t.Errorf("printed:\n%s", out)
			}
		})
	}
}
