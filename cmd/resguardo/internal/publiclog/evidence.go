package publiclog

import (
	"encoding/hex"

	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// State is what the log says about an item.
type State string

// States of an item.
const (
	Unchecked State = ""         // nobody has looked yet
	Waiting   State = "waiting"  // not in the log, and not due
	Verified  State = "verified" // the log commits to exactly these bytes
	Missing   State = "missing"  // not in the log, although it is due
	Replaced  State = "replaced" // the log commits to something else
)

// Copy is what is known of an age file from its bytes.
type Copy struct {
	SHA256     [32]byte
	SizeClass  uint64 // bytes of its plaintext
	Recipients uint64 // stanzas of its header
}

// Check compares an item, which must have passed its own Check, with the log
// and with the copy of it that is here. leaf is that of its event, if the state is
// Verified or the commitment differs. why, in English, tells more about Replaced.
func (l *Log) Check(i card.Item, c Copy) (s State, leaf int64, why string) {
	event, ok := card.DecodeEvent(i.Event)
	if !ok {
		return Replaced, -1, "event"
	}
	o, err := translog.ParseOpening([]byte(i.Opening))
	if err != nil {
		return Replaced, -1, "opening"
	}
	e := translog.Event(event)
	tag := e.Tag(translog.Kind(i.Kind))
	switch {
	case string(o.Kind) != i.Kind, o.Tag != tag, hex.EncodeToString(tag[:]) != i.Tag:
		return Replaced, -1, "tag"
	case o.Ciphertext != c.SHA256:
		return Replaced, -1, "ciphertext"
	case o.SizeClass != c.SizeClass:
		return Replaced, -1, "size"
	case o.Recipients != c.Recipients:
		return Replaced, -1, "recipients"
	}
	found, ok := l.Events[tag]
	if !ok {
		return Missing, -1, ""
	}
	if found.Commitment != e.Commit([]byte(i.Opening)) {
		return Replaced, found.Leaf, "commitment"
	}
	return Verified, found.Leaf, ""
}

// PlaintextSize is the number of plaintext bytes in an age payload: a nonce of 16
// bytes, then chunks of 64 KiB, each with a tag of 16 bytes, the last one shorter
// or full (https://c2sp.org/age#payload).
func PlaintextSize(payload int64) (uint64, bool) {
	const nonce, chunk, tag = 16, 64 << 10, 16
	n := payload - nonce
	if n < tag {
		return 0, false
	}
	full, last := n/(chunk+tag), n%(chunk+tag)
	if last == 0 {
		return uint64(full * chunk), true
	}
	if last < tag || last == tag && full > 0 { // only an empty file has an empty chunk
		return 0, false
	}
	return uint64(full*chunk + last - tag), true
}
