package main

import (
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/onion/site"
)

// readers is a vault with two desks and its pages: centro, which takes what happened
// in the north, with ana and beto, and norte, which does not.
type readers struct {
	*station
	pages     *site.Site
	ana, beto note.Signer
	stranger  note.Signer // under the name of ana's key
	cards     map[note.Signer]card.Card
}

func newReaders(t *testing.T) *readers {
	r := &readers{station: newStation(t, nil), cards: map[note.Signer]card.Card{}}
	r.apply(statedir.Change{AddDesk: &statedir.Desk{ID: "centro", Name: statedir.Words{ES: "Equipo Centro", EN: "Team Centre"}, Regions: []string{"C"}, Languages: []string{"es"}}})
	for _, who := range []*note.Signer{&r.ana, &r.beto} {
		c, text, signer := newSigner(t)
		r.apply(statedir.Change{AddReviewer: &statedir.Joining{Desk: "centro", Card: text}})
		*who, r.cards[signer] = signer, c
	}
	skey, _, err := note.GenerateKey(nil, r.ana.Name())
	r.check(err)
	r.stranger = must(note.NewSigner(skey))
	r.begin()
	return r
}

// newSigner is a reviewer who can sign.
func newSigner(t *testing.T) (card.Card, []byte, note.Signer) {
	_, text := newCard(t, card.Reviewer)
	c := must(card.Parse(text))
	skey, vkey, err := note.GenerateKey(nil, card.KeyName(c.Recipient))
	if err != nil {
		t.Fatal(err)
	}
	c.Verifier = vkey
	signer := must(note.NewSigner(skey))
	return c, must(card.Sign(c, signer)), signer
}

// begin opens the vault and its pages, as a server that starts does.
func (r *readers) begin() {
	r.t.Helper()
	r.check(r.open())
	s := &server{vault: r.vault, live: r.live, memory: memory{uploads: 1, derivations: 1}}
	r.pages = must(site.New(s.siteConfig(r.live.state.Config, "h"), r.vault, r.live.desks))
}

// says sends a note as the reviewers' door hands it on.
func (r *readers) says(by note.Signer, day time.Time) error {
	r.t.Helper()
	said := card.Reading{Origin: r.vault.Genesis().Origin, Desk: "centro", Day: day.UTC().Format(time.DateOnly)}
	return r.live.keep(said, r.cards[by], must(said.Sign(by)))
}

// patient is a connection on which nothing is late.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetReadDeadline(time.Time) error  { return nil }
func (patient) SetWriteDeadline(time.Time) error { return nil }

// proposes tells whether a source that names Sonora is proposed the desk centro; if
// not, the page must say the sentence.
func (r *readers) proposes(sentence string) bool {
	r.t.Helper()
	req := httptest.NewRequest("POST", "http://h/en/report", strings.NewReader(url.Values{"state": {"SON"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := patient{httptest.NewRecorder()}
	r.pages.ServeHTTP(w, req)
	page := w.Body.String()
	proposed := strings.Contains(page, "We suggest this team") && strings.Contains(page, "Team Centre")
	if w.Code != 200 || !proposed && (!strings.Contains(page, "Team Centre") || !strings.Contains(page, sentence)) {
		r.t.Fatalf("want %q: %d\n%s", sentence, w.Code, page)
	}
	return proposed
}

func (r *readers) file() string { return r.dir.Path(statedir.DesksDir, "centro.reading") }

// TestSilentDeskIsNotProposed: a new desk is; after 35 days without a note it is not,
// and the page says so; a note makes it so again, also after a new start.
func TestSilentDeskIsNotProposed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		defer func() { r.check(r.close()) }()
		const silent = "no sign since January 2000"
		if !r.proposes("") {
			t.Error("a new desk is not proposed")
		}
		begun := r.live.lastSign("centro")
		time.Sleep(time.Until(begun.Add(card.SilentAfter)))
		if !r.proposes("") {
			t.Error("not proposed after exactly 35 days")
		}
		time.Sleep(24 * time.Hour)
		if r.proposes(silent) {
			t.Error("proposed after 36 days of silence")
		}
		r.check(r.says(r.ana, time.Now()))
		if !r.proposes("") {
			t.Error("not proposed after a note")
		}
		r.check(r.close())
		r.begin()
		if !r.proposes("") {
			t.Error("not proposed after a note and a new start")
		}
		time.Sleep(36 * 24 * time.Hour)
		if r.proposes("no sign since February 2000") {
			t.Error("proposed 36 days after the note")
		}
	})
}

// TestNoteOfARevokedCardDoesNotCount: from the moment of the revocation on. A note of
// a colleague takes its place, although its day is earlier.
func TestNoteOfARevokedCardDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		defer func() { r.check(r.close()) }()
		time.Sleep(40 * 24 * time.Hour)
		r.check(r.says(r.ana, time.Now()))
		if !r.proposes("") {
			t.Error("not proposed after a note")
		}
		ana := r.cards[r.ana].Fingerprint()
		if _, err := r.live.apply(t.Context(), statedir.Change{Revoke: &statedir.Revocation{Fingerprint: ana}}); err != nil {
			t.Fatal(err)
		}
		if r.proposes("no sign since") {
			t.Error("proposed by the note of a card that is revoked")
		}
		if err := r.says(r.ana, time.Now()); err == nil {
			t.Error("a note of a card that is revoked was kept")
		}
		r.check(r.says(r.beto, time.Now().AddDate(0, 0, -3)))
		if want := time.Now().UTC().AddDate(0, 0, -3).Format(time.DateOnly); !r.proposes("") || r.live.lastSign("centro").Format(time.DateOnly) != want {
			t.Errorf("after the note of a colleague: %v", r.live.lastSign("centro"))
		}
	})
}

