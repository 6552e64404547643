package main

import (
	"bytes"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"resguardo/vault/translog"
)

// doctoredEpochs are logs with a wrong epoch or leaf, between right ones.
func doctoredEpochs() []doctored {
	// in makes an epoch in the middle of a log.
	in := func(name string, f translog.Fault, make func(w *world, wrong bool)) doctored {
		return doctored{name, 3, f, func(w *world, wrong bool) {
			w.begin()
			w.epochs(3)
			make(w, wrong)
			w.epochs(2)
			w.cosign(2, w.due())
		}}
	}
	// leaf changes the text of one leaf.
	leaf := func(name string, f translog.Fault, change func([]byte) []byte) doctored {
		return in(name, f, func(w *world, wrong bool) {
			w.epoch()
			if last := len(w.leaves) - 3; wrong {
				w.leaves[last] = change(bytes.Clone(w.leaves[last]))
			}
		})
	}
	return []doctored{
		in("15 leaves", translog.WrongCount, func(w *world, wrong bool) {
			w.appendEvents(w.events(w.next, if1(wrong, 15, 16)))
			w.next++
		}),
		in("17 leaves", translog.WrongCount, func(w *world, wrong bool) {
			w.appendEvents(w.events(w.next, if1(wrong, 17, 32)))
			w.next++
		}),
		in("48 leaves", translog.WrongCount, func(w *world, wrong bool) {
			w.appendEvents(w.events(w.next, if1(wrong, 48, 64)))
			w.next++
		}),
		in("leaves in the order in which they came", translog.Unsorted, func(w *world, wrong bool) {
			leaves := w.events(w.next, testSlots)
			if wrong {
				leaves[3], leaves[9] = leaves[9], leaves[3]
			}
			w.appendEvents(leaves)
			w.next++
		}),
		in("one leaf twice in an epoch", translog.RepeatedTag, func(w *world, wrong bool) {
			leaves := w.events(w.next, testSlots)
			if wrong {
				leaves[4] = leaves[3]
			}
			w.appendEvents(leaves)
			w.next++
		}),
		in("a leaf of an earlier epoch again", translog.RepeatedTag, func(w *world, wrong bool) {
			old := must(translog.ParseLeaf(w.leaves[len(w.leaves)-20]))
			if wrong {
				w.epoch(old)
			} else {
				w.epoch()
			}
		}),
		in("missing epoch without a gap note", translog.GapMissing, func(w *world, wrong bool) {
			if w.next += 2; !wrong {
				w.next -= 2
				w.gap(w.next, w.next+1)
			}
		}),
		in("gap note for fewer epochs than are missing", translog.WrongGap, func(w *world, wrong bool) {
			w.gap(w.next, w.next+if1[int64](wrong, 1, 2))
			w.next += if1[int64](wrong, 1, 0)
		}),
		in("gap note for more epochs than are missing", translog.WrongGap, func(w *world, wrong bool) {
			w.gap(w.next, w.next+2)
			w.next -= if1[int64](wrong, 1, 0)
		}),
		in("gap note for an epoch that is there", translog.WrongGap, func(w *world, wrong bool) {
			w.gap(w.next-if1[int64](wrong, 1, 0), w.next)
		}),
		in("an epoch again", translog.EpochRepeated, func(w *world, wrong bool) {
			w.epochs(2)
			w.next -= if1[int64](wrong, 2, 0)
		}),
		in("an epoch before genesis", translog.WrongEpoch, func(w *world, wrong bool) {
			w.appendEvents(w.events(if1(wrong, testEpoch-1, w.next), testSlots))
			w.next++
		}),
		{"cut in the middle of an epoch", 3, translog.Unfinished, func(w *world, wrong bool) {
			w.usual(3)
			if wrong {
				w.leaves = w.leaves[:len(w.leaves)-5]
			}
		}},
		{"notes without their epoch at the end", 3, translog.Unfinished, func(w *world, wrong bool) {
			w.usual(3)
			w.note(translog.Retention{Days: 90, DeleteSignatures: 1})
			if !wrong {
				w.epoch()
			}
			w.cosign(2, w.due())
		}},
		leaf("a leaf with a leading zero", translog.NotCanonical, replace("epoch 8", "epoch 08")),
		leaf("a leaf with a carriage return", translog.NotCanonical, func(b []byte) []byte { return append(b[:len(b)-1], "\r\n"...) }),
		leaf("a leaf with a message behind it", translog.NotCanonical, func(b []byte) []byte { return append(b, "x\n"...) }),
		leaf("a leaf with bits left over in base64", translog.NotCanonical, func(b []byte) []byte {
			at := len(b) - 3 // the last digit of the commitment: only 4 of its 6 bits count
			const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			b[at] = digits[bytes.IndexByte([]byte(digits), b[at])|1]
			return b
		}),
		leaf("a leaf of another version", translog.UnknownLeaf, replace("event/v1", "event/v2")),
	}
}

