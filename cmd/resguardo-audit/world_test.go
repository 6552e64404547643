package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resguardo/vault/translog"
)

// world is a log in a folder, a policy file, and the auditor's memory.
type world struct {
	*forge
	t      testing.TB
	dir    string
	now    time.Time // zero: one minute after the newest checkpoint is due
	quorum int       // of the auditor's policy
	rules  string    // the auditor's policy, if not the one with quorum
	web    bool      // serve the folder over HTTP instead of reading it
	args   []string
}

func newWorld(t testing.TB) *world {
	return &world{forge: newForge(), t: t, dir: t.TempDir(), quorum: 2}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// outcome is what a run of the program said.
type outcome struct {
	exit     int
	findings []event
	log      *summary
	stdout   string
	stderr   string
}

// named tells whether a fault was found.
func (o outcome) named(f translog.Fault) bool {
	for _, e := range o.findings {
		if e.Fault == string(f) {
			return true
		}
	}
	return false
}

// verify writes the log and runs the program over it.
func (w *world) verify() outcome { return w.run("verify", "") }

func (w *world) run(command, stdin string) outcome {
	w.t.Helper()
	if err := w.write(w.path("log")); err != nil {
		w.t.Fatal(err)
	}
	rules := w.rules
	if rules == "" {
		rules = w.policy(w.quorum)
	}
	if err := os.WriteFile(w.path("policy"), []byte(rules), 0o600); err != nil {
		w.t.Fatal(err)
	}
	url := "file://" + w.path("log") + "/"
	if w.web {
		s := httptest.NewServer(http.FileServerFS(os.DirFS(w.path("log"))))
		defer s.Close()
		url = s.URL
	}
	now := w.now
	if now.IsZero() {
		now = w.due().Add(time.Minute)
	}
	args := append([]string{command, "-json", "-url", url, "-policy", w.path("policy")}, w.args...)
	return call(w.t, now, stdin, args...)
}

// call runs the program in this process.
func call(t testing.TB, now time.Time, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	o := outcome{exit: run(args, func() time.Time { return now }, strings.NewReader(stdin), &out, &errs)}
	o.stdout, o.stderr = out.String(), errs.String()
	for line := range strings.Lines(o.stdout) {
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		switch e.Event {
		case "finding":
			o.findings = append(o.findings, e)
		case "log":
			o.log = new(summary)
			if err := json.Unmarshal([]byte(line), o.log); err != nil {
				t.Fatal(err)
			}
		}
	}
	return o
}
