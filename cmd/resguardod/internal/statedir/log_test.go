package statedir

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

func TestPolicyIsRefused(t *testing.T) {
	d := newVault(t, usual)
	good, err := d.Policy()
	if err != nil || len(good.Witnesses) != 0 || good.Quorum != "none" {
		t.Fatalf("%+v %v", good, err)
	}
	twin, err := newVault(t, usual).Policy()
	if err != nil {
		t.Fatal(err)
	}
	const key = "w.example+3a2b1c0d+BAAA"
	for text, want := range map[string]string{
		"": "the log line is missing",
		strings.TrimSuffix(good.Text, "quorum none\n"): "the quorum line is missing",
		good.Text + good.Text:                          "line 3: not a policy: a second log",
		twin.Text:                                      "line 1: the policy names another log key than log.vkey",
		"# ours\n\n" + twin.Text:                       "line 3: the policy names another log key",
		good.Text + "witness w " + key:                 "line 3: not a policy: the witness's key",
		good.Text + "quorum none\n":                    "line 3: not a policy: a second quorum line",
		strings.TrimSuffix(good.Text, "\n"):            "cannot stand in the public log",
		good.Text + "-\n":                              "not a policy: a line begins with",
		good.Text + "# x \n":                           "cannot stand in the public log",
		good.Text + strings.Repeat("#", 17<<10) + "\n": "longer than 16 KiB",
	} {
		if err := os.WriteFile(d.Path(PolicyFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Policy(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

func TestWitnessNeedsAnAddress(t *testing.T) {
	d := newVault(t, usual)
	good, err := d.Policy()
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := torchwood.NewCosignatureSigner("witness.example", private)
	if err != nil {
		t.Fatal(err)
	}
	key := signer.Verifier().String()
	text := strings.Replace(good.Text, "quorum none", "witness w "+key+"\nquorum w", 1)
	if err := os.WriteFile(d.Path(PolicyFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Policy(); err == nil || !strings.Contains(err.Error(), `the witness "w" has no address`) {
		t.Errorf("without an address: %v", err)
	}
	text = strings.Replace(text, key, key+" http://w.onion/", 1)
	if err := os.WriteFile(d.Path(PolicyFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Policy(); err != nil || len(p.Witnesses) != 1 || p.Witnesses[0].URL != "http://w.onion/" {
		t.Errorf("with an address: %+v, %v", p, err)
	}
}

func TestRequestsAreKeptUpToDate(t *testing.T) {
	d := newVault(t, usual)
	if got, err := d.Requests(); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
	want := []Request{{"000001-desk-a.note", []byte("text\n")}, {"000002-desk-b.note", []byte("other\n")}}
	set := func() {
		t.Helper()
		if err := d.SetRequests(want); err != nil {
			t.Fatal(err)
		}
	}
	same := func() {
		t.Helper()
		got, err := d.Requests()
		if err != nil || !slices.EqualFunc(got, want, func(a, b Request) bool { return a.Name == b.Name && bytes.Equal(a.Note, b.Note) }) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	set()
	same()
	put := func(name, text string, age time.Duration) {
		t.Helper()
		path := d.Path(RequestsDir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	// What is being copied into place is left alone, but not for ever.
	put("000001-desk-a.note", "text\n\n— half a signa", 0)
	set()
	if got, _ := d.Requests(); len(got) != 2 || string(got[0].Note) != "text\n\n— half a signa" {
		t.Errorf("a file on its way was overwritten: %q", got)
	}
	put("000001-desk-a.note", "text\n\n— half a signa", time.Minute)
	set()
	same()
	// What is something else is replaced at once; what is not wanted goes.
	put("000001-desk-a.note", "something else", 0)
	put("000009-desk-c.note", "left over", 0)
	set()
	same()
	// A signature replaces the bare text.
	want[0].Note = []byte("text\n\n— signature\n")
	set()
	same()
	// A file that is none counts as empty.
	if err := os.Remove(d.Path(RequestsDir, "000002-desk-b.note")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Path(RequestsDir, "000002-desk-b.note"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Requests(); err != nil || len(got) != 2 || got[1].Note != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestMarksHoldOnce(t *testing.T) {
	d := newVault(t, usual)
	accepted := func(last int64, want bool) {
		t.Helper()
		if got, err := d.GapAccepted(last); err != nil || got != want {
			t.Errorf("accepted after %d: %v, %v", last, got, err)
		}
	}
	accepted(7, false)
	if err := errors.Join(d.AcceptGap(7), d.Restoring(3, 9)); err != nil {
		t.Fatal(err)
	}
	accepted(7, true)
	accepted(8, false)
	if from, to, found, err := d.Restored(); from != 3 || to != 9 || !found || err != nil {
		t.Errorf("restored %d to %d, %v, %v", from, to, found, err)
	}
	if err := errors.Join(d.SetSeen(8, 6), d.ForgetMarks()); err != nil {
		t.Fatal(err)
	}
	accepted(7, false)
	if epoch, seen, found, err := d.Seen(); epoch != 8 || seen != 6 || !found || err != nil {
		t.Errorf("in %d: seen %d, %v, %v", epoch, seen, found, err)
	}
	if _, _, found, err := d.Restored(); found || err != nil {
		t.Errorf("restored %v, %v", found, err)
	}
	for _, text := range []string{"", "7", "resguardo/accept-gap/v1\nlast 07\n", "resguardo/accept-gap/v1\nlast 7\nmore", "resguardo/accept-gap/v2\nlast 7\n"} {
		if err := os.WriteFile(d.Path(acceptGapFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.GapAccepted(7); got || err == nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// auditorCard makes an auditor's card file.
func auditorCard(t *testing.T) []byte { return newCardOf(t, card.Auditor) }

func TestAuditorsComeAndGo(t *testing.T) {
	d := newVault(t, usual)
	apply(t, d, Change{AddDesk: newDesk("norte")})
	text := auditorCard(t)
	o := apply(t, d, Change{AddAuditor: &Joining{Card: text}})
	if !o.Auditors || o.Fingerprint == "" {
		t.Errorf("%+v", o)
	}
	if o := apply(t, d, Change{AddAuditor: &Joining{Card: text}}); o.Auditors {
		t.Errorf("again: %+v", o)
	}
	if _, err := d.Apply(Change{AddReviewer: &Joining{Desk: "norte", Card: text}}); err == nil {
		t.Error("an auditor joined a desk")
	}
	if _, err := d.Apply(Change{AddAuditor: &Joining{Card: newCard(t)}}); err == nil {
		t.Error("a reviewer became an auditor")
	}
	if _, err := d.Apply(Change{Revoke: &Revocation{Fingerprint: o.Fingerprint}}); err == nil {
		t.Error("an auditor was revoked as a reviewer")
	}
	s, err := d.Load()
	if err != nil || len(s.Auditors) != 1 || s.Auditors[0].Revoked || len(s.Reviewers) != 0 {
		t.Fatalf("%+v %v", s, err)
	}
	if o := apply(t, d, Change{RevokeAuditor: &Revocation{Fingerprint: o.Fingerprint[:8]}}); !o.Auditors {
		t.Errorf("%+v", o)
	}
	if o := apply(t, d, Change{RevokeAuditor: &Revocation{Fingerprint: o.Fingerprint}}); o.Auditors {
		t.Errorf("again: %+v", o)
	}
	if s, err = d.Load(); err != nil || len(s.Auditors) != 1 || !s.Auditors[0].Revoked {
		t.Errorf("%+v %v", s, err)
	}
	apply(t, d, Change{AddAuditor: &Joining{Card: text}})
	for range MaxAuditors - 1 {
		apply(t, d, Change{AddAuditor: &Joining{Card: auditorCard(t)}})
	}
	if _, err := d.Apply(Change{AddAuditor: &Joining{Card: auditorCard(t)}}); err == nil {
		t.Errorf("more than %d auditors", MaxAuditors)
	}
	if err := os.WriteFile(d.Path(AuditorsFile), []byte("format = \"resguardo/auditors/v1\"\nauditors = [\""+strings.Repeat("0", 64)+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(); err == nil || !strings.Contains(err.Error(), "auditors.toml, line 2: no usable card") {
		t.Errorf("a fingerprint without a card: %v", err)
	}
}

func TestFilesOfTheLog(t *testing.T) {
	known := []string{"auditors.toml", ".auditors.toml.new", "requests/", "requests/000000-genesis-x.note", "requests/.000000-genesis-x.note.new",
		"high-water", "high-water.new", "accept-gap", ".restore.new", "restore", "seen", "questions.toml", ".high-water.new", "operations.vkey", "onion/socks"}
	foreign := []string{"requests", "requests/key", "requests/sub/", "questions.toml/", "desks/questions.txt", ".log.key.new", "auditors.toml/", "high-water.old", "governance.key"}
	for want, paths := range map[bool][]string{true: known, false: foreign} {
		for _, path := range paths {
			rel, isDir := strings.CutSuffix(path, "/")
			if Known(rel, isDir) != want {
				t.Errorf("%s: known is %v", path, !want)
			}
		}
	}
}

func TestGovernanceSigner(t *testing.T) {
	d := newVault(t, usual)
	s, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := d.GovernanceSigner(s.Config.Origin)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := d.Verifiers()
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(keys.Governance[0])
	if err != nil || !pair(signer, v) {
		t.Errorf("not a pair: %v", err)
	}
	path := filepath.Join(d.KeysDir(), GovernanceKey)
	key, err := os.ReadFile(d.Path(OperationsKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GovernanceSigner(s.Config.Origin); err == nil || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("another key: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if signer, err := d.GovernanceSigner(s.Config.Origin); signer != nil || err != nil {
		t.Errorf("key away: %v, %v", signer, err)
	}
}

func TestReplaceFileKeepsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "request.note")
	if err := ReplaceFile(path, []byte("x")); err == nil {
		t.Error("made a file that was not there")
	}
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	text, err2 := os.ReadFile(path)
	if err := errors.Join(err, err2); err != nil || info.Mode().Perm() != 0o640 || string(text) != "new" {
		t.Errorf("%v %q %v", info.Mode(), text, err)
	}
}
