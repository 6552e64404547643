package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/vault/translog"
)

// doctoredBooks are books with one thing wrong. change is called after each step
// of the story.
type doctoredBooks struct {
	name   string
	exit   int
	fault  translog.Fault
	change func(b *books, step string)
}

// after makes a change at one step.
func after(step string, change func(*books)) func(*books, string) {
	return func(b *books, now string) {
		if now == step {
			change(b)
		}
	}
}

// TestDoctoredBooks runs account over books that do not fit: each must be named as
// what it is. Their clean twin passes without a word.
func TestDoctoredBooks(t *testing.T) {
	twin := newBooks(t)
	twin.story(func(string) {})
	out := twin.account()
	r := out.result(t)
	if out.exit != exitOK || len(out.findings) != 0 || out.stderr != "" || r == nil {
		t.Fatalf("the clean twin does not pass: exit %d, %v\n%s", out.exit, out.findings, out.stderr)
	}
	if r.Epochs != 8 || r.Opened != 8 || r.Records != 8*testSlots || r.Fillers != r.Records-9 || r.Compared != 7 || r.Kept != 3 ||
		r.Events[translog.Report] != 2 || r.Events[translog.Ack] != 2 || r.Events[translog.SourceDelete] != 1 {
		t.Errorf("%+v", r)
	}
	all := slices.Concat(doctoredRecords(), doctoredEvents(), doctoredItems(), doctoredFolders(), slowDesks())
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.story(func(step string) { d.change(b, step) })
			if out := b.account(); out.exit != d.exit || !out.named(d.fault) || out.result(t) == nil {
				t.Errorf("exit %d, %v, want exit %d, %s\n%s", out.exit, out.findings, d.exit, d.fault, out.stderr)
			}
		})
	}
}

func doctoredRecords() []doctoredBooks {
	// change swaps the record of report a for another one.
	change := func(name string, f translog.Fault, make func(*books, *made) []byte) doctoredBooks {
		return doctoredBooks{name, 3, f, after("end", func(b *books) { copy(b.record("a/report"), make(b, b.made["a/report"])) })}
	}
	return []doctoredBooks{
		change("filler opening for a report's tag", recordTag, func(_ *books, m *made) []byte {
			return translog.Record(m.event, translog.Opening{Kind: translog.Filler, Tag: m.opening.Tag})
		}),
		change("filler opening of no leaf for a report's secret", recordUnknown, func(_ *books, m *made) []byte {
			q := translog.Queue(translog.Event{1}, translog.Opening{Kind: translog.Filler})
			return append(m.event[:], q.Record[32:]...)
		}),
		change("filler opening with another secret for a report's tag", recordTag, func(_ *books, m *made) []byte {
			return translog.Record(translog.Event{7}, translog.Opening{Kind: translog.Filler, Tag: m.opening.Tag})
		}),
		change("another number of recipients than committed to", recordCommitment, func(_ *books, m *made) []byte {
			o := m.opening
			o.Recipients = 1
			return translog.Record(m.event, o)
		}),
		change("record of another leaf", recordRepeated, func(b *books, _ *made) []byte { return b.record("b/report") }),
		change("record of another leaf, own one missing", recordMissing, func(b *books, _ *made) []byte { return b.record("b/report") }),
		change("record of another log", recordUnknown, func(*books, *made) []byte {
			return translog.Queue(translog.Event{3}, translog.Opening{Kind: translog.Filler}).Record
		}),
		change("no record at all", recordMalformed, func(*books, *made) []byte { return bytes.Repeat([]byte("x"), translog.RecordSize) }),
		{"record twice", 3, recordRepeated, after("end", func(b *books) { b.epochs = append(b.epochs, b.record("a/report")) })},
		{"epoch twice", 3, recordRepeated, after("end", func(b *books) { b.epochs = append(b.epochs, b.epochs[2]) })},
		{"record left out", 3, recordMissing, after("end", func(b *books) { b.epochs[5] = b.epochs[5][translog.RecordSize:] })},
		{"stream cut between records", 3, recordMissing, after("end", func(b *books) { b.cut = 3 * translog.RecordSize })},
		{"report without recipients", 3, recordFields, after("note", func(b *books) {
			b.item("c", translog.Report, 1, func(m *made) { m.opening.Recipients = 0 })
		})},
		{"deletion with a ciphertext", 3, recordFields, after("note", func(b *books) {
			b.tombstone("a", translog.DeskDelete, "a/followup").opening.Ciphertext = [32]byte{1}
			b.requeue("a/desk-delete1")
		})},
		{"openings of an epoch withheld", 1, openingsMissing, after("end", func(b *books) { b.epochs[3] = nil })},
		{"newest openings withheld", 1, openingsMissing, after("end", func(b *books) { b.epochs = b.epochs[:5] })},
		{"openings of the newest epochs not fetched yet", 0, notAccounted, after("end", func(b *books) { b.epochs = b.epochs[:6] })},
		{"before the auditor joined", 0, notAccounted, after("end", func(b *books) { b.epochs = b.epochs[3:] })},
	}
}

