package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/crypto/codename"
	"resguardo/vault/translog"
)

// testName is a codename that tests type.
const testName = "abandon ability able about above absent absorb abstract"

// its makes an event of a codename, as the vault and the reviewers do.
func (f *forge) its(name string, kind translog.Kind, counter uint64) translog.Leaf {
	c := must(codename.Parse(name, "en"))
	g := f.genesis
	keys := c.Derive(codename.Params{Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads})
	key := keys.DeskLog()
	switch kind {
	case translog.Report, translog.Followup, translog.SourceDelete, translog.Expire:
		key = keys.Log
	}
	q := translog.Queue(translog.NewEvent(key, kind, counter), translog.Opening{Kind: kind})
	return translog.Leaf{Tag: q.Tag, Commitment: q.Commitment}
}

// told is the line that receipt prints with -json.
type told struct {
	Event        string
	Logged       bool
	Acknowledged bool
	Deleted      bool
	LastEpoch    int64 `json:"last_epoch"`
	Events       []hit
}

func (o outcome) receipt(t *testing.T) told {
	t.Helper()
	for line := range strings.Lines(o.stdout) {
		var r told
		if json.Unmarshal([]byte(line), &r) == nil && r.Event == "receipt" {
			return r
		}
	}
	t.Fatalf("no receipt: exit %d, %s%s", o.exit, o.stdout, o.stderr)
	return told{}
}

// TestReceiptFindsEveryKind, up to the last counter, and nothing of others.
func TestReceiptFindsEveryKind(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.epoch(w.its(testName, translog.Report, 0), w.its("zoo zone zero youth young you yellow year", translog.Report, 0))
	r := func() told {
		w.cosign(2, w.due())
		out := w.run("receipt", testName+"\n")
		if out.exit != exitOK {
			t.Fatalf("exit %d, %v, %s", out.exit, out.findings, out.stderr)
		}
		return out.receipt(t)
	}
	got := r()
	if !got.Logged || got.Acknowledged || got.Deleted || len(got.Events) != 1 || got.Events[0].Epoch != testEpoch {
		t.Errorf("%+v", got)
	}
	w.epoch(w.its(testName, translog.Ack, 0), w.its(testName, translog.Reply, 255), w.its(testName, translog.Followup, 7))
	w.epoch(w.its(testName, translog.DeskDelete, 3), w.its(testName, translog.Reply, 256))
	got = r()
	if !got.Acknowledged || got.Deleted || len(got.Events) != 5 {
		t.Errorf("%+v", got)
	}
	for _, kind := range []translog.Kind{translog.Note, translog.Rewrap, translog.Recuse, translog.Close, translog.SourceDelete, translog.Expire} {
		w.epoch(w.its(testName, kind, 0))
	}
	got = r()
	if !got.Deleted || len(got.Events) != 11 {
		t.Errorf("%+v", got)
	}
	w.args = nil
	for _, kind := range []translog.Kind{translog.SourceDelete, translog.DeskDelete, translog.Expire} {
		if !deleted([]hit{{Kind: kind}}) || deleted([]hit{{Kind: kind, Counter: 1}}) {
			t.Errorf("%s: the first counter deletes everything, others do not", kind)
		}
	}
}

// TestReceiptOfNothing: the report is not there, or the words are others.
func TestReceiptOfNothing(t *testing.T) {
	w := newWorld(t)
	w.usual(3)
	out := w.run("receipt", testName)
	if r := out.receipt(t); out.exit != exitFailure || r.Logged || len(r.Events) != 0 || r.LastEpoch != testEpoch+2 {
		t.Errorf("exit %d, %+v", out.exit, r)
	}
	for _, words := range []string{"", "abandon ability", testName + " zoo", strings.Replace(testName, "able", "secretword", 1), strings.Repeat("x ", 10_000)} {
		out := w.run("receipt", words)
		if out.exit != exitFailure || strings.Contains(out.stdout, `"receipt"`) || strings.Contains(out.stderr, "secretword") {
			t.Errorf("exit %d, %s", out.exit, out.stderr)
		}
	}
}

// typing notes when the words are read.
type typing struct {
	io.Reader
	typed *atomic.Bool
}

func (r typing) Read(p []byte) (int, error) {
	r.typed.Store(true)
	return r.Reader.Read(p)
}

// TestReceiptAsksForNoLeaf: the same files are read, each once, wherever the report
// is, and nothing after the words were typed; also with -proof.
func TestReceiptAsksForNoLeaf(t *testing.T) {
	ask := func(at int) []string {
		f := newForge()
		f.begin()
		for i := range 40 {
			if i == at {
				f.epoch(f.its(testName, translog.Report, 0))
			} else {
				f.epoch()
			}
		}
		f.cosign(2, f.due())
		files := f.files()
		var typed atomic.Bool
		var mu sync.Mutex
		var asked []string
		w, url := hostile(t, func(rw http.ResponseWriter, r *http.Request) bool {
			if typed.Load() {
				t.Errorf("%s was asked for after the words were typed", r.URL.Path)
			}
			mu.Lock()
			asked = append(asked, r.URL.Path)
			mu.Unlock()
			rw.Write(files[strings.TrimPrefix(r.URL.Path, "/log/")])
			return true
		})
		var out bytes.Buffer
		args := []string{"receipt", "-url", url, "-policy", w.path("policy"), "-proof", w.path("proof")}
		if code := run(args, f.due, typing{strings.NewReader(testName), &typed}, &out, &out); code != exitOK {
			t.Fatalf("exit %d: %s", code, &out)
		}
		if _, err := os.Stat(w.path("proof")); err != nil {
			t.Fatal(err)
		}
		slices.Sort(asked)
		return asked
	}
	first, last := ask(2), ask(39)
	if !slices.Equal(first, last) || len(slices.Compact(slices.Clone(first))) != len(first) {
		t.Errorf("%v, %v", first, last)
	}
}

// TestProofVerifies with torchwood, and with the policy alone.
func TestProofVerifies(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.epochs(17)
	w.epoch(w.its(testName, translog.Report, 0))
	w.epochs(2)
	w.cosign(2, w.due())
	w.args = []string{"-proof", w.path("proof")}
	out := w.run("receipt", testName)
	if out.exit != exitOK || !strings.Contains(out.stderr, "shows that leaf") {
		t.Fatalf("exit %d, %v, %s", out.exit, out.findings, out.stderr)
	}
	proof, err := os.ReadFile(w.path("proof"))
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := torchwood.ProofExtraData(proof)
	if err != nil {
		t.Fatal(err)
	}
	if l := must(translog.ParseLeaf(leaf)); l.Tag != w.its(testName, translog.Report, 0).Tag {
		t.Errorf("proof of another leaf: %s", leaf)
	}
	rules := must(torchwood.ParsePolicy([]byte(w.policy(2))))
	if err := torchwood.VerifyProof(rules, tlog.RecordHash(leaf), proof); err != nil {
		t.Error(err)
	}
	if out := w.run("receipt", testName); out.exit != exitUsage {
		t.Errorf("a file is overwritten: exit %d", out.exit)
	}
}

// TestNoWordsForAWrongLog: whoever reads the words has not been asked for them.
func TestNoWordsForAWrongLog(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.epoch(w.its(testName, translog.Report, 0))
	w.cosign(2, w.due())
	w.doctor(true, "checkpoint", flip(-5))
	if out := w.run("receipt", testName); out.exit != exitInconsistent || strings.Contains(out.stdout, `"receipt"`) {
		t.Errorf("exit %d, %s", out.exit, out.stdout)
	}
}
