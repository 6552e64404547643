package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// caseOfDesk makes the items of one case, as a source and a desk would.
type caseOfDesk struct {
	*reader
	keys   folder.Keys
	report seal.Manifest
	items  []folder.Record
	sealed [][]byte
}

// answered is a case of a report, an acknowledgement, a reply, a followup and
// another reply.
func answered(t *testing.T, r *reader) *caseOfDesk {
	c := &caseOfDesk{reader: r, report: manifest(enemyOrigin, "norte", stranger(t).Recipient().String())}
	var err error
	if c.keys, err = r.folder.Keys(nil); err != nil {
		t.Fatal(err)
	}
	c.add(c.report, r.sealTo(t, c.report, canary, nil))
	c.write(t, "ack", 0, [32]byte{}, c.keys)
	c.write(t, "reply", 1, sha(c.sealed[1]), c.keys)
	m := c.report
	m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = "followup", "", nil, nil
	m.Sequence, m.Previous = 1, hex.EncodeToString(digest(c.sealed[0]))
	c.add(m, r.sealTo(t, m, canary, nil))
	c.write(t, "reply", 2, sha(c.sealed[2]), c.keys)
	return c
}

func digest(b []byte) []byte { h := sha256.Sum256(b); return h[:] }

func (c *caseOfDesk) add(m seal.Manifest, sealed []byte) {
	i := card.Item{Case: c.report.Case, Kind: m.Kind, Number: len(c.items), Day: m.Day, Desks: []string{"norte"},
		ID: fmt.Sprintf("%032x", len(c.items)), Size: int64(len(sealed)), SHA256: hex.EncodeToString(digest(sealed))}
	evidence(&i, politeKey, uint64(i.Number))
	c.items = append(c.items, folder.Record{Item: i, Place: 1})
	c.sealed = append(c.sealed, sealed)
}