// requeue makes the pending event anew after its opening was changed.
func (b *books) requeue(name string) {
	m := b.made[name]
	b.pending[len(b.pending)-1] = translog.Queue(m.event, m.opening)
}

func doctoredEvents() []doctoredBooks {
	return []doctoredBooks{
		{"reply after the deletion", 3, afterDeletion, after("note", func(b *books) { b.item("b", translog.Reply, 3, nil) })},
		{"reply in the epoch after the deletion", 3, afterDeletion, after("deletion", func(b *books) { b.item("b", translog.Reply, 3, nil) })},
		{"second deletion", 3, afterDeletion, after("note", func(b *books) { b.tombstone("b", translog.Expire, "") })},
		{"deletion of a report that never was", 3, threadUnknown, after("note", func(b *books) { b.tombstone("x", translog.Expire, "") })},
		{"deletion of an item that never was", 3, threadUnknown, after("note", func(b *books) {
			b.tombstone("a", translog.SourceDelete, "a/followup").opening.Ref = [32]byte{1}
			b.requeue("a/source-delete")
		})},
		{"deletion of an item of another case", 3, threadUnknown, after("note", func(b *books) {
			b.tombstone("a", translog.SourceDelete, "b/ack").opening.Ref = b.made["b/ack"].opening.Tag
			b.requeue("a/source-delete")
		})},
		{"deletion of a deletion", 3, threadUnknown, after("note", func(b *books) { b.tombstone("a", translog.SourceDelete, "a/desk-delete") })},
		{"acknowledgement without its report", 3, threadUnknown, after("note", func(b *books) { b.item("x", translog.Ack, 2, nil) })},
		{"acknowledgement before its report", 3, threadUnknown, func(b *books, step string) {
			switch step {
			case "deletion":
				b.item("c", translog.Ack, 2, nil)
			case "note":
				b.item("c", translog.Report, 2, nil)
			}
		}},
	}
}

