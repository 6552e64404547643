// Package translog is the format of the public log: events and openings, the
// secrets that make them, and the records that wait for their leaf.
//
// # Event
//
// Whatever happens to a report (it arrives, is acknowledged, answered, deleted …)
// is one event. Its secret E is 32 bytes:
//
//	E = HMAC-SHA256(key, "resguardo/v1/event " + kind + " " + counter)
//
// The 32-byte key is K, derived from the codename, for report, followup,
// source-delete and expire; the desk log key, derived from K, for ack, reply,
// note, rewrap, recuse, close and desk-delete. The counter is decimal, from 0,
// one count for each kind. For a filler E is random. From E follow:
//
//	tag        = HMAC-SHA256(E, "tag " + kind)        public, in the leaf
//	r          = HMAC-SHA256(E, "commit")
//	commitment = HMAC-SHA256(r, opening)              public, in the leaf
//
// The kind is inside both E and the tag, so a tag that was made for a report can
// never open as a filler. Whoever has the codename finds its events by
// computing tags; nobody else can tell a tag from 32 random bytes. As r has a
// fixed length and is as secret as E, the commitment binds to one opening and
// hides it.
//
// # Opening
//
// An opening is what a commitment commits to. It is text of exactly nine lines,
// each ending in LF, one space between name and value:
//
//	resguardo/opening/v1
//	kind <kind>
//	tag <base64, 32 bytes>
//	thread <base64, 16 bytes>
//	ref <base64, 32 bytes>
//	ciphertext <base64, 32 bytes>
//	size-class <decimal>
//	recipients <decimal>
//	governance <decimal>
//
// Base64 is the standard alphabet with padding (RFC 4648, section 4). A decimal
// is an unsigned 64-bit number without leading zeros. Every field is always
// there; zeros mean none. An opening is at most 354 bytes long. ParseOpening
// refuses every text that does not encode to the same bytes again.
//
//   - thread: 16 random bytes that all events of one report share. It is not the
//     case id.
//   - ref: the tag of the event that this one answers or deletes; zeros in a
//     deletion mean the whole thread.
//   - ciphertext: SHA-256 of the age file, header and payload.
//   - size-class: bytes of the padded plaintext in that age file.
//   - recipients: number of recipient stanzas in its header.
//   - governance: sequence number of the governance note in force.
//
// All fields of a filler but kind and tag are zeros.
//
// # Record
//
// A record is E (32 bytes), then the opening, then zeros up to 512 bytes. It is
// all that an auditor needs to open one leaf.
//
// # Worked example
//
// With the key 00 01 02 … 1f, kind report, counter 0, thread a0 a1 … af, the
// ciphertext hash SHA-256("ciphertext"), 65536 bytes and 3 recipients (in hexadecimal):
//
//	E          056382995e7394fd1e99193328641ba81bc0e1b4e4ff6bc24645c77f20680474
//	tag        085f5fb839f4d08ef15c54df97999b882b4ff8e75a12b8b3f7de28fcb6d29aaa
//	r          b3ab225ce06b96bf1e9bbdbd52668d25a9c796263555446bf1c9bfb7cc0959f1
//	commitment 03e6265f17065b4ffd2d78061376b7db43dbbbbab334783353601510140a0d03
//
// and the opening is
//
//	resguardo/opening/v1
//	kind report
//	tag CF9fuDn00I7xXFTfl5mbiCtP+OdaEriz994o/LbSmqo=
//	thread oKGio6SlpqeoqaqrrK2urw==
//	ref AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//	ciphertext MFUx3MUOvKMc8dWzHp/HbtUfZrO23VoDDGU5rmUy+Xk=
//	size-class 65536
//	recipients 3
//	governance 0
//
// The same figures, from another implementation, are a test of this package.
package translog
