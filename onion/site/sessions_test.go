package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"resguardo/crypto/codename"
)

func someKeys(n byte) codename.Keys {
	return codename.Keys{Mailbox: [32]byte{n}, Age: [32]byte{n}, Thread: [32]byte{n}, Log: [32]byte{n}}
}

// A session ends by itself, and its keys are overwritten, when nobody comes for
// 15 minutes, and after 2 hours whoever comes.
func TestSessionEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSessions()
		value := x.begin(someKeys(1), time.Now())
		s := x.by[sha256.Sum256([]byte(value))]
		time.Sleep(sessionIdle - time.Second)
		if _, ok := x.take(t.Context(), value, time.Now()); !ok {
			t.Fatal("ended too early")
		}
		time.Sleep(time.Hour) // a long upload: idle is the time without a request
		value, ok := x.give(s, time.Now())
		if !ok {
			t.Fatal("ended while a request held it")
		}
		time.Sleep(sessionIdle)
		synctest.Wait()
		if s.keys != (codename.Keys{}) || len(x.by) != 0 || x.count != 0 {
			t.Errorf("after %v: %d values, keys overwritten: %v", sessionIdle, len(x.by), s.keys == codename.Keys{})
		}
		if _, ok := x.take(t.Context(), value, time.Now()); ok {
			t.Error("an ended session was taken")
		}

		began := time.Now()
		value = x.begin(someKeys(2), began)
		s = x.by[sha256.Sum256([]byte(value))]
		for time.Since(began)+10*time.Minute < sessionLife {
			time.Sleep(10 * time.Minute)
			if _, ok := x.take(t.Context(), value, time.Now()); !ok {
				t.Fatalf("ended after %v", time.Since(began))
			}
			value, _ = x.give(s, time.Now())
		}
		if _, ok := x.look(value, time.Now()); !ok {
			t.Fatal("a download is refused")
		}
		time.Sleep(sessionLife - time.Since(began))
		synctest.Wait()
		if s.keys != (codename.Keys{}) || len(x.by) != 0 {
			t.Errorf("still open after %v", time.Since(began))
		}
	})
}

// What holds a session when its two hours are over ends it by giving it back.
func TestSessionEndsWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*sessions, string){
			"life":  func(*sessions, string) { time.Sleep(sessionLife) },
			"leave": func(x *sessions, value string) { x.leave(value) },
			"evict": func(x *sessions, _ string) { x.max = 1; x.begin(someKeys(9), time.Now()) },
		} {
			x := newSessions()
			value := x.begin(someKeys(1), time.Now())
			s, _ := x.take(t.Context(), value, time.Now())
			end(x, value)
			if s.keys != someKeys(1) {
				t.Errorf("%s: the keys went while a request used them", name)
			}
			if _, ok := x.give(s, time.Now()); ok || s.keys != (codename.Keys{}) {
				t.Errorf("%s: the session goes on", name)
			}
			time.Sleep(sessionLife)
			synctest.Wait()
			if len(x.by) != 0 || x.count != 0 {
				t.Errorf("%s: %d values, %d sessions left", name, len(x.by), x.count)
			}
		}
	})
}

// A button pressed twice: the second request waits for the first. If that did
// nothing because its browser had gone, the second goes on; else it is too late.
func TestSessionPressedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, kept := range []bool{true, false} {
			x := newSessions()
			value := x.begin(someKeys(1), time.Now())
			first, _ := x.take(t.Context(), value, time.Now())
			second := make(chan bool)
			go func() {
				s, ok := x.take(t.Context(), value, time.Now())
				if ok {
					x.drop(s)
				}
				second <- ok
			}()
			synctest.Wait()
			if _, ok := x.look(value, time.Now()); ok {
				t.Error("a download came in between")
			}
			if kept {
				x.keep(first, time.Now())
			} else {
				x.give(first, time.Now())
			}
			if ok := <-second; ok != kept {
				t.Errorf("first one kept: %v, second one let in: %v", kept, ok)
			}
			if len(x.by) != 0 || first.keys != (codename.Keys{}) {
				t.Error("the session goes on")
			}
		}
		x := newSessions()
		value := x.begin(someKeys(1), time.Now())
		s, _ := x.take(t.Context(), value, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := x.take(ctx, value, time.Now()); ok {
			t.Error("let in beside another")
		}
		x.drop(s)
	})
}

