package governance

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

const (
	origin = "x-00000000"
	slots  = 4
	start  = 1000 // epoch of genesis
)

// world is a log with its keys, and the operator's files.
type world struct {
	t          *testing.T
	governance note.Signer
	operations note.Signer
	genesis    *translog.Genesis
	policy     string
	m          *translog.Monitor
	state      *statedir.State
	requests   []statedir.Request
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, state: &statedir.State{Config: statedir.Config{RetentionDays: 180, DeleteBy: 2}}}
	key := func(name string) (note.Signer, string) {
		skey, vkey, err := note.GenerateKey(rand.Reader, name)
		w.check(err)
		s, err := note.NewSigner(skey)
		w.check(err)
		return s, vkey
	}
	_, log := key(origin)
	var operations, governance string
	w.operations, operations = key(origin + "/operations")
	w.governance, governance = key(origin + "/governance")
	w.genesis = &translog.Genesis{Origin: origin, Log: log, Operations: operations, Governance: []string{governance},
		Threshold: 1, Epoch: time.Hour, Slots: slots, Time: 3, Memory: 65536, Threads: 1}
	w.policy = "log " + log + "\nquorum none\n"
	w.m = translog.NewMonitor(log)
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) log() Log { return Of(w.m) }

func (w *world) files() Files { return FilesOf(w.state, w.genesis, w.policy) }

// plan is Plan in an epoch; what it says is then in requests/.
func (w *world) plan(epoch int64) []Request {
	plan := w.log().Plan(w.files(), w.requests, epoch)
	w.requests = FileAll(plan)
	return plan
}

// sign signs some requests, or all.
func (w *world) sign(names ...string) {
	w.t.Helper()
	for i, r := range w.requests {
		if len(names) == 0 || slices.Contains(names, r.Name) {
			signed, err := translog.AddSignature(r.Note, w.governance)
			w.check(err)
			w.requests[i].Note = signed
		}
	}
}

