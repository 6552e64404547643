package review_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles/logtest"
	"resguardo/onion/review"
	"resguardo/vault/translog"
)

// sending is an age file and what an honest program says about it.
type sending struct {
	card.Statement
	file []byte
}

// sealed is an age file of n plaintext bytes to these recipients.
func sealed(t *testing.T, n int, to ...reviewer) []byte {
	t.Helper()
	var recipients []age.Recipient
	for _, r := range to {
		recipients = append(recipients, r.age)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// next is an item that would be accepted now: of this kind, with the counter 0.
func (h *house) next(by reviewer, inCase, kind string) sending {
	h.t.Helper()
	s := sending{file: sealed(h.t, 1000, by)}
	s.Statement = card.Statement{Kind: kind, Origin: origin, Case: inCase, Ciphertext: sha256.Sum256(s.file), Number: 1}
	if !card.DeskKind(kind) {
		s.Kind = "note"
	}
	for _, c := range h.caseList(h.session(by)) {
		if c.Case == inCase {
			s.Number = c.Next
		}
	}
	s.Event = translog.NewEvent(h.deskLog[inCase], translog.Kind(kind), 0)
	switch kind {
	case "rewrap":
		s.Desk, s.Ref = "norte", [32]byte{1}
	case "recuse":
		s.Desk = "norte"
	}
	return s
}

// header signs what a statement says.
func (h *house) header(by reviewer, s sending) string {
	h.t.Helper()
	msg, err := s.Sign(by.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	return card.EncodeHeader(msg)
}

// send adds an item.
func (h *house) send(by reviewer, s sending) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.do(request{method: "POST", path: card.CasesPath + "/" + s.Case + "/" + s.Kind, session: h.session(by),
		statement: h.header(by, s), body: string(s.file)})
}

// added is the item that an answer describes.
func (h *house) added(w *httptest.ResponseRecorder) card.Item {
	h.t.Helper()
	var i card.Item
	if err := json.Unmarshal(w.Body.Bytes(), &i); err != nil || w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := i.Check(); err != nil {
		h.t.Fatal(err)
	}
	return i
}

func (h *house) caseList(session string) []card.Case {
	h.t.Helper()
	w := h.do(request{method: "GET", path: card.CasesPath, session: session})
	var l card.Cases
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, c := range l.Cases {
		if err := c.Check(); err != nil {
			h.t.Fatalf("%+v: %v", c, err)
		}
	}
	return l.Cases
}

// begin makes a report and returns its case.
func (h *house) begin(to reviewer, desks ...string) string {
	h.t.Helper()
	id, _ := h.report("hola", to, desks...)
	for _, i := range h.vault.AllItems() {
		if string(i.ID) == id {
			return string(i.Case)
		}
	}
	h.t.Fatal("no case")
	return ""
}

// refusedAs checks an answer that is a failure.
func refusedAs(t *testing.T, what string, w *httptest.ResponseRecorder, code int, text string) {
	t.Helper()
	if want := `{"error":"` + text + `"}`; w.Code != code || w.Body.String() != want {
		t.Errorf("%s: %d %s, want %d %s", what, w.Code, w.Body, code, want)
	}
}

// TestEveryKindIsAdded: what a reviewer adds comes back byte for byte, in order,
// with what proves its leaf; its opening says what the statement said.
func TestEveryKindIsAdded(t *testing.T) {
	h := newHouseWith(t, review.Config{Governance: func() uint64 { return 7 }})
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "sur")
	inCase := h.begin(ana, "norte", "sur")
	log := logtest.Begin(t, h.vault)
	first := h.list(h.session(ana))[0]
	for n, kind := range []string{"ack", "reply", "note", "rewrap", "close", "recuse"} {
		s := h.next(ana, inCase, kind)
		s.file = sealed(t, 3<<20, ana, beto, ana)
		s.Ciphertext = sha256.Sum256(s.file)
		copy(s.Ref[:], first.Tag)
		item := h.added(h.send(ana, s))
		if item.Kind != kind || item.Number != n+1 || item.Size != int64(len(s.file)) || item.Case != inCase {
			t.Errorf("item %+v", item)
		}
		if kind != "recuse" { // with it the desk leaves
			got := h.do(request{method: "GET", path: card.ItemsPath + "/" + item.ID, session: h.session(ana)})
			if !bytes.Equal(got.Body.Bytes(), s.file) {
				t.Errorf("%s: other bytes", kind)
			}
			if list := h.list(h.session(ana)); len(list) != n+2 || !slices.ContainsFunc(list, func(i card.Item) bool { return i.ID == item.ID && i.Event == item.Event }) {
				t.Errorf("%s: list %+v", kind, list)
			}
		}
		o, err := translog.ParseOpening([]byte(item.Opening))
		if err != nil {
			t.Fatal(err)
		}
		tag := translog.Event(s.Event).Tag(translog.Kind(kind))
		if string(o.Kind) != kind || o.Tag != tag || hex.EncodeToString(tag[:]) != item.Tag || item.Event != card.EncodeEvent(s.Event) ||
			o.Ref != s.Ref || o.Ciphertext != s.Ciphertext || o.Recipients != 3 || o.Governance != 7 {
			t.Errorf("%s: opening %+v", kind, o)
		}
		log.Close(t)
		if !h.vault.Logged(tag) {
			t.Errorf("%s is not in the log", kind)
		}
	}
}

// TestItemsProveTheirLeaf: Event and Opening make tag and commitment of a leaf.
func TestItemsProveTheirLeaf(t *testing.T) {
	h := newHouse(t)
	ana := newReviewer(t)
	h.add(ana, "norte")
	inCase := h.begin(ana, "norte")
	h.added(h.send(ana, h.next(ana, inCase, "ack")))
	log := logtest.Begin(t, h.vault)
	log.Close(t)
	log.Publish(t)
	leaves := h.do(request{method: "GET", path: "/log/tile/entries/000.p/17"}).Body.String()
	for _, i := range h.list(h.session(ana)) {
		e, ok := card.DecodeEvent(i.Event)
		if !ok {
			t.Fatal("malformed event")
		}
		o, err := translog.ParseOpening([]byte(i.Opening))
		if err != nil {
			t.Fatal(err)
		}
		leaf := translog.Leaf{Epoch: 83115, Tag: translog.Event(e).Tag(o.Kind), Commitment: translog.Event(e).Commit([]byte(i.Opening))}
		if hex.EncodeToString(leaf.Tag[:]) != i.Tag || !strings.Contains(leaves, string(leaf.Marshal())) {
			t.Errorf("%s: not in the log", i.Kind)
		}
	}
}

// A case with several desks is one chain: each sees the items of the others,
// which it must name, and no desk but its own.
func TestDesksOfACaseSeeAllItsItems(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte", "centro")
	h.add(beto, "sur")
	inCase := h.begin(ana, "norte", "sur")
	h.added(h.send(ana, h.next(ana, inCase, "ack")))
	for r, desks := range map[*reviewer][]string{&ana: {"norte"}, &beto: {"sur"}} {
		list := h.list(h.session(*r))
		if len(list) != 2 || !slices.Equal(list[0].Desks, desks) || !slices.Equal(list[1].Desks, desks) {
			t.Errorf("%v: %+v", desks, list)
		}
		c := h.caseList(h.session(*r))
		if len(c) != 1 || !slices.Equal(c[0].Desks, desks) || c[0].Next != 2 {
			t.Errorf("%v: %+v", desks, c)
		}
	}
}

// TestRewrapHandsOn and recuse: the new desk has the case at once, the one that
// leaves has nothing of it any more.
func TestRewrapHandsOn(t *testing.T) {
	h := newHouse(t)
	ana, beto, eva := newReviewer(t), newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "sur")
	inCase := h.begin(ana, "norte")
	report := h.list(h.session(ana))[0].ID

	leave := h.next(ana, inCase, "recuse")
	refusedAs(t, "the last desk leaves", h.send(ana, leave), 409, "hand it over first")
	other := leave
	other.Desk = "sur"
	refusedAs(t, "another desk leaves", h.send(ana, other), 403, "statement refused")
	hand := h.next(ana, inCase, "rewrap")
	hand.Desk = "oeste"
	refusedAs(t, "a desk without reviewers", h.send(ana, hand), 409, "no such desk")
	if len(h.caseList(h.session(beto))) != 0 {
		t.Error("sur has the case already")
	}
	hand.Desk = "sur"
	h.added(h.send(ana, hand))
	if c := h.caseList(h.session(beto)); len(c) != 1 || c[0].Next != 2 {
		t.Errorf("sur: %+v", c)
	}
	leave.Number = 2
	h.revoke(beto)
	refusedAs(t, "nobody is left at the other desk", h.send(ana, leave), 409, "hand it over first")
	h.add(eva, "sur")
	h.added(h.send(ana, leave))
	if len(h.caseList(h.session(ana))) != 0 || len(h.list(h.session(ana))) != 0 {
		t.Error("norte still has the case")
	}
	if w := h.do(request{method: "GET", path: card.ItemsPath + "/" + report, session: h.session(ana)}); w.Code != 404 {
		t.Errorf("norte fetches: %d", w.Code)
	}
	if len(h.list(h.session(eva))) != 3 {
		t.Error("sur does not see the whole case")
	}
	h.added(h.send(eva, h.next(eva, inCase, "close")))
	if c := h.caseList(h.session(eva)); !c[0].Closed {
		t.Error("the case is not closed")
	}
}

