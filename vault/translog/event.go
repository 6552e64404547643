package translog

import (
	"crypto/hmac"
	"crypto/sha256"
	"strconv"
)

// Kind is the kind of an event.
type Kind string

// The events of a source (key K) and Expire, whose E is made at submission and
// kept for the day the retention ends.
const (
	Report       Kind = "report"
	Followup     Kind = "followup"
	SourceDelete Kind = "source-delete"
	Expire       Kind = "expire"
)

// The events of a desk (desk log key).
const (
	Ack        Kind = "ack"
	Reply      Kind = "reply"
	Note       Kind = "note"
	Rewrap     Kind = "rewrap"
	Recuse     Kind = "recuse"
	Close      Kind = "close"
	DeskDelete Kind = "desk-delete"
)

// Filler fills up an epoch: a random E, an opening of zeros.
const Filler Kind = "filler"

// Known tells whether k is one of the kinds of this version of the format.
func (k Kind) Known() bool {
	switch k {
	case Report, Followup, SourceDelete, Expire,
		Ack, Reply, Note, Rewrap, Recuse, Close, DeskDelete, Filler:
		return true
	}
	return false
}

// Event is E, 32 bytes. It is secret: with it the opening of the event can be
// proven, and its tag found in the log.
type Event [32]byte

// NewEvent derives E from a 32-byte key: K of the source, or the desk log key.
func NewEvent(key [32]byte, kind Kind, counter uint64) Event {
	return Event(mac(key[:], "resguardo/v1/event "+string(kind)+" "+strconv.FormatUint(counter, 10)))
}

// Tag is HMAC-SHA256(E, "tag " + kind): public, in the leaf.
func (e Event) Tag(kind Kind) [32]byte {
	return mac(e[:], "tag "+string(kind))
}

// Commit is HMAC-SHA256(r, opening) with r = HMAC-SHA256(E, "commit"): public,
// in the leaf. The opening is given as Marshal writes it.
func (e Event) Commit(opening []byte) [32]byte {
	r := mac(e[:], "commit")
	return mac(r[:], string(opening))
}

func mac(key []byte, message string) [32]byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return [32]byte(h.Sum(nil))
}
