package main

import (
	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// Faults that this program finds beside those of package translog.
const (
	// The log is wrong: exit 3.
	checkpointMalformed translog.Fault = "checkpoint-malformed"
	checkpointChanged   translog.Fault = "checkpoint-changed"
	wrongKey            translog.Fault = "checkpoint-key"
	wrongOrigin         translog.Fault = "checkpoint-origin"
	cosignatureWrong    translog.Fault = "cosignature-invalid"
	cosignatureFuture   translog.Fault = "cosignature-future"
	cosignatureEarly    translog.Fault = "cosignature-early"
	epochFuture         translog.Fault = "epoch-future"
	tooLong             translog.Fault = "file-too-long"

	// The log, its openings and the items do not fit together: exit 3.
	recordMalformed  translog.Fault = "record-malformed"
	recordTag        translog.Fault = "record-tag"
	recordCommitment translog.Fault = "record-commitment"
	recordUnknown    translog.Fault = "record-unknown"
	recordRepeated   translog.Fault = "record-repeated"
	recordMissing    translog.Fault = "record-missing"
	recordFields     translog.Fault = "record-fields"
	afterDeletion    translog.Fault = "event-after-deletion"
	threadUnknown    translog.Fault = "thread-unknown"
	itemMissing      translog.Fault = "item-missing"
	itemUnlogged     translog.Fault = "item-unlogged"
	itemSwapped      translog.Fault = "item-swapped"
	itemNotAge       translog.Fault = "item-not-age"
	itemSize         translog.Fault = "item-size"
	itemRecipients   translog.Fault = "item-recipients"
	itemKind         translog.Fault = "item-kind"
	itemClaim        translog.Fault = "item-claim"
	itemRepeated     translog.Fault = "item-repeated"
	itemDeleted      translog.Fault = "item-deleted"

	// The log may be right, but: exit 1.
	emptyLog     translog.Fault = "empty"
	stale        translog.Fault = "stale"
	unwitnessed  translog.Fault = "unwitnessed"
	tooLarge     translog.Fault = "too-large"
	tooManyBytes translog.Fault = "too-many-bytes"

	// The account cannot be complete: exit 1.
	openingsMissing translog.Fault = "openings-missing"
	itemIncomplete  translog.Fault = "item-incomplete"
	itemUnreadable  translog.Fault = "item-unreadable"

	// Worth knowing: exit 0.
	noQuorum      translog.Fault = "no-quorum"
	policyDiffers translog.Fault = "policy-differs"
	notAccounted  translog.Fault = "not-accounted"
	itemUnsettled translog.Fault = "item-unsettled"
	ackLate       translog.Fault = "ack-late"
	ackNever      translog.Fault = "ack-never"
)

// finding is one thing that an audit has found.
type finding struct {
	fault translog.Fault
	leaf  int64  // -1 = not about one
	epoch int64  // 0 = not about one
	to    int64  // last epoch, if it is about several; else 0
	more  string // which file, key or number; may be empty, and may be hostile
}

// found makes a finding that is about no leaf.
func found(f translog.Fault, more string) *finding { return &finding{fault: f, leaf: -1, more: more} }

// violation is a broken rule of the log as a finding.
func violation(v *translog.Violation) *finding {
	return &finding{fault: v.Fault, leaf: v.Leaf, epoch: v.Epoch, more: v.What}
}

func (f *finding) Error() string { return string(f.fault) + ": " + f.more }

// exit is the exit code that the finding leads to.
func (f *finding) exit() int {
	switch f.fault {
	case emptyLog, stale, unwitnessed, tooLarge, tooManyBytes, openingsMissing, itemIncomplete, itemUnreadable:
		return exitFailure
	case noQuorum, policyDiffers, notAccounted, itemUnsettled, ackLate, ackNever:
		return exitOK
	}
	return exitInconsistent
}

// text is the finding in a sentence: where, what, and more for experts.
func (f *finding) text() say.Text {
	what, _ := words(f.fault)
	if f.more != "" {
		what = say.T("%s (%s)", what, f.more)
	}
	switch {
	case f.fault == unwitnessed:
		return say.T("not witnessed since epoch %s: %s", f.epoch, what)
	case f.leaf >= 0 && f.epoch != 0:
		return say.T("leaf %s, epoch %s: %s", f.leaf, f.epoch, what)
	case f.leaf >= 0:
		return say.T("leaf %s: %s", f.leaf, what)
	case f.to > f.epoch:
		return say.T("epochs %s to %s: %s", f.epoch, f.to, what)
	case f.epoch != 0:
		return say.T("epoch %s: %s", f.epoch, what)
	}
	return what
}

// hint says what to do.
func (f *finding) hint() say.Text {
	_, hint := words(f.fault)
	return hint
}
