package site

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

const (
	tokenHours   = 24               // after which a form is expired
	showAgain    = 10 * time.Minute // during which a stored report's codename can be shown again
	maxUsed      = 1 << 18          // stored reports remembered, about 30 MB
	tokenBytes   = nonceBytes + 4 + sha256.Size
	nonceBytes   = 16
	tokenLetters = (tokenBytes*8 + 5) / 6
)

// token is the hidden field of one form:
//
//	nonce (16 bytes) ‖ hour (uint32, big-endian: Unix time / 3600) ‖ MAC (32 bytes)
//
// in base64url without padding. Only the nonce is a secret worth having: with
// the key in this process's memory, it gives the codename.
type token struct {
	nonce [nonceBytes]byte
	hour  uint32
}

// tokens makes and checks form tokens, draws codenames from them, and remembers
// what became of the forms that were sent.
type tokens struct {
	key [32]byte // random, dies with the process

	mu    sync.Mutex
	uses  map[[32]byte]*use // by SHA-256 of the nonce
	order [][32]byte        // the stored ones, oldest first
	max   int
}

// use is what became of a form that was sent.
type use struct {
	stage stage
	at    time.Time     // stored at
	lang  string        // in which the codename was drawn
	done  chan struct{} // closed when it is no longer in flight
}

type stage int

const (
	inFlight stage = iota
	stored
	finished // the source said "I have it"
)

func newTokens() *tokens {
	t := &tokens{uses: map[[32]byte]*use{}, max: maxUsed}
	rand.Read(t.key[:])
	return t
}

func (t *tokens) mac(parts ...[]byte) []byte {
	h := hmac.New(sha256.New, t.key[:])
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func hourOf(now time.Time) int64 { return now.Unix() / 3600 }

// mint makes the token of a new form.
func (t *tokens) mint(now time.Time) string {
	k := token{hour: uint32(hourOf(now))}
	rand.Read(k.nonce[:])
	return t.encode(k)
}

func (t *tokens) encode(k token) string {
	b := binary.BigEndian.AppendUint32(k.nonce[:], k.hour)
	return base64.RawURLEncoding.EncodeToString(append(b, t.mac([]byte("token"), b)...))
}

// parse reads a token that this process made in the last 24 hours.
func (t *tokens) parse(text string, now time.Time) (token, bool) {
	var k token
	if len(text) != tokenLetters {
		return k, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != tokenBytes {
		return k, false
	}
	copy(k.nonce[:], b)
	k.hour = binary.BigEndian.Uint32(b[nonceBytes:])
	// Comparing the text refuses spare bits and line ends, which base64 ignores.
	if !hmac.Equal([]byte(text), []byte(t.encode(k))) {
		return token{}, false
	}
	return k, hourOf(now)-int64(k.hour) < tokenHours
}

// seed selects the codename of a form that is sent in lang.
func (t *tokens) seed(k token, lang string) [32]byte {
	return [32]byte(t.mac([]byte("codename"), []byte(lang), k.nonce[:]))
}

func (k token) id() [32]byte { return sha256.Sum256(k.nonce[:]) }

// claim takes the token for a report that is to be stored. It waits while
// another report with the same token is in flight. If that one was stored,
// claim returns its use and ok is false; else the token is the caller's, who
// must call store or release.
func (t *tokens) claim(ctx context.Context, k token) (earlier use, ok bool, err error) {
	for {
		u := t.enter(k)
		if u == nil {
			return use{}, true, nil
		}
		if u.stage != inFlight {
			return *u, false, nil
		}
		select {
		case <-u.done:
		case <-ctx.Done():
			return use{}, false, ctx.Err()
		}
	}
}

// enter marks the token as in flight and returns nil, or returns a copy of the use it has.
func (t *tokens) enter(k token) *use {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u, ok := t.uses[k.id()]; ok {
		c := *u
		return &c
	}
	t.uses[k.id()] = &use{done: make(chan struct{})}
	return nil
}

// store records that the claimed token's report is durable. It forgets reports
// that are older than every valid token, and the oldest ones over maxUsed.
func (t *tokens) store(k token, lang string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.uses[k.id()]
	u.stage, u.at, u.lang = stored, now, lang
	close(u.done)
	t.order = append(t.order, k.id())
	for len(t.order) > t.max || now.Sub(t.uses[t.order[0]].at) >= tokenHours*time.Hour {
		delete(t.uses, t.order[0])
		t.order = t.order[1:]
	}
}

// release gives back a claimed token whose report was not stored.
func (t *tokens) release(k token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.uses[k.id()].done)
	delete(t.uses, k.id())
}

// finish records that the source has the codename. From then on it is not shown again.
func (t *tokens) finish(k token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u, ok := t.uses[k.id()]; ok && u.stage == stored {
		u.stage = finished
	}
}

// look returns what became of a token, if a report was stored with it.
func (t *tokens) look(k token) (use, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, ok := t.uses[k.id()]
	if !ok || u.stage == inFlight {
		return use{}, false
	}
	return *u, true
}

// shows reports whether the codename may be shown again.
func (u use) shows(now time.Time) bool {
	return u.stage == stored && now.Sub(u.at) < showAgain
}
