package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"

	"resguardo/cmd/internal/say/saytest"
	"resguardo/vault/translog"
)

func TestEveryTextHasSpanish(t *testing.T) {
	saytest.Catalogue(t, spanish(), []string{"T"}, usage)
}

// allFaults are those of the format and of this program.
func allFaults(t *testing.T) []translog.Fault {
	t.Helper()
	faults := translog.Faults()
	f, err := parser.ParseFile(token.NewFileSet(), "finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			faults = append(faults, translog.Fault(value))
		}
		return true
	})
	if len(faults) < 75 {
		t.Errorf("only %d faults", len(faults))
	}
	return faults
}

func TestEveryFaultHasItsSentence(t *testing.T) {
	faults := allFaults(t)
	for i, f := range faults {
		what, hint := words(f)
		if unknown, _ := words("?"); what.String() == unknown.String() || hint.IsZero() {
			t.Errorf("%s: no sentence, or no hint: %s", f, what)
		}
		if slices.Contains(faults[:i], f) {
			t.Errorf("two faults have the name %s", f)
		}
	}
}

// TestGuidesExplainEveryFault: the auditor's guides name each of them.
func TestGuidesExplainEveryFault(t *testing.T) {
	for _, guide := range []string{"../../docs/auditor.es.md", "../../docs/auditor.en.md"} {
		text, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(allFaults(t), "unreadable") {
			if !strings.Contains(string(text), "`"+string(f)+"`") {
				t.Errorf("%s does not explain %s", guide, f)
			}
		}
	}
}

// TestSummarySaysWhatTheLogSays reads a log in which much has happened.
func TestSummarySaysWhatTheLogSays(t *testing.T) {
	w := newWorld(t)
	w.begin()
	w.epochs(2)
	w.note(testCard("luz", "reviewer"))
	w.note(translog.Desk{ID: "sur", Reviewers: []string{testFingerprint("ana"), testFingerprint("luz")}})
	w.note(translog.Retention{Days: 90, DeleteSignatures: 2})
	w.epoch()
	w.gap(w.next, w.next+3)
	w.note(translog.Restore{From: 10, To: 12})
	w.note(translog.Incident{What: translog.Revoked, Fingerprint: testFingerprint("luz"), Desk: "sur"})
	w.note(translog.Incident{What: translog.Unwitnessed, Epoch: testEpoch + 1})
	w.note(translog.Assets{Build: "v2"})
	w.epochs(4)
	w.note(translog.Desk{ID: "norte"}) // works two epochs later
	w.epoch()
	w.cosign(3, w.due())
	out := w.verify()
	if out.exit != exitOK || out.log == nil {
		t.Fatalf("exit %d, %v", out.exit, out.findings)
	}
	s := out.log
	if s.Origin != testOrigin || s.Size != int64(len(w.leaves)) || s.FirstEpoch != testEpoch || s.LastEpoch != testEpoch+11 ||
		!s.Ended.Equal(w.due()) || s.Events != 8*testSlots || s.Witnesses != 3 || len(s.Cosigned) != 3 || s.Witnessed != s.LastEpoch {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.Desks, []desk{{"norte", 1}, {"sur", 2}}) || s.Auditors != 1 || s.Retention != 90 || s.Deleters != 2 || s.Build != "v2" {
		t.Errorf("%+v", s)
	}
	var kinds []string
	for _, c := range s.Notes {
		kinds = append(kinds, c.Kind)
	}
	if !slices.Equal(kinds, []string{"card", "desk", "retention", "gap", "restore", "incident", "incident", "assets", "desk"}) {
		t.Errorf("notes %v", kinds)
	}
}

// TestNoQuorumIsSaid, and exits 0.
func TestNoQuorumIsSaid(t *testing.T) {
	w := newWorld(t)
	w.genesis.Policy = w.policy(0)
	w.quorum = 0
	w.usual(2)
	w.cosign(0, w.due())
	if out := w.verify(); out.exit != exitOK || !out.named(noQuorum) || out.findings[0].Level != "warning" {
		t.Errorf("exit %d, %v", out.exit, out.findings)
	}
}

// TestPolicyFileDecides: the log asks for less than the file, or for more.
func TestPolicyFileDecides(t *testing.T) {
	for _, c := range []struct{ file, log, signed, exit int }{
		{2, 0, 2, 0}, {2, 0, 1, 1}, {0, 2, 0, 0}, {3, 2, 2, 1},
	} {
		w := newWorld(t)
		w.genesis.Policy = w.policy(c.log)
		w.quorum = c.file
		w.usual(2)
		w.cosign(c.signed, w.due())
		if out := w.verify(); out.exit != c.exit || !out.named(policyDiffers) {
			t.Errorf("%+v: exit %d, %v", c, out.exit, out.findings)
		}
	}
	if !samePolicy("log x # y\n\nwitness a b\nquorum none\n", "log  x\nwitness a b http://c/\nquorum none") {
		t.Error("comments, spaces and addresses count")
	}
}

// TestUnwitnessedSince names the last epoch that the memory knows as witnessed.
func TestUnwitnessedSince(t *testing.T) {
	w := newWorld(t)
	w.usual(20)
	w.remember()
	for range 3 {
		w.epoch()
		w.cosign(1, w.due())
		if out := w.verify(); out.exit != exitFailure || !out.named(unwitnessed) || out.findings[0].Epoch != testEpoch+19 || out.log.Witnessed != testEpoch+19 {
			t.Errorf("exit %d, %v", out.exit, out.findings)
		}
	}
	w.args = nil
	if out := w.verify(); out.findings[0].Epoch != testEpoch+22 {
		t.Errorf("without a memory: %v", out.findings)
	}
}

