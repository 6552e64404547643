package card_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

var vectorReading = card.Reading{Origin: "mx-0a1b2c3d", Desk: "norte", Day: "2026-11-22"}

func TestReadingVector(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	made := must(t)(vectorReading.Sign(signer))
	msg := vectorFile(t, "reading.note", made)
	if !bytes.Equal(made, msg) {
		t.Errorf("signing again gives\n%s", made)
	}
	if got, err := card.OpenReading(msg, c); err != nil || got != vectorReading {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, by, err := card.ParseReading(msg); err != nil || got != vectorReading || by != vectorFingerprint {
		t.Errorf("got %+v by %s, %v", got, by, err)
	}
	if want := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC); !vectorReading.Time().Equal(want) {
		t.Errorf("time %v", vectorReading.Time())
	}
}

// TestReadingOfTheFuture: clocks may differ by a day, UTC, and not by more.
func TestReadingOfTheFuture(t *testing.T) {
	west := time.FixedZone("west", -8*3600)
	for now, early := range map[time.Time]bool{
		time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC):    false,
		time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC):    false,
		time.Date(2026, 11, 20, 23, 59, 59, 0, time.UTC): true,
		time.Date(2026, 11, 20, 16, 0, 0, 0, west):       false, // it is the 21st in UTC
		time.Date(2025, 11, 22, 0, 0, 0, 0, time.UTC):    true,
		time.Date(2027, 11, 22, 0, 0, 0, 0, time.UTC):    false,
	} {
		if got := vectorReading.Early(now); got != early {
			t.Errorf("at %v: %v", now, got)
		}
	}
}

func TestReadingSignRefuses(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	for name, change := range map[string]func(*card.Reading){
		"no origin":          func(r *card.Reading) { r.Origin = "" },
		"no desk":            func(r *card.Reading) { r.Desk = "" },
		"a desk upwards":     func(r *card.Reading) { r.Desk = "../norte" },
		"a desk and a line":  func(r *card.Reading) { r.Desk = "norte\nday 2027-01-01" },
		"no day":             func(r *card.Reading) { r.Day = "" },
		"a day with an hour": func(r *card.Reading) { r.Day = "2026-11-22T10" },
		"a day that is none": func(r *card.Reading) { r.Day = "2026-02-30" },
		"a short day":        func(r *card.Reading) { r.Day = "2026-1-2" },
	} {
		r := vectorReading
		change(&r)
		if msg, err := r.Sign(signer); err == nil {
			t.Errorf("%s: signed\n%s", name, msg)
		}
	}
}

func TestOpenReadingRefuses(t *testing.T) {
	_, c := vector(t)
	_, other := second(t)
	good := string(read(t, "reading.note"))
	auditor := c
	auditor.Role = card.Auditor
	for name, by := range map[string]card.Card{"another card": other, "an auditor": auditor, "no card": {}} {
		if got, err := card.OpenReading([]byte(good), by); err == nil || got != (card.Reading{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, change := range map[string]func(*testing.T, string) string{
		"changed":            replace("day 2026-11-22", "day 2026-11-23"),
		"no day":             resigned(replace("day 2026-11-22\n", "")),
		"a line more":        resigned(replace("day 2026-11-22\n", "day 2026-11-22\nday 2026-11-22\n")),
		"another order":      resigned(replace("desk norte\nday 2026-11-22\n", "day 2026-11-22\ndesk norte\n")),
		"another first line": resigned(replace("reading/v1", "reading/v2")),
		"a hold":             func(t *testing.T, _ string) string { return string(read(t, "hold.note")) },
		"two signatures":     func(_ *testing.T, s string) string { return s + s[strings.Index(s, "— "):] },
		"too long":           func(_ *testing.T, s string) string { return s + strings.Repeat("\n", card.MaxReading) },
		"loose signature":    looseSignature,
		"note in a note":     noteInNote,
	} {
		if got, err := card.OpenReading([]byte(change(t, good)), c); err == nil || got != (card.Reading{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzReading(f *testing.F) {
	_, c := vector(f)
	signer, _ := signerFor(f, card.KeyName(c.Recipient))
	f.Add(read(f, "reading.note"), true)
	f.Add(read(f, "reading.note"), false)
	f.Add(read(f, "hold.note"), false)
	f.Fuzz(func(t *testing.T, msg []byte, resign bool) {
		if resign { // so that what lies behind the signature is reached
			text, _, _ := strings.Cut(string(msg), "\n\n")
			var err error
			if msg, err = note.Sign(&note.Note{Text: text + "\n"}, signer); err != nil {
				return
			}
		}
		_, _, _ = card.ParseReading(msg) // must not panic, whoever signed
		r, err := card.OpenReading(msg, c)
		if err != nil {
			return
		}
		if again, err := r.Sign(signer); err != nil || !bytes.Equal(again, msg) {
			t.Errorf("accepted, but signing again gives other bytes (%v)", err)
		}
		if claimed, by, err := card.ParseReading(msg); err != nil || claimed != r || by != vectorFingerprint || r.Time().Format(time.DateOnly) != r.Day {
			t.Errorf("ParseReading: %+v by %s, %v", claimed, by, err)
		}
	})
}