// write makes an item of the desk.
func (c *caseOfDesk) write(t *testing.T, kind string, sequence uint64, previous [32]byte, by folder.Keys) {
	t.Helper()
	m := c.report
	m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kind, "", nil, nil
	if m.Sequence = sequence; sequence > 0 {
		m.Previous = hex.EncodeToString(previous[:])
	}
	own, err := seal.ParseRecipient(c.identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	to := []seal.Recipient{own}
	var thread []byte
	if kind == "reply" {
		source, err := seal.ParseRecipient(c.report.ReplyTo)
		if err != nil {
			t.Fatal(err)
		}
		to, thread = append(to, source), c.report.ThreadKey
	}
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage([]byte("respuesta")); err != nil {
		t.Fatal(err)
	}
	err = w.CloseSigned(m, func(sum [32]byte) ([]byte, error) {
		return card.Letter{Origin: m.Origin, Case: m.Case, Kind: kind, Recipient: card.Fingerprint(c.report.ReplyTo),
			Sequence: sequence, Previous: previous, Manifest: sum}.Sign(by.Signer, thread)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.add(m, b.Bytes())
}

// fetched puts the items into the folder, with what the vault says of the case.
func (c *caseOfDesk) fetched(t *testing.T, gone ...card.Gone) {
	t.Helper()
	if err := os.RemoveAll(c.folder.Path("cases")); err != nil {
		t.Fatal(err)
	}
	next := 5
	for n, k := range c.items {
		next = max(next, k.Number+1)
		if err := c.folder.Put(k); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.folder.Path(k.File()), c.sealed[n], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	state := card.Case{Case: c.report.Case, Desks: []string{"norte"}, Next: next, LastDay: "2026-11-21", EndsDay: "2099-01-01", Gone: gone}
	if err := state.Check(); err != nil {
		t.Fatal(err)
	}
	if err := c.folder.PutCase(state); err != nil {
		t.Fatal(err)
	}
}

func (c *caseOfDesk) drop(n int) {
	c.items, c.sealed = slices.Delete(c.items, n, n+1), slices.Delete(c.sealed, n, n+1)
}

// know makes the folder know who is in desk norte.
func (r *reader) know(t *testing.T, desk, dir string) card.Card {
	t.Helper()
	c, text, err := cardOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.folder.PutReviewer(c.Fingerprint(), text); err != nil {
		t.Fatal(err)
	}
	pins, err := r.folder.Desks()
	if err != nil {
		t.Fatal(err)
	}
	pin := pins[desk]
	pin.Now, pin.Ever, pin.Accepted = union(pin.Now, []string{c.Fingerprint()}), union(pin.Ever, []string{c.Fingerprint()}), []string{}
	pins[desk] = pin
	if err := r.folder.SetDesks(pins); err != nil {
		t.Fatal(err)
	}
	return c
}

// An item that is missing, repeated, out of order, of another thread, or written
// by nobody whom the desk knows, is named where it is read.
func TestThreadsThatWereTamperedWith(t *testing.T) {
	r := newReader(t)
	r.know(t, "norte", r.dir)
	other := newReader(t)
	r.know(t, "otro", other.dir)
	otherKeys, err := other.folder.Keys(nil)
	if err != nil {
		t.Fatal(err)
	}
	unknown := newReader(t)
	unknownKeys, err := unknown.folder.Keys(nil)
	if err != nil {
		t.Fatal(err)
	}
	const chain, missing = "does not follow the item before it", "the vault neither lists item 2"
	for _, test := range []struct {
		name   string
		change func(*caseOfDesk) []card.Gone
		says   string
	}{
		{"good", func(*caseOfDesk) []card.Gone { return nil }, ""},
		{"a reply is missing", func(c *caseOfDesk) []card.Gone { c.drop(2); return nil }, missing},
		{"a reply was deleted", func(c *caseOfDesk) []card.Gone {
			h := c.items[2].SHA256
			c.drop(2)
			return []card.Gone{{Number: 2, Kind: "reply", SHA256: h}}
		}, ""},
		{"another reply is said to be deleted", func(c *caseOfDesk) []card.Gone {
			c.drop(2)
			return []card.Gone{{Number: 2, Kind: "reply", SHA256: strings.Repeat("0", 64)}}
		}, chain},
		{"an item of the other side is said to be deleted", func(c *caseOfDesk) []card.Gone {
			h := c.items[2].SHA256
			c.drop(2)
			return []card.Gone{{Number: 2, Kind: "followup", SHA256: h}}
		}, chain},
		{"replies change places", func(c *caseOfDesk) []card.Gone {
			c.items[2].Number, c.items[4].Number = 4, 2
			return nil
		}, chain},
		{"a reply comes twice", func(c *caseOfDesk) []card.Gone {
			again := c.items[2]
			again.Number, again.ID = 5, strings.Repeat("f", 32)
			c.items, c.sealed = append(c.items, again), append(c.sealed, c.sealed[2])
			return nil
		}, chain},
		{"a followup is missing", func(c *caseOfDesk) []card.Gone { c.drop(3); return nil }, "neither lists item 3"},
		{"a stranger writes", func(c *caseOfDesk) []card.Gone { c.write(t, "reply", 3, sha(c.sealed[4]), unknownKeys); return nil },
			"who wrote it is NOT verified: this folder has never seen the card of its writer"},
		{"another desk writes", func(c *caseOfDesk) []card.Gone { c.write(t, "reply", 3, sha(c.sealed[4]), otherKeys); return nil },
			"who wrote it is NOT verified: its writer is of no desk that has this case"},
		{"under another thread key", func(c *caseOfDesk) []card.Gone {
			right := c.report.ThreadKey
			c.report.ThreadKey = bytes.Repeat([]byte{8}, 32)
			c.write(t, "reply", 3, sha(c.sealed[4]), c.keys)
			c.report.ThreadKey = right
			return nil
		}, "who wrote it is NOT verified: letter: not written under the key of this thread"},
		{"for another source", func(c *caseOfDesk) []card.Gone {
			right := c.report.ReplyTo
			c.report.ReplyTo = stranger(t).Recipient().String()
			c.write(t, "reply", 3, sha(c.sealed[4]), c.keys)
			c.report.ReplyTo = right
			return nil
		}, "who wrote it is NOT verified: the letter is for another source"},
		{"of another thread", func(c *caseOfDesk) []card.Gone {
			right := c.report.Thread
			c.report.Thread = strings.Repeat("1", 32)
			c.write(t, "ack", 3, sha(c.sealed[4]), c.keys)
			c.report.Thread = right
			return nil
		}, "is of another thread than the report"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := answered(t, r)
			c.fetched(t, test.change(c)...)
			code, out, errs := call(nil, "open", "-dir", r.dir, "1")
			if bad := test.says != ""; (code == 1) != bad || !strings.Contains(errs, test.says) || strings.Contains(out, "ALARM: ") != (bad && !strings.Contains(test.says, "neither lists")) {
				t.Errorf("exit %d: %s%s", code, errs, out)
			}
			if !strings.Contains(out, "| "+canary) {
				t.Error("the report is not shown")
			}
		})
	}
}

// A desk leaves or joins by a letter that holds, and by no other.
func TestOnlyLettersMoveACase(t *testing.T) {
	r := newReader(t)
	r.know(t, "norte", r.dir)
	unknown := newReader(t)
	keys, err := unknown.folder.Keys(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := answered(t, r)
	c.write(t, "recuse", 3, sha(c.sealed[4]), keys)
	c.fetched(t)
	o, err := newProgram(nil, os.Stdout, os.Stderr).newOpener(r.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.folder.Close()
	th, err := o.newThread(c.items)
	if err != nil || !slices.Equal(th.desks, []string{"norte"}) || len(th.alarms) != 1 {
		t.Errorf("desks %q, %v, alarms %v", th.desks, err, th.alarms)
	}
}

func TestForbidden(t *testing.T) {
	report := func(share string, x seal.Excluded) *seal.Manifest {
		return &seal.Manifest{Desks: []string{"norte"}, Share: share, Excluded: x}
	}
	ngo, authority := translog.Desk{ID: "ong", Organisation: "pro"}, translog.Desk{ID: "fge", Government: true}
	for _, test := range []struct {
		m     *seal.Manifest
		d     translog.Desk
		asked bool
		no    bool
	}{
		{report("ngos", seal.Excluded{}), ngo, false, false},
		{report("ngos", seal.Excluded{}), authority, true, true},
		{report("authority", seal.Excluded{}), authority, false, false},
		{report("authority", seal.Excluded{Government: true}), authority, true, true},
		{report("authority", seal.Excluded{Organisations: []string{"pro"}}), ngo, true, true},
		{report("authority", seal.Excluded{Organisations: []string{""}}), authority, true, false},
		{report("authority", seal.Excluded{Desks: []string{"ong"}}), ngo, true, true},
		{report("ask", seal.Excluded{}), ngo, false, true},
		{report("ask", seal.Excluded{}), ngo, true, false},
		{report("nobody", seal.Excluded{}), ngo, true, true},
		{report("nobody", seal.Excluded{}), translog.Desk{ID: "norte"}, false, false},
	} {
		if why := forbidden(test.m, test.d, test.asked); why.IsZero() == test.no {
			t.Errorf("%+v to %+v, asked %v: %q", test.m, test.d, test.asked, why)
		}
	}
}

func TestReminders(t *testing.T) {
	now := time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC)
	ago := func(days int) string { return now.AddDate(0, 0, -days).Format(time.DateOnly) }
	for _, test := range []struct {
		c    listed
		want string
	}{
		{listed{Day: ago(4)}, ""},
		{listed{Day: ago(5)}, "acknowledge soon: day 5 of 7"},
		{listed{Day: ago(7)}, "ACKNOWLEDGE: day 7 of 7"},
		{listed{Day: ago(8), Kinds: []string{"report", "ack"}}, ""},
		{listed{Day: ago(80), Kinds: []string{"report", "ack"}}, "answer soon: day 80 of 90"},
		{listed{Day: ago(90), Kinds: []string{"report", "ack"}}, "ANSWER: day 90 of 90"},
		{listed{Day: ago(90)}, "ACKNOWLEDGE: day 90 of 7, ANSWER: day 90 of 90"},
		{listed{Day: ago(90), Kinds: []string{"report", "reply"}}, ""},
		{listed{Day: ago(90), Closed: true}, ""},
		{listed{Day: ago(1), Ends: ago(-15)}, ""},
		{listed{Day: ago(1), Ends: ago(-14)}, "the vault deletes it on 2026-12-05"},
		{listed{Day: ago(1), Ends: ago(-14), Gone: true}, ""},
		{listed{Day: "\x1b", Ends: ""}, ""},
	} {
		var got []string
		for _, w := range test.c.reminders(now) {
			got = append(got, say.English().Text(w))
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%+v: %q, want %q", test.c, s, test.want)
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add([]byte(encodeNote(statusNote, "visto")))
	f.Add([]byte(encodeNote(textNote, "a\nb")))
	f.Add([]byte("resguardo/note/v1 status\n\x1b[2J"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, value := decodeNote(b)
		if kind == textNote {
			return
		}
		if len([]rune(value)) > maxLabel || strings.Contains(value, "\n") {
			t.Errorf("%s %q", kind, value)
		}
		if k, v := decodeNote([]byte(encodeNote(kind, value))); k != kind || v != value {
			t.Errorf("%s %q becomes %s %q", kind, value, k, v)
		}
	})
}