func doctoredItems() []doctoredBooks {
	at := func(name string, f translog.Fault, change func(b *books, m *made)) doctoredBooks {
		return doctoredBooks{name, 3, f, after("end", func(b *books) { change(b, b.made["a/report"]) })}
	}
	commit := func(name string, f translog.Fault, change func(*made)) doctoredBooks {
		return doctoredBooks{name, 3, f, after("note", func(b *books) { b.item("a", translog.Reply, 3, change) })}
	}
	return []doctoredBooks{
		at("swapped ciphertexts", itemSwapped, func(b *books, m *made) {
			one, other := b.read(m.name()+".age"), b.read(b.made["a/followup"].name()+".age")
			b.write(m.name()+".age", other)
			b.write(b.made["a/followup"].name()+".age", one)
		}),
		at("another payload under the old header", itemSwapped, func(b *books, m *made) { b.write(m.name()+".age", flip(-100)(b.read(m.name()+".age"))) }),
		at("cut ciphertext", itemSwapped, func(b *books, m *made) {
			file := b.read(m.name() + ".age")
			b.write(m.name()+".age", file[:len(file)-1])
		}),
		at("ciphertext and its hash swapped", itemClaim, func(b *books, m *made) {
			file := sealed(70000, 3)
			sum := sha256.Sum256(file)
			m.fields.SHA256 = hex.EncodeToString(sum[:])
			b.write(m.name()+".age", file)
			b.put(m)
		}),
		at("missing item", itemMissing, func(b *books, m *made) {
			b.remove(m.name() + ".age")
			b.remove(m.name() + ".json")
		}),
		at("item that went without a deletion", itemMissing, func(b *books, m *made) {
			m.fields.Gone = true
			b.next -= 3
			b.put(m)
			b.next += 3
		}),
		at("other secret claimed", itemClaim, func(b *books, m *made) {
			m.fields.Event = b.made["b/report"].fields.Event
			b.put(m)
		}),
		at("other opening claimed", itemClaim, func(b *books, m *made) {
			o := m.opening
			o.SizeClass = 1
			m.fields.Opening = string(o.Marshal())
			b.put(m)
		}),
		at("claimed secret does not make the tag", itemClaim, func(b *books, m *made) {
			m.fields.Event = b.made["b/report"].fields.Event
			b.put(m)
		}),
		at("item under another name", itemKind, func(b *books, m *made) {
			file := b.read(m.name() + ".age")
			b.remove(m.name() + ".age")
			b.remove(m.name() + ".json")
			m.fields.Kind = "note"
			b.write(m.name()+".age", file)
			b.put(m)
		}),
		at("two items for one leaf", itemRepeated, func(b *books, m *made) {
			file := b.read(m.name() + ".age")
			m.fields.Number = 77
			b.write(m.name()+".age", file)
			b.put(m)
		}),
		at("deleted item still there", itemDeleted, func(b *books, _ *made) {
			b.made["a/reply"].fields.Gone = false
			b.put(b.made["a/reply"])
		}),
		at("deleted case still there", itemDeleted, func(b *books, _ *made) {
			b.made["b/report"].fields.Gone = false
			b.put(b.made["b/report"])
		}),
		commit("wrong recipient count", itemRecipients, func(m *made) { m.opening.Recipients = 2 }),
		commit("wrong size class", itemSize, func(m *made) { m.opening.SizeClass = 65536 }),
		commit("event of another kind", itemKind, func(m *made) { m.opening.Kind = translog.Close }),
		{"no age file", 3, itemNotAge, after("note", func(b *books) {
			text := []byte("age-encryption.org/v1\nthis is in clear\n")
			m := b.item("a", translog.Note, 1, func(m *made) { m.opening.Ciphertext = sha256.Sum256(text) })
			b.write(m.name()+".age", text)
		})},
		{"extra item", 3, itemUnlogged, after("deletion", func(b *books) {
			b.item("a", translog.Note, 2, nil)
			b.pending = b.pending[:len(b.pending)-1]
		})},
		{"extra item of tomorrow", 3, itemUnlogged, after("end", func(b *books) {
			m := b.item("a", translog.Note, 2, nil)
			m.fields.Day = translog.EpochStart(b.next+8, testLength).Format(time.DateOnly)
			b.put(m)
		})},
	}
}

