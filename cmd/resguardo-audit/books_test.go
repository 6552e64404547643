package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// books is a log with what its auditors have: openings and ciphertexts.
type books struct {
	*world
	dir     string // what resguardo fetch keeps
	pending []translog.Queued
	epochs  [][]byte // records of each epoch
	made    map[string]*made
	numbers map[string]int
	cut     int // bytes at the end of the stream that are lost
}

// made is an item, or a deletion, which has no file.
type made struct {
	fields  fields
	event   translog.Event
	opening translog.Opening
}

func newBooks(t testing.TB) *books { return newBooksAt(t, testEpoch) }

// newBooksAt begins the log in that epoch.
func newBooksAt(t testing.TB, epoch int64) *books {
	b := &books{world: newWorld(t), made: make(map[string]*made), numbers: make(map[string]int)}
	b.dir, b.next = b.path("items"), epoch
	b.begin()
	b.write("server.json", []byte("{}"))
	return b
}

func (b *books) write(name string, data []byte) {
	b.t.Helper()
	name = filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *books) read(name string) []byte { return must(os.ReadFile(filepath.Join(b.dir, name))) }

func (b *books) remove(name string) {
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

// sealed is an age file of so many bytes of plaintext for so many keys.
func sealed(size, recipients int) []byte {
	var to []age.Recipient
	for _, id := range identities()[:recipients] {
		to = append(to, id.Recipient())
	}
	var b bytes.Buffer
	w := must(age.Encrypt(&b, to...))
	must(w.Write(make([]byte, size)))
	must(0, w.Close())
	return b.Bytes()
}

var identities = sync.OnceValue(func() (all []*age.HybridIdentity) {
	for range 5 {
		all = append(all, must(age.GenerateHybridIdentity()))
	}
	return all
})

func digest(of ...any) [32]byte { return sha256.Sum256(fmt.Append(nil, of...)) }

func threadOf(name string) [16]byte {
	sum := digest("thread", name)
	return [16]byte(sum[:16])
}

// caseID is the case of that name.
func caseID(name string) string { return strings.Repeat(name, 16) }

// item makes an item of a case (one letter) with its event. It is called CASE/KIND,
// then CASE/KIND1 …; change may alter what is committed to before that happens.
func (b *books) item(of string, kind translog.Kind, recipients int, change func(*made)) *made {
	file := sealed(70000, recipients)
	m := &made{event: translog.Event(digest("event", of, kind, len(b.made))), opening: translog.Opening{Kind: kind,
		Thread: threadOf(of), Ciphertext: sha256.Sum256(file), SizeClass: 70000, Recipients: uint64(recipients)}}
	if change != nil {
		change(m)
	}
	m.opening.Tag = m.event.Tag(m.opening.Kind)
	m.fields.Item = card.Item{ID: fmt.Sprintf("%x", digest("id", of, len(b.made)))[:32], Case: caseID(of), Kind: string(kind), Number: b.numbers[of],
		Day: b.day(), Size: int64(len(file)), SHA256: hex.EncodeToString(m.opening.Ciphertext[:]), Tag: hex.EncodeToString(m.opening.Tag[:]),
		Event: card.EncodeEvent(m.event), Opening: string(m.opening.Marshal())}
	b.numbers[of]++
	b.write(m.name()+".age", file)
	b.at(m.name() + ".age")
	b.put(m)
	b.queue(of+"/"+string(kind), m)
	return m
}

func (m *made) name() string {
	return fmt.Sprintf("cases/%s/%03d-%s", m.fields.Case, m.fields.Number, m.fields.Kind)
}

// day is the day of the epoch that is open.
func (b *books) day() string {
	return translog.EpochStart(b.next, testLength).Format(time.DateOnly)
}

// put writes the fields of an item, as fetch does in the epoch that is open.
func (b *books) put(m *made) {
	b.write(m.name()+".json", must(json.Marshal(m.fields)))
	b.at(m.name() + ".json")
}

// at sets the time of a file to the epoch that is open.
func (b *books) at(name string) {
	at := translog.EpochStart(b.next, testLength).Add(time.Hour)
	must(0, os.Chtimes(filepath.Join(b.dir, name), at, at))
}

func (b *books) queue(name string, m *made) {
	q := translog.Queue(m.event, m.opening)
	for n := 1; b.made[name] != nil; n++ {
		name = fmt.Sprintf("%s%d", strings.TrimRight(name, "0123456789"), n)
	}
	b.made[name] = m
	b.pending = append(b.pending, q)
}

// tombstone deletes a case, or the item that is called what.
func (b *books) tombstone(of string, kind translog.Kind, what string) *made {
	m := &made{event: translog.Event(digest("event", of, kind, len(b.made))), opening: translog.Opening{Kind: kind, Thread: threadOf(of)}}
	gone := []string{what}
	if what == "" {
		gone = nil
		for name := range b.made {
			if strings.HasPrefix(name, of+"/") && b.made[name].fields.ID != "" {
				gone = append(gone, name)
			}
		}
	} else if b.made[what] != nil {
		m.opening.Ref = b.made[what].opening.Tag
	}
	for _, name := range gone {
		if i := b.made[name]; i != nil {
			i.fields.Gone = true
			b.put(i)
		}
	}
	m.opening.Tag = m.event.Tag(kind)
	b.queue(of+"/"+string(kind), m)
	return m
}

// close ends the epoch: what is pending, filled up with fillers.
func (b *books) close() {
	b.closeWith(b.pending)
	b.pending = nil
}

func (b *books) closeWith(all []translog.Queued) {
	all = slices.Clone(all)
	for len(all) < testSlots {
		all = append(all, translog.Queue(translog.Event(digest("filler", b.next, len(all))), translog.Opening{Kind: translog.Filler}))
	}
	slices.SortFunc(all, func(x, y translog.Queued) int { return bytes.Compare(x.Tag[:], y.Tag[:]) })
	var records []byte
	for _, q := range all {
		b.append(translog.Leaf{Epoch: b.next, Tag: q.Tag, Commitment: q.Commitment}.Marshal())
		records = append(records, q.Record...)
	}
	b.epochs = append(b.epochs, records)
	b.next++
}

func (b *books) closes(n int) {
	for range n {
		b.close()
	}
}

// record returns the place of a record in its epoch's, for a test to change it.
func (b *books) record(name string) []byte {
	m := b.made[name]
	for _, records := range b.epochs {
		for r := range slices.Chunk(records, translog.RecordSize) {
			if bytes.Equal(r[:32], m.event[:]) {
				return r
			}
		}
	}
	b.t.Fatalf("no record of %s", name)
	return nil
}

// account runs the program over the books.
func (b *books) account() outcome {
	b.t.Helper()
	b.cosign(2, b.due())
	if b.args == nil {
		b.args = []string{"-openings", "-", "-items", b.dir}
	}
	stream := bytes.Join(b.epochs, nil)
	return b.run("account", string(stream[:len(stream)-b.cut]))
}

// result is the object that -json ends with; nil if there was none.
func (o outcome) result(t testing.TB) *result {
	t.Helper()
	for line := range strings.Lines(o.stdout) {
		var r result
		if json.Unmarshal([]byte(line), &r) == nil && r.Event == "account" {
			return &r
		}
	}
	return nil
}

// story is what happens in an ordinary vault: two reports, of which one is
// deleted by its source, and a reply, which is deleted later. After each epoch
// at is called with what has just happened.
func (b *books) story(at func(step string)) {
	b.item("a", translog.Report, 3, nil)
	b.item("b", translog.Report, 2, nil)
	b.close()
	at("reports")
	b.item("a", translog.Ack, 2, nil)
	b.item("b", translog.Ack, 2, nil)
	b.item("a", translog.Reply, 4, nil)
	b.close()
	at("acks")
	b.item("a", translog.Followup, 3, nil)
	b.tombstone("b", translog.SourceDelete, "")
	b.close()
	at("deletion")
	b.tombstone("a", translog.DeskDelete, "a/reply")
	b.item("a", translog.Note, 2, nil)
	b.close()
	at("note")
	b.closes(4)
	at("end")
}

// copyTo writes log, policy, items and epoch files to a folder, with the identity
// that decrypts these.
func (b *books) copyTo(dir string) error {
	b.cosign(2, b.due())
	id := identities()[0]
	errs := []error{b.world.write(filepath.Join(dir, "log")), os.CopyFS(filepath.Join(dir, "items"), os.DirFS(b.dir)),
		os.WriteFile(filepath.Join(dir, "policy"), []byte(b.policy(2)), 0o600),
		os.WriteFile(filepath.Join(dir, "identity.txt"), []byte(id.String()+"\n"), 0o600)}
	for n, records := range b.epochs {
		var sealed bytes.Buffer
		w := must(age.Encrypt(&sealed, id.Recipient()))
		must(w.Write(records))
		must(0, w.Close())
		name := fmt.Sprintf("epoch-%d.age", b.next-int64(len(b.epochs)-n))
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), sealed.Bytes(), 0o600))
	}
	return errors.Join(errs...)
}
