package main

import (
	"bufio"
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// need returns the path of a program that the test cannot do without.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// output runs a program and returns what it says on both outputs.
func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDebianPackages makes both packages twice, lets lintian read them, installs
// them below a folder, runs the server from there, and removes them. Nothing of
// the machine itself is touched.
func TestDebianPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs twice, and nothing here runs at the same time")
	}
	dpkg := need(t, "dpkg")
	root := newSystem(t)
	tools := t.TempDir()
	nfpm, err := (release{root: "../.."}).nfpm(tools)
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	for _, d := range debians {
		first, second := release{"../..", "1.2.3", to, day}, release{"../..", "1.2.3", t.TempDir(), day}
		if err := errors.Join(first.debian(nfpm, d, host.arch), second.debian(nfpm, d, host.arch)); err != nil {
			t.Fatal(err)
		}
		file := fmt.Sprintf("%s_1.2.3_%s.deb", d.name, host.arch)
		one, err1 := os.ReadFile(filepath.Join(first.to, file))
		two, err2 := os.ReadFile(filepath.Join(second.to, file))
		if errors.Join(err1, err2) != nil || !bytes.Equal(one, two) {
			t.Errorf("%s is not the same twice: %v", file, errors.Join(err1, err2))
		}
		lint(t, filepath.Join(to, file))
	}
	packages, err := filepath.Glob(filepath.Join(to, "*.deb"))
	if err != nil || len(packages) != 2 {
		t.Fatal(packages, err)
	}
	// tor and systemd are not in the folder: the scripts run those of the machine.
	output(t, dpkg, append([]string{"--root=" + root, "--force-script-chrootless", "--force-depends", "--install"}, packages...)...)
	checkInstalled(t, root)
	serveInstalled(t, root)
	startUnit(t, root)
	output(t, dpkg, "--root="+root, "--force-script-chrootless", "--purge", "resguardod", "resguardo")
	checkRemoved(t, root)
}

// lint lets Debian's own checker read a package, if it is there: the tests of a
// machine that is not Debian go without.
func lint(t *testing.T, file string) {
	t.Helper()
	lintian, err := exec.LookPath("lintian")
	if err != nil {
		t.Log(err)
		return
	}
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", file).Output()
	if err != nil || len(out) > 0 {
		t.Errorf("lintian %s: %v\n%s", file, err, out)
	}
}