func doctoredFolders() []doctoredBooks {
	at := func(name string, exit int, f translog.Fault, change func(b *books, m *made)) doctoredBooks {
		return doctoredBooks{name, exit, f, after("end", func(b *books) { change(b, b.made["a/report"]) })}
	}
	return []doctoredBooks{
		at("download not complete", 1, itemIncomplete, func(b *books, m *made) {
			b.write(m.name()+".part", b.read(m.name() + ".age")[:100])
			b.remove(m.name() + ".age")
		}),
		at("stray file", 1, itemUnreadable, func(b *books, _ *made) { b.write("cases/"+caseID("a")+"/notes.txt", nil) }),
		at("stray folder", 1, itemUnreadable, func(b *books, _ *made) { b.write("cases/elsewhere/000-report.age", nil) }),
		at("age file without fields", 1, itemUnreadable, func(b *books, _ *made) { b.write("cases/"+caseID("a")+"/099-note.age", nil) }),
		at("fields of another item", 1, itemUnreadable, func(b *books, m *made) {
			b.write("cases/"+caseID("a")+"/098-note.json", must(json.Marshal(m.fields)))
		}),
		at("endless fields", 1, itemUnreadable, func(b *books, _ *made) {
			b.write("cases/"+caseID("a")+"/097-note.json", bytes.Repeat([]byte(" "), maxFields+1))
		}),
		at("ciphertext is a link", 1, itemUnreadable, func(b *books, m *made) {
			b.write("elsewhere", b.read(m.name()+".age"))
			b.remove(m.name() + ".age")
			must(0, os.Symlink("../../elsewhere", filepath.Join(b.dir, m.name()+".age")))
		}),
		at("case is a link", 1, itemUnreadable, func(b *books, _ *made) {
			must(0, os.Symlink(caseID("a"), filepath.Join(b.dir, "cases", caseID("c"))))
		}),
		at("item that has just gone", 0, itemUnsettled, func(b *books, m *made) {
			m.fields.Gone = true
			b.put(m)
		}),
		{"new item that was never here", 0, itemUnsettled, func(b *books, step string) {
			switch step {
			case "note":
				b.closes(3)
				m := b.item("a", translog.Note, 2, nil)
				b.remove(m.name() + ".age")
				b.remove(m.name() + ".json")
			case "end":
				b.epochs = b.epochs[:len(b.epochs)-2]
			}
		}},
	}
}

// slowDesks are vaults in order whose reports wait too long: a warning.
func slowDesks() []doctoredBooks {
	const week = ackDays * 4 // epochs
	return []doctoredBooks{
		{"late acknowledgement", 0, ackLate, func(b *books, step string) {
			switch step {
			case "note":
				b.item("c", translog.Report, 2, nil)
				b.closes(week + 1)
			case "end":
				b.item("c", translog.Ack, 2, nil)
				b.close()
			}
		}},
		{"no acknowledgement", 0, ackNever, func(b *books, step string) {
			switch step {
			case "note":
				b.item("c", translog.Report, 2, nil)
			case "end":
				b.closes(week)
			}
		}},
		{"deleted by its desk without an acknowledgement", 0, ackNever, func(b *books, step string) {
			switch step {
			case "deletion":
				b.item("c", translog.Report, 2, nil)
			case "note":
				b.tombstone("c", translog.DeskDelete, "")
			}
		}},
	}
}

// TestBooksInOrder are those that may look wrong, and are not.
func TestBooksInOrder(t *testing.T) {
	for name, change := range map[string]func(b *books, step string){
		"deleted in the epoch in which it came": after("note", func(b *books) {
			b.item("c", translog.Report, 2, nil)
			b.item("c", translog.Followup, 2, nil)
			b.tombstone("c", translog.SourceDelete, "")
		}),
		"waits for the log": after("end", func(b *books) { b.item("a", translog.Note, 2, nil) }),
		"waits for the log since ten epochs, of which a gap takes nine": after("end", func(b *books) {
			b.item("a", translog.Note, 2, nil)
			b.gap(b.next, b.next+8)
			b.closeWith(nil)
		}),
		"had to wait when the epoch was full, behind its own deletion": after("note", func(b *books) {
			b.item("c", translog.Report, 2, nil)
			late := b.pending
			b.tombstone("c", translog.SourceDelete, "")
			b.pending = b.pending[1:]
			for range testSlots - 1 {
				b.item("a", translog.Note, 2, nil)
			}
			b.close()
			b.closeWith(late)
		}),
		"acknowledged in the last epoch that is allowed": after("note", func(b *books) {
			b.item("c", translog.Report, 2, nil)
			b.closes(ackDays * 4)
			b.item("c", translog.Ack, 2, nil)
		}),
		"deleted by its source, never acknowledged": func(b *books, step string) {
			switch step {
			case "note":
				b.item("c", translog.Report, 2, nil)
				b.closes(ackDays * 4)
				b.tombstone("c", translog.SourceDelete, "")
			case "end":
				b.closes(ackDays * 4)
			}
		},
		"deleted before it could be fetched": func(b *books, step string) {
			switch step {
			case "note":
				b.item("c", translog.Report, 2, nil)
			case "end":
				b.tombstone("c", translog.SourceDelete, "")
				b.close()
				m := b.made["c/report"]
				b.remove(m.name() + ".age")
				b.remove(m.name() + ".json")
			}
		},
		"lost with a note": after("end", func(b *books) {
			m := b.made["a/note"]
			b.remove(m.name() + ".age")
			b.remove(m.name() + ".json")
			n := int64(len(b.leaves))
			b.note(translog.Restore{From: n - 6*testSlots, To: n})
			b.closes(2)
		}),
		"removed by the auditor": after("end", func(b *books) {
			m := b.made["a/report"]
			m.fields.Forgotten = true
			b.put(m)
			b.remove(m.name() + ".age")
		}),
		"epochs in any order": after("end", func(b *books) { slices.Reverse(b.epochs) }),
		"openings in a file": after("end", func(b *books) {
			b.write("../openings", bytes.Join(b.epochs, nil))
			b.args = []string{"-openings", b.path("openings"), "-items", b.dir}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.story(func(step string) { change(b, step) })
			if out := b.account(); out.exit != exitOK || len(out.findings) != 0 || out.stderr != "" {
				t.Errorf("exit %d, %v\n%s", out.exit, out.findings, out.stderr)
			}
		})
	}
}

