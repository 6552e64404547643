package review_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"resguardo/crypto/card"
	"resguardo/onion/logtiles/logtest"
	"resguardo/onion/review"
	"resguardo/vault/translog"
)

// deletion is what an honest program signs: every item that it has fetched.
func (h *house) deletion(by reviewer, inCase string) card.Delete {
	h.t.Helper()
	d := card.Delete{Origin: origin, Case: inCase, Event: translog.NewEvent(h.deskLog[inCase], translog.DeskDelete, 0)}
	list := h.list(h.session(by))
	slices.SortFunc(list, func(a, b card.Item) int { return a.Number - b.Number })
	for _, i := range list {
		if i.Case == inCase {
			var sum [32]byte
			if _, err := hex.Decode(sum[:], []byte(i.SHA256)); err != nil {
				h.t.Fatal(err)
			}
			d.Items = append(d.Items, sum)
		}
	}
	return d
}

func (h *house) sign(d card.Delete, by reviewer, pending string) string {
	h.t.Helper()
	var before []byte
	if pending != "" {
		before = []byte(pending)
	}
	msg, err := d.Sign(by.signer, before)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(msg)
}

func (h *house) request(by reviewer, inCase, what, statement string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.do(request{method: "POST", path: card.CasesPath + "/" + inCase + "/" + what, session: h.session(by),
		body: encode(h.t, card.SignedRequest{Statement: statement})})
}

func (h *house) deletes(w *httptest.ResponseRecorder) bool {
	h.t.Helper()
	var d card.Deletion
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return d.Deleted
}

// TestDeletionNeedsTwoCards: one signature waits in the list, where a second
// reviewer finds it; with two the case is gone and its tombstone is in the log.
func TestDeletionNeedsTwoCards(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "sur")
	inCase, other := h.begin(ana, "norte", "sur"), h.begin(ana, "norte")
	log := logtest.Begin(t, h.vault)
	h.added(h.send(ana, h.next(ana, inCase, "ack")))
	d := h.deletion(ana, inCase)
	one := h.sign(d, ana, "")
	for range 2 { // the same card again is no second one
		if h.deletes(h.request(ana, inCase, "delete", one)) {
			t.Fatal("one signature deleted the case")
		}
	}
	list := h.caseList(h.session(beto))
	if len(list) != 1 || list[0].PendingDelete != one {
		t.Fatalf("beto sees %+v", list)
	}
	if !h.deletes(h.request(beto, inCase, "delete", h.sign(h.deletion(beto, inCase), beto, list[0].PendingDelete))) {
		t.Fatal("not deleted")
	}
	for _, c := range h.caseList(h.session(ana)) {
		if c.Case != other {
			t.Errorf("still there: %+v", c)
		}
	}
	if n := len(h.vault.AllItems()); n != 1 {
		t.Errorf("%d items", n)
	}
	refusedAs(t, "again", h.request(ana, inCase, "delete", one), 404, "not found")
	log.Close(t)
	if !h.vault.Logged(translog.Event(d.Event).Tag(translog.DeskDelete)) {
		t.Error("no tombstone")
	}
}

func TestDeletionByOneCardWhereGenesisSaysSo(t *testing.T) {
	h := newHouseWith(t, review.Config{DeleteSignatures: func() int { return 1 }})
	ana := newReviewer(t)
	h.add(ana, "norte")
	inCase := h.begin(ana, "norte")
	if !h.deletes(h.request(ana, inCase, "delete", h.sign(h.deletion(ana, inCase), ana, ""))) || len(h.vault.AllItems()) != 0 {
		t.Error("not deleted")
	}
}

