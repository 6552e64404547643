package packaging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
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
)

// set is a set of names of system calls.
type set map[string]bool

// groups returns systemd's named sets of system calls, with their members
// written out.
func groups(t *testing.T) map[string]set {
	t.Helper()
	raw := map[string][]string{}
	name := ""
	for line := range strings.Lines(output(t, "systemd-analyze", "syscall-filter", "--no-pager")) {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || strings.HasPrefix(word, "#"):
		case strings.HasPrefix(line, "@"):
			name = word
		default:
			raw[name] = append(raw[name], word)
		}
	}
	all := map[string]set{}
	var members func(name string) set
	members = func(name string) set {
		if !strings.HasPrefix(name, "@") {
			return set{name: true}
		}
		if raw[name] == nil {
			t.Fatalf("systemd knows no set %s", name)
		}
		m := set{}
		for _, word := range raw[name] {
			maps.Copy(m, members(word))
		}
		return m
	}
	for name := range raw {
		all[name] = members(name)
	}
	return all
}

// allowed returns what the SystemCallFilter lines of a unit let pass, by the
// rules of systemd.exec(5): the first makes a list of what is allowed, on top
// of @default; each later one adds, or takes away after a tilde.
func allowed(t *testing.T, unit string, known map[string]set) set {
	t.Helper()
	pass := maps.Clone(known["@default"])
	for i, line := range settings(t, unit)["SystemCallFilter"] {
		words, deny := strings.CutPrefix(line, "~")
		if i == 0 && deny {
			t.Fatalf("%s: the filter begins with what is forbidden", unit)
		}
		for _, word := range strings.Fields(words) {
			members, ok := known[word]
			if !ok {
				members = set{word: true}
			}
			if !strings.HasPrefix(word, "@") && !known["@known"][word] {
				t.Errorf("%s: systemd knows no system call %s", unit, word)
			}
			for call := range members {
				if deny {
					delete(pass, call)
				} else {
					pass[call] = true
				}
			}
		}
	}
	return pass
}

// recorded reads a list of system calls, one a line, comments after #.
func recorded(t *testing.T, path string) set {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	calls := set{}
	for line := range strings.Lines(string(b)) {
		if call, _, _ := strings.Cut(line, "#"); strings.TrimSpace(call) != "" {
			calls[strings.TrimSpace(call)] = true
		}
	}
	return calls
}

// unseen are calls that a recording may miss: deletion punches holes into the
// blob files, and Go and tor fall back to the others on older kernels.
const unseen = "fallocate msync wait4 kill rename mkdirat linkat pipe poll eventfd2 epoll_wait epoll_pwait2 clone3 statx faccessat2 sendfile copy_file_range"

// TestFilterLetsProgramsRun compares the recorded calls with the filters.
func TestFilterLetsProgramsRun(t *testing.T) {
	known := groups(t)
	for unit, lists := range map[string][]string{
		systemUnit:  {"testdata/resguardod.syscalls"},
		managedUnit: {"testdata/resguardod.syscalls", "testdata/tor.syscalls"},
	} {
		pass := allowed(t, unit, known)
		for call := range strings.FieldsSeq(unseen) {
			if !pass[call] {
				t.Errorf("%s forbids %s", unit, call)
			}
		}
		for _, list := range lists {
			for call := range recorded(t, list) {
				if !pass[call] {
					t.Errorf("%s forbids %s, which is in %s", unit, call, list)
				}
			}
		}
	}
}

// TestFilterForbids names calls with which a process that was taken over could
// reach other processes, the kernel's rarely tested parts or more rights.
func TestFilterForbids(t *testing.T) {
	known := groups(t)
	for _, unit := range []string{systemUnit, managedUnit} {
		pass := allowed(t, unit, known)
		for _, call := range strings.Fields(`ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp mount umount2 move_mount
			open_tree pivot_root chroot setns unshare bpf perf_event_open userfaultfd io_uring_setup io_uring_enter add_key keyctl
			request_key init_module finit_module kexec_load kexec_file_load reboot swapon setuid setgid setgroups setresuid capset
			chown fchownat personality modify_ldt iopl ioperm clock_settime settimeofday memfd_create execveat open_by_handle_at
			mlockall shmat msgsnd`) {
			if pass[call] {
				t.Errorf("%s allows %s", unit, call)
			}
		}
	}
}

