// Package translog is the format of the public log, and its proof: events and
// openings, the leaves they become, the operator's notes between them, and a
// Monitor that follows a log and names each rule that it breaks.
//
// The log is a C2SP tlog-tiles log (https://c2sp.org/tlog-tiles): its tree is that
// of RFC 6962 with SHA-256, its checkpoints are C2SP signed notes. This package
// specifies what its entries are. An entry is an event leaf or a governance note.
// Both are text in lines that end in LF. A reader refuses what does not encode to the
// same bytes again.
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
// # Leaf
//
// An event leaf is public. It has four lines, 121 bytes in all for an epoch of five
// digits:
//
//	resguardo/event/v1
//	epoch <decimal>
//	<base64 of the tag, 32 bytes>
//	<base64 of the commitment, 32 bytes>
//
// The epoch is floor(unix seconds / length of an epoch), 1 to 2^40.
//
// # Note
//
// A governance note is about the operator, in clear. It is a signed note
// (https://c2sp.org/signed-note, Ed25519) of at most 65,535 bytes whose text is
//
//	resguardo/gov/v1
//	seq <decimal>
//	prev <base64, 32 bytes>
//	epoch <decimal>
//	kind <kind>
//	effective-epoch <decimal>
//	<lines of the body>
//
// Two signers write notes. The governance keys sign genesis, desk, card, policy and
// retention: as many of them as genesis demands, or more. The operations key signs
// assets, gap, restore and incident, alone. No other key signs, and none twice. Each
// of the two has its own chain: seq counts its notes from 0, prev is the SHA-256 of
// the text (without signatures) of its note before, zeros in its first. So a text
// can wait for a signature while the other signer goes on, and several texts can be
// chained before any is signed. A text with no signature, or too few, is a request.
//
// In the body each line is a name, a space and a value. A name with an asterisk
// stands once for each value of a list, or not at all; the values of a list rise, in
// the order of their bytes (policy lines are in the order of the text). "-" alone
// stands for an empty value.
//
//	genesis    origin             1 to 80 of a-z, 0-9, dot, hyphen
//	           log                verifier key named ORIGIN
//	           operations         verifier key named ORIGIN/operations
//	           governance *       verifier keys named ORIGIN/governance…; 1 to 16
//	           threshold          governance signatures that a note needs
//	           epoch-seconds      length of an epoch: 1 to 604800
//	           slots              event leaves of an epoch: 1 to 4096
//	           salt               base64 of 16 bytes: of the codename's Argon2id
//	           argon2-time        1 to 16
//	           argon2-memory      KiB: 8 to 1048576
//	           argon2-threads     1 to 16
//	           policy *           as in policy
//	           retention-days     as in retention
//	           delete-signatures  as in retention
//	desk       id                 1 to 32 of a-z, 0-9, hyphen
//	           organisation       an id or -
//	           government         yes or no
//	           reviewer *         fingerprints of cards, at most 100
//	card       fingerprint        64 digits of lower-case hexadecimal
//	           role               reviewer or auditor
//	           sha256             of the card file, in hexadecimal
//	           revoked            yes (only of an auditor's card) or no
//	policy     policy *           a line of the C2SP tlog-policy, - for an empty one
//	retention  retention-days     7 to 3650
//	           delete-signatures  reviewers who must sign a deletion: 1 to 100
//	assets     build              1 to 128 printable ASCII characters, no spaces
//	           file *             SHA-256 in hexadecimal, space, path; by path
//	gap        from, to           epochs, both included, that have no leaves
//	restore    from, to           leaves from to to-1 whose bodies are lost
//	incident   what               revoked or unwitnessed
//	           fingerprint        of the revoked card, or -
//	           desk               that it left, or -
//	           since              first epoch without a quorum, or 0
//
// A desk is what its newest note says; a desk without reviewers is closed. Its cards
// have notes before it, as reviewers. At most 127 desks have reviewers. A second note
// about a fingerprint repeats hash and role. A restore note covers leaves that stand
// before it. All keys of genesis differ. A policy has
// at most 16 KiB, no control characters, no space at the end of a line, and exactly
// one log line, with the log key of genesis.
//
// # Order
//
// The first leaf is genesis, and there is no other. Then, for each epoch from that of
// genesis on: any notes, then the event leaves of that epoch, S of them for S slots,
// or 2^k·S when more had to wait, in strictly rising order of their raw tags. No tag
// comes twice in the log. Epochs rise by one. Missing ones need a gap note that
// covers exactly these and stands first among the notes of the next epoch. The log
// ends after a whole epoch, or before its first.
//
// # When a note works
//
// The place of a note is the epoch whose events follow it; before the first event, the
// epoch that is due then. Its own epoch, in which it was written, is not later. All
// notes before the first event leaf of the log work from the epoch of genesis. After
// that, a note of the governance keys in place p works from p+2: the checkpoint that
// holds it appears when p ends, and everybody has p+1 to see it. effective-epoch 0
// leaves it at that; another number sets a later epoch. A note of the operations key
// works at once, and its effective-epoch is 0.
//
// # Worked examples
//
// An event. With the key 00 01 02 … 1f, kind report, counter 0, thread a0 a1 … af, the
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
// A log of three leaves. The Ed25519 seeds are 00 01 … 1f for the log key, 20 … 3f
// for operations, 40 … 5f for governance. Genesis, 810 bytes:
//
//	resguardo/gov/v1
//	seq 0
//	prev AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//	epoch 83115
//	kind genesis
//	effective-epoch 0
//	origin example.org-0a1b2c3d
//	log example.org-0a1b2c3d+4526e570+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
//	operations example.org-0a1b2c3d/operations+1762a68e+ASmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X
//	governance example.org-0a1b2c3d/governance+a8ad99db+ASVDuS/xCVURR2rcg2nbbdyTNmWhGXjdoUBO4QZsqVWd
//	threshold 1
//	epoch-seconds 21600
//	slots 1
//	salt AAECAwQFBgcICQoLDA0ODw==
//	argon2-time 3
//	argon2-memory 65536
//	argon2-threads 1
//	policy log example.org-0a1b2c3d+4526e570+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4
//	policy quorum none
//	retention-days 180
//	delete-signatures 1
//
//	— example.org-0a1b2c3d/governance qK2Z24RVsk5f1unu0gtX6rB9RxqZTFkU/EuyaUnBQHLiXIkMqR3WwGKdIpgmkP1PTPwUGUxd9HRe+vr8kh0fnocMyQ4=
//
// the card of the example in package card, if its file were the four bytes "card", 415
// bytes:
//
//	resguardo/gov/v1
//	seq 1
//	prev JVR+5ay3hKF/QmU5yGXMhR9pf46ouzF5/GR4Ewpxk4s=
//	epoch 83115
//	kind card
//	effective-epoch 0
//	fingerprint e1704ce7caadaa4e436845c280d1527742f46a8af62d934c41b60c624e7cb185
//	role reviewer
//	sha256 8367cd66fdd136bba8ba23f8805bb050dd6289401c8ec3b0be44a3c233eef90d
//	revoked no
//
//	— example.org-0a1b2c3d/governance qK2Z2zCjjEW1Vgh2Sy1qIb2nkjPc7dwpB9WmxH83QpD6xmdbPwg0ya5Pf22Kd4meQPU3sxLqKyBrn/cTb2BdqPj2rwM=
//
// and the event above, 121 bytes:
//
//	resguardo/event/v1
//	epoch 83115
//	CF9fuDn00I7xXFTfl5mbiCtP+OdaEriz994o/LbSmqo=
//	A+YmXxcGW0/9LXgGE3a320Pbu7qzNHgzU2AVEBQKDQM=
//
// Their record hashes, and the root of the tree in base64, are
//
//	be80e1eb83b4ee3a9a512eb36311c5c3b8e94b3025d433a02162841ad79e7221
//	2dd9f1577f0d3601906077f6d40f56273feb8d6cdad9488d10c704ab25ecf2c0
//	2ffd3982a5f4373ba260267d6a0a555a43b3e04fe56b9917a472052157166459
//	1YuMqPEtsE6OqedXGS9iFDARvtzJNepv15HTHTvh61g=
//
// The same figures, from another implementation (Python's hmac and hashlib, and the
// Ed25519 of RFC 8032, section 6), are a test of this package.
package translog
