package main

import (
	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// compareOpenings is what to do about openings that do not fit.
func compareOpenings() say.Text {
	return say.T("keep the epoch files and a copy of the log; decrypt and run it again; if it stays so, the vault lied to its auditors: compare with another auditor and tell the NGOs that use it; do not ask the operator alone")
}

// fetchAgain is what to do when the folder may be older than the log.
func fetchAgain() say.Text {
	return say.T("run resguardo fetch, decrypt the newest epoch files and run it again; if it stays so, compare with another auditor and tell the NGOs that use the vault")
}

// wordsOfRecord are about openings and the leaves that they open.
func wordsOfRecord(f translog.Fault) (what, hint say.Text) {
	switch f {
	case recordMalformed:
		return say.T("a record of the openings is not written in the one way that is allowed"), compareOpenings()
	case recordTag:
		return say.T("a record says that a leaf is of a kind that it cannot be: the leaf's tag was made for another kind"), compareOpenings()
	case recordCommitment:
		return say.T("a record says something else than what its leaf commits to"), compareOpenings()
	case recordUnknown:
		return say.T("a record is of a leaf that is not in this log"), say.T("is it an epoch file of another vault, or is the log that you read a mirror that is behind? If neither, the vault lied to its auditors: tell them and the NGOs that use it")
	case recordRepeated:
		return say.T("a record stands there twice"), say.T("give each epoch file once; if you did, compare it with another auditor")
	case recordMissing:
		return say.T("some leaves of an epoch have a record and others have none"), compareOpenings()
	case recordFields:
		return say.T("a record says what an event of its kind cannot say"), compareOpenings()
	case afterDeletion:
		return say.T("something happened to a report after it was deleted: the deletion was not carried out, or somebody invents events"), compareOpenings()
	case threadUnknown:
		return say.T("an event is about a report or a message that is not in the log before it"), compareOpenings()
	}
	return say.Text{}, say.Text{}
}

// wordsOfItem are about the ciphertexts.
func wordsOfItem(f translog.Fault) (what, hint say.Text) {
	switch f {
	case itemMissing:
		return say.T("a leaf stands for an item that the vault does not have, and no deletion is in the log"), fetchAgain()
	case itemUnlogged:
		return say.T("the vault has an item that is not in the log, although it must be by now"), fetchAgain()
	case itemSwapped:
		return say.T("the ciphertext is not the one that the log commits to"), say.T("keep the file; compare its SHA-256 with another auditor; if yours alone is wrong, delete it and its .json and run resguardo fetch; else the vault swapped it: tell the NGOs that use it")
	case itemNotAge:
		return say.T("the log commits to a ciphertext that is no age file"), compareOpenings()
	case itemSize:
		return say.T("the ciphertext has another size class than its opening says"), compareOpenings()
	case itemRecipients:
		return say.T("the ciphertext has another number of recipients than its opening says"), say.T("somebody more, or fewer, can read it than the log was told: ask the desk's reviewers whether they can open it, and tell the other auditors")
	case itemKind:
		return say.T("the item is of another kind than its opening says"), compareOpenings()
	case itemClaim:
		return say.T("what the vault says about an item is not what the log commits to"), compareOpenings()
	case itemRepeated:
		return say.T("two items claim the same leaf"), compareOpenings()
	case itemDeleted:
		return say.T("the log says that an item was deleted, but the vault still had it when you last fetched"), fetchAgain()
	case itemIncomplete:
		return say.T("the vault lists an item that is not whole in your folder"), say.T("run resguardo fetch to its end, then run it again")
	case itemUnreadable:
		return say.T("a file among the items is none that resguardo fetch makes, or a link, or damaged"), say.T("look at it; take it away and run resguardo fetch")
	case itemUnsettled:
		return say.T("an item is gone, and its deletion is not in the log yet"), say.T("a deletion is in the log within two epochs: run it again then, with the newest epoch files")
	}
	return say.Text{}, say.Text{}
}

// wordsOfAccount are about what is not known, and about who was slow.
func wordsOfAccount(f translog.Fault) (what, hint say.Text) {
	switch f {
	case notAccounted:
		return say.T("not accounted for: no openings were given"), say.T("before you were an auditor there are none for you, and the newest come with the next resguardo fetch; ask another auditor for the others")
	case openingsMissing:
		return say.T("not accounted for: no openings were given, although there are older ones"), say.T("run resguardo fetch and give the openings of all epochs; if the vault does not have them, ask the operator, and compare with another auditor")
	case ackLate:
		return say.T("a report of this epoch was acknowledged after more than %s days, in a later epoch", ackDays), askDesk()
	case ackNever:
		return say.T("a report of this epoch was not acknowledged within %s days", ackDays), askDesk()
	}
	return say.Text{}, say.Text{}
}

func askDesk() say.Text {
	return say.T("the log is right, but somebody waits: ask the desks how they work; nobody can tell you from the log which of them it was")
}