// TestServerStaysWithinFilter lets the real server start, take a report, answer
// a command and stop under strace. With -update it adds what it sees to the
// list; the list keeps what only some runs or some kernels show.
func TestServerStaysWithinFilter(t *testing.T) {
	strace := need(t, "strace")
	pass := allowed(t, systemUnit, groups(t))
	bin, dir := build(t), filepath.Join(t.TempDir(), "vault")
	seen := filepath.Join(t.TempDir(), "seen")
	program := filepath.Join(bin, "resguardod")
	output(t, program, "init", "-dir", dir, "-origin", "packaging.example")
	reviewer := filepath.Join(t.TempDir(), "reviewer")
	output(t, filepath.Join(bin, "resguardo"), "keygen", "-dir", reviewer, "-name", "ana", "-no-passphrase")
	output(t, program, "desk", "add", "-dir", dir, "-id", "norte", "-name-es", "Equipo norte", "-name-en", "North team", "-region", "N")
	output(t, program, "reviewer", "add", "-dir", dir, "-desk", "norte", filepath.Join(reviewer, "card.txt"))

	c := exec.Command(strace, "-f", "-c", "-U", "name", "-o", seen, program, "serve", "-dir", dir, "-tor", "off", "-preview", "127.0.0.1:0", "-json")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill() // strace; the server ends with it
	var ready struct{ Preview string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	output(t, program, "desk", "add", "-dir", dir, "-id", "sur", "-name-es", "Equipo sur", "-name-en", "South team", "-region", "S")
	send(t, ready.Preview)
	stop(t, filepath.Join(dir, "control.sock"))
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}

	list := "testdata/resguardod.syscalls"
	calls := recorded(t, list)
	table, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range regexp.MustCompile(`(?m)^[a-z][a-z0-9_]*$`).FindAllString(string(table), -1) {
		if call != "syscall" && call != "total" && !pass[call] {
			t.Errorf("the server calls %s, which %s forbids", call, systemUnit)
		}
		if call != "syscall" && call != "total" {
			calls[call] = true
		}
	}
	if len(calls) < 30 {
		t.Errorf("strace shows only %d calls:\n%s", len(calls), table)
	}
	if *update {
		text := strings.Join(slices.Sorted(maps.Keys(calls)), "\n") + "\n"
		if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// build makes both programs as a release has them: static.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", bin+"/", "resguardo/cmd/resguardod", "resguardo/cmd/resguardo")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// send sends a report with a file of two storage values.
func send(t *testing.T, preview string) {
	t.Helper()
	page := body(t)(http.Get(preview + "/en/report?desk=norte"))
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		t.Fatalf("no token in the form:\n%s", page)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range [][2]string{{"token", token[1]}, {"desk", "norte"}, {"message", "Only a test."}} {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "a.bin")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(make([]byte, 400<<10)) // a bytes.Buffer takes all
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	answer := body(t)(http.Post(preview+"/en/report", w.FormDataContentType(), &b))
	if !strings.Contains(answer, `<output id="codename">`) {
		t.Fatalf("the report was not taken:\n%s", answer)
	}
}

func body(t *testing.T) func(*http.Response, error) string {
	return func(r *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// stop asks the server for its process id and ends it as systemd does.
func stop(t *testing.T, socket string) {
	t.Helper()
	control := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
	var status struct{ PID int }
	if err := json.Unmarshal([]byte(body(t)(control.Get("http://control/v1/status"))), &status); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(status.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}
