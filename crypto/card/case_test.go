package card_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

var vectorStatement = card.Statement{
	Kind:       "reply",
	Origin:     "mx-0a1b2c3d",
	Case:       "abcdefghij234567",
	Number:     3,
	Event:      [32]byte(sequence(0)),
	Ref:        filled(0xdd),
	Ciphertext: filled(0xee),
}

var vectorDelete = card.Delete{
	Origin: "mx-0a1b2c3d",
	Case:   "abcdefghij234567",
	Event:  [32]byte(sequence(0)),
	Items:  [][32]byte{filled(2), filled(1)},
}

var vectorHold = card.Hold{Origin: "mx-0a1b2c3d", Case: "abcdefghij234567", Hold: true, Counter: 4}

// second is another reviewer: the same key under another card's name.
func second(t testing.TB) (note.Signer, card.Card) {
	t.Helper()
	signer, vkey := signerFor(t, "card/"+strings.Repeat("5", 64))
	return signer, card.Card{Role: card.Reviewer, Verifier: vkey}
}

func TestStatementVector(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	made := must(t)(vectorStatement.Sign(signer))
	msg := vectorFile(t, "reply.note", made)
	if !bytes.Equal(made, msg) {
		t.Errorf("signing again gives\n%s", made)
	}
	if got, err := card.OpenStatement(msg, "reply", c); err != nil || got != vectorStatement {
		t.Errorf("got %+v, %v", got, err)
	}
	if back, err := card.DecodeHeader(card.EncodeHeader(msg)); err != nil || !bytes.Equal(back, msg) {
		t.Errorf("header: %v", err)
	}
	if _, err := card.DecodeHeader(card.EncodeHeader(msg) + "\n"); err == nil {
		t.Error("a header with a line break was read")
	}
}

func TestStatementsOfEveryKind(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	for _, kind := range []string{"reply", "ack", "note", "close", "rewrap", "recuse"} {
		s := vectorStatement
		if s.Kind = kind; kind == "rewrap" || kind == "recuse" {
			s.Desk = "norte"
		}
		if kind != "rewrap" {
			s.Ref = [32]byte{}
		}
		msg := must(t)(s.Sign(signer))
		for _, as := range []string{"reply", "ack", "note", "close", "rewrap", "recuse", "report", "delete", ""} {
			got, err := card.OpenStatement(msg, as, c)
			if ok := err == nil; ok != (as == kind) || ok && got != s {
				t.Errorf("%s opened as %q: %+v, %v", kind, as, got, err)
			}
		}
	}
}

func TestStatementSignRefuses(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	for name, change := range map[string]func(*card.Statement){
		"a source's kind":          func(s *card.Statement) { s.Kind = "followup" },
		"a kind with a line break": func(s *card.Statement) { s.Kind = "reply/v1\norigin x" },
		"origin":                   func(s *card.Statement) { s.Origin = "" },
		"case":                     func(s *card.Statement) { s.Case = "x\nnumber 7" },
		"number of the report":     func(s *card.Statement) { s.Number = 0 },
		"negative number":          func(s *card.Statement) { s.Number = -1 },
		"too many items":           func(s *card.Statement) { s.Number = card.MaxNumber + 1 },
		"a desk for a reply":       func(s *card.Statement) { s.Desk = "norte" },
		"no desk for a recuse":     func(s *card.Statement) { s.Kind = "recuse" },
		"no desk for a rewrap":     func(s *card.Statement) { s.Kind = "rewrap" },
		"a desk named none":        func(s *card.Statement) { s.Kind, s.Desk = "rewrap", "-" },
		"a desk upwards":           func(s *card.Statement) { s.Kind, s.Desk = "rewrap", "../norte" },
		"a rewrap of nothing":      func(s *card.Statement) { s.Kind, s.Desk, s.Ref = "rewrap", "norte", [32]byte{} },
	} {
		s := vectorStatement
		change(&s)
		if msg, err := s.Sign(signer); err == nil {
			t.Errorf("%s: signed\n%s", name, msg)
		}
	}
}

