package site

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
)

// trickle brings n bytes with each read, after a pause.
type trickle struct {
	n     int
	pause time.Duration
	left  int
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(r.pause)
	n := min(r.n, r.left, len(p))
	r.left -= n
	return n, nil
}

// timed is a reader that ends at its deadline, as a connection does.
type timed struct {
	r  io.Reader
	at time.Time
}

func (c *timed) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if time.Now().After(c.at) {
		return 0, os.ErrDeadlineExceeded
	}
	return n, err
}

func TestBodyKeepsUpItsRate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes int
		pause time.Duration
		slow  bool
	}{
		{"600 bytes a second for an hour", 600, time.Second, false},
		{"400 bytes a second", 400, time.Second, true},
		{"a lot once in 50 seconds", 40 << 10, 50 * time.Second, false},
		{"a lot once in 61 seconds", 4 << 20, 61 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &timed{r: &trickle{n: tt.bytes, pause: tt.pause, left: 3600 * 600}}
				b := &body{src: c, limit: 1 << 30, window: 512 * 60, left: rateWindow,
					deadline: func(at time.Time) error { c.at = at; return nil }}
				_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, b, make([]byte, 64<<10))
				if (err != nil) != tt.slow || b.slow() != tt.slow {
					t.Errorf("after %d bytes: %v", b.n, err)
				}
			})
		})
	}
}

// Time that the server itself takes between reads is not counted.
func TestBodyDoesNotCountOurTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &timed{r: &trickle{n: 100, pause: time.Second, left: 1000}}
		b := &body{src: c, limit: 1 << 30, window: 512 * 60, left: rateWindow,
			deadline: func(at time.Time) error { c.at = at; return nil }}
		for {
			if _, err := b.Read(make([]byte, 1000)); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("after %d bytes: %v", b.n, err)
			}
			time.Sleep(time.Hour) // a full disk queue, say
		}
	})
}

func TestBodyLimits(t *testing.T) {
	read := func(size, limit int) (int64, error) {
		b := &body{src: strings.NewReader(strings.Repeat("x", size)), limit: int64(limit), window: 1, left: rateWindow,
			deadline: func(time.Time) error { return nil }}
		_, err := io.ReadAll(b)
		return b.n, err
	}
	if _, err := read(100, 100); err != nil {
		t.Errorf("body of exactly the limit: %v", err)
	}
	if n, err := read(1000, 100); err != errOverLimit || n != 101 {
		t.Errorf("body over the limit: %d bytes, %v", n, err)
	}
}

func TestGateStopsHeaders(t *testing.T) {
	b := &body{src: endless('x'), limit: 1 << 30, window: 1, left: rateWindow, deadline: func(time.Time) error { return nil }}
	g := newGate(b)
	g.header, g.left = true, maxHeader
	n, err := io.Copy(io.Discard, g)
	if n != maxHeader || err != errHeader {
		t.Errorf("%d bytes, %v", n, err)
	}
	g.header = false
	if n, err := io.CopyN(io.Discard, g, 1<<20); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestDerivationQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, err := codename.ForLanguage("es")
		if err != nil {
			t.Fatal(err)
		}
		k := newKDF(codename.Params{Time: 1, Memory: 8, Threads: 1}, kdfSlots, nil)
		var leave []func()
		for range kdfSlots {
			l, err := k.signIns.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		errs := make(chan error, kdfQueue+1)
		wait := func(p *places) {
			_, err := k.derive(t.Context(), p, list.Draw([32]byte{1}))
			errs <- err
		}
		for range kdfQueue {
			go wait(k.signIns)
		}
		go wait(k.reports)
		synctest.Wait()
		if !k.signIns.full() || k.reports.full() {
			t.Error("a full queue of sign-ins fills no other")
		}
		if _, err := k.derive(t.Context(), k.signIns, list.Draw([32]byte{})); err != errBusy {
			t.Errorf("one more: %v", err)
		}
		for _, l := range leave {
			l()
		}
		for range kdfQueue + 1 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		k.signIns.slots <- struct{}{}
		k.signIns.slots <- struct{}{}
		if _, err := k.derive(ctx, k.signIns, list.Draw([32]byte{})); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if k.signIns.full() || k.signIns.taken != 0 {
			t.Error("a place is lost")
		}
	})
}

func TestClaimWaitsForOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTokens()
		k, _ := s.parse(s.mint(time.Now()), time.Now())
		claim := func(out chan use) {
			u, mine, err := s.claim(t.Context(), k)
			if err != nil {
				t.Error(err)
			}
			if mine {
				u = use{lang: "mine"}
			}
			out <- u
		}
		if _, mine, err := s.claim(t.Context(), k); !mine || err != nil {
			t.Fatal(mine, err)
		}
		second, third := make(chan use, 1), make(chan use, 1)
		go claim(second)
		synctest.Wait()
		if _, known := s.look(k); known || len(second) > 0 {
			t.Fatal("a second claim did not wait")
		}
		s.release(k)
		if u := <-second; u.lang != "mine" {
			t.Fatalf("after a failed send: %+v", u)
		}
		go claim(third)
		synctest.Wait()
		s.store(k, "en", time.Now())
		if u := <-third; u.stage != stored || u.lang != "en" {
			t.Fatalf("after a stored send: %+v", u)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		other, _ := s.parse(s.mint(time.Now()), time.Now())
		s.claim(t.Context(), other)
		if _, _, err := s.claim(ctx, other); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// Used tokens are forgotten after a day, and the oldest when there are too many.
func TestUsedTokensAreBounded(t *testing.T) {
	s := newTokens()
	s.max = 3
	now := time.Now()
	var tokens []token
	store := func() {
		k, ok := s.parse(s.mint(now), now)
		if _, mine, err := s.claim(t.Context(), k); !ok || !mine || err != nil {
			t.Fatal(ok, mine, err)
		}
		s.store(k, "es", now)
		tokens = append(tokens, k)
	}
	for range 5 {
		store()
	}
	if _, known := s.look(tokens[1]); known || len(s.uses) != 3 || len(s.order) != 3 {
		t.Errorf("%d uses, %d in order", len(s.uses), len(s.order))
	}
	now = now.Add(24 * time.Hour)
	store()
	if len(s.uses) != 1 || len(s.order) != 1 {
		t.Errorf("after a day %d uses, %d in order", len(s.uses), len(s.order))
	}
}

func TestCodenameDependsOnLanguageAndProcess(t *testing.T) {
	s := newTokens()
	now := time.Now()
	k, _ := s.parse(s.mint(now), now)
	other := newTokens()
	seeds := [][32]byte{s.seed(k, "es"), s.seed(k, "en"), other.seed(k, "es"), [32]byte(s.mac([]byte("token"), k.nonce[:]))}
	for i, a := range seeds {
		for _, b := range seeds[:i] {
			if a == b {
				t.Error("two seeds are the same")
			}
		}
	}
	if again := s.seed(k, "es"); again != seeds[0] {
		t.Error("a seed changes")
	}
}

func TestPropose(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		places, exclude []string
		want            string
	}{
		{[]string{"CHIS"}, nil, "norte"},
		{[]string{"SON"}, nil, "sur"},
		{[]string{"SON", "CHIS"}, nil, "otro"},
		{[]string{"SON", "CHIS", "JAL"}, nil, ""}, // only government is left
		{[]string{"SON"}, []string{"desk:sur"}, "otro"},
		{[]string{"SON"}, []string{"desk:sur", "org:gob"}, ""},
		{[]string{"outside"}, nil, "norte"},
		{[]string{"SON", "unknown"}, nil, ""},
		{nil, nil, ""},
		{[]string{"QRO"}, []string{"desk:norte"}, "sur"},
	} {
		got, _ := propose(w.desks, tt.places, tt.exclude, time.Now())
		if got.ID != tt.want {
			t.Errorf("%v without %v: %q, want %q", tt.places, tt.exclude, got.ID, tt.want)
		}
	}
	if d, ok := propose(w.desks[:1], []string{"CHIS"}, nil, time.Now()); ok {
		t.Errorf("the only desk %q is proposed", d.ID)
	}
	w.desks[0].Conflict = []string{"CHIS"}
	if d, _ := propose(w.desks, []string{"CHIS"}, nil, time.Now()); d.ID != "otro" {
		t.Errorf("with a declared conflict: %q", d.ID)
	}
}

