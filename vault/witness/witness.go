// Package witness asks witnesses to cosign the checkpoints of a log.
//
// A witness has seen every checkpoint that it has cosigned grow out of the one
// before. While enough witnesses cosign, nobody, the log's operator included, can
// show one history to an auditor and another to a source. The same witnesses
// tell an old copy of the log, put back from a backup, that it is one.
//
// # Policy
//
// Which witnesses there are, and how many of them must cosign, is told by a
// policy (https://c2sp.org/tlog-policy). Parse reads one.
//
//	log example.org-0123abcd+3d2a8b1f+AS…
//	witness north north.example/w+5c7e0a91+BF… https://north.example/
//	witness south south.example/w+90ab12cd+BM… http://….onion/w
//	group both all north south
//	quorum both
//
// # Protocol
//
// Client speaks https://c2sp.org/tlog-witness: one POST of a checkpoint, with a
// proof that it continues the last one that this witness has cosigned. What comes
// back is foreign: at most 16 KiB of it is read, in a bounded time, no redirect
// is followed, and of a good answer nothing is kept but the one line that
// verifies with the witness's key over this very checkpoint.
//
// A witness that says it has seen more, or another history, is a SeenError. It is
// no proof, because a witness can say so falsely, unless it shows a checkpoint
// with the signature of the log's own key.
package witness

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Witness is one witness of a policy.
type Witness struct {
	Name string // in the policy only
	Key  string // vkey of its Ed25519 cosignatures (C2SP tlog-cosignature, "Format")
	URL  string // submission prefix, http or https; empty = it is not asked
}

// Cosignature is a witness's statement that, at Time, the checkpoint was of the
// largest tree of this log that it had seen (C2SP tlog-cosignature).
type Cosignature struct {
	note.Signature
	Time time.Time // to the second; as the witness's clock has it, at most 5 minutes ahead of ours
}

// Why a witness did not cosign. Others are *ConflictError and *SeenError.
var (
	// ErrUnreachable: there was no answer in time, or one that asks to come back later (429, 5xx).
	ErrUnreachable = errors.New("the witness cannot be reached")
	// ErrUnknownLog: nobody has told the witness of this log (404).
	ErrUnknownLog = errors.New("the witness does not know this log")
	// ErrForbidden: the witness knows the log by another key (403).
	ErrForbidden = errors.New("the witness does not accept the log's signature")
	// ErrInconsistent: the proof does not lead from what the witness has cosigned to this checkpoint (422).
	ErrInconsistent = errors.New("the witness has cosigned another history of this log")
	// ErrAnswer: the answer is none that the protocol allows, or its cosignature does not verify.
	ErrAnswer = errors.New("the witness's answer breaks the protocol")
)

// ConflictError: the old size sent was not that of the last checkpoint which the witness has
// cosigned (409).
type ConflictError struct {
	Size int64 // of that checkpoint, as the witness says; 0 = it has cosigned none
}

// Error tells the size.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the last checkpoint that the witness has cosigned has size %d", e.Size)
}

// SeenError: a witness has cosigned more of the log than our checkpoint covers, or
// another history of it.
type SeenError struct {
	Size  int64  // of the tree in question, as the witness says
	Fork  bool   // its history is not ours; false = it is longer, and may go on from ours
	Proof []byte // a checkpoint that our own log key has signed and our log does not lead to; nil = the witness shows none
}

// Error tells what was seen.
func (e *SeenError) Error() string {
	what := "a longer log"
	if e.Fork {
		what = "another history of this log"
	}
	if e.Proof == nil {
		return fmt.Sprintf("the witness says it has seen %s, of size %d", what, e.Size)
	}
	return fmt.Sprintf("the witness has shown %s, of size %d, signed by our own key", what, e.Size)
}
