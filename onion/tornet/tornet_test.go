package tornet_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"resguardo/onion/tor"
	"resguardo/onion/tornet"
)

var shared tornet.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Close()
	os.Exit(code)
}

// TestNothingLeavesTheMachine looks at every socket of every tor that uses the
// network, of which some talk over it meanwhile.
func TestNothingLeavesTheMachine(t *testing.T) {
	n := shared.Network(t)
	if _, err := n.Client(t.Context()); err != nil {
		t.Fatal(err)
	}
	pids := torsOf(t, n)
	if len(pids) < 9 {
		t.Errorf("%d tors; want 8 nodes and a client", len(pids))
	}
	for _, pid := range pids {
		found := addresses(t, pid)
		if len(found) == 0 {
			t.Errorf("tor %s has no socket", pid)
		}
		for _, address := range found {
			if !address.IsLoopback() && !address.IsUnspecified() {
				t.Errorf("tor %s has a socket to or from %v", pid, address)
			}
		}
	}
}

// torsOf returns the processes whose torrc includes the network's lines.
func torsOf(t *testing.T, n *tornet.Network) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		b, _ := os.ReadFile(path) // it may have ended
		args := strings.Split(string(b), "\x00")
		i := slices.Index(args, "-f")
		if i < 0 || i+1 == len(args) || filepath.Base(args[i+1]) != "torrc" {
			continue
		}
		if text, _ := os.ReadFile(args[i+1]); strings.Contains(string(text), n.Include()) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// addresses returns both ends of every IPv4 and IPv6 socket of pid.
func addresses(t *testing.T, pid string) (found []net.IP) {
	t.Helper()
	open := map[string]bool{}
	files, _ := filepath.Glob("/proc/" + pid + "/fd/*")
	for _, f := range files {
		target, _ := os.Readlink(f)
		open[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/" + pid + "/net/" + table)
		if err != nil {
			continue // ended
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line) // 1 local, 2 remote, 9 inode
			if len(f) > 9 && open[f[9]] {
				found = append(found, kernelIP(t, f[1]), kernelIP(t, f[2]))
			}
		}
	}
	return found
}

// kernelIP reads "0100007F:1F90": 32-bit words in the machine's byte order,
// which is little-endian wherever these tests run.
func kernelIP(t *testing.T, s string) net.IP {
	t.Helper()
	digits, _, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(digits)
	if err != nil || len(b)%4 != 0 {
		t.Fatalf("address %q", s)
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	return net.IP(b)
}

func TestMissingTorIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(tornet.Env, "")
	if _, err := tornet.Join(t.Context(), t.TempDir()); !errors.Is(err, tor.ErrNotFound) {
		t.Errorf("%v; want tor.ErrNotFound", err)
	}
}

func TestMissingTorFailsInCI(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(tornet.Env, "")
	for ci, want := range map[string]string{"true": "fatal", "": "skip"} {
		t.Setenv("CI", ci)
		got := ""
		func() {
			defer func() { got = fmt.Sprint(recover()) }()
			var s tornet.Shared
			defer s.Close()
			s.Network(&verdict{TB: t})
		}()
		if got != want {
			t.Errorf("CI=%q: %s; want %s", ci, got, want)
		}
	}
}

// verdict panics with what a test would have ended with.
type verdict struct{ testing.TB }

func (verdict) Skip(...any)  { panic("skip") }
func (verdict) Fatal(...any) { panic("fatal") }
func (verdict) Helper()      {}

func TestLostNetworkIsNamed(t *testing.T) {
	if _, err := tor.Look(context.Background(), ""); err != nil {
		t.Skip(err)
	}
	gone := filepath.Join(t.TempDir(), "include.torrc")
	t.Setenv(tornet.Env, gone)
	if _, err := tornet.Join(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("%v; want an error that names %s", err, gone)
	}
}
