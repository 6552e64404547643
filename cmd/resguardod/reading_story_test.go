package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// TestReadingStory runs testdata/reading with both real programs.
func TestReadingStory(t *testing.T) {
	programs := t.TempDir()
	build := exec.Command("go", "build", "-tags", "nomsgpack", "-o", programs+"/", "resguardo/cmd/resguardo")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build resguardo: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "reading"),
		Setup: func(e *testscript.Env) error {
			unix.Umask(0o077)
			e.Setenv("LANG", "en_US.UTF-8")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Setenv("PATH", programs+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Values["servers"] = servers{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdStoryServe, "end": cmdStoryEnd, "get": cmdStoryGet, "mode": cmdStoryMode,
			"begin": cmdStoryBegin, "choose": cmdStoryChoose,
		},
	})
}

// begin DIR DAYS begins the log of a vault as the first start did so many days ago.
func cmdStoryBegin(ts *testscript.TestScript, _ bool, args []string) {
	days, err := strconv.Atoi(args[1])
	ts.Check(err)
	d, err := statedir.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	state, err := d.Load()
	ts.Check(err)
	v, err := vault.Open(d.Path(), vault.Options{})
	ts.Check(err)
	defer func() { ts.Check(v.Close()) }()
	l, err := newLive(d, state, v)
	ts.Check(err)
	l.now = func() time.Time { return time.Now().AddDate(0, 0, -days) }
	ts.Check(l.recall())
	ts.Check(beginLog(context.Background(), say.English(), l))
}

// choose STATE prints the page that answers a source who names that state.
func cmdStoryChoose(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.PostForm(ts.Getenv("PREVIEW")+"/en/report", url.Values{"state": args})
	ts.Check(err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, page)
}