// TestDeletionRefused: what nobody may delete is not deleted, and leaves no
// statement that waits.
func TestDeletionRefused(t *testing.T) {
	h := newHouse(t)
	ana, beto, eva, auditor := newReviewer(t), newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana, "norte")
	h.add(beto, "norte")
	h.add(eva, "oeste")
	h.add(auditor, "norte")
	inCase, other := h.begin(ana, "norte"), h.begin(ana, "norte")
	h.added(h.send(ana, h.next(ana, inCase, "ack")))
	good := h.deletion(ana, inCase)
	both := func(d card.Delete, first, second reviewer) string { return h.sign(d, second, h.sign(d, first, "")) }
	with := func(change func(*card.Delete)) string {
		d := good
		d.Items = slices.Clone(d.Items)
		change(&d)
		return both(d, ana, beto)
	}
	for name, test := range map[string]struct {
		statement string
		code      int
		text      string
	}{
		"none":                 {"", 403, "statement refused"},
		"of another vault":     {with(func(d *card.Delete) { d.Origin = "other-0a1b2c3d" }), 403, "statement refused"},
		"of another case":      {both(h.deletion(ana, other), ana, beto), 403, "statement refused"},
		"other event":          {with(func(d *card.Delete) { d.Event[0]++ }), 403, "statement refused"},
		"one item less":        {with(func(d *card.Delete) { d.Items = d.Items[:1] }), 409, "fetch first"},
		"one item more":        {with(func(d *card.Delete) { d.Items = append(d.Items, [32]byte{1}) }), 409, "fetch first"},
		"another item":         {with(func(d *card.Delete) { d.Items[1][0]++ }), 409, "fetch first"},
		"another order":        {with(func(d *card.Delete) { slices.Reverse(d.Items) }), 409, "fetch first"},
		"without the sender":   {h.sign(good, beto, ""), 403, "statement refused"},
		"with another desk":    {both(good, ana, eva), 403, "statement refused"},
		"with an auditor":      {both(good, ana, auditor), 403, "statement refused"},
		"with a false second":  {h.sign(good, ana, "") + lastLine(h.sign(h.deletion(ana, other), beto, "")), 403, "statement refused"},
		"by nobody in force":   {both(good, ana, newReviewer(t)), 403, "statement refused"},
		"a hold":               {h.holds(ana, inCase, true, 0), 403, "statement refused"},
		"with something after": {both(good, ana, beto) + "x", 403, "statement refused"},
	} {
		refusedAs(t, name, h.request(ana, inCase, "delete", test.statement), test.code, test.text)
	}
	for _, c := range h.caseList(h.session(ana)) {
		if c.PendingDelete != "" {
			t.Errorf("waits: %q", c.PendingDelete)
		}
	}
	if n := len(h.vault.AllItems()); n != 3 {
		t.Errorf("%d items", n)
	}
	w := h.do(request{method: "POST", path: card.CasesPath + "/" + inCase + "/delete", session: h.session(ana),
		body: `{"statement":"` + strings.Repeat("a", 9<<20) + `"}`})
	refusedAs(t, "too long", w, 413, "too long")
}

// lastLine is the signature of a statement, which is no other one's.
func lastLine(s string) string {
	return s[strings.LastIndexByte(strings.TrimSuffix(s, "\n"), '\n')+1:]
}

// A deletion that waits covers what was there when it was signed, by who may sign:
// one that no longer does is not shown, and cannot be completed.
func TestWaitingDeletionEnds(t *testing.T) {
	for name, change := range map[string]func(*house, reviewer, reviewer, string){
		"a new item": func(h *house, _, beto reviewer, inCase string) { h.added(h.send(beto, h.next(beto, inCase, "note"))) },
		"revoked":    func(h *house, ana, _ reviewer, _ string) { h.revoke(ana) },
		"left desk":  func(h *house, ana, _ reviewer, _ string) { h.add(ana, "sur") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ana, beto := newReviewer(t), newReviewer(t)
			h.add(ana, "norte")
			h.add(beto, "norte")
			inCase := h.begin(ana, "norte")
			d := h.deletion(ana, inCase)
			one := h.sign(d, ana, "")
			if h.deletes(h.request(ana, inCase, "delete", one)) {
				t.Fatal("deleted")
			}
			change(h, ana, beto, inCase)
			if c := h.caseList(h.session(beto)); len(c) != 1 || c[0].PendingDelete != "" {
				t.Errorf("case %+v", c)
			}
			if w := h.request(beto, inCase, "delete", h.sign(d, beto, one)); w.Code < 400 || len(h.vault.AllItems()) == 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

func (h *house) holds(by reviewer, inCase string, hold bool, counter uint64) string {
	h.t.Helper()
	msg, err := card.Hold{Origin: origin, Case: inCase, Hold: hold, Counter: counter}.Sign(by.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(msg)
}

// TestHoldStopsRetention: and only on the word of a reviewer of the case.
func TestHoldStopsRetention(t *testing.T) {
	h := newHouse(t)
	ana, beto := newReviewer(t), newReviewer(t)
	h.add(ana, "norte")
	h.add(beto, "norte")
	inCase, other := h.begin(ana, "norte"), h.begin(ana, "norte")
	now := func() card.Case {
		list := h.caseList(h.session(ana))
		return list[slices.IndexFunc(list, func(c card.Case) bool { return c.Case == inCase })]
	}
	for name, statement := range map[string]string{
		"of a colleague":  h.holds(beto, inCase, true, 0),
		"of another case": h.holds(ana, other, true, 0),
		"a deletion":      h.sign(h.deletion(ana, inCase), ana, ""),
		"none":            "",
	} {
		refusedAs(t, name, h.request(ana, inCase, "hold", statement), 403, "statement refused")
	}
	refusedAs(t, "another counter", h.request(ana, inCase, "hold", h.holds(ana, inCase, true, 5)), 409, "fetch first")
	ends := now().EndsDay
	if now().Hold || ends == "" {
		t.Errorf("case %+v", now())
	}
	for n, hold := range []bool{true, false, true, true, false} {
		if now().Holds != uint64(n) {
			t.Errorf("%d holds of %d", now().Holds, n)
		}
		statement := h.holds(ana, inCase, hold, uint64(n))
		w := h.request(ana, inCase, "hold", statement)
		var c card.Case
		if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || w.Code != 200 || c.Check() != nil || c.Hold != hold || (c.EndsDay == "") != hold {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if now().Hold != hold || !hold && now().EndsDay != ends {
			t.Errorf("case %+v", now())
		}
		refusedAs(t, "replayed", h.request(ana, inCase, "hold", statement), 409, "fetch first")
	}
}
