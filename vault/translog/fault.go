package translog

import "fmt"

// Fault names what is wrong with a log. The programs have a sentence for each.
type Fault string

// One leaf alone.
const (
	UnknownLeaf  Fault = "unknown-leaf"  // its first line is none of this version of the format
	NotCanonical Fault = "not-canonical" // it does not encode to the same bytes again
	TooLong      Fault = "too-long"      // more than MaxLeaf bytes
	BadNote      Fault = "bad-note"      // a note whose fields or signature lines cannot be read, or are out of range
)

// Epochs.
const (
	WrongEpoch      Fault = "wrong-epoch"       // an epoch before that of genesis, or a note for an epoch that is over
	EpochRepeated   Fault = "epoch-repeated"    // leaves of an epoch that is over
	GapMissing      Fault = "gap-missing"       // epochs are missing, and no gap note says so
	WrongGap        Fault = "wrong-gap"         // a gap note that does not cover exactly the missing epochs, or is not the first note there
	WrongCount      Fault = "wrong-count"       // an epoch whose leaves are not the slots, or the slots doubled
	Unsorted        Fault = "unsorted"          // tags of an epoch do not rise
	RepeatedTag     Fault = "repeated-tag"      // a tag that is in the log already
	NoteInsideEpoch Fault = "note-inside-epoch" // a note between the leaves of one epoch
	Unfinished      Fault = "unfinished"        // the log ends in the middle of an epoch
)

// Genesis and the chains of notes.
const (
	NoGenesis        Fault = "no-genesis"         // the first leaf is something else
	SecondGenesis    Fault = "second-genesis"     // another one later
	WrongOrigin      Fault = "wrong-origin"       // genesis is of a log with another name
	ForeignLogKey    Fault = "foreign-log-key"    // genesis names another log key, or a policy note does
	Unsigned         Fault = "unsigned"           // a note without a signature
	BadSignature     Fault = "bad-signature"      // a signature that does not verify
	WrongSigner      Fault = "wrong-signer"       // a key that may not sign notes of this kind, or is unknown to genesis
	TooFewSignatures Fault = "too-few-signatures" // fewer governance signatures than genesis demands
	WrongSequence    Fault = "wrong-sequence"     // a note is missing, repeated or out of order
	WrongPrev        Fault = "wrong-prev"         // a note that follows another text than the one before it
)

// What notes say.
const (
	NoteFromTheFuture Fault = "note-from-the-future" // written in a later epoch than the one it stands before
	TooEarly          Fault = "too-early"            // it would work before everybody could see it
	CardUnknown       Fault = "card-unknown"         // a desk with a card that no note has named, or a revocation of one
	CardChanged       Fault = "card-changed"         // a card's fingerprint with another file or role than before
	WrongRole         Fault = "wrong-role"           // a desk with an auditor's card
	TooManyDesks      Fault = "too-many-desks"       // more than MaxDesks have reviewers
	WrongRestore      Fault = "wrong-restore"        // a restore note about leaves that do not stand before it
)

// The tree.
const (
	TooManyLeaves Fault = "too-many-leaves" // more than MaxLeaves
	RolledBack    Fault = "rolled-back"     // a tree smaller than the one seen before
	Forked        Fault = "forked"          // a tree that does not begin with the one seen before
	BadBundle     Fault = "bad-bundle"      // an entry bundle that does not hold the entries it should
	WrongEntry    Fault = "wrong-entry"     // a served entry is not the one in the tree
	WrongTile     Fault = "wrong-tile"      // a served hash tile is not the one that the entries make, or that the root commits to
	WrongRoot     Fault = "wrong-root"      // entries and tiles fit together, but make another root
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{
		UnknownLeaf, NotCanonical, TooLong, BadNote,
		WrongEpoch, EpochRepeated, GapMissing, WrongGap, WrongCount, Unsorted, RepeatedTag, NoteInsideEpoch, Unfinished,
		NoGenesis, SecondGenesis, WrongOrigin, ForeignLogKey, Unsigned, BadSignature, WrongSigner, TooFewSignatures, WrongSequence, WrongPrev,
		NoteFromTheFuture, TooEarly, CardUnknown, CardChanged, WrongRole, TooManyDesks, WrongRestore,
		TooManyLeaves, RolledBack, Forked, BadBundle, WrongEntry, WrongTile, WrongRoot,
	}
}

// Violation is a log that breaks a rule of the format.
type Violation struct {
	Fault Fault
	Leaf  int64  // index of the leaf; -1 = not about one
	Epoch int64  // 0 = not about one
	What  string // more, for experts; in English
}

func (v *Violation) Error() string {
	where := "log"
	if v.Leaf >= 0 {
		where = fmt.Sprintf("leaf %d", v.Leaf)
	}
	return fmt.Sprintf("%s: %s: %s", where, v.Fault, v.What)
}