// The number of open mailboxes is bounded: the one that nobody has used for
// longest gives way.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newSessions()
		x.max = 10
		var values []string
		for i := range 100 {
			time.Sleep(time.Second)
			values = append(values, x.begin(someKeys(byte(i)), time.Now()))
			if _, ok := x.look(values[0], time.Now()); !ok {
				t.Fatal("the session in use gave way")
			}
		}
		if len(x.by) != 10 || x.count != 10 {
			t.Errorf("%d values, %d sessions", len(x.by), x.count)
		}
		for id, s := range x.by {
			if id != s.value {
				t.Error("a session is stored under another value")
			}
		}
		for i, value := range values {
			if _, ok := x.look(value, time.Now()); ok != (i == 0 || i > 90) {
				t.Errorf("session %d: %v", i, ok)
			}
			if b, err := base64.RawURLEncoding.DecodeString(value); err != nil || len(b) != 16 {
				t.Errorf("value %q", value)
			}
			x.leave(value)
		}
		if len(x.by) != 0 {
			t.Errorf("%d values left", len(x.by))
		}
	})
}

// The key of a session is the hash of its value: memory does not hold the value.
func TestSessionStoresHash(t *testing.T) {
	x := newSessions()
	value := x.begin(someKeys(1), time.Now())
	s := x.by[sha256.Sum256([]byte(value))]
	if s == nil || s.value != sha256.Sum256([]byte(value)) {
		t.Error("the session is not stored under the hash of its value")
	}
	x.leave(value)
}

// 1,000 wrong codenames, at once, do nothing to another mailbox: nothing is locked.
func TestWrongCodenamesLockNothing(t *testing.T) {
	m := newMail(t)
	value := sessionIn(t, m.signIn("es", m.words))
	ways := make(chan int, 20)
	var wg sync.WaitGroup
	var mu sync.Mutex
	status := map[int]int{}
	for i := range 1000 {
		ways <- i
		wg.Go(func() {
			defer func() { <-ways }()
			words := m.site.words["es"].Draw(sha256.Sum256([]byte{byte(i), byte(i >> 8)})).String()
			r := m.postForm("/es/mailbox", url.Values{"codename": {words}})
			mu.Lock()
			status[r.status]++
			mu.Unlock()
		})
		if i%100 == 50 {
			page := m.press(value, "show")
			m.has(page, http.StatusOK, "mailbox.none")
			value = sessionIn(t, page)
		}
	}
	wg.Wait()
	if status[http.StatusUnprocessableEntity] != 1000 {
		t.Errorf("statuses %v", status)
	}
	m.has(m.signIn("es", m.words), http.StatusOK, "mailbox.none")
	if n := m.site.sessions.count; n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// 1,000 sign-ins at once, none of which gets a slot, take little memory, and most
// are told at once that the site is busy.
func TestWaitingSignInsTakeLittleMemory(t *testing.T) {
	m := newMail(t)
	for range kdfSlots {
		m.site.kdf.signIns.slots <- struct{}{} // two derivations that never end
	}
	ctx, cancel := context.WithCancel(t.Context())
	form := url.Values{"codename": {m.words}}.Encode()
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc + s.StackInuse
	}
	before := heap()
	var wg sync.WaitGroup
	busy := make(chan int, 1000)
	for range 1000 {
		wg.Go(func() {
			r := httptest.NewRequestWithContext(ctx, "POST", m.url+"/es/mailbox", strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			m.site.ServeHTTP(plainWriter{w}, r)
			busy <- w.Code
		})
	}
	for range 1000 - kdfQueue - kdfSlots {
		if status := <-busy; status != http.StatusServiceUnavailable {
			t.Fatalf("status %d", status)
		}
	}
	// The recorders hold the answers until they are collected.
	n := int64(heap()) - int64(before)
	t.Logf("%d sign-ins wait, %d KiB", kdfQueue+kdfSlots, n>>10)
	if n > 8<<20 {
		t.Errorf("%d bytes for waiting sign-ins", n)
	}
	cancel()
	wg.Wait()
	if m.site.kdf.signIns.taken != 0 {
		t.Error("a place is lost")
	}
}

// plainWriter has deadlines as a connection has.
type plainWriter struct{ http.ResponseWriter }

func (plainWriter) SetReadDeadline(time.Time) error  { return nil }
func (plainWriter) SetWriteDeadline(time.Time) error { return nil }

var pairs = flag.Int("pairs", 100, "pairs of sign-ins whose times are compared")

// A mailbox that opens and one that is not there cannot be told apart by the
// time of the answer: Mann and Whitney's U over pairs in turn, as a normal
// deviate. |z| of one number of pairs is below 4 in all but 1 of 15,000 runs of a
// fair coin.
func TestHitAndMissTakeEqualTime(t *testing.T) {
	pairs := *pairs
	m := newMail(t)
	for range 3 {
		m.write("reply", strings.Repeat("gracias ", 100))
	}
	miss := m.site.words["es"].Draw([32]byte{1}).String()
	ask := func(words string, status int) time.Duration {
		form := strings.NewReader(url.Values{"codename": {words}}.Encode())
		r := m.request("POST", "/es/mailbox", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		start := time.Now()
		got := m.do(r)
		took := time.Since(start)
		if got.status != status {
			t.Fatalf("status %d", got.status)
		}
		return took
	}
	ask(m.words, http.StatusOK)
	var hits, misses []time.Duration
	for i := range 2 * pairs {
		if (i+i/2)%2 == 0 { // hit miss miss hit hit miss …
			hits = append(hits, ask(m.words, http.StatusOK))
		} else {
			misses = append(misses, ask(miss, http.StatusUnprocessableEntity))
		}
	}
	z := rankTest(hits, misses)
	slices.Sort(hits)
	slices.Sort(misses)
	gap := hits[pairs/2] - misses[pairs/2]
	t.Logf("%d pairs: median hit %v, miss %v, z = %.2f", pairs, hits[pairs/2], misses[pairs/2], z)
	// A machine may be so quiet that ranks tell apart the microseconds in which a
	// longer page is sent: the network hides those.
	if math.Abs(z) > 4 && gap.Abs() > time.Millisecond {
		t.Errorf("told apart: z = %.2f, medians differ by %v", z, gap)
	}
}

// rankTest is the normal deviate of Mann and Whitney's U: above zero if a is larger.
func rankTest(a, b []time.Duration) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += .5
			}
		}
	}
	n, k := float64(len(a)), float64(len(b))
	return (u - n*k/2) / math.Sqrt(n*k*(n+k+1)/12)
}