// close ends an epoch: what is ready, the operations notes, and events. Before the
// log has begun it only begins it.
func (w *world) close(epoch int64, notes ...translog.Governance) {
	w.t.Helper()
	var leaves [][]byte
	for _, g := range notes {
		leaf, err := g.Sign(w.operations)
		w.check(err)
		leaves = append(leaves, leaf)
	}
	leaves = append(leaves, Ready(w.plan(epoch))...)
	if w.m.Genesis() != nil {
		var tags [][32]byte
		for range slots {
			tags = append(tags, [32]byte{})
			rand.Read(tags[len(tags)-1][:])
		}
		slices.SortFunc(tags, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
		for _, tag := range tags {
			leaves = append(leaves, translog.Leaf{Epoch: epoch, Tag: tag}.Marshal())
		}
	}
	w.check(w.m.Append(leaves...))
	w.plan(epoch + 1)
}

// fingerprint makes one of a name.
func fingerprint(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func holder(name string, role card.Role) statedir.Holder {
	// Only the fingerprint, the role and the digest matter here; the fingerprint is
	// the hash of the recipient.
	return statedir.Holder{Card: card.Card{Role: role, Recipient: name}, Digest: sha256.Sum256([]byte("card of " + name))}
}

// desk puts a desk with these reviewers into the files; their cards come, and stay.
func (w *world) desk(id string, reviewers ...string) {
	d := statedir.Desk{ID: id}
	for _, name := range reviewers {
		f := fingerprint(name)
		d.Reviewers = append(d.Reviewers, f)
		if _, known := w.state.Reviewer(f); !known {
			w.state.Reviewers = append(w.state.Reviewers, statedir.Reviewer{Holder: holder(name, card.Reviewer)})
			slices.SortFunc(w.state.Reviewers, func(a, b statedir.Reviewer) int {
				return strings.Compare(a.Card.Fingerprint(), b.Card.Fingerprint())
			})
		}
	}
	w.state.Desks = slices.DeleteFunc(w.state.Desks, func(old statedir.Desk) bool { return old.ID == id })
	w.state.Desks = append(w.state.Desks, d)
	slices.SortFunc(w.state.Desks, func(a, b statedir.Desk) int { return strings.Compare(a.ID, b.ID) })
	for i := range w.state.Reviewers {
		r := &w.state.Reviewers[i]
		r.Desks = nil
		for _, d := range w.state.Desks {
			if slices.Contains(d.Reviewers, r.Card.Fingerprint()) {
				r.Desks = append(r.Desks, d.ID)
			}
		}
	}
}

// begun is a world whose log has one desk with one reviewer, and one epoch.
func begun(t *testing.T) *world {
	w := newWorld(t)
	w.desk("norte", "ana")
	w.plan(start)
	w.sign()
	w.close(start)
	w.close(start)
	return w
}

// kinds are the kinds and ids of a plan, with ! for what is signed.
func kinds(plan []Request) string {
	var all []string
	for _, r := range plan {
		mark := ""
		if r.Signed {
			mark = "!"
		}
		all = append(all, fmt.Sprintf("%d%s %s %s", r.Seq, mark, r.Kind, id(r.Body)))
	}
	return strings.Join(all, ", ")
}

func (w *world) wants(plan []Request, want string) {
	w.t.Helper()
	for _, name := range []string{"ana", "eva", "luz", "aud"} {
		want = strings.ReplaceAll(want, "<"+name+">", fingerprint(name)[:16])
	}
	if got := kinds(plan); got != want {
		w.t.Errorf("plan\n%s, want\n%s", got, want)
	}
}

func TestLogBeginsWithEverything(t *testing.T) {
	w := newWorld(t)
	w.desk("norte", "ana")
	w.desk("sur")
	w.wants(w.plan(start), "0 genesis x-00000000, 1 card <ana>, 2 desk sur, 3 desk norte")
	w.requests = slices.DeleteFunc(w.requests, func(r statedir.Request) bool { return strings.Contains(r.Name, "norte") })
	w.wants(w.plan(start+5), "0 genesis x-00000000, 1 card <ana>, 2 desk sur, 3 desk norte")
	w.sign()
	w.close(start)
	w.wants(w.plan(start), "")
	w.close(start)
	if got := w.log(); got.Last != start || got.Size != 4+slots {
		t.Errorf("last %d, size %d", got.Last, got.Size)
	}
}

func TestRequestsWaitAndAreSuperseded(t *testing.T) {
	w := begun(t)
	w.desk("norte", "ana", "eva")
	w.wants(w.plan(start+1), "3 card <eva>, 4 desk norte")
	w.sign("000003-card-" + fingerprint("eva")[:16] + ".note")
	w.wants(w.plan(start+1), "3! card <eva>, 4 desk norte")

	// Another addition: the card's note still fits, with its signature; the desk's does not.
	w.desk("norte", "ana", "eva", "luz")
	w.wants(w.plan(start+1), "3! card <eva>, 4 card <luz>, 5 desk norte")
	w.sign()
	// Signed, but eva has left meanwhile: the note must not come into the log.
	w.desk("norte", "ana", "luz")
	for _, r := range w.plan(start + 1) {
		if d, ok := r.Body.(translog.Desk); ok && (r.Signed || slices.Contains(d.Reviewers, fingerprint("eva"))) {
			t.Errorf("kept a note that adds who has left: %+v", r)
		}
	}
	w.sign()
	w.close(start + 1)
	w.wants(w.plan(start+2), "")
}

func TestForeignRequestsAreDropped(t *testing.T) {
	w := begun(t)
	w.desk("norte", "ana", "eva")
	plan := w.plan(start + 1)
	good := plan[0].Governance
	other := good
	other.Epoch = start + 2 // of the future
	later := good
	later.Effective = start + 9
	wrong := good
	wrong.Prev[0]++
	for name, text := range map[string][]byte{
		"future": other.Text(), "effective": later.Text(), "another chain": wrong.Text(), "nothing": nil, "junk": []byte("junk"), "cut": good.Text()[:40],
	} {
		w.requests[0].Note = text
		plan := w.plan(start + 1)
		if !bytes.Equal(plan[0].Note, good.Text()) {
			t.Errorf("%s: request is %q", name, plan[0].Note)
		}
	}
	w.requests[0].Note, _ = translog.AddSignature(good.Text(), w.operations)
	if plan := w.plan(start + 1); plan[0].Signed {
		t.Error("taken with the signature of another key")
	}
}

func TestEveryChangeBecomesANote(t *testing.T) {
	w := begun(t)
	w.policy += "# changed\n"
	w.state.Config.RetentionDays = 90
	w.state.Auditors = []statedir.Auditor{{Holder: holder("aud", card.Auditor)}}
	w.wants(w.plan(start+1), "3 card <aud>, 4 policy text, 5 retention days")
	w.sign()
	w.close(start + 1)
	w.wants(w.plan(start+2), "")
	w.state.Auditors[0].Revoked = true
	w.state.Desks = nil
	w.wants(w.plan(start+2), "6 card <aud>, 7 desk norte")
	w.sign()
	w.close(start + 2)
	w.wants(w.plan(start+3), "")
	if d, ok := w.log().said().desks["norte"]; !ok || len(d.Reviewers) != 0 {
		t.Errorf("a desk that is gone has %v", d.Reviewers)
	}
}

// TestFullVaultExchangesADesk: the log takes at most MaxDesks desks with reviewers at
// a time, so one must lose its own before another gains some.
func TestFullVaultExchangesADesk(t *testing.T) {
	w := newWorld(t)
	for i := range translog.MaxDesks {
		w.desk(fmt.Sprintf("desk-%03d", i), "ana")
	}
	w.plan(start)
	w.sign()
	w.close(start)
	w.close(start)
	w.desk("aaa", "ana")
	w.desk("desk-100")
	w.plan(start + 1)
	w.sign()
	w.close(start + 1)
}

func TestInForce(t *testing.T) {
	w := begun(t)
	force := func(epoch, seen int64) string {
		f := w.log().In(w.state, epoch, seen)
		var names []string
		for _, name := range []string{"ana", "eva"} {
			if slices.Contains(f.Desks["norte"], fingerprint(name)) {
				names = append(names, name)
			}
		}
		return strings.Join(append(names, f.Auditors...), " ")
	}
	if got := force(start, 0); got != "ana" {
		t.Errorf("with the first note: %q", got)
	}
	w.desk("norte", "ana", "eva")
	w.plan(start + 1)
	w.sign()
	w.close(start + 1)
	for _, tt := range []struct {
		epoch, seen int64
		want        string
	}{
		{start + 1, start + 1, "ana"}, {start + 2, start + 1, "ana"}, {start + 3, start, "ana"}, {start + 3, start + 1, "ana eva"},
	} {
		if got := force(tt.epoch, tt.seen); got != tt.want {
			t.Errorf("in +%d, seen +%d: %q, want %q", tt.epoch-start, tt.seen-start, got, tt.want)
		}
	}
	w.desk("norte", "eva")
	if got := force(start+3, start+2); got != "eva" {
		t.Errorf("after ana left the files: %q", got)
	}
	r, _ := w.state.Reviewer(fingerprint("eva"))
	for i := range w.state.Reviewers {
		w.state.Reviewers[i].Digest[0]++
	}
	if got := force(start+3, start+2); got != "" {
		t.Errorf("with another card file: %q", got)
	}
	if got := w.log().Unnoted(w.state); !slices.Equal(got, []string{r.Card.Fingerprint()}) {
		t.Errorf("unnoted: %v", got)
	}
	if f := w.log().In(w.state, start+3, start+2); f.Sequence != 4 || f.Policy != w.policy {
		t.Errorf("sequence %d, policy %q", f.Sequence, f.Policy)
	}
}

func TestRemovalsAreTold(t *testing.T) {
	w := begun(t)
	w.state.Auditors = []statedir.Auditor{{Holder: holder("aud", card.Auditor)}}
	w.desk("norte", "ana", "eva")
	w.plan(start + 1)
	w.sign()
	w.close(start + 1)
	told := func() string {
		var all []string
		for _, i := range w.log().Removals(w.files()) {
			for _, name := range []string{"ana", "eva", "aud"} {
				if i.Fingerprint == fingerprint(name) {
					all = append(all, name+"/"+i.Desk)
				}
			}
		}
		return strings.Join(all, " ")
	}
	if got := told(); got != "" {
		t.Errorf("removals %q", got)
	}
	w.desk("norte", "eva")
	w.state.Auditors[0].Revoked = true
	if got := told(); got != "ana/norte aud/" {
		t.Errorf("removals %q", got)
	}
	// They are told once, whether or not the governance signature comes.
	w.close(start+2, w.log().Operations(Report{Epoch: start + 2, Revoked: w.log().Removals(w.files())})...)
	if got := told(); got != "" {
		t.Errorf("removals after the incident: %q", got)
	}
	w.sign()
	w.close(start + 3)
	if got := told(); got != "" {
		t.Errorf("removals after the note: %q", got)
	}
	// Who comes back and leaves again is told again.
	w.desk("norte", "eva", "ana")
	w.plan(start + 4)
	w.sign()
	w.close(start + 4)
	w.state.Desks = nil
	if got := told(); got != "eva/norte ana/norte" && got != "ana/norte eva/norte" {
		t.Errorf("removals %q", got)
	}
}

func TestOperationsNotes(t *testing.T) {
	w := begun(t)
	r := Report{
		Epoch: start + 4, Unwitnessed: start + 1, Restored: translog.Restore{From: 1, To: 2},
		Revoked: []translog.Incident{{What: translog.Revoked, Fingerprint: fingerprint("ana"), Desk: "norte"}},
		Assets:  translog.Assets{Build: "b", Files: []translog.Asset{{Path: "a.css"}}},
	}
	names := func(notes []translog.Governance) (all []string) {
		for _, g := range notes {
			all = append(all, string(g.Kind))
		}
		return all
	}
	notes := w.log().Operations(r)
	if got := names(notes); !slices.Equal(got, []string{"gap", "restore", "incident", "incident", "assets"}) {
		t.Errorf("notes %v", got)
	}
	w.close(start+4, notes...)
	r.Epoch, r.Revoked = start+5, nil
	if notes := w.log().Operations(r); len(notes) > 0 {
		t.Errorf("again: %v", names(notes))
	}
	r.Assets.Build = "c"
	r.Restored = translog.Restore{From: 2, To: 1 << 20} // recover did not come to its end
	notes = w.log().Operations(r)
	if got := names(notes); !slices.Equal(got, []string{"assets"}) {
		t.Errorf("notes %v", got)
	}
	w.close(start+5, notes...)
}

func TestStandings(t *testing.T) {
	w := newWorld(t)
	w.desk("norte", "ana")
	at := func(epoch, seen int64) string {
		var all []string
		for _, s := range w.log().Standings(w.state, w.plan(epoch), epoch, seen) {
			name := "ana"
			if s.Fingerprint == fingerprint("eva") {
				name = "eva"
			}
			if s.Fingerprint == fingerprint("aud") {
				name = "aud"
			}
			from := int64(0)
			if s.From > 0 {
				from = s.From - start
			}
			all = append(all, fmt.Sprintf("%s/%s+%d%v%v", name, s.Desk, from, map[bool]string{true: "unsigned"}[s.Unsigned], map[bool]string{true: "works"}[s.Works]))
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	wants := func(epoch, seen int64, want string) {
		t.Helper()
		if got := at(epoch, seen); got != want {
			t.Errorf("standings %q, want %q", got, want)
		}
	}
	wants(start, 0, "ana/norte+0")
	w.sign()
	w.close(start)
	wants(start, 0, "ana/norte+0works")
	if got := w.log().FromNow(start); got != start+1 {
		t.Errorf("before the first event a note works from +%d", got-start)
	}
	w.close(start)
	w.state.Auditors = []statedir.Auditor{{Holder: holder("aud", card.Auditor)}}
	w.desk("norte", "ana", "eva")
	wants(start+1, start, "ana/norte+0works aud/+0unsigned eva/norte+0unsigned")
	w.sign()
	wants(start+1, start, "ana/norte+0works aud/+3 eva/norte+3")
	w.close(start + 1)
	wants(start+2, start+1, "ana/norte+0works aud/+3 eva/norte+3")
	wants(start+3, start, "ana/norte+0works aud/+3 eva/norte+3")
	wants(start+3, start+1, "ana/norte+0works aud/+3works eva/norte+3works")
}
