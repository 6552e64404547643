package tor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func look(t *testing.T) Program {
	t.Helper()
	prog, err := Look(t.Context(), "")
	if errors.Is(err, ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// double writes a program that stands in for a tor that misbehaves.
func double(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]string{
		"Tor version 0.4.9.11.\nThis build of Tor is covered by …": "0.4.9.11",
		"Tor version 0.5.0.1-alpha-dev (git-0a1b2c3d4e5f).":        "0.5.0.1",
		"Tor version 0.4.8.21.":                                    "0.4.8.21",
		"Tor version 0.4.9.":                                       "",
		"Tor version 0.4.9.-1.":                                    "",
		"Tor version 0.4.9.99999.":                                 "",
		"curl 8.1.2":                                               "",
		"":                                                         "",
	} {
		v, err := ParseVersion(s)
		if (err == nil) != (want != "") || (err == nil && v.String() != want) {
			t.Errorf("%q: %v, %v; want %s", s, v, err, want)
		}
	}
	for _, tc := range []struct {
		a, b Version
		want bool
	}{
		{Version{0, 4, 9, 10}, Version{0, 4, 9, 11}, true},
		{Version{0, 4, 9, 11}, Version{0, 4, 9, 11}, false},
		{Version{0, 5, 0, 1}, Version{0, 4, 9, 11}, false},
		{Version{0, 4, 8, 99}, Version{0, 4, 9, 11}, true},
	} {
		if got := tc.a.Before(tc.b); got != tc.want {
			t.Errorf("%v before %v: %v", tc.a, tc.b, got)
		}
	}
}

func TestParseLine(t *testing.T) {
	for s, want := range map[string]Line{
		"Nov 21 23:10:42.000 [notice] Bootstrapped 0% (starting): Starting": {"notice", "Bootstrapped 0% (starting): Starting"},
		"Nov 21 23:10:42.000 [warn] Path [x] is odd":                        {"warn", "Path [x] is odd"},
		"Nov 21 23:10:42.000 [err] ":                                        {"err", ""},
		"no tor line":                                                       {"", "no tor line"},
		"Nov 21 23:10:42.000 [Not a severity] text":                         {"", "Nov 21 23:10:42.000 [Not a severity] text"},
		"  [] ": {"", "  [] "},
		"":      {},
	} {
		if got := ParseLine(s); got != want {
			t.Errorf("%q: %+v; want %+v", s, got, want)
		}
	}
	for text, want := range map[string]string{
		"Bootstrapped 75% (enough_dirinfo): Loaded enough": "75 enough_dirinfo true",
		"Bootstrapped 100% (done): Done":                   "100 done true",
		"Bootstrapped 101% (done): Done":                   "0  false",
		"Bootstrapped -1% (done): Done":                    "0  false",
		"Bootstrapped 5%":                                  "0  false",
		"Bootstrapped 5% (conn":                            "0  false",
		"Problem bootstrapping. Stuck at 5% (conn): x":     "0  false",
	} {
		percent, phase, ok := Line{"notice", text}.Bootstrap()
		if got := fmt.Sprintf("%d %s %v", percent, phase, ok); got != want {
			t.Errorf("%q: %s; want %s", text, got, want)
		}
	}
}

// FuzzParseVersion: a version that is read is read again from its own form.
func FuzzParseVersion(f *testing.F) {
	f.Add("Tor version 0.4.9.11.\n")
	f.Add("Tor version 0.5.0.1-alpha-dev (git-0a1b).")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVersion(s)
		if err != nil {
			return
		}
		if again, err := ParseVersion("Tor version " + v.String() + "."); err != nil || again != v {
			t.Errorf("%v became %v, %v", v, again, err)
		}
	})
}

// FuzzParseLine: no text is lost, and progress is in percent.
func FuzzParseLine(f *testing.F) {
	f.Add("Nov 21 23:10:42.000 [notice] Bootstrapped 45% (requesting_descriptors): Asking")
	f.Add("[warn] ] [")
	f.Fuzz(func(t *testing.T, s string) {
		l := ParseLine(s)
		if !strings.HasSuffix(s, l.Text) || (l.Severity == "" && l.Text != s) {
			t.Errorf("%q became %+v", s, l)
		}
		if percent, _, ok := l.Bootstrap(); percent < 0 || percent > 100 || (!ok && percent != 0) {
			t.Errorf("%q: %d%%", s, percent)
		}
	})
}