func TestOpenStatementRefuses(t *testing.T) {
	_, c := vector(t)
	_, other := second(t)
	good := string(read(t, "reply.note"))
	auditor := c
	auditor.Role = card.Auditor
	for name, by := range map[string]card.Card{"another card": other, "an auditor": auditor, "no card": {}} {
		if got, err := card.OpenStatement([]byte(good), "reply", by); err == nil || got != (card.Statement{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, change := range map[string]func(*testing.T, string) string{
		"changed":             replace("number 3", "number 4"),
		"number 0":            resigned(replace("number 3", "number 0")),
		"number beyond":       resigned(replace("number 3", "number 100000")),
		"number not decimal":  resigned(replace("number 3", "number 0x3")),
		"event unpadded":      resigned(replace("Hh8=", "Hh8")),
		"event's last bits":   resigned(replace("Hh8=", "Hh9=")),
		"event in base64url":  resigned(replace("AAECAwQF", "-AECAwQF")),
		"event with a break":  resigned(replace("AAECAwQF", "AAEC\rAwQF")),
		"ref of zeros":        resigned(replace(strings.Repeat("dd", 32), strings.Repeat("00", 32))),
		"ref upper case":      resigned(replace("ref dd", "ref DD")),
		"no ciphertext":       resigned(replace(strings.Repeat("ee", 32), "-")),
		"empty desk":          resigned(replace("desk -", "desk ")),
		"desk where none is":  resigned(replace("desk -", "desk norte")),
		"another first line":  resigned(replace("reply/v1", "ack/v1")),
		"a login":             func(t *testing.T, _ string) string { return string(read(t, "login.note")) },
		"a letter":            func(t *testing.T, _ string) string { return string(read(t, "letter.note")) },
		"two signatures":      func(_ *testing.T, s string) string { return s + s[strings.Index(s, "— "):] },
		"too long":            func(_ *testing.T, s string) string { return s + strings.Repeat("\n", 4096) },
		"loose signature":     looseSignature,
		"note in a note":      noteInNote,
		"signature elsewhere": func(_ *testing.T, s string) string { return strings.Replace(s, "\n\n", "\n\n\n", 1) },
	} {
		if got, err := card.OpenStatement([]byte(change(t, good)), "reply", c); err == nil || got != (card.Statement{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestDeleteVector(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	other, d := second(t)
	alone := must(t)(vectorDelete.Sign(signer, nil))
	both := must(t)(vectorDelete.Sign(other, alone))
	if msg := vectorFile(t, "delete.note", both); !bytes.Equal(both, msg) {
		t.Errorf("signing again gives\n%s", both)
	}
	for _, test := range []struct {
		msg   []byte
		cards []card.Card
		by    []string
	}{
		{alone, []card.Card{c}, []string{vectorFingerprint}},
		{alone, []card.Card{d, c}, []string{vectorFingerprint}},
		{both, []card.Card{c, d}, []string{vectorFingerprint, strings.Repeat("5", 64)}},
		{both, []card.Card{d, c}, []string{vectorFingerprint, strings.Repeat("5", 64)}},
	} {
		got, by, err := card.OpenDelete(test.msg, test.cards...)
		if err != nil || !reflect.DeepEqual(got, vectorDelete) || !slices.Equal(by, test.by) {
			t.Errorf("got %+v by %q, %v", got, by, err)
		}
	}
}

// A second reviewer signs what its own program lists, and never what another
// signed if that is something else.
func TestDeleteSignRefuses(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	other, _ := second(t)
	third, _ := signerFor(t, "card/"+strings.Repeat("7", 64))
	alone := must(t)(vectorDelete.Sign(signer, nil))
	both := must(t)(vectorDelete.Sign(other, alone))
	for name, test := range map[string]struct {
		change  func(*card.Delete)
		by      note.Signer
		pending []byte
	}{
		"the same card again": {nil, signer, alone},
		"a third card":        {nil, third, both},
		"an item less":        {func(d *card.Delete) { d.Items = d.Items[:1] }, other, alone},
		"an item more":        {func(d *card.Delete) { d.Items = append(d.Items, filled(3)) }, other, alone},
		"another order":       {func(d *card.Delete) { slices.Reverse(d.Items) }, other, alone},
		"another case":        {func(d *card.Delete) { d.Case = "bbbbbbbbbbbbbbbb" }, other, alone},
		"another event":       {func(d *card.Delete) { d.Event[0]++ }, other, alone},
		"an empty pending":    {nil, other, []byte{}},
		"an unsigned pending": {nil, other, alone[:bytes.Index(alone, []byte("— "))]},
		"a torn pending":      {nil, other, alone[:len(alone)-9]},
		"no items":            {func(d *card.Delete) { d.Items = nil }, signer, nil},
		"an item twice":       {func(d *card.Delete) { d.Items[1] = d.Items[0] }, signer, nil},
		"origin":              {func(d *card.Delete) { d.Origin = "a b" }, signer, nil},
	} {
		d := vectorDelete
		d.Items = slices.Clone(d.Items)
		if test.change != nil {
			test.change(&d)
		}
		if msg, err := d.Sign(test.by, test.pending); err == nil {
			t.Errorf("%s: signed\n%s", name, msg)
		}
	}
}

func TestOpenDeleteRefuses(t *testing.T) {
	_, c := vector(t)
	_, d := second(t)
	good := string(read(t, "delete.note"))
	auditor := d
	auditor.Role = card.Auditor
	for name, cards := range map[string][]card.Card{
		"nobody":                 nil,
		"only the first":         {c},
		"only the second":        {d},
		"one of them an auditor": {c, auditor},
	} {
		if got, by, err := card.OpenDelete([]byte(good), cards...); err == nil || got.Items != nil || by != nil {
			t.Errorf("%s: %+v by %q, %v", name, got, by, err)
		}
	}
	line := func(n int) string { return strings.SplitAfter(good, "\n")[n] }
	for name, msg := range map[string]string{
		"an item more":         strings.Replace(good, "item 02", "item 03\nitem 02", 1),
		"an item less":         strings.Replace(good, line(4), "", 1),
		"items exchanged":      strings.Replace(good, line(4)+line(5), line(5)+line(4), 1),
		"no items":             strings.Replace(good, line(4)+line(5), "", 1),
		"second one wrong":     strings.Replace(good, "UW+rXCpM", "UW+rXCpN", 1),
		"second one another's": strings.Replace(good, line(8), line(8)[:71]+line(7)[71:], 1),
		"three signatures":     good + line(7),
		"second one twice":     strings.Replace(good, line(7), line(8), 1),
	} {
		if got, by, err := card.OpenDelete([]byte(msg), c, d); err == nil {
			t.Errorf("%s: %+v by %q", name, got, by)
		}
	}
}

// A case with all the items that it can have fits.
func TestDeleteCoversTheLargestCase(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	d := vectorDelete
	d.Items = nil
	for i := range card.MaxNumber + 1 {
		d.Items = append(d.Items, [32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	msg := must(t)(d.Sign(signer, nil))
	if got, _, err := card.OpenDelete(msg, c); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%d bytes: %v", len(msg), err)
	}
}

func TestHoldVector(t *testing.T) {
	_, c := vector(t)
	_, other := second(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	made := must(t)(vectorHold.Sign(signer))
	msg := vectorFile(t, "hold.note", made)
	if !bytes.Equal(made, msg) {
		t.Errorf("signing again gives\n%s", made)
	}
	if got, err := card.OpenHold(msg, c); err != nil || got != vectorHold {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := card.OpenHold(msg, other); err == nil || got != (card.Hold{}) {
		t.Errorf("by another card: %+v, %v", got, err)
	}
	for name, change := range map[string]func(*testing.T, string) string{
		"changed":       replace("hold yes", "hold no"),
		"neither":       resigned(replace("hold yes", "hold maybe")),
		"counter":       resigned(replace("counter 4", "counter -4")),
		"counter zeros": resigned(replace("counter 4", "counter 04")),
		"case":          resigned(replace("case abc", "case ABC")),
	} {
		if got, err := card.OpenHold([]byte(change(t, string(msg))), c); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzStatements: what opens is what signing again gives.
func FuzzStatements(f *testing.F) {
	_, c := vector(f)
	signer, _ := signerFor(f, card.KeyName(c.Recipient))
	other, d := second(f)
	for _, name := range []string{"reply.note", "delete.note", "hold.note", "login.note"} {
		f.Add(read(f, name), true)
		f.Add(read(f, name), false)
	}
	f.Fuzz(func(t *testing.T, msg []byte, resign bool) {
		if resign { // so that what lies behind the signature is reached
			text, _, _ := strings.Cut(string(msg), "\n\n")
			var err error
			if msg, err = note.Sign(&note.Note{Text: text + "\n"}, signer); err != nil {
				return
			}
		}
		check := func(again []byte, err error) {
			t.Helper()
			if err != nil || !bytes.Equal(again, msg) {
				t.Errorf("accepted, but signing again gives other bytes (%v)", err)
			}
		}
		for _, kind := range []string{"reply", "ack", "note", "close", "rewrap", "recuse"} {
			if s, err := card.OpenStatement(msg, kind, c); err == nil {
				check(s.Sign(signer))
			}
		}
		if h, err := card.OpenHold(msg, c); err == nil {
			check(h.Sign(signer))
		}
		if deletion, by, err := card.OpenDelete(msg, c, d); err == nil {
			var again []byte
			for _, fingerprint := range by {
				by := signer
				if fingerprint != vectorFingerprint {
					by = other
				}
				if again, err = deletion.Sign(by, again); err != nil {
					t.Fatal(err)
				}
			}
			check(again, nil)
		}
	})
}