// gap appends a gap note, and the next epoch is the one after it.
func (f *forge) gap(from, to int64) {
	g := f.compose(translog.Gap{From: from, To: to})
	g.Epoch = to + 1
	f.add(g)
	f.next = to + 1
}

// doctoredNotes are logs with a note that must not be there.
func doctoredNotes() []doctored {
	// in makes notes in the middle of a log.
	in := func(name string, f translog.Fault, make func(w *world, wrong bool)) doctored {
		return doctored{name, 3, f, func(w *world, wrong bool) {
			w.begin()
			w.epochs(2)
			make(w, wrong)
			w.epochs(3)
			w.cosign(2, w.due())
		}}
	}
	// first makes the beginning of a log.
	first := func(name string, f translog.Fault, make func(w *world, wrong bool)) doctored {
		return doctored{name, 3, f, func(w *world, wrong bool) {
			make(w, wrong)
			w.epochs(2)
			w.cosign(2, w.due())
		}}
	}
	desk := func(reviewer string) translog.Desk {
		return translog.Desk{ID: "sur", Reviewers: []string{testFingerprint(reviewer)}}
	}
	return []doctored{
		first("no genesis", translog.NoGenesis, func(w *world, wrong bool) {
			if !wrong {
				w.note(&w.genesis)
			}
		}),
		first("a note before genesis", translog.NoGenesis, func(w *world, wrong bool) {
			if wrong {
				w.note(translog.Assets{Build: "v1"})
			}
			w.note(&w.genesis)
		}),
		first("genesis of another log key", translog.ForeignLogKey, func(w *world, wrong bool) {
			if wrong {
				w.genesis.Log = newKey(testOrigin, "another").vkey
				w.genesis.Policy = "log " + w.genesis.Log + "\nquorum none\n"
			}
			w.note(&w.genesis)
		}),
		first("genesis of another vault", translog.WrongOrigin, func(w *world, wrong bool) {
			if wrong {
				w.genesis, w.operations, w.governance = elsewhere().genesis, elsewhere().operations, elsewhere().governance
			}
			w.note(&w.genesis)
		}),
		first("genesis that asks for an endless key derivation", translog.BadNote, func(w *world, wrong bool) {
			w.genesis.Memory = if1[uint32](wrong, 1<<30, 8)
			w.note(&w.genesis)
		}),
		first("genesis with a policy that cannot be read", translog.BadNote, func(w *world, wrong bool) {
			w.genesis.Policy += if1(wrong, "\u00a0\n", "\n")
			w.note(&w.genesis)
		}),
		in("second genesis", translog.SecondGenesis, func(w *world, wrong bool) {
			if wrong {
				g := w.compose(&w.genesis)
				g.Seq, g.Prev = 0, [32]byte{}
				w.add(g)
			}
		}),
		in("policy for another log key", translog.ForeignLogKey, func(w *world, wrong bool) {
			text := w.policy(2)
			if wrong {
				text = "log " + newKey(testOrigin, "another").vkey + "\nquorum none\n"
			}
			w.note(translog.Policy{Text: text})
		}),
		in("a note left out", translog.WrongSequence, func(w *world, wrong bool) {
			w.note(testCard("luz", "reviewer"))
			w.note(desk("luz"))
			if at := len(w.leaves) - 2; wrong {
				w.leaves = slices.Delete(w.leaves, at, at+1)
			}
		}),
		in("a note again", translog.WrongSequence, func(w *world, wrong bool) {
			w.note(testCard("luz", "reviewer"))
			if wrong {
				w.append(w.leaves[len(w.leaves)-1])
			}
		}),
		in("two notes exchanged", translog.WrongSequence, func(w *world, wrong bool) {
			w.note(testCard("luz", "reviewer"))
			w.note(desk("luz"))
			if at := len(w.leaves) - 2; wrong {
				w.leaves[at], w.leaves[at+1] = w.leaves[at+1], w.leaves[at]
			}
		}),
		in("a note that follows another text", translog.WrongPrev, func(w *world, wrong bool) {
			g := w.compose(testCard("luz", "reviewer"))
			g.Prev[7] ^= if1[byte](wrong, 1, 0)
			w.add(g)
		}),
		in("a desk that works at once", translog.TooEarly, func(w *world, wrong bool) {
			w.note(testCard("luz", "reviewer"))
			g := w.compose(desk("luz"))
			g.Effective = w.next + if1[int64](wrong, 1, 2)
			w.add(g)
		}),
		in("a note of a later epoch", translog.NoteFromTheFuture, func(w *world, wrong bool) {
			g := w.compose(testCard("luz", "reviewer"))
			g.Epoch += if1[int64](wrong, 1, 0)
			w.add(g)
		}),
		in("a note in the middle of an epoch", translog.NoteInsideEpoch, func(w *world, wrong bool) {
			leaves := w.events(w.next, testSlots)
			if wrong {
				w.appendEvents(leaves[:7])
				w.note(testCard("luz", "reviewer"))
				leaves = leaves[7:]
			}
			w.appendEvents(leaves)
			w.next++
		}),
		in("a reader that no card names", translog.CardUnknown, func(w *world, wrong bool) {
			w.note(desk(if1(wrong, "luz", "ana")))
		}),
		in("an auditor as reader", translog.WrongRole, func(w *world, wrong bool) {
			w.note(desk(if1(wrong, "eva", "ana")))
		}),
		in("a card with other keys", translog.CardChanged, func(w *world, wrong bool) {
			c := testCard("eva", "auditor")
			c.Revoked = true
			c.Digest[0] ^= if1[byte](wrong, 1, 0)
			w.note(c)
		}),
		in("a restore of leaves to come", translog.WrongRestore, func(w *world, wrong bool) {
			w.note(translog.Restore{From: 10, To: if1[int64](wrong, 1000, 12)})
		}),
		in("a note that is not canonical", translog.NotCanonical, func(w *world, wrong bool) {
			g := w.compose(translog.Retention{Days: 90, DeleteSignatures: 1})
			text := string(g.Text())
			if wrong {
				text = string(replace("retention-days 90", "retention-days 090")([]byte(text)))
			}
			w.last[true] = g
			w.append(must(note.Sign(&note.Note{Text: text}, w.governance)))
		}),
		in("a note of an unknown kind", translog.BadNote, func(w *world, wrong bool) {
			text := string(w.compose(translog.Retention{Days: 90, DeleteSignatures: 1}).Text())
			if wrong {
				text = string(replace("kind retention", "kind rotation")([]byte(text)))
				w.append(must(note.Sign(&note.Note{Text: text}, w.governance)))
			}
		}),
		in("a desk of impossible size", translog.BadNote, func(w *world, wrong bool) {
			d := translog.Desk{ID: "sur"}
			for i := range if1(wrong, translog.MaxReviewers+1, 0) {
				d.Reviewers = append(d.Reviewers, testFingerprint(string(rune('a'+i))))
			}
			slices.Sort(d.Reviewers)
			w.note(d)
		}),
	}
}