// TestMemoryIsProof: after a fork the folder holds two signed checkpoints that
// contradict each other, and what it knew before.
func TestMemoryIsProof(t *testing.T) {
	w := newWorld(t)
	w.usual(20)
	w.remember()
	before, err := os.ReadFile(w.path("state/checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	w.rewrite(true, 2)
	for range 2 {
		if out := w.verify(); out.exit != exitInconsistent {
			t.Fatalf("exit %d, %v", out.exit, out.findings)
		}
	}
	after, err := os.ReadFile(w.path("state/checkpoint"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the memory has changed: %v", err)
	}
	found, _ := filepath.Glob(w.path("state/conflict-*"))
	if len(found) != 1 {
		t.Fatalf("conflicts kept: %v", found)
	}
	conflict, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	p := must(parsePolicy([]byte(w.policy(2))))
	a, b := must(p.openCheckpoint(before)), must(p.openCheckpoint(conflict))
	if a.N != b.N || a.Hash == b.Hash {
		t.Errorf("no contradiction: %s, %s", a, b)
	}
}

// TestMemoryIsTakenWhole: what is not right changes nothing, a foreign or damaged
// memory is refused, two runs exclude each other.
func TestMemoryIsTakenWhole(t *testing.T) {
	w := newWorld(t)
	w.usual(20)
	w.remember()
	p := must(parsePolicy([]byte(w.policy(2))))
	m, err := openMemory(w.path("state"), p)
	if err != nil {
		t.Fatal(err)
	}
	if out := w.verify(); out.exit != exitFailure || !strings.Contains(out.stderr, "another resguardo-audit works in") {
		t.Errorf("two at once: exit %d, %s", out.exit, out.stderr)
	}
	m.close()
	w.epoch()
	w.cosign(2, w.due())
	w.doctor(true, "checkpoint", flip(-3))
	if out := w.verify(); out.exit == exitOK {
		t.Error("accepted")
	}
	w.edit = nil
	for name, text := range map[string]string{
		"empty":           "",
		"another log's":   string(elsewhere().sign(must(p.openCheckpoint(must(os.ReadFile(w.path("state/checkpoint"))))).Tree)),
		"not even signed": "reportes.example.org\n1\nAAAA\n",
	} {
		if err := os.WriteFile(w.path("state/checkpoint"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := w.verify(); out.exit != exitFailure || !strings.Contains(out.stderr, "state/checkpoint") {
			t.Errorf("%s: exit %d, %s", name, out.exit, out.stderr)
		}
	}
}

// TestFollowIsOneLine: what cron mails, and what it does not.
func TestFollowIsOneLine(t *testing.T) {
	w := newWorld(t)
	follow := func() outcome {
		w.verify() // writes the files
		return call(t, w.due().Add(time.Minute), "", "follow", "-url", "file://"+w.path("log"), "-policy", w.path("policy"), "-state", w.path("state"))
	}
	w.usual(3)
	out := follow()
	if want := "ok: " + testOrigin + ", 53 leaves to epoch 83117, 2 of 3 witnesses\n"; out.exit != exitOK || out.stdout != want || out.stderr != "" {
		t.Errorf("exit %d, %q, %q", out.exit, out.stdout, out.stderr)
	}
	w.epoch()
	w.cosign(1, w.due())
	out = follow()
	if out.exit != exitFailure || strings.Count(out.stdout, "\n") != 1 || !strings.HasPrefix(out.stdout, "attention: ") || !strings.Contains(out.stderr, "hint: ") {
		t.Errorf("exit %d, %q, %q", out.exit, out.stdout, out.stderr)
	}
	w.rewrite(true, 1)
	out = follow()
	if out.exit != exitInconsistent || strings.Count(out.stdout, "\n") != 1 || !strings.HasPrefix(out.stdout, "WRONG: "+testOrigin) {
		t.Errorf("exit %d, %q, %q", out.exit, out.stdout, out.stderr)
	}
	w.doctor(true, "checkpoint", func([]byte) []byte { return nil })
	out = follow()
	if out.exit != exitFailure || !strings.HasPrefix(out.stdout, "not checked: "+testOrigin) || !strings.Contains(out.stderr, "hint: ") {
		t.Errorf("exit %d, %q, %q", out.exit, out.stdout, out.stderr)
	}
}

// TestCosignatureTimesOfWitnessesOnly: the log's own signature carries no time, and
// its first bytes must not be taken for one.
func TestCosignatureTimesOfWitnessesOnly(t *testing.T) {
	w := newWorld(t)
	w.usual(2)
	p := must(parsePolicy([]byte(w.policy(2))))
	c := must(p.openCheckpoint(w.files()["checkpoint"]))
	if len(c.cosigned) != 2 || !c.newest().Equal(w.due()) || !c.met {
		t.Errorf("%+v", c)
	}
	// Lines of unknown keys and types stay unread (c2sp.org/signed-note).
	signed := append(w.files()["checkpoint"], signatureLine("otro", 7, make([]byte, 3000))...)
	if c, err := p.openCheckpoint(signed); err != nil || !c.met {
		t.Errorf("with an unknown line: %v", err)
	}
	// A line with the log's name and hash, and a foreign signature.
	text := torchwood.Checkpoint{Origin: testOrigin, Tree: c.Tree}.String() + "\n" + signatureLine(testOrigin, w.log.KeyHash(), make([]byte, 64))
	if _, err := p.openCheckpoint([]byte(text)); err == nil {
		t.Error("a forged signature is accepted")
	}
}
