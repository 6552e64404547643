// Package packaging_test checks the units as far as that works without a
// running systemd: what systemd-analyze says of them, what the account and the
// directories become, and whether the filters let pass every system call that
// the programs make.
package packaging_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "add the system calls that were seen to testdata/resguardod.syscalls")

const (
	systemUnit  = "resguardod.service"
	managedUnit = "resguardod-managed.service"
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
	out, err := exec.Command(need(t, program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// put copies a file of this folder to a path below root.
func put(t *testing.T, root, path, from string, mode fs.FileMode) {
	t.Helper()
	var content []byte
	if from != "" {
		var err error
		if content, err = os.ReadFile(from); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

// TestUnitsAreUnderstood fails for a key that systemd does not know, a value
// that it ignores and a program whose path is wrong.
func TestUnitsAreUnderstood(t *testing.T) {
	for _, unit := range []string{systemUnit, managedUnit} {
		t.Run(unit, func(t *testing.T) {
			root := t.TempDir()
			put(t, root, "usr/local/bin/resguardod", "", 0o755)
			put(t, root, "etc/systemd/system/"+unit, unit, 0o644)
			// verify looks for what every service begins and ends with.
			for _, target := range []string{"sysinit", "basic", "shutdown", "network"} {
				put(t, root, "usr/lib/systemd/system/"+target+".target", "testdata/empty.target", 0o644)
			}
			if out := output(t, "systemd-analyze", "verify", "--root="+root, "--man=no", unit); out != "" {
				t.Errorf("systemd-analyze verify says:\n%s", out)
			}
		})
	}
}

// TestExposure keeps the units as closed as they are. systemd 252 rates them
// 0.2 and 1.1; the managed one pays for the network that its tor needs.
func TestExposure(t *testing.T) {
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+) `)
	for unit, limit := range map[string]float64{systemUnit: 0.4, managedUnit: 1.2} {
		out := output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "./"+unit)
		m := overall.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("%s: no rating in:\n%s", unit, out)
		}
		rating, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if rating > limit {
			t.Errorf("%s: exposure %.1f, limit %.1f\n%s", unit, rating, limit, out)
		}
	}
}

// settings reads the values of the keys of a unit, in order.
func settings(t *testing.T, unit string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			all[key] = append(all[key], value)
		}
	}
	return all
}

// TestPromises holds what systemd-analyze does not rate.
func TestPromises(t *testing.T) {
	both := map[string]string{
		"LimitCORE":                "0",
		"MemorySwapMax":            "0",
		"Environment":              "GOTRACEBACK=none",
		"UMask":                    "0077",
		"NoExecPaths":              "/",
		"ReadOnlyPaths":            "/tmp /var/tmp /dev/shm",
		"RestartPreventExitStatus": "2 3",
	}
	only := map[string]map[string]string{
		systemUnit: {
			"PrivateNetwork":          "yes",
			"RestrictAddressFamilies": "AF_UNIX",
			"ReadWritePaths":          "/var/lib/resguardo /run/resguardo",
			"ExecPaths":               "/usr/local/bin/resguardod",
		},
		managedUnit: {
			"SocketBindDeny": "any",
			"ReadWritePaths": "/var/lib/resguardo",
			"KillMode":       "mixed",
			"OOMPolicy":      "continue",
		},
	}
	for unit, own := range only {
		got := settings(t, unit)
		for _, wanted := range []map[string]string{both, own} {
			for key, value := range wanted {
				if !slices.Equal(got[key], []string{value}) {
					t.Errorf("%s: %s is %q, not %q", unit, key, got[key], value)
				}
			}
		}
	}
}

// TestAccount makes the account and the directories below another root.
func TestAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can give files away")
		}
		t.Skip("only root can give files away")
	}
	root := t.TempDir()
	put(t, root, "usr/lib/sysusers.d/resguardo.conf", "sysusers.d/resguardo.conf", 0o644)
	put(t, root, "usr/lib/tmpfiles.d/resguardo.conf", "tmpfiles.d/resguardo.conf", 0o644)
	put(t, root, "etc/passwd", "testdata/passwd", 0o644)
	put(t, root, "etc/group", "testdata/group", 0o644)
	output(t, "systemd-sysusers", "--root="+root, "resguardo.conf")
	output(t, "systemd-tmpfiles", "--root="+root, "--create", "resguardo.conf")

	passwd := fields(t, filepath.Join(root, "etc/passwd"))
	group := fields(t, filepath.Join(root, "etc/group"))
	account, reach := passwd["resguardo"], group["resguardo-tor"]
	if len(account) != 7 || account[6] != "/usr/sbin/nologin" {
		t.Fatalf("account %q", account)
	}
	if len(reach) != 4 || reach[3] != "debian-tor" {
		t.Errorf("members of resguardo-tor: %q, not only debian-tor", reach)
	}
	if members := group["debian-tor"][3]; members != "" {
		t.Errorf("members of debian-tor: %q; they can read tor's control cookie", members)
	}
	for path, want := range map[string]string{
		"var/lib/resguardo": fmt.Sprintf("drwx------ %s %s", account[2], account[3]),
		"run/resguardo":     fmt.Sprintf("dgrwx--x--- %s %s", account[2], reach[2]),
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		s := info.Sys().(*syscall.Stat_t)
		if got := fmt.Sprintf("%v %d %d", info.Mode(), s.Uid, s.Gid); got != want {
			t.Errorf("/%s: %s, not %s", path, got, want)
		}
	}
}

// fields reads a file like /etc/passwd by the first field of each line.
func fields(t *testing.T, path string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range bytes.Lines(b) {
		f := strings.Split(strings.TrimSpace(string(line)), ":")
		all[f[0]] = f
	}
	return all
}
