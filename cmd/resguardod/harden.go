package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// leaveNoCore sees to it that no part of our memory reaches the disk by a core
// dump, nor another process of the same owner by ptrace or /proc/PID/mem.
func leaveNoCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return say.Fail(say.T("cannot switch off core dumps: %s", say.Bare(err)), say.Text{})
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return say.Fail(say.T("cannot switch off core dumps: %s", say.Bare(err)), say.Text{})
	}
	return nil
}

// noTemporaryFiles makes every attempt to write a temporary file fail, also on
// a kernel without landlock.
func noTemporaryFiles(d statedir.Dir) error {
	return os.Setenv("TMPDIR", d.Path("there-are-no-temporary-files"))
}

// needs is what a way to serve needs beyond the vault's directory.
type needs struct {
	dial    bool     // TCP connections to anywhere: tor's
	connect []uint16 // TCP connections to these ports: of witnesses on this machine
	ports   bool     // TCP ports: of bridge transports, for tor
	read    []string // files that may be read, and run if they are programs
	sockets string   // folder, outside the vault's, in which our sockets lie
	socks   string   // SOCKS5 socket of the system's tor; empty = not used
}

func (o serveFlags) needs(d statedir.Dir, out outward) needs {
	switch o.tor {
	case "managed":
		n := needs{dial: true, ports: o.include.transports, read: o.include.files, sockets: d.Path(statedir.OnionDir)}
		if path, err := exec.LookPath("tor"); err == nil {
			n.read = append(n.read, path)
		}
		if n.ports {
			n.read = append(n.read, "/etc/resolv.conf", "/etc/hosts") // a transport may know its bridge by name
		}
		return n
	case "system":
		return needs{sockets: cmp.Or(o.sockets, d.Path(statedir.OnionDir)), connect: out.ports, socks: socksOf(o.tor, d, out)}
	}
	return needs{connect: out.ports}
}

// config is what landlock shall restrict: everything, less what is needed.
func (n needs) config() landlock.Config {
	c := landlock.V11
	if n.dial {
		c.HandledAccessNet &^= ll.AccessNetConnectTCP
		// We must be able to end tor. Before version 8 of its interface, landlock
		// makes every thread of ours a domain of its own, and a child that one
		// thread has started is out of reach of the others' signals.
		c.Scoped &^= ll.ScopeSignal
	}
	if n.ports {
		c.HandledAccessNet = 0
	}
	return c.BestEffort()
}

func (n needs) rules(d statedir.Dir, exe string) []landlock.Rule {
	rules := []landlock.Rule{
		landlock.RWDirs(d.Path()),
		landlock.RODirs("/usr", "/bin", "/sbin", "/lib", "/lib64", "/proc", "/sys", "/etc/tor", "/etc/ssl").IgnoreIfMissing(),
		landlock.ROFiles(exe, "/etc/localtime", "/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
			"/dev/urandom", "/dev/random").IgnoreIfMissing(),
		landlock.ROFiles(n.read...).IgnoreIfMissing(),
		landlock.RWFiles("/dev/null").IgnoreIfMissing(),
	}
	if !n.dial {
		for _, port := range n.connect {
			rules = append(rules, landlock.ConnectTCP(port))
		}
	}
	if n.socks != "" {
		rules = append(rules, landlock.PathAccess(ll.AccessFSResolveUnix, filepath.Dir(n.socks)).IgnoreIfMissing())
	}
	if n.sockets != "" {
		// Tor dials sockets that were made before; we remove them at the end.
		rules = append(rules, landlock.PathAccess(ll.AccessFSRemoveFile|ll.AccessFSResolveUnix, n.sockets).IgnoreIfMissing())
	}
	return rules
}

// confine takes from this process, and every child it starts later, the right
// to write outside the directory of the vault, and to read more than programs
// need to run: libraries, our own program (for children), and what tor reads.
// It must come after the listeners are made: no TCP port can be opened or
// dialled afterwards, but for what n says. Landlock does not know Multipath TCP;
// where the network must be out of reach, the unit for system mode takes it away.
//
// On a kernel without landlock it does nothing and returns false. Otherwise it
// proves that the restriction bites.
func confine(d statedir.Dir, n needs) (bool, error) {
	if abi, err := ll.LandlockGetABIVersion(); err != nil || abi < 1 {
		return false, nil
	}
	exe, err := os.Executable()
	if err != nil {
		return false, err
	}
	outside := writable(filepath.Dir(d.Path()), os.TempDir(), "/tmp", "/var/tmp", "/dev/shm")
	if err := n.config().Restrict(n.rules(d, exe)...); err != nil {
		return false, say.Fail(say.T("cannot confine the program with landlock: %s", err), say.Text{})
	}
	for _, dir := range outside {
		if err := refusesWrite(dir); err != nil {
			return false, err
		}
	}
	// Under systemd nothing outside can be written, with or without landlock.
	if _, err := os.ReadDir("/"); !errors.Is(err, fs.ErrPermission) {
		return false, toothless(say.T("landlock is there but does not bite: %s can be read", "/"))
	}
	return true, nil
}

func toothless(what say.Text) error {
	return say.Fail(what, say.T("the kernel may be misconfigured; do not serve on this machine until this is understood"))
}

// writable returns those of dirs that this process may write to.
func writable(dirs ...string) []string {
	var w []string
	for _, dir := range dirs {
		if unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			w = append(w, dir)
		}
	}
	return w
}

// refusesWrite proves that no file can be made in dir.
func refusesWrite(dir string) error {
	path := filepath.Join(dir, ".resguardod-must-not-be-writable")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err == nil {
		f.Close()
		os.Remove(path)
	}
	return toothless(say.T("landlock is there but does not bite: %s can be written", dir))
}

// swapOn reports whether memory may be written to disk.
func swapOn() bool {
	b, err := os.ReadFile("/proc/swaps")
	return err == nil && strings.Count(strings.TrimSpace(string(b)), "\n") > 0
}
