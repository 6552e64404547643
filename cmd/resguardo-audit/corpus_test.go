package main

import (
	"bytes"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

// doctored is a log with one thing wrong. make is called twice: for the log that
// is wrong, and for its clean twin, which must pass.
type doctored struct {
	name  string
	exit  int
	fault translog.Fault
	make  func(w *world, wrong bool)
}

// TestDoctoredLogs runs the whole program over every kind of doctored log: each
// must be named as what it is, and its clean twin must pass without a word.
func TestDoctoredLogs(t *testing.T) {
	var all []doctored
	for _, some := range [][]doctored{doctoredFiles(), doctoredSignatures(), doctoredClocks(), doctoredGrowth(), doctoredEpochs(), doctoredNotes(), doctoredSigners()} {
		all = append(all, some...)
	}
	if len(all) < 40 {
		t.Errorf("only %d kinds of doctored logs", len(all))
	}
	for i, d := range all {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			twin := newWorld(t)
			twin.web = i%8 == 0 // some over HTTP
			d.make(twin, false)
			if out := twin.verify(); out.exit != exitOK || len(out.findings) != 0 {
				t.Errorf("the clean twin does not pass: exit %d, %v\n%s", out.exit, out.findings, out.stderr)
			}
			w := newWorld(t)
			w.web = i%8 == 0
			d.make(w, true)
			out := w.verify()
			if out.exit != d.exit || !out.named(d.fault) {
				t.Errorf("exit %d, %v, want exit %d, %s\n%s", out.exit, out.findings, d.exit, d.fault, out.stderr)
			}
			if out.exit == exitInconsistent && out.log != nil {
				t.Error("a log that is wrong is summarised as if it were right")
			}
		})
	}
}

// if1 is a when wrong, else b.
func if1[T any](wrong bool, a, b T) T {
	if wrong {
		return a
	}
	return b
}

// usual is a log of so many epochs that two witnesses have signed.
func (w *world) usual(epochs int) {
	w.begin()
	w.epochs(epochs)
	w.cosign(2, w.due())
}