// TestUnusableOpenings: nothing is judged by half a stream.
func TestUnusableOpenings(t *testing.T) {
	b := newBooks(t)
	b.story(func(string) {})
	b.account() // writes the log
	stream := string(bytes.Join(b.epochs, nil))
	for want, stdin := range map[string]string{
		"the openings end in the middle of a record, after 127 whole ones": stream[:len(stream)-1],
		"after 0 whole ones":                      "x",
		"there are no openings in what was given": "",
		"the openings are still encrypted":        string(sealed(9000, 1)),
	} {
		out := b.run("account", stdin)
		if out.exit != exitFailure || !strings.Contains(out.stderr, want) || !strings.Contains(out.stderr, "hint: ") || out.result(t) != nil {
			t.Errorf("%s: exit %d, %s%s", want, out.exit, out.stdout, out.stderr)
		}
	}
}

// TestWrongLogIsNotAccountedFor: nothing is held against a log that is wrong.
func TestWrongLogIsNotAccountedFor(t *testing.T) {
	b := newBooks(t)
	b.story(func(string) {})
	b.doctor(true, "checkpoint", flip(-3))
	if out := b.account(); out.exit != exitInconsistent || out.result(t) != nil {
		t.Errorf("exit %d, %s", out.exit, out.stdout)
	}
}

// TestFindingsAreBounded: a hostile vault cannot fill a terminal.
func TestFindingsAreBounded(t *testing.T) {
	b := newBooks(t)
	b.story(func(string) {})
	for range 4 {
		b.epochs = append(b.epochs, b.epochs[1])
	}
	out := b.account()
	if out.exit != exitInconsistent || len(out.findings) != maxAlike || !strings.Contains(out.stderr, "44 more like the last one (record-repeated)") ||
		out.result(t).Findings[recordRepeated] != 4*testSlots {
		t.Errorf("exit %d, %d findings, %s", out.exit, len(out.findings), out.stderr)
	}
}

// FuzzFields: whatever stands in a NNN-KIND.json, what is accepted has the name of
// its item, and an opening in its canonical form.
func FuzzFields(f *testing.F) {
	b := newBooks(f)
	good := b.item("a", translog.Report, 1, nil)
	f.Add(b.read(good.name() + ".json"))
	f.Add(bytes.Replace(b.read(good.name()+".json"), []byte(caseID("a")), []byte("../../../../../x"), 1))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		must(0, os.WriteFile(filepath.Join(b.dir, good.name()+".json"), text, 0o600))
		folder, err := openFolder(b.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.root.Close()
		i := &item{name: good.name()}
		if folder.readFields(i) != nil {
			return
		}
		if i.fields.Case != caseID("a") || i.fields.Kind != "report" || string(i.opening.Marshal()) != i.fields.Opening {
			t.Fatalf("%+v", i)
		}
	})
}