func TestRankTest(t *testing.T) {
	var a, b []time.Duration
	for i := range 100 {
		a, b = append(a, time.Duration(i)), append(b, time.Duration(i+50))
	}
	if z := rankTest(a, a); z != 0 {
		t.Errorf("z = %f of one sample with itself", z)
	}
	if z := rankTest(b, a); z < 8 || rankTest(a, b) != -z {
		t.Errorf("z = %f of samples half a range apart", z)
	}
}

// The answer waits for a whole step after the derivation.
func TestWaitStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, spent := range []time.Duration{0, time.Millisecond, signInStep - 1, signInStep + 1, 7*signInStep + 3} {
			start := time.Now()
			time.Sleep(spent)
			waitStep(t.Context(), start)
			if d := time.Since(start); d%signInStep != 0 || d <= spent || d > spent+signInStep {
				t.Errorf("after %v: answered after %v", spent, d)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if waitStep(ctx, start); time.Since(start) != 0 {
			t.Error("waits for somebody who is gone")
		}
	})
}

// A page of the mailbox never comes after the session's end was asked for.
func TestLeaveDuringAnAction(t *testing.T) {
	m := newMail(t)
	value := sessionIn(t, m.signIn("es", m.words))
	body, typ := multipartOf(field("session", value), field("message", "más"), file("f", strings.Repeat("x", 1<<20)))
	at := bytes.Index(body, []byte("xxxx"))
	left := false
	hold := readerFunc(func(p []byte) (int, error) {
		if at == len(body) {
			return 0, io.EOF
		}
		n := copy(p, body[at:min(len(body), at+100_000)])
		if at += n; !left && at > len(body)/2 {
			left = true
			for !m.site.sessions.isTaken(value) { // the kernel took these bytes, perhaps not yet the site
				runtime.Gosched()
			}
			m.postForm("/es/exit", url.Values{"session": {value}})
		}
		return n, nil
	})
	start := at
	r := m.request("POST", "/es/mailbox", joined{bytes.NewReader(body[:start]), hold})
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", typ)
	m.signedOut(m.do(r))
	if n := m.site.sessions.count; n != 0 {
		t.Errorf("%d sessions", n)
	}
	if n := len(m.kase().Items); n != 2 {
		t.Errorf("%d items: what had arrived whole is kept", n)
	}
}

// isTaken tells whether a request holds the session with this value.
func (x *sessions) isTaken(value string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.by[sha256.Sum256([]byte(value))]
	return s != nil && s.taken != nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// joined reads one reader after the other.
type joined struct {
	first *bytes.Reader
	then  readerFunc
}

func (j joined) Read(p []byte) (int, error) {
	if j.first.Len() > 0 {
		return j.first.Read(p)
	}
	return j.then(p)
}
