package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"resguardo/onion/tornet"
)

// TestMain builds stock age and lets the stories run this test binary as
// resguardo.
func TestMain(m *testing.M) { testscript.Main(withAge{m}, map[string]func(){"resguardo": main}) }

type withAge struct{ *testing.M }

func (m withAge) Run() int {
	dir, err := os.MkdirTemp("", "resguardo-age-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "age"), "filippo.io/age/cmd/age")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build age:", err)
		return 1
	}
	os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	defer shared.Close()
	return m.M.Run()
}

// shared is the private Tor network of this test run.
var shared tornet.Shared

// TestStories tells what reviewers do, against the real vault and API.
func TestStories(t *testing.T) { testscript.Run(t, stories("testdata")) }

// TestTorStories tells it over a private Tor network.
func TestTorStories(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	network := shared.Network(t)
	p := stories("testdata/tor")
	setup := p.Setup
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("TORNET", network.Include())
		return setup(e)
	}
	for name, c := range torCommands(network) {
		p.Cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(c(houseOf(ts), ts, args)) }
	}
	testscript.Run(t, p)
}

// storyCommand is something that others than the reviewer do in a story.
type storyCommand func(h *house, ts *testscript.TestScript, args []string) error

func stories(dir string) testscript.Params {
	p := testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			h := &house{dir: filepath.Join(e.WorkDir, ".vault")}
			e.Values["house"] = h
			e.Defer(h.close)
			e.Setenv("LANG", "C")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mode": mode},
	}
	for name, c := range map[string]storyCommand{
		"vault": (*house).open, "desk": (*house).desk, "member": (*house).member, "revoke": (*house).revoke,
		"report": (*house).report, "followup": (*house).followup, "epoch": (*house).epoch,
		"mailbox": (*house).mailbox, "drop": (*house).drop, "rogue": (*house).rogue, "move": (*house).move, "enemy": (*house).enemy,
		"quiet": (*house).quiet, "hold": (*house).holdAfter, "held": (*house).held,
	} {
		p.Cmds[name] = func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(c(houseOf(ts), ts, args)) }
	}
	return p
}

func houseOf(ts *testscript.TestScript) *house { return ts.Value("house").(*house) }

// mode is "mode PERM FILE…".
func mode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); (got == args[0]) == neg {
			ts.Fatalf("%s has mode %s", name, got)
		}
	}
}

// call runs the program in this process.
func call(in io.Reader, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, in, &o, &e)
	return code, o.String(), e.String()
}

// unquote reads the escapes of a Go string, so that a story can name files as an
// attacker does.
func unquote(s string) (string, error) { return strconv.Unquote(`"` + s + `"`) }
