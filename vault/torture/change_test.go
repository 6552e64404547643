package torture_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/crypto/card"
	"resguardo/vault/torture/disk"
	"resguardo/vault/translog"
)

// roster is who and what should be in force, as the operator was told: nothing that
// was begun and not confirmed is in it until the files say what has become of it.
type roster struct {
	in      map[string]bool // desks, and people of the only desk, and the auditor
	revoked map[string]bool // people who never come back
	unsure  string          // what one command has begun to change
}

// change is a command that changes the roster.
type change struct {
	args    []string
	who     string
	in      bool
	revokes bool
}

// fingerprint is that of a person's card.
func (h *house) fingerprint(person string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.card(person))
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := card.Parse(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return c.Fingerprint()
}

// drawChange draws a change that the roster allows. Ana stays.
func (h *house) drawChange(r *rand.Rand, now *roster, round int) change {
	dir := []string{"-dir", h.state()}
	who := reviewers[1+r.IntN(len(reviewers)-1)]
	switch n := r.IntN(8); {
	case n == 0:
		id := fmt.Sprintf("desk-%d", round)
		return change{append([]string{"desk", "add"}, append(dir, "-id", id, "-name-es", "S", "-name-en", "S", "-region", "S")...), id, true, false}
	case n < 3 && !now.in["eva"] && !now.revoked["eva"]:
		return change{append([]string{"auditor", "add"}, append(dir, h.card("eva"))...), "eva", true, false}
	case n < 3 && now.in["eva"]:
		return change{append([]string{"auditor", "revoke"}, append(dir, h.fingerprint("eva"))...), "eva", false, true}
	case now.in[who]:
		return change{append([]string{"reviewer", "revoke"}, append(dir, h.fingerprint(who))...), who, false, true}
	case now.revoked[who]:
		return h.drawChange(r, now, round)
	}
	return change{append([]string{"reviewer", "add"}, append(dir, "-desk", "norte", h.card(who))...), who, true, false}
}

// told notes that a change was confirmed, or what it has begun.
func (now *roster) told(c change, confirmed bool) {
	now.unsure = ""
	if !confirmed {
		now.unsure = c.who
		return
	}
	now.in[c.who] = c.in
	now.revoked[c.who] = c.revokes
}

// files is who and what the lists of the program name.
func (h *house) files() map[string]bool {
	h.t.Helper()
	there := make(map[string]bool)
	type line struct {
		ID          string // of a desk
		Fingerprint string
		Revoked     bool
	}
	names := make(map[string]string)
	for _, name := range append([]string{"eva"}, reviewers...) {
		names[h.fingerprint(name)] = name
	}
	for _, what := range []string{"desk", "reviewer", "auditor"} {
		out := h.must("resguardod", what, "list", "-dir", h.state(), "-json")
		for d := json.NewDecoder(strings.NewReader(out.stdout)); d.More(); {
			var l line
			if err := d.Decode(&l); err != nil {
				h.t.Fatalf("%s list: %v\n%s", what, err, out.stdout)
			}
			if !l.Revoked {
				there[l.ID+names[l.Fingerprint]] = true
			}
		}
	}
	return there
}

// settle compares the files with the roster. What was begun and not confirmed has
// happened or not.
func (h *house) settle(now *roster) {
	h.t.Helper()
	there := h.files()
	if who := now.unsure; who != "" {
		if now.in[who] && !there[who] {
			now.revoked[who] = true
		}
		now.in[who] = there[who]
		now.unsure = ""
	}
	for who, in := range now.in {
		if in != there[who] {
			h.t.Errorf("%s is in force: %v, the operator was told %v", who, there[who], in)
		}
	}
	for who := range there {
		if !now.in[who] {
			h.t.Errorf("%q is in force, and nobody said so", who)
		}
	}
}

// TestKeyChangePowerCut cuts the power, or lets the disk fail, while desks, reviewers
// and auditors come and go, through a running server and without one, and while the
// notes about it are signed. A change is whole or not begun; one that was confirmed
// stays; who was revoked never gets in again, and nothing is sealed to that key; in
// the end the public log says what the files say.
func TestKeyChangePowerCut(t *testing.T) {
	template, promised := withReports(t, 1, "berta")
	template = template.on(t, template.disk)
	if err := os.Rename(template.state()+".keys", template.in("away")); err != nil { // or serve and the commands sign by themselves
		t.Fatal(err)
	}
	template.rest()
	var l *disk.Disk
	var got *clients
	var now *roster
	c := tally{fault: "power cut or error while desks, reviewers and auditors come and go, and while notes are signed"}
	defer c.end(t)
	for round := range share(4) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%5 == 0 {
			l, got = template.disk.Copy(chance(s)), promised.clone()
			now = &roster{in: map[string]bool{"norte": true, "ana": true, "berta": true, "eva": true}, revoked: make(map[string]bool)}
		}
		h := template.on(t, l)
		did, told := h.changeKeys(r, now, round)
		if told {
			c.acked++
		}
		h.disk.Repair()
		var report disk.Report
		l, report = h.cut()
		c.add(report)
		t.Logf("round %d: %s, told: %v: %v", round, did, told, report)
		h = template.on(t, l)
		h.settle(now)
		h.proveKeys(got, now, round%5 == 4)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		h.rest()
		l = h.disk
	}
	c.little(t, c.acked == 0)
}

