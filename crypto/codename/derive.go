package codename

import (
	"crypto/hkdf"
	"crypto/sha256"

	"golang.org/x/crypto/argon2"
)

// Params are the Argon2id parameters of one vault, fixed at init.
type Params struct {
	Salt    [16]byte
	Time    uint32 // passes, default 3
	Memory  uint32 // KiB, default 64 * 1024
	Threads uint8  // default 1
}

// DefaultParams are the parameters of a new vault, less the salt.
var DefaultParams = Params{Time: 3, Memory: 64 * 1024, Threads: 1}

// Keys are the secrets derived from one codename.
type Keys struct {
	Mailbox [32]byte // mailbox token; the vault stores its SHA-256
	Age     [32]byte // seed of the source's hybrid age identity
	Thread  [32]byte // HMAC key of replies
	Log     [32]byte // K: key of the source's events in the log
}

// Labels of HKDF. They are part of the format: a changed one loses every mailbox.
const (
	labelMailbox = "resguardo/v1/mailbox"
	labelAge     = "resguardo/v1/age"
	labelThread  = "resguardo/v1/thread"
	labelLog     = "resguardo/v1/log"
	labelDeskLog = "resguardo/v1/log/desk"
)

// Derive runs Argon2id once (with the default parameters 64 MiB and about
// 125 ms of one core) and HKDF four times. The memory is garbage afterwards: see
// [runtime/debug.FreeOSMemory]. Limit how many run at once.
//
// Derive panics on the zero Codename and on parameters with zero Time or Threads.
func (c Codename) Derive(p Params) Keys {
	if c.list == nil {
		panic("codename: derive from no codename")
	}
	words := []byte(c.Normalised())
	mk := argon2.IDKey(words, p.Salt[:], p.Time, p.Memory, p.Threads, 32)
	keys := Keys{
		Mailbox: expand(mk, labelMailbox),
		Age:     expand(mk, labelAge),
		Thread:  expand(mk, labelThread),
		Log:     expand(mk, labelLog),
	}
	clear(words)
	clear(mk)
	return keys
}

// DeskLog is the key of the desk's events about this case: HKDF(K,
// "resguardo/v1/log/desk"). It stands in the manifest, so that the desk can
// make its own events and not the source's.
func (k Keys) DeskLog() [32]byte { return expand(k.Log[:], labelDeskLog) }

// expand is HKDF-SHA256 (RFC 5869) without salt.
func expand(key []byte, label string) (out [32]byte) {
	k, err := hkdf.Key(sha256.New, key, nil, label, len(out))
	if err != nil {
		panic("codename: " + err.Error()) // only for lengths that are constants here
	}
	copy(out[:], k)
	clear(k)
	return out
}