// TestNewestNoteIsKept, and only that.
func TestNewestNoteIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		defer func() { r.check(r.close()) }()
		time.Sleep(40 * 24 * time.Hour)
		now := time.Now()
		r.check(r.says(r.beto, now.AddDate(0, 0, -1)))
		r.check(r.says(r.ana, now))
		kept := string(must(os.ReadFile(r.file())))
		for _, days := range []int{-30, -1, 0} {
			r.check(r.says(r.beto, now.AddDate(0, 0, days)))
			if string(must(os.ReadFile(r.file()))) != kept {
				t.Fatalf("replaced by a note of %d days", days)
			}
		}
		info := must(os.Stat(r.file()))
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		// A file that is no note of this desk is no sign, and does not stand in the way of one.
		origin, day := r.vault.Genesis().Origin, now.UTC().Format(time.DateOnly)
		for name, file := range map[string]string{
			"changed":          strings.Replace(kept, "desk centro", "desk norte", 1),
			"cut short":        kept[:len(kept)-1],
			"empty":            "",
			"of another desk":  string(must(card.Reading{Origin: origin, Desk: "norte", Day: day}.Sign(r.ana))),
			"of another vault": string(must(card.Reading{Origin: "other-0a1b2c3d", Desk: "centro", Day: day}.Sign(r.ana))),
			"by another's key": string(must(card.Reading{Origin: origin, Desk: "centro", Day: day}.Sign(r.stranger))),
		} {
			r.check(os.WriteFile(r.file(), []byte(file), 0o600))
			r.check(r.close())
			r.begin()
			if r.proposes("no sign since") {
				t.Errorf("proposed by a file that is %s", name)
			}
			r.check(r.says(r.ana, now))
			if !r.proposes("") || string(must(os.ReadFile(r.file()))) != kept {
				t.Errorf("a file that is %s stands in the way", name)
			}
		}
	})
}

// TestClockThatJumpsHidesDesks: a clock that is a year behind or ahead makes no desk
// proposed that is silent, deletes nothing, and leaves no mark once it is right again.
func TestClockThatJumpsHidesDesks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		defer func() { r.check(r.close()) }()
		time.Sleep(40 * 24 * time.Hour)
		r.check(r.says(r.ana, time.Now()))
		kept := string(must(os.ReadFile(r.file())))
		for _, jump := range []time.Duration{365 * 24 * time.Hour, -365 * 24 * time.Hour} {
			for name, start := range map[string]func(){
				"while it runs": func() {},
				"at a start":    func() { r.check(r.live.recall()) },
			} {
				r.back.Store(int64(jump))
				start()
				// The pages' own clock is that of the bubble: only what is said of the desk counts here.
				if sign := r.live.lastSign("centro"); jump > 0 && !sign.IsZero() || jump < 0 && r.live.now().Sub(sign) <= card.SilentAfter {
					t.Errorf("clock back by %v %s: last sign %v at %v", jump, name, sign, r.live.now())
				}
				if jump > 0 && r.proposes("no sign") {
					t.Errorf("clock back by %v %s: proposed", jump, name)
				}
				// A reviewer whose clock is right.
				if jump < 0 {
					r.check(r.says(r.beto, time.Now()))
				}
				r.back.Store(0)
				start()
				if got := string(must(os.ReadFile(r.file()))); got != kept || !r.proposes("") {
					t.Errorf("after a clock back by %v %s:\n%s", jump, name, got)
				}
			}
		}
		// A note of a day to come, from when both clocks were wrong, blocks nothing.
		r.back.Store(-int64(365 * 24 * time.Hour))
		r.check(r.says(r.ana, r.live.now()))
		r.back.Store(0)
		r.check(r.live.recall())
		if r.proposes("no sign since") {
			t.Error("proposed by a note of next year")
		}
		r.check(r.says(r.ana, time.Now()))
		if !r.proposes("") {
			t.Error("a note of next year blocks those of today")
		}
	})
}

// TestNewKeysMakeADeskNew: a desk counts from its oldest key that is in force.
func TestNewKeysMakeADeskNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReaders(t)
		stop := r.run()
		time.Sleep(36 * testEpoch)
		synctest.Wait()
		begun := r.live.lastSign("centro")
		_, text, _ := newSigner(t)
		done, err := r.live.apply(t.Context(), statedir.Change{AddReviewer: &statedir.Joining{Desk: "centro", Card: text}})
		r.check(err)
		r.check(stop())
		r.begin()
		stop = r.run()
		for r.live.epoch(r.live.log()) <= done.from {
			time.Sleep(testEpoch)
			synctest.Wait()
		}
		if got := len(r.live.current.Load().desks[0].Recipients); got != 3 {
			t.Fatalf("%d keys", got)
		}
		if got := r.live.lastSign("centro"); !got.Equal(begun) {
			t.Errorf("a colleague who joins makes the desk new: %v, want %v", got, begun)
		}
		for signer := range r.cards {
			_, err := r.live.apply(t.Context(), statedir.Change{Revoke: &statedir.Revocation{Fingerprint: r.cards[signer].Fingerprint()}})
			r.check(err)
		}
		if got, want := r.live.lastSign("centro"), r.live.at(done.from).At; !got.Equal(want) {
			t.Errorf("the new one alone: %v, want %v", got, want)
		}
		r.check(stop())
	})
}

// TestReadingFileIsKnown: it is one of the operator's files.
func TestReadingFileIsKnown(t *testing.T) {
	for name, want := range map[string]bool{"norte.reading": true, ".norte.reading.new": true, "norte.readings": false} {
		if got := statedir.Known(filepath.Join(statedir.DesksDir, name), false); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
