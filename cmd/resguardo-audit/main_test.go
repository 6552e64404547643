package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"resguardo/vault/translog"
)

// TestMain makes the test binary the program, so that stories run the real thing
// as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"resguardo-audit": main, "makelog": makeLog})
}

// TestStories runs testdata/*.txt: what an auditor types, and what happens.
func TestStories(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "age"), "filippo.io/age/cmd/age")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "en_US.UTF-8")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe,
			"books": func(ts *testscript.TestScript, neg bool, args []string) { cmdBooks(t, ts, args) },
		},
	})
}

// books DIR writes what an auditor has of an ordinary vault, whose last epoch has
// just ended. $REPORT is an item in its folder.
func cmdBooks(t testing.TB, ts *testscript.TestScript, args []string) {
	b := newBooksAt(t, translog.EpochAt(time.Now(), testLength)-8)
	b.story(func(string) {})
	ts.Check(b.copyTo(ts.MkAbs(args[0])))
	ts.Setenv("REPORT", b.made["a/report"].name())
}

// serve DIR serves a folder over HTTP; $URL is its address.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	s := httptest.NewServer(http.FileServerFS(os.DirFS(ts.MkAbs(args[0]))))
	ts.Defer(s.Close)
	ts.Setenv("URL", s.URL+"/")
}

// makeLog writes a log, whose last epoch has just ended, and the auditor's policy:
// makelog [FLAGS] DIR POLICY.
func makeLog() {
	epochs := flag.Int("epochs", 3, "")
	ago := flag.Int("ago", 0, "epochs that passed since the last one")
	report := flag.String("report", "", "eight words whose report is in the first epoch")
	ack := flag.Bool("ack", false, "the report is acknowledged in the second epoch")
	cosigned := flag.Int("cosigned", 2, "witnesses that sign")
	quorum := flag.Int("quorum", 2, "witnesses that the policy asks for")
	other := flag.Bool("other", false, "another history")
	flag.Parse()
	f := newForge()
	f.genesis.Policy = f.policy(*quorum)
	f.next = translog.EpochAt(time.Now(), testLength) - int64(*epochs) - int64(*ago)
	if *other {
		f.counter = 1000
	}
	f.begin()
	for i := range *epochs {
		switch {
		case i == 0 && *report != "":
			f.epoch(f.its(*report, translog.Report, 0))
		case i == 1 && *ack:
			f.epoch(f.its(*report, translog.Ack, 0))
		default:
			f.epoch()
		}
	}
	f.cosign(*cosigned, f.due())
	if err := f.write(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	must(0, os.WriteFile(flag.Arg(1), []byte(f.policy(*quorum)), 0o600))
}
