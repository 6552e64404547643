package main

import (
	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// words says in plain words what a fault is, and what to do about it. A test
// proves that every fault has its sentence.
func words(f translog.Fault) (what, hint say.Text) {
	for _, in := range []func(translog.Fault) (say.Text, say.Text){
		wordsOfCheckpoint, wordsOfLook, wordsOfLeaf, wordsOfEpoch, wordsOfNote, wordsOfTree,
		wordsOfRecord, wordsOfItem, wordsOfAccount,
	} {
		if what, hint = in(f); !what.IsZero() {
			return what, hint
		}
	}
	return say.T("the log breaks a rule"), tellOthers()
}

// tellOthers is what to do about a log that is wrong by its own signature.
func tellOthers() say.Text {
	return say.T("keep a copy of what you downloaded, do not trust this log, and tell the other auditors and the NGOs that use it; do not ask the operator alone")
}

// askAgain is what to do when the way may have damaged what arrived.
func askAgain() say.Text {
	return say.T("run it again, and against a mirror: if only one place is wrong, that place changes the log; if it stays so everywhere, do not trust this log and tell the other auditors")
}

// wordsOfCheckpoint are about the signatures, before anything else is read.
func wordsOfCheckpoint(f translog.Fault) (what, hint say.Text) {
	switch f {
	case checkpointMalformed:
		return say.T("what stands there as checkpoint is not one"), say.T("look at it in a browser: is the address right, is it the folder of the log? If it is, tell the operator and the other auditors")
	case checkpointChanged:
		return say.T("the checkpoint was changed after it was signed: the log key's signature does not fit it"), askAgain()
	case wrongKey:
		return say.T("the checkpoint is not signed by the log key that the policy names"),
			say.T("compare your policy file with somebody who got it elsewhere; if the policy is right, this is not the log: do not trust it and tell the others")
	case wrongOrigin:
		return say.T("this is the log of another vault than the policy is for"), say.T("check -url and -policy; each vault has its own policy file")
	case cosignatureWrong:
		return say.T("the signature of a witness does not fit the checkpoint"), askAgain()
	case cosignatureFuture:
		return say.T("a witness signed in the future"), say.T("is the clock of this machine right? If it is, ask that witness; meanwhile its signature is worth nothing")
	case cosignatureEarly:
		return say.T("a witness signed before the last epoch was over, when this checkpoint could not exist"),
			say.T("ask that witness whether its clock was wrong; if not, the log was made in advance: tell the other auditors")
	case epochFuture:
		return say.T("the log already holds an epoch that is not over"), say.T("is the clock of this machine right? If it is, the log is made in advance: do not trust it and tell the other auditors")
	}
	return say.Text{}, say.Text{}
}

// wordsOfLook are about one look at the log: late, unwitnessed, too much.
func wordsOfLook(f translog.Fault) (what, hint say.Text) {
	switch f {
	case emptyLog:
		return say.T("the log is empty: there is nothing to check"), say.T("the vault has not begun its log; ask the operator")
	case stale:
		return say.T("the log is late: it stopped growing when its last epoch ended"),
			say.T("a vault that is off makes no epochs: ask the operator; if somebody else sees a newer log, yours is being held back")
	case unwitnessed:
		return say.T("too few of the policy's witnesses have signed the newest checkpoint"),
			say.T("until they do, the operator could show you another log than the others: compare sizes and roots with another auditor; if it lasts longer than a day, ask the operator and the witnesses")
	case tooLarge:
		return say.T("the log says that it has more leaves than this program reads"), say.T("is that possible? If it is, give a larger number with -max-leaves")
	case tooManyBytes:
		return say.T("the log is much larger than so many leaves need; reading was ended"), say.T("an honest log is not like this; if you must read it, give a larger number with -max-leaves")
	case tooLong:
		return say.T("a file is longer than it may be; reading was ended"), askAgain()
	case noQuorum:
		return say.T("the policy asks for no witnesses: only your own memory (-state) shows if the log is rewritten"),
			say.T("run follow from cron, and compare the root with other auditors")
	case policyDiffers:
		return say.T("the log names another policy than your file; your file decided"),
			say.T("ask the operator for the reason and the new file, and compare it with another auditor before you use it")
	}
	return say.Text{}, say.Text{}
}

func wordsOfLeaf(f translog.Fault) (what, hint say.Text) {
	switch f {
	case translog.UnknownLeaf:
		return say.T("a leaf is of a format that this version does not know"), say.T("is there a newer resguardo-audit? If not, do not trust this log and tell the other auditors")
	case translog.NotCanonical:
		return say.T("a leaf is not written in the one way that is allowed, so it could hide something"), tellOthers()
	case translog.TooLong:
		return say.T("a leaf is longer than a leaf can be"), tellOthers()
	case translog.BadNote:
		return say.T("a note of the operator cannot be read, or says something impossible"), tellOthers()
	}
	return say.Text{}, say.Text{}
}

func wordsOfEpoch(f translog.Fault) (what, hint say.Text) {
	switch f {
	case translog.WrongEpoch:
		return say.T("a leaf stands for an epoch in which it cannot have been made"), tellOthers()
	case translog.EpochRepeated:
		return say.T("something was added to an epoch that was over"), tellOthers()
	case translog.GapMissing:
		return say.T("epochs are missing, and no note of the operator says why"), tellOthers()
	case translog.WrongGap:
		return say.T("the note about missing epochs does not fit the epochs that are missing"), tellOthers()
	case translog.WrongCount:
		return say.T("an epoch has too many or too few leaves: its number of leaves would show how many reports came"), tellOthers()
	case translog.Unsorted:
		return say.T("the leaves of an epoch are not in order: their order would show which came first"), tellOthers()
	case translog.RepeatedTag:
		return say.T("the same leaf stands in the log twice"), tellOthers()
	case translog.NoteInsideEpoch:
		return say.T("a note stands in the middle of an epoch"), tellOthers()
	case translog.Unfinished:
		return say.T("the log ends in the middle of an epoch"), tellOthers()
	}
	return say.Text{}, say.Text{}
}

func wordsOfNote(f translog.Fault) (what, hint say.Text) {
	if what := wordsOfSigner(f); !what.IsZero() {
		return what, tellOthers()
	}
	switch f {
	case translog.NoteFromTheFuture:
		return say.T("a note says that it was written after the epoch it stands in"), tellOthers()
	case translog.TooEarly:
		return say.T("a change works before others could see it: readers could be added without notice"), tellOthers()
	case translog.CardUnknown:
		return say.T("a desk has a reader whose card the log does not know"), tellOthers()
	case translog.CardChanged:
		return say.T("a card was replaced by another one with the same fingerprint"), tellOthers()
	case translog.WrongRole:
		return say.T("an auditor's card is a reader of a desk"), tellOthers()
	case translog.TooManyDesks:
		return say.T("there are more desks than there may be"), tellOthers()
	case translog.WrongRestore:
		return say.T("a note about lost reports names leaves that did not exist then"), tellOthers()
	}
	return say.Text{}, say.Text{}
}

// wordsOfSigner are about who signed a note, and what it follows.
func wordsOfSigner(f translog.Fault) say.Text {
	switch f {
	case translog.NoGenesis:
		return say.T("the log does not begin with its genesis, the note that fixes its rules")
	case translog.SecondGenesis:
		return say.T("the log has a second genesis: somebody tries to change its rules")
	case translog.WrongOrigin:
		return say.T("the genesis of this log is of another vault than the policy is for")
	case translog.ForeignLogKey:
		return say.T("the log names another log key for itself than your policy does")
	case translog.Unsigned:
		return say.T("a note is not signed")
	case translog.BadSignature:
		return say.T("the signature of a note is wrong: the note was changed, or it is a forgery")
	case translog.WrongSigner:
		return say.T("a note is signed by a key that may not sign it")
	case translog.TooFewSignatures:
		return say.T("too few people signed a note")
	case translog.WrongSequence:
		return say.T("a note is missing, repeated or out of order")
	case translog.WrongPrev:
		return say.T("a note follows another note than the one before it: one was changed or taken out")
	}
	return say.Text{}
}

func wordsOfTree(f translog.Fault) (what, hint say.Text) {
	switch f {
	case translog.TooManyLeaves:
		return say.T("the log has more leaves than a log may have"), tellOthers()
	case translog.RolledBack:
		return say.T("the log is smaller than it was: its end was cut off, or this is an old copy"),
			say.T("a mirror can be behind: ask the vault itself. If that is smaller too, keep your -state folder, which proves it, and tell the other auditors")
	case translog.Forked:
		return say.T("this log is another one than before: its past was rewritten"),
			say.T("keep your -state folder: its two signed checkpoints prove it. Do not trust this log, and tell the other auditors and the NGOs that use it")
	case translog.BadBundle, translog.WrongEntry:
		return say.T("leaves that are served are not the ones that were signed"), askAgain()
	case translog.WrongTile:
		return say.T("a part of the tree that is served is not the one that was signed"), askAgain()
	case translog.WrongRoot:
		return say.T("the leaves and the signed checkpoint do not fit together: a leaf was changed, taken out or put in"), askAgain()
	}
	return say.Text{}, say.Text{}
}