// doctor changes one file.
func (w *world) doctor(wrong bool, path string, change func([]byte) []byte) {
	if !wrong {
		return
	}
	w.edit = func(p string, b []byte) []byte {
		if p != path {
			return b
		}
		return change(bytes.Clone(b))
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// Tiles of a log of 20 epochs: 5 notes and 320 event leaves, 325 in all.
const (
	wholeBundle   = "tile/entries/000"
	partialBundle = "tile/entries/001.p/69"
	wholeTile     = "tile/0/000"
	partialTile   = "tile/0/001.p/69"
	topTile       = "tile/1/000.p/1"
)

func doctoredFiles() []doctored {
	file := func(name string, exit int, f translog.Fault, path string, change func([]byte) []byte) doctored {
		return doctored{name, exit, f, func(w *world, wrong bool) {
			w.usual(20)
			w.doctor(wrong, path, change)
		}}
	}
	gone := func([]byte) []byte { return nil }
	return []doctored{
		file("bit flipped in an entry", 3, translog.WrongEntry, wholeBundle, flip(-40)),
		file("bit flipped in genesis", 3, translog.WrongEntry, wholeBundle, flip(100)),
		file("bit flipped in the newest entry", 3, translog.WrongEntry, partialBundle, flip(-40)),
		file("bit flipped in the length of an entry", 3, translog.WrongEntry, wholeBundle, flip(1)),
		file("bit flipped in a hash tile", 3, translog.WrongTile, wholeTile, flip(77)),
		file("bit flipped in a partial hash tile", 3, translog.WrongTile, partialTile, flip(77)),
		file("bit flipped in a tile of level 1", 3, translog.WrongTile, topTile, flip(5)),
		file("entries cut short", 3, translog.BadBundle, partialBundle, func(b []byte) []byte { return b[:len(b)-1] }),
		file("an entry too many", 3, translog.BadBundle, partialBundle, func(b []byte) []byte { return append(b, 0, 1, 'x') }),
		file("two entries exchanged", 3, translog.WrongEntry, partialBundle, func(b []byte) []byte {
			first, second := bytes.Clone(b[:123]), bytes.Clone(b[123:246])
			copy(b, second)
			copy(b[123:], first)
			return b
		}),
		file("entries empty", 3, translog.BadBundle, partialBundle, func([]byte) []byte { return []byte{} }),
		file("entries withheld", 1, "unreadable", wholeBundle, gone),
		file("hash tile cut short", 3, translog.WrongTile, partialTile, func(b []byte) []byte { return b[:len(b)-32] }),
		file("hash tile too long", 3, tooLong, partialTile, func(b []byte) []byte { return append(b, b...) }),
		file("hash tile withheld", 1, "unreadable", partialTile, gone),
		file("checkpoint withheld", 1, "unreadable", "checkpoint", gone),
		file("checkpoint empty", 3, checkpointMalformed, "checkpoint", func([]byte) []byte { return []byte{} }),
		file("a web page instead of the checkpoint", 3, checkpointMalformed, "checkpoint", func([]byte) []byte { return []byte("<!DOCTYPE html>\n\n<p>hello\n") }),
		file("checkpoint too long", 3, tooLong, "checkpoint", func(b []byte) []byte { return append(b, make([]byte, maxCheckpoint)...) }),
		file("checkpoint says another size", 3, checkpointChanged, "checkpoint", replace("\n325\n", "\n324\n")),
		file("checkpoint says another root", 3, checkpointChanged, "checkpoint", flip(len(testOrigin)+10)),
		file("checkpoint says another origin", 3, checkpointChanged, "checkpoint", replace("reportes", "reported")),
	}
}

// signed makes a checkpoint that is not the right one of the log.
func (w *world) signed(wrong bool, make func(tlog.Tree) []byte) {
	tree, _ := w.tree()
	w.doctor(wrong, "checkpoint", func([]byte) []byte { return make(tree) })
}

func doctoredSignatures() []doctored {
	stranger := newKey(testOrigin, "stranger")
	return []doctored{
		{"signed by another log key of that name", 3, wrongKey, func(w *world, wrong bool) {
			w.usual(3)
			w.rules = w.policy(2)
			w.signed(wrong, func(t tlog.Tree) []byte {
				w.log = stranger
				return w.sign(t)
			})
		}},
		{"signed by the witnesses only", 3, wrongKey, func(w *world, wrong bool) {
			w.usual(3)
			w.signed(wrong, func(t tlog.Tree) []byte {
				text := torchwood.Checkpoint{Origin: testOrigin, Tree: t}.String()
				return must(note.Sign(&note.Note{Text: text}, w.signers...))
			})
		}},
		{"signature of the log forged", 3, checkpointChanged, func(w *world, wrong bool) {
			w.usual(3)
			w.signed(wrong, func(t tlog.Tree) []byte {
				w.log.private = stranger.private
				return w.sign(t)
			})
		}},
		{"log of another vault", 3, wrongOrigin, func(w *world, wrong bool) {
			if wrong {
				w.rules = w.policy(2)
				*w.forge = *elsewhere()
			}
			w.usual(3)
		}},
		{"our key, another origin", 3, wrongOrigin, func(w *world, wrong bool) {
			w.usual(3)
			w.origin = if1(wrong, "otra.example.org-00000000", testOrigin)
		}},
		{"a size that is not canonical", 3, checkpointMalformed, func(w *world, wrong bool) {
			w.usual(3)
			w.signed(wrong, func(t tlog.Tree) []byte {
				text := replace("\n53\n", "\n053\n")([]byte(torchwood.Checkpoint{Origin: testOrigin, Tree: t}.String()))
				return must(note.Sign(&note.Note{Text: string(text)}, w.log))
			})
		}},
		{"root that the leaves do not make", 3, translog.WrongRoot, func(w *world, wrong bool) {
			w.usual(3)
			w.signed(wrong, func(t tlog.Tree) []byte {
				t.Hash[0] ^= 1
				return w.sign(t)
			})
		}},
		{"signed size without its leaves", 1, "unreadable", func(w *world, wrong bool) {
			w.usual(3)
			w.signed(wrong, func(t tlog.Tree) []byte {
				t.N += testSlots
				return w.sign(t)
			})
		}},
		{"cosignature forged", 3, cosignatureWrong, func(w *world, wrong bool) {
			w.usual(3)
			if wrong {
				w.witnesses[0].private = stranger.private
				w.cosign(2, w.due())
			}
		}},
		{"one cosignature of two", 1, unwitnessed, func(w *world, wrong bool) {
			w.usual(3)
			w.cosign(if1(wrong, 1, 2), w.due())
		}},
		{"no cosignature", 1, unwitnessed, func(w *world, wrong bool) {
			w.usual(3)
			w.cosign(if1(wrong, 0, 3), w.due())
		}},
		{"one witness twice", 1, unwitnessed, func(w *world, wrong bool) {
			w.usual(3)
			if wrong {
				w.signers = []note.Signer{w.witnesses[0].at(w.due()), w.witnesses[0].at(w.due().Add(time.Second))}
			}
		}},
		{"witnesses that nobody knows", 1, unwitnessed, func(w *world, wrong bool) {
			w.usual(3)
			if wrong {
				w.signers = []note.Signer{newWitness("x").at(w.due()), newWitness("y").at(w.due())}
			}
		}},
		{"policy downgraded in the log", 1, policyDiffers, func(w *world, wrong bool) {
			w.begin()
			w.epochs(2)
			if wrong {
				w.note(translog.Policy{Text: w.policy(0)})
			}
			w.epochs(3)
			w.cosign(if1(wrong, 0, 2), w.due())
		}},
	}
}

// elsewhere makes logs of another vault.
func elsewhere() *forge {
	const origin = "otra.example.org-00000000"
	f := newForge()
	f.origin, f.genesis.Origin = origin, origin
	f.log, f.operations, f.governance = newKey(origin, "log 2"), newKey(origin+"/operations", "op 2"), newKey(origin+"/governance", "gov 2")
	f.genesis.Log, f.genesis.Operations, f.genesis.Governance = f.log.vkey, f.operations.vkey, []string{f.governance.vkey}
	f.genesis.Policy = f.policy(2)
	return f
}

func doctoredClocks() []doctored {
	return []doctored{
		{"cosignature from the future", 3, cosignatureFuture, func(w *world, wrong bool) {
			w.usual(3)
			w.now = w.due().Add(time.Minute)
			w.cosign(2, w.now.Add(if1(wrong, 6*time.Minute, 4*time.Minute)))
		}},
		{"cosignature of the year 2262", 3, cosignatureFuture, func(w *world, wrong bool) {
			w.usual(3)
			w.cosign(2, if1(wrong, time.Unix(1<<53, 0), w.due()))
		}},
		{"cosignature older than its epoch", 3, cosignatureEarly, func(w *world, wrong bool) {
			w.usual(3)
			w.cosign(2, w.due().Add(if1(wrong, -time.Hour, -time.Minute)))
		}},
		{"cosignature without a time", 3, cosignatureEarly, func(w *world, wrong bool) {
			w.usual(3)
			w.cosign(2, if1(wrong, time.Unix(0, 0), w.due()))
		}},
		{"an epoch that is not over", 3, epochFuture, func(w *world, wrong bool) {
			w.usual(3)
			w.now = w.due().Add(if1(wrong, -6*time.Minute, time.Minute))
		}},
		{"a checkpoint that is too old", 1, stale, func(w *world, wrong bool) {
			w.usual(3)
			w.now = w.due().Add(2*testLength + if1(wrong, 11*time.Minute, 9*time.Minute))
		}},
		{"no epoch since genesis", 1, stale, func(w *world, wrong bool) {
			w.usual(0)
			w.now = w.due().Add(2*testLength + if1(wrong, 11*time.Minute, 9*time.Minute))
		}},
		{"nothing in the log", 1, emptyLog, func(w *world, wrong bool) {
			if !wrong {
				w.usual(0)
			}
		}},
		{"more leaves than we read", 1, tooLarge, func(w *world, wrong bool) {
			w.usual(3)
			w.args = []string{"-max-leaves", if1(wrong, "52", "53")}
		}},
	}
}

// remember runs the program over the log as it is, with a memory.
func (w *world) remember() {
	w.t.Helper()
	w.cosign(2, w.due())
	w.args = []string{"-state", w.path("state")}
	if out := w.verify(); out.exit != exitOK {
		w.t.Fatalf("exit %d, %v\n%s", out.exit, out.findings, out.stderr)
	}
}

// doctoredGrowth are logs that are right by themselves, but not the ones that
// were there before.
func doctoredGrowth() []doctored {
	return []doctored{
		{"rolled back", 3, translog.RolledBack, func(w *world, wrong bool) {
			w.usual(20)
			w.remember()
			if wrong {
				w.leaves, w.next = w.leaves[:len(w.leaves)-testSlots], w.next-1
				w.now = w.due().Add(testLength)
			}
			w.cosign(2, w.due())
		}},
		{"forked at the same size", 3, translog.Forked, func(w *world, wrong bool) {
			w.usual(20)
			w.remember()
			w.rewrite(wrong, 1)
		}},
		{"forked, and the leaves withheld", 3, translog.Forked, func(w *world, wrong bool) {
			w.usual(20)
			w.remember()
			w.rewrite(wrong, 1)
			w.doctor(wrong, wholeBundle, func([]byte) []byte { return nil })
		}},
		{"forked and grown", 3, translog.Forked, func(w *world, wrong bool) {
			w.usual(20)
			w.remember()
			w.rewrite(wrong, 3)
			w.epochs(2)
			w.cosign(2, w.due())
		}},
		{"forked long ago and grown", 3, translog.Forked, func(w *world, wrong bool) {
			w.usual(3)
			w.remember()
			w.rewrite(wrong, 2)
			w.epochs(40)
			w.cosign(2, w.due())
		}},
		{"forked and shorter", 3, translog.RolledBack, func(w *world, wrong bool) {
			w.usual(20)
			w.remember()
			w.rewrite(wrong, 5)
			if wrong {
				w.leaves, w.next = w.leaves[:len(w.leaves)-testSlots], w.next-1
				w.now = w.due().Add(testLength)
			}
			w.cosign(2, w.due())
		}},
		{"forked from genesis on", 3, translog.Forked, func(w *world, wrong bool) {
			w.usual(3)
			w.remember()
			if wrong {
				*w.forge = *newForge()
				w.genesis.Retention.Days++
				w.usual(4)
			}
		}},
		{"an epoch that grew after its checkpoint", 3, translog.EpochRepeated, func(w *world, wrong bool) {
			w.usual(3)
			w.remember()
			if !wrong {
				w.epoch()
			} else {
				last := must(translog.ParseLeaf(w.leaves[len(w.leaves)-1]))
				late := w.events(w.next-1, testSlots)
				for i := range late {
					late[i].Tag = last.Tag
					late[i].Tag[0], late[i].Tag[31] = 0xff, byte(i)
				}
				w.appendEvents(late)
			}
			w.cosign(2, w.due())
		}},
	}
}

// rewrite makes other leaves of the newest n epochs.
func (w *world) rewrite(wrong bool, n int) {
	if wrong {
		w.leaves, w.next = w.leaves[:len(w.leaves)-n*testSlots], w.next-int64(n)
		w.epochs(n) // tags are never made twice
	}
	w.cosign(2, w.due())
}