// newSystem returns a folder that dpkg takes for an empty system with tor's
// account.
func newSystem(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can install a package")
		}
		t.Skip("only root can install a package")
	}
	root := t.TempDir()
	for _, dir := range strings.Fields("etc var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers") {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]string{"etc/passwd": "../testdata/passwd", "etc/group": "../testdata/group", "var/lib/dpkg/status": ""} {
		var data []byte
		if from != "" {
			var err error
			if data, err = os.ReadFile(from); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// checkInstalled looks at what the package's scripts made, and at the units:
// they must start the program where the package has put it.
func checkInstalled(t *testing.T, root string) {
	t.Helper()
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^resguardo:.*:/usr/sbin/nologin$`).Match(passwd) {
		t.Errorf("the account is missing:\n%s", passwd)
	}
	for path, mode := range map[string]fs.FileMode{"var/lib/resguardo": 0o700, "run/resguardo": 0o710} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("/%s: %v, %v", path, info, err)
		}
	}
	for _, unit := range []string{"resguardod.service", "resguardod-managed.service"} {
		text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system", unit))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("\nExecStart=/usr/bin/resguardod serve ")) || bytes.Contains(text, []byte("/usr/local")) {
			t.Errorf("%s starts another program:\n%s", unit, text)
		}
	}
	for _, name := range strings.Fields(`usr/share/man/man1/resguardod.1.gz usr/share/man/es/man1/resguardo.1.gz usr/share/man/man1/resguardo-audit.1.gz usr/share/doc/resguardod/raid.es.md
		usr/share/doc/resguardod/examples/questions.toml usr/share/doc/resguardod/examples/locales/es.toml`) {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
}

// serveInstalled makes a vault with the installed program, proves it, serves it
// and asks for a page.
func serveInstalled(t *testing.T, root string) {
	t.Helper()
	for _, program := range everything {
		if out := output(t, filepath.Join(root, "usr/bin", program), "-version"); !strings.HasPrefix(out, program+" 1.2.3 ") {
			t.Errorf("%s is version %q", program, out)
		}
	}
	program, dir := filepath.Join(root, "usr/bin/resguardod"), filepath.Join(t.TempDir(), "vault")
	output(t, program, "init", "-dir", dir, "-origin", "package.example")
	c := exec.Command(program, "serve", "-dir", dir, "-tor", "off", "-preview", "127.0.0.1:0", "-json")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill() // fails if it has ended as it should
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	var ready struct{ Event, Preview string }
	if err := errors.Join(err, json.Unmarshal(line, &ready)); err != nil || ready.Event != "ready" {
		t.Fatalf("%q: %v\n%s", line, err, stderr.Bytes())
	}
	resp, err := http.Get(ready.Preview + "/en/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the page answers %s", resp.Status)
	}
	output(t, program, "check", "-dir", dir)
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr.Bytes())
	}
	output(t, program, "check", "-dir", dir)
}

// startUnit starts the server with the command line of the installed unit, as the
// account that the package has made, in the folder as its root. systemd itself is not
// asked: its sandbox is proven in package packaging.
func startUnit(t *testing.T, root string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/resguardod.service"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindSubmatch(text)
	user := regexp.MustCompile(`(?m)^User=(.*)$`).FindSubmatch(text)
	if line == nil || user == nil {
		t.Fatalf("no ExecStart or no User:\n%s", text)
	}
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	account := regexp.MustCompile(`(?m)^` + string(user[1]) + `:[^:]*:(\d+):(\d+):`).FindSubmatch(passwd)
	if account == nil {
		t.Fatalf("no account %s", user[1])
	}
	inside := func(as, script string) *exec.Cmd {
		return exec.Command("unshare", "--mount", "sh", "-c", `mkdir -p "$0/proc" "$0/dev" && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot --userspec="$1" "$0" $2`, root, as, script)
	}
	onion := "[onion]\nsource = \"%s\"\nreviewers = \"%s\"\n"
	address := func(first byte) string { return onionAddress([32]byte{first}) }
	if out, err := inside("0:0", "/usr/bin/resguardod init -dir /var/lib/resguardo -origin unit.example").CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	config := filepath.Join(root, "var/lib/resguardo/resguardo.toml")
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b[:bytes.Index(b, []byte("\n[onion]"))+1], fmt.Sprintf(onion, address(1), address(2))...)
	if err := os.WriteFile(config, b, 0o600); err != nil {
		t.Fatal(err)
	}
	as := fmt.Sprintf("%s:%s", account[1], account[2])
	output(t, "chown", "-R", as, filepath.Join(root, "var/lib/resguardo"))
	// The account cannot read the governance key: the first start asks for a signature.
	if out, err := inside(as, string(line[1])).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("wait for the governance key")) {
		t.Fatalf("first start: %v\n%s", err, out)
	}
	requests, err := filepath.Glob(filepath.Join(root, "var/lib/resguardo/requests/*.note"))
	if err != nil || len(requests) == 0 {
		t.Fatal("no requests", err)
	}
	sign := "/usr/bin/resguardod sign -key /var/lib/resguardo.keys/governance.key"
	for _, path := range requests {
		sign += " " + strings.TrimPrefix(path, root)
	}
	if out, err := inside("0:0", sign).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", sign, err, out)
	}
	output(t, "chown", "-R", as, filepath.Join(root, "var/lib/resguardo"))
	c := inside(as, string(line[1]))
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	first, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(first, "ready: ") {
		t.Errorf("the unit's command says %q: %v\n%s", first, err, stderr.Bytes())
	}
	for _, socket := range []string{"source.sock", "reviewers.sock"} {
		info, err := os.Lstat(filepath.Join(root, "run/resguardo", socket))
		if err != nil || info.Mode().Type() != fs.ModeSocket || fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid) != string(account[1]) {
			t.Errorf("%s: %v %v", socket, info, err)
		}
	}
	if err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()); err != nil {
		t.Errorf("%v\n%s", err, stderr.Bytes())
	}
}

// onionAddress is that of a public key: rend-spec-v3, section 6.
func onionAddress(key [32]byte) string {
	sum := sha3.Sum256(slices.Concat([]byte(".onion checksum"), key[:], []byte{3}))
	return strings.ToLower(base32.StdEncoding.EncodeToString(slices.Concat(key[:], sum[:2], []byte{3}))) + ".onion"
}

// checkRemoved: the programs go; the folder of the vault stays, also after purge.
func checkRemoved(t *testing.T, root string) {
	t.Helper()
	for _, program := range everything {
		if _, err := os.Stat(filepath.Join(root, "usr/bin", program)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", program, err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/resguardo")); err != nil {
		t.Errorf("the package took the vault's folder away: %v", err)
	}
}