// TestSeen: retention waits for a reviewer to fetch what the source sent. A
// beginning, an auditor, or a desk that cannot open it do not count.
func TestSeen(t *testing.T) {
	h := newHouse(t)
	ana, beto, auditor := newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana, "norte")
	h.add(beto, "sur")
	h.add(auditor)
	inCase := h.begin(ana, "norte")
	report := h.list(h.session(ana))[0]
	hand := h.next(ana, inCase, "rewrap")
	hand.Desk = "sur"
	h.added(h.send(ana, hand))
	reply := h.added(h.send(ana, h.next(ana, inCase, "reply")))
	seen := func() (ids []string) {
		for _, i := range h.vault.AllItems() {
			if i.Seen {
				ids = append(ids, string(i.ID))
			}
		}
		return ids
	}
	get := func(who reviewer, id, rang string) {
		h.do(request{method: "GET", path: card.ItemsPath + "/" + id, session: h.session(who), rang: rang})
	}
	get(ana, report.ID, "bytes=0-1")
	get(ana, report.ID, "bytes=99999999-")
	get(auditor, report.ID, "")
	get(beto, report.ID, "")
	get(ana, reply.ID, "")
	if got := seen(); len(got) != 0 {
		t.Errorf("seen: %v", got)
	}
	if c := h.caseList(h.session(ana))[0]; c.EndsDay <= c.LastDay {
		t.Errorf("case %+v", c)
	}
	get(ana, report.ID, "bytes=1000-")
	if got := seen(); !slices.Equal(got, []string{report.ID}) {
		t.Errorf("seen: %v", got)
	}
}

// TestDesksAreListed: whom a report can be sealed to, as the other program checks it.
func TestDesksAreListed(t *testing.T) {
	h := newHouse(t)
	list := func(session string) card.Desks {
		var d card.Desks
		w := h.do(request{method: "GET", path: card.DesksPath, session: session})
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return d
	}
	ana, beto, auditor := newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana)
	if w := h.do(request{method: "GET", path: card.DesksPath, session: h.session(ana)}); w.Body.String() != `{"desks":[]}` {
		t.Errorf("no desks: %s", w.Body)
	}
	h.add(ana, "sur", "norte")
	h.add(beto, "norte")
	h.add(auditor, "oeste")
	cards, err := list(h.session(ana)).Check()
	if err != nil {
		t.Fatal(err)
	}
	if len(cards) != 2 || len(cards["norte"]) != 2 || len(cards["sur"]) != 1 || cards["sur"][0] != ana.card {
		t.Errorf("%v", cards)
	}
}