func TestLookTellsWhatIsThere(t *testing.T) {
	if _, err := Look(t.Context(), filepath.Join(t.TempDir(), "tor")); !errors.Is(err, ErrNotFound) {
		t.Errorf("no program: %v", err)
	}
	old := double(t, "echo 'Tor version 0.4.9.10.'")
	if p, err := Look(t.Context(), old); !errors.Is(err, ErrOld) || p.Path != old || p.Version != (Version{0, 4, 9, 10}) {
		t.Errorf("old program: %+v, %v", p, err)
	}
	for name, script := range map[string]string{"another program": "echo curl 8.1", "failure": "exit 3"} {
		if _, err := Look(t.Context(), double(t, script)); err == nil || errors.Is(err, ErrOld) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTorTakesQuotedPaths: what Quote lets pass, tor reads as it is.
func TestTorTakesQuotedPaths(t *testing.T) {
	prog := look(t)
	dir := filepath.Join(t.TempDir(), "José's vault, (1) & <co> $HOME")
	data, err := Quote(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	socket, err := QuoteSocket(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	text := "DisableNetwork 1\nSocksPort 0\nLog notice stdout\nDataDirectory " + data + "\nControlPort " + socket + "\n"
	if err := prog.Configure(t.Context(), dir, text); err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{}, 9)
	p, err := prog.Start(dir, func(l Line) {
		if _, _, ok := l.Bootstrap(); ok {
			started <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-started:
	case <-p.Done():
		t.Fatal(p.Err())
	}
	if p.Err() != nil {
		t.Errorf("a running tor has the error %v", p.Err())
	}
	for _, name := range []string{"data/lock", "c"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	p.Stop()
	if p.Err() == nil {
		t.Error("a stopped tor has no error")
	}
}

func TestQuoteRefusesOddPaths(t *testing.T) {
	for _, path := range []string{"", "/a\"b", `/a\b`, "/a\nb", "/a\x7f", "/a#b", "/a*", "/a?", "/[a]", "/a%sb", "/\xff"} {
		if got, err := Quote(path); err == nil {
			t.Errorf("%q became %s", path, got)
		}
	}
	if got, err := QuoteSocket("/" + strings.Repeat("a", 107)); err == nil {
		t.Errorf("108 bytes became %s", got)
	}
	if _, err := QuoteSocket("/" + strings.Repeat("a", 106)); err != nil {
		t.Errorf("107 bytes: %v", err)
	}
}

func TestRefusedConfigChangesNothing(t *testing.T) {
	prog := look(t)
	dir := t.TempDir()
	if err := prog.Configure(t.Context(), dir, "SocksPort 0\n"); err != nil {
		t.Fatal(err)
	}
	err := prog.Configure(t.Context(), dir, "SocksPort 0\nHiddenServicePort 80\n")
	refused, ok := errors.AsType[*ConfigError](err)
	if !ok || !strings.Contains(refused.Error(), "HiddenServicePort") || strings.Contains(refused.Error(), "[warn]") {
		t.Errorf("%v; want a *ConfigError with tor's words about HiddenServicePort", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "torrc")); err != nil || string(b) != "SocksPort 0\n" {
		t.Errorf("torrc became %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "torrc.new")); err == nil {
		t.Error("torrc.new is left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := prog.Configure(ctx, dir, "SocksPort 0\n"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want canceled", err)
	}
}

// TestLongLineDoesNotBlockTor: a line that the log's reader does not take must
// not leave tor hanging in a write.
func TestLongLineDoesNotBlockTor(t *testing.T) {
	prog := Program{Path: double(t, "head -c 1000000 /dev/zero; echo; echo done")}
	p, err := prog.Start(t.TempDir(), func(Line) {})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if _, killed := errors.AsType[*exec.ExitError](p.Err()); killed || p.Err() == nil {
		t.Errorf("%v; want exit status 0", p.Err())
	}
}

func TestStopEndsADeafTor(t *testing.T) {
	prog := Program{Path: double(t, "trap '' TERM; echo ready; exec sleep 60")}
	ready := make(chan struct{}, 1)
	p, err := prog.Start(t.TempDir(), func(Line) { ready <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	<-ready
	p.Stop()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("%v; want killed", err)
	}
}