// changeKeys makes one change while the disk is harmed: through a server or without.
// If notes wait for a signature, it may sign them instead.
func (h *house) changeKeys(r *rand.Rand, now *roster, round int) (did string, told bool) {
	h.t.Helper()
	if notes := h.requests(false); len(notes) > 0 && r.IntN(2) == 0 {
		did = h.harm(r, 24)
		told = h.sign(notes).code == 0
		h.proveSigned(notes, told)
		return "sign " + fmt.Sprint(len(notes)) + ", " + did, told
	}
	change := h.drawChange(r, now, round)
	running := r.IntN(2) == 0
	if running {
		s := h.serve()
		defer s.kill()
	}
	did = h.harm(r, 80)
	out := h.do("resguardod", change.args...)
	told = out.code == 0
	if strings.Contains(out.stderr, "goroutine ") {
		h.t.Errorf("%q:\n%s", change.args, out.stderr)
	}
	now.told(change, told)
	return fmt.Sprintf("%s %s, server %v, %s", strings.Join(change.args[:2], " "), change.who, running, did), told
}

// requests are the files of notes that wait: for signatures, or for the log too.
func (h *house) requests(all bool) (files []string) {
	there, _ := filepath.Glob(filepath.Join(h.state(), "requests", "*.note"))
	for _, file := range there {
		if text, err := os.ReadFile(file); err == nil && (all || !bytes.Contains(text, []byte("\n\n— "))) {
			files = append(files, file)
		}
	}
	return files
}

func (h *house) sign(notes []string) result {
	h.t.Helper()
	return h.do("resguardod", append([]string{"sign", "-key", h.in("away/governance.key")}, notes...)...)
}

// proveSigned: what sign has confirmed must survive the cut that follows. It looks at
// what is durable.
func (h *house) proveSigned(notes []string, told bool) {
	if !told {
		return
	}
	h.t.Helper()
	signed := make(map[string]bool)
	h.disk.Durable(func(path string, _ int64, b []byte) {
		signed[filepath.Base(path)] = signed[filepath.Base(path)] || bytes.Contains(b, []byte("\n\n— "))
	})
	for _, file := range notes {
		if !signed[filepath.Base(file)] {
			h.t.Errorf("%s was signed, and the signature is not on the disk", file)
		}
	}
}

// proveKeys starts the server: ana reads everything, who was revoked gets nothing. At
// the end of a life, notes are signed until the log says what the files say.
func (h *house) proveKeys(got *clients, now *roster, last bool) {
	h.t.Helper()
	if r := h.do("resguardod", "check", "-dir", h.state()); r.code != 0 {
		h.t.Errorf("check: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	s := h.serve()
	defer s.kill()
	h.sendSome(s, got, fmt.Sprintf("with %d, %d", len(got.messages), time.Now().UnixNano()), 1)
	if last {
		h.converge(s)
	}
	h.proveLog(s, got)
	h.proveReports(s, got)
	newest := got.messages[len(got.messages)-1]
	file := h.fetch(s, "ana")[newest]
	for who, out := range now.revoked {
		if !out {
			continue
		}
		desk := filepath.Join(h.t.TempDir(), who)
		h.copyKeys(who, desk)
		if r := h.do("resguardo", "fetch", "-dir", desk, "-server", s.PreviewReview); r.code == 0 {
			h.t.Errorf("%s was revoked, and fetches:\n%s", who, r.stderr)
		}
		if _, err := open(file, filepath.Join(desk, "identity.txt")); err == nil && who != "eva" {
			h.t.Errorf("%s was revoked, and opens what came afterwards", who)
		}
	}
}

// converge signs what waits until the log says what the files say.
func (h *house) converge(s *running) {
	h.t.Helper()
	want := h.wanted()
	var says string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if notes := h.requests(false); len(notes) > 0 {
			h.sign(notes) // one may have gone into the log meanwhile
		}
		m, err := h.readLog(s, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		if says = sayings(m); says == want && len(h.requests(true)) == 0 {
			return
		}
	}
	h.t.Errorf("the log says\n%s\nthe files say\n%s\nnotes wait: %q", says, want, h.requests(true))
}

// wanted is what the log should say of the files: the desks with their people, and the auditor.
func (h *house) wanted() string {
	there := h.files()
	names := append([]string{"eva"}, reviewers...)
	var desks, readers []string
	for what := range there {
		if !slices.Contains(names, what) && what != "norte" {
			desks = append(desks, what+":")
		}
	}
	for _, name := range reviewers {
		if there[name] {
			readers = append(readers, h.fingerprint(name))
		}
	}
	slices.Sort(readers)
	desks = append(desks, "norte:"+strings.Join(readers, ","))
	slices.Sort(desks)
	return fmt.Sprintf("%s auditor %v", strings.Join(desks, " "), there["eva"])
}

// sayings is that of a log.
func sayings(m *translog.Monitor) string {
	desks := make(map[string]string)
	auditor := false
	for _, n := range m.Notes() {
		switch b := n.Body.(type) {
		case translog.Desk:
			desks[b.ID] = b.ID + ":" + strings.Join(b.Reviewers, ",")
		case translog.Card:
			if b.Role == string(card.Auditor) {
				auditor = !b.Revoked
			}
		}
	}
	var all []string
	for _, d := range desks {
		all = append(all, d)
	}
	slices.Sort(all)
	return fmt.Sprintf("%s auditor %v", strings.Join(all, " "), auditor)
}
