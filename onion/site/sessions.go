package site

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"resguardo/crypto/codename"
)

const (
	sessionIdle  = 15 * time.Minute // without a request
	sessionLife  = 2 * time.Hour    // whatever happens
	sessionBytes = 16               // of a value: 128 bits
	maxSessions  = 1 << 14          // about 8 MB; two derivations at once do not make as many in sessionIdle
)

// session is one open mailbox. It holds the keys of its codename and nothing
// else of the source; they are overwritten when it ends.
//
// Its value stands in a hidden field of the pages. Each request that is let in
// gets another one for its answer, and the one that it came with is dead. A dead
// value ends the session: somebody went back in the browser, or two people hold
// the page.
type session struct {
	keys  codename.Keys // only for who has taken the session
	began time.Time
	until time.Time     // ends then, unless it is used
	value [32]byte      // SHA-256 of the value that is good
	dead  [32]byte      // SHA-256 of the value before it; zeros if there was none
	taken chan struct{} // while a request holds the session; closed when it gives it back
	ended bool          // as soon as it is given back
	timer *time.Timer
}

// sessions are the open mailboxes, in memory only. When there are maxSessions,
// the one that has not been used for the longest time gives way: signing in is
// never locked.
type sessions struct {
	mu    sync.Mutex
	by    map[[32]byte]*session // by SHA-256 of good and dead values
	count int
	max   int
}

func newSessions() *sessions { return &sessions{by: map[[32]byte]*session{}, max: maxSessions} }

func newValue() (text string, id [32]byte) {
	var b [sessionBytes]byte
	rand.Read(b[:])
	text = base64.RawURLEncoding.EncodeToString(b[:])
	return text, sha256.Sum256([]byte(text))
}

// begin opens a session and returns its first value.
func (x *sessions) begin(keys codename.Keys, now time.Time) string {
	s := &session{keys: keys, began: now}
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.count >= x.max {
		x.remove(x.oldest())
	}
	x.count++
	return x.renew(s, now)
}

// renew gives s a new value, and time.
func (x *sessions) renew(s *session, now time.Time) string {
	text, id := newValue()
	delete(x.by, s.dead)
	s.dead, s.value = s.value, id
	if s.dead != [32]byte{} {
		x.by[s.dead] = s
	}
	x.by[id] = s
	x.extend(s, now)
	return text
}

// extend gives s time after a request.
func (x *sessions) extend(s *session, now time.Time) {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.until = now.Add(sessionIdle)
	if last := s.began.Add(sessionLife); s.until.After(last) {
		s.until = last
	}
	until := s.until
	s.timer = time.AfterFunc(until.Sub(now), func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if s.until.Equal(until) { // else it was used when the timer fired
			x.end(s)
		}
	})
}

// oldest is the session that gives way to a new one.
func (x *sessions) oldest() (s *session) {
	for _, other := range x.by {
		if s == nil || other.until.Before(s.until) {
			s = other
		}
	}
	return s
}

// end ends s, or lets the request that holds it do so.
func (x *sessions) end(s *session) {
	if s.taken != nil {
		s.ended = true
		return
	}
	x.remove(s)
}

func (x *sessions) remove(s *session) {
	if x.by[s.value] != s {
		return
	}
	delete(x.by, s.value)
	delete(x.by, s.dead)
	s.timer.Stop()
	s.ended = true
	if s.taken == nil {
		s.keys = codename.Keys{}
	}
	x.count--
}

// take lets a request in with the value of its page. It waits while another
// request holds the session with the same value: a button was pressed twice. The
// caller must call give, keep or drop.
func (x *sessions) take(ctx context.Context, value string, now time.Time) (*session, bool) {
	for {
		s, wait := x.enter(sha256.Sum256([]byte(value)), now)
		if wait == nil {
			return s, s != nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (x *sessions) enter(id [32]byte, now time.Time) (s *session, wait <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s = x.by[id]
	switch {
	case s == nil:
		return nil, nil
	case id == s.dead, !now.Before(s.until) && s.taken == nil:
		x.end(s)
		return nil, nil
	case s.taken != nil:
		return nil, s.taken
	}
	s.timer.Stop()
	s.until = s.began.Add(sessionLife)
	s.taken = make(chan struct{})
	return s, nil
}

// look is take for a request that changes nothing and whose answer is no page,
// so that the page it came from goes on: its value stays good.
func (x *sessions) look(value string, now time.Time) (codename.Keys, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := sha256.Sum256([]byte(value))
	s := x.by[id]
	if s == nil || id == s.dead || s.ended || s.taken != nil || !now.Before(s.until) {
		return codename.Keys{}, false
	}
	x.extend(s, now)
	return s.keys, true
}

// give gives back a taken session and returns the value for the answer; false if
// the session has ended meanwhile.
func (x *sessions) give(s *session, now time.Time) (value string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.back(s); s.ended || !now.Before(s.began.Add(sessionLife)) {
		x.discard(s)
		return "", false
	}
	return x.renew(s, now), true
}

// keep gives back a taken session as it was: the request did nothing, and nobody
// is there to read its answer.
func (x *sessions) keep(s *session, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.back(s); s.ended || !now.Before(s.began.Add(sessionLife)) {
		x.discard(s)
		return
	}
	x.extend(s, now)
}

// drop gives back a taken session and ends it.
func (x *sessions) drop(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.back(s)
	x.discard(s)
}

func (x *sessions) back(s *session) {
	close(s.taken)
	s.taken = nil
}

// discard removes a session that nobody holds, which may have given way already.
func (x *sessions) discard(s *session) {
	x.remove(s)
	s.keys = codename.Keys{}
}

// leave ends the session of a value, good or dead.
func (x *sessions) leave(value string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.by[sha256.Sum256([]byte(value))]; s != nil {
		x.end(s)
	}
}
