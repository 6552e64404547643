package review_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"resguardo/crypto/card"
	"resguardo/onion/review"
)

// shelf keeps notes as the operator's program does: the newest.
type shelf struct {
	last   card.Reading
	note   []byte
	broken error
}

func (s *shelf) config() review.Config {
	return review.Config{
		Reading: func(desk string) time.Time {
			if desk != s.last.Desk {
				return time.Time{}
			}
			return s.last.Time()
		},
		Keep: func(r card.Reading, _ card.Card, note []byte) error {
			if s.broken == nil && r.Day > s.last.Day {
				s.last, s.note = r, note
			}
			return s.broken
		},
	}
}

func dayFromNow(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }

func (h *house) reads(as, by reviewer, path, desk, day string) *httptest.ResponseRecorder {
	h.t.Helper()
	msg, err := card.Reading{Origin: origin, Desk: desk, Day: day}.Sign(by.signer)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(request{method: "POST", path: card.DesksPath + "/" + path + "/reading", session: h.session(as),
		body: encode(h.t, card.SignedRequest{Statement: string(msg)})})
}

// TestReadingIsNoted: the newest note is kept, and the desk's own reviewers learn its day.
func TestReadingIsNoted(t *testing.T) {
	s := &shelf{}
	h := newHouseWith(t, s.config())
	ana, beto, eva := newReviewer(t), newReviewer(t), newReviewer(t)
	h.add(ana, "norte", "sur")
	h.add(beto, "norte")
	h.add(eva, "oeste")
	told := func(r reviewer, desk string) string {
		var d card.Desks
		w := h.do(request{method: "GET", path: card.DesksPath, session: h.session(r)})
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if _, err := d.Check(); err != nil {
			t.Fatal(err)
		}
		for _, one := range d.Desks {
			if one.ID == desk {
				return one.Reading
			}
		}
		t.Fatalf("%s is not listed", desk)
		return ""
	}
	if got := told(ana, "norte"); got != "" {
		t.Errorf("before: %q", got)
	}
	for _, day := range []string{dayFromNow(-40), dayFromNow(0), dayFromNow(-1), dayFromNow(1)} {
		w := h.reads(ana, ana, "norte", "norte", day)
		var n card.Noted
		if err := json.Unmarshal(w.Body.Bytes(), &n); err != nil || w.Code != 200 || n.Reading != s.last.Day || n.Reading < day {
			t.Errorf("%s: %d %s", day, w.Code, w.Body)
		}
	}
	if got, by, err := card.ParseReading(s.note); err != nil || got.Day != dayFromNow(1) || by != ana.card.Fingerprint() {
		t.Errorf("kept %+v by %s, %v", got, by, err)
	}
	for _, test := range []struct {
		who  reviewer
		desk string
		want string
	}{{ana, "norte", dayFromNow(1)}, {beto, "norte", dayFromNow(1)}, {ana, "sur", ""}, {eva, "norte", ""}, {eva, "oeste", ""}} {
		if got := told(test.who, test.desk); got != test.want {
			t.Errorf("%s: %q, want %q", test.desk, got, test.want)
		}
	}
}

// TestReadingRefused: a note counts on the word of a reviewer of that desk alone.
func TestReadingRefused(t *testing.T) {
	s := &shelf{}
	h := newHouseWith(t, s.config())
	ana, beto, eva, aura := newReviewer(t), newReviewer(t), newReviewer(t), newMember(t, card.Auditor)
	h.add(ana, "norte", "sur")
	h.add(beto, "norte")
	h.add(eva, "oeste")
	h.add(aura, "norte")
	today := dayFromNow(0)
	refusedAs(t, "of the day after tomorrow", h.reads(ana, ana, "norte", "norte", dayFromNow(2)), 409, "wrong day")
	refusedAs(t, "of next year", h.reads(ana, ana, "norte", "norte", dayFromNow(365)), 409, "wrong day")
	refusedAs(t, "of another desk", h.reads(ana, ana, "norte", "sur", today), 403, "statement refused")
	refusedAs(t, "of a colleague", h.reads(ana, beto, "norte", "norte", today), 403, "statement refused")
	refusedAs(t, "by another's key", h.reads(ana, reviewer{ana.card, beto.signer, ana.age}, "norte", "norte", today), 403, "statement refused")
	refusedAs(t, "of an auditor", h.reads(aura, aura, "norte", "norte", today), 403, "not for this role")
	refusedAs(t, "by an auditor's key", h.reads(ana, aura, "norte", "norte", today), 403, "statement refused")
	foreign := h.reads(eva, eva, "norte", "norte", today)
	refusedAs(t, "of a card that is not in the desk", foreign, 404, "not found")
	if w := h.reads(eva, eva, "nowhere", "nowhere", today); w.Code != foreign.Code || w.Body.String() != foreign.Body.String() {
		t.Errorf("a desk that does not exist answers otherwise: %d %s", w.Code, w.Body)
	}
	msg, err := card.Reading{Origin: "other-0a1b2c3d", Desk: "norte", Day: today}.Sign(ana.signer)
	if err != nil {
		t.Fatal(err)
	}
	session := h.session(ana)
	post := func(body string) *httptest.ResponseRecorder {
		return h.do(request{method: "POST", path: card.DesksPath + "/norte/reading", session: session, body: body})
	}
	refusedAs(t, "of another vault", post(encode(t, card.SignedRequest{Statement: string(msg)})), 403, "statement refused")
	refusedAs(t, "no note", post(`{"statement":"hola"}`), 403, "statement refused")
	refusedAs(t, "another field", post(`{"statement":"","day":"x"}`), 400, "malformed request")
	refusedAs(t, "huge", post(`{"statement":"`+strings.Repeat("x", 10<<10)+`"}`), 413, "too long")
	if s.note != nil {
		t.Errorf("kept\n%s", s.note)
	}
	s.broken = errors.New("disk")
	refusedAs(t, "not kept", h.reads(ana, ana, "norte", "norte", today), 500, "internal error")
	h.revoke(ana)
	refusedAs(t, "revoked", post("{}"), 401, "not signed in")
}