// For any desks and any choice, no reader shares a key with an excluded desk, and
// every key of a chosen desk that may read does.
func TestChooseNeverGivesAKeyToTheExcluded(t *testing.T) {
	var keys []seal.Recipient
	for range 6 {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		r, err := seal.ParseRecipient(id.Recipient().String())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r)
	}
	ids := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		var all []Desk
		for _, id := range ids {
			d := Desk{ID: id, Government: rapid.Bool().Draw(t, "government"), Organisation: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "organisation")}
			for _, k := range keys {
				if rapid.Bool().Draw(t, "has key") {
					d.Recipients = append(d.Recipients, k)
				}
			}
			all = append(all, d)
		}
		desks := rapid.SliceOf(rapid.SampledFrom(ids)).Draw(t, "desks")
		exclude := rapid.SliceOfN(rapid.SampledFrom([]string{"desk:a", "desk:b", "org:x", "org:y", "government"}), 0, 3).Draw(t, "exclude")
		r, ref := choose(all, desks, exclude)
		if ref != nil {
			if len(r.recipients) > 0 {
				t.Fatal("refused with recipients")
			}
			return
		}
		denied := map[string]bool{}
		for _, d := range all {
			if slices.Contains(exclude, "desk:"+d.ID) || slices.Contains(exclude, "org:"+d.Organisation) || d.Government && slices.Contains(exclude, "government") {
				for _, k := range d.Recipients {
					denied[k.String()] = true
				}
				if slices.Contains(r.ids(), d.ID) {
					t.Fatal("an excluded desk is among the readers")
				}
			}
		}
		want := map[string]bool{}
		for _, d := range all {
			for _, k := range d.Recipients {
				if slices.Contains(desks, d.ID) && !denied[k.String()] {
					want[k.String()] = true
				}
			}
		}
		if len(want) != len(r.recipients) {
			t.Fatalf("%d recipients, want %d", len(r.recipients), len(want))
		}
		for _, k := range r.recipients {
			if !want[k.String()] {
				t.Fatal("a key that must not read")
			}
		}
	})
}

func TestSizeText(t *testing.T) {
	l, err := loadLocales(Questions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		n          int64
		lang, want string
	}{
		{4 << 30, "es", "4 GB"}, {3 << 29, "es", "1,5 GB"}, {3 << 29, "en", "1.5 GB"}, {200 << 20, "en", "200 MB"},
		{512 << 10, "es", "512 KB"}, {3 << 29, "es-usted", "1,5 GB"}, {1<<63 - 1, "en", "8589934591 GB"}, {1023, "en", "0.9 KB"},
	} {
		if got := l.size(tt.n, tt.lang); got != tt.want {
			t.Errorf("%d in %s: %q, want %q", tt.n, tt.lang, got, tt.want)
		}
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	good := Config{Origin: testOrigin, Hosts: []string{"127.0.0.1:1"}}
	for name, change := range map[string]func(*Config){
		"no origin":      func(c *Config) { c.Origin = "" },
		"no host":        func(c *Config) { c.Hosts = nil },
		"language":       func(c *Config) { c.Languages = []string{"es", "fr"} },
		"negative limit": func(c *Config) { c.MaxFiles = -1 },
		"leave script":   func(c *Config) { c.LeaveTo = "javascript:alert(1)" },
		"leave header":   func(c *Config) { c.LeaveTo = "https://example.org/\r\nX: y" },
		"leave nowhere":  func(c *Config) { c.LeaveTo = "/es/" },
	} {
		c := good
		change(&c)
		if _, err := New(c, nil, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good, nil, nil); err != nil {
		t.Error(err)
	}
}