// doctoredSigners are logs with a note that the wrong people have signed.
func doctoredSigners() []doctored {
	by := func(name string, f translog.Fault, body translog.Body, signers func(w *world, wrong bool) []note.Signer) doctored {
		return doctored{name, 3, f, func(w *world, wrong bool) {
			w.begin()
			w.epochs(2)
			w.add(w.compose(body), signers(w, wrong)...)
			w.epochs(3)
			w.cosign(2, w.due())
		}}
	}
	retention := translog.Retention{Days: 90, DeleteSignatures: 1}
	stranger := newKey(testOrigin+"/governance", "stranger")
	return []doctored{
		{"a note without a signature", 3, translog.Unsigned, func(w *world, wrong bool) {
			w.begin()
			w.epochs(2)
			g := w.compose(retention)
			if wrong {
				w.append(g.Text())
			} else {
				w.add(g)
			}
			w.epochs(3)
			w.cosign(2, w.due())
		}},
		by("governance by the operations key", translog.WrongSigner, retention, func(w *world, wrong bool) []note.Signer {
			return []note.Signer{if1(wrong, w.operations, w.governance)}
		}),
		by("governance by the log key", translog.WrongSigner, retention, func(w *world, wrong bool) []note.Signer {
			return []note.Signer{if1(wrong, w.log, w.governance)}
		}),
		by("governance by a stranger's key of that name", translog.WrongSigner, retention, func(w *world, wrong bool) []note.Signer {
			return []note.Signer{if1(wrong, stranger, w.governance)}
		}),
		by("a stranger's signature beside the right one", translog.WrongSigner, retention, func(w *world, wrong bool) []note.Signer {
			if wrong {
				return []note.Signer{w.governance, stranger}
			}
			return []note.Signer{w.governance, w.second}
		}),
		by("operations by the governance key", translog.WrongSigner, translog.Assets{Build: "v2"}, func(w *world, wrong bool) []note.Signer {
			return []note.Signer{if1(wrong, w.governance, w.operations)}
		}),
		by("a forged signature", translog.BadSignature, retention, func(w *world, wrong bool) []note.Signer {
			forged := w.governance
			forged.private = if1(wrong, stranger.private, forged.private)
			return []note.Signer{forged}
		}),
		{"a note changed after it was signed", 3, translog.BadSignature, func(w *world, wrong bool) {
			w.begin()
			w.epochs(2)
			w.note(retention)
			if last := len(w.leaves) - 1; wrong {
				w.leaves[last] = replace("retention-days 90", "retention-days 99")(w.leaves[last])
			}
			w.epochs(3)
			w.cosign(2, w.due())
		}},
		{"one signature where two are needed", 3, translog.TooFewSignatures, func(w *world, wrong bool) {
			w.genesis.Threshold = 2
			w.add(w.compose(&w.genesis), w.governance, w.second)
			w.epochs(2)
			if signers := []note.Signer{w.governance, w.second}; wrong {
				w.add(w.compose(retention), signers[:1]...)
			} else {
				w.add(w.compose(retention), signers...)
			}
			w.epochs(3)
			w.cosign(2, w.due())
		}},
	}
}
