package review

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"resguardo/crypto/card"
)

// Bounds of what strangers and members can make the server remember.
const (
	maxNonces     = 4096            // outstanding challenges; the oldest gives way
	nonceLife     = 2 * time.Minute // from challenge to login
	maxSessions   = 4               // of one card; the oldest gives way
	sessionIdle   = 15 * time.Minute
	sessionLife   = 2 * time.Hour
	sessionSize   = 32              // bytes of a session token
	maxUploads    = 2               // of one card at a time
	bodySize      = 8 << 10         // bytes of a request body of JSON without a deletion
	drainDeadline = 5 * time.Second // for what is left of a body after a refusal
	writeDeadline = 2 * time.Minute // for each piece of an answer
	answerPiece   = 32 << 10        // bytes
)

// nonces are the challenges that no login has answered yet. The zero value is
// ready to use.
//
// A flood of challenges pushes out the oldest, so it can disturb a login only
// while it asks more than maxNonces times between challenge and login.
type nonces struct {
	mu    sync.Mutex
	until map[string]time.Time
	order []string // oldest first; holds answered ones too until they get old
}

// issue makes a nonce that take accepts once.
func (n *nonces) issue() string {
	nonce := card.NewNonce()
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.until == nil {
		n.until = map[string]time.Time{}
	}
	for len(n.order) > 0 && (len(n.order) >= maxNonces || !now.Before(n.until[n.order[0]])) {
		delete(n.until, n.order[0]) // an answered nonce has the zero time here
		n.order = n.order[1:]
	}
	n.until[nonce] = now.Add(nonceLife)
	n.order = append(n.order, nonce)
	return nonce
}

// take reports whether nonce is outstanding, and ends it.
func (n *nonces) take(nonce string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	until, ok := n.until[nonce]
	delete(n.until, nonce)
	return ok && time.Now().Before(until)
}

// sessions are the open sessions by SHA-256 of their token, so that comparing
// tokens takes no secret-dependent time. The zero value is ready to use. At most
// maxSessions for each card that ever logged in are kept.
type sessions struct {
	mu sync.Mutex
	by map[[sha256.Size]byte]*session
}

type session struct {
	fingerprint string
	begun, used time.Time
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.used) >= sessionIdle || now.Sub(s.begun) >= sessionLife
}

// begin opens a session and returns its token.
func (s *sessions) begin(fingerprint string) string {
	var secret [sessionSize]byte
	rand.Read(secret[:])
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[[sha256.Size]byte]*session{}
	}
	s.makeRoom(fingerprint, now)
	s.by[sha256.Sum256([]byte(token))] = &session{fingerprint, now, now}
	return token
}

// makeRoom drops sessions that are over, and the card's oldest if it has
// maxSessions.
func (s *sessions) makeRoom(fingerprint string, now time.Time) {
	var oldest [sha256.Size]byte
	var begun time.Time
	count := 0
	for key, old := range s.by {
		if old.over(now) {
			delete(s.by, key)
			continue
		}
		if old.fingerprint != fingerprint {
			continue
		}
		if count++; count == 1 || old.begun.Before(begun) {
			oldest, begun = key, old.begun
		}
	}
	if count >= maxSessions {
		delete(s.by, oldest)
	}
}

// find returns the fingerprint that token's session belongs to and counts as use
// of it.
func (s *sessions) find(token string) (fingerprint string, ok bool) {
	key := sha256.Sum256([]byte(token))
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.by[key]
	if !ok {
		return "", false
	}
	if found.over(now) {
		delete(s.by, key)
		return "", false
	}
	found.used = now
	return found.fingerprint, true
}

// uploads counts what members are sending, by fingerprint. The zero value is
// ready to use.
type uploads struct {
	mu sync.Mutex
	by map[string]int
}

// begin takes one of a card's places. Without one it returns false; else end must
// follow.
func (u *uploads) begin(fingerprint string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil {
		u.by = map[string]int{}
	}
	if u.by[fingerprint] >= maxUploads {
		return false
	}
	u.by[fingerprint]++
	return true
}

func (u *uploads) end(fingerprint string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by[fingerprint]--; u.by[fingerprint] == 0 {
		delete(u.by, fingerprint)
	}
}
