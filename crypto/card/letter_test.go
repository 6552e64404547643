package card_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

var update = flag.Bool("update", false, "write the vectors of statements that testdata lacks")

// vectorFile reads a vector; with -update it writes the one that is not there yet.
func vectorFile(t *testing.T, name string, made []byte) []byte {
	t.Helper()
	if _, err := os.Stat("testdata/" + name); *update && os.IsNotExist(err) {
		if err := os.WriteFile("testdata/"+name, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return read(t, name)
}

func filled(b byte) (h [32]byte) {
	for i := range h {
		h[i] = b
	}
	return h
}

// must returns what Sign made.
func must(t testing.TB) func([]byte, error) []byte {
	return func(msg []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
}

// The thread key of the vector, 0x60…7f.
var vectorThread = sequence(96)

var vectorLetter = card.Letter{
	Origin:    "mx-0a1b2c3d",
	Case:      "abcdefghij234567",
	Kind:      "reply",
	Recipient: "33bb84f4d3bc355c7706e7ed9fb936dbc1d1c526c4716865bc54dae9073c3cf8",
	Sequence:  1,
	Previous:  filled(0xaa),
	Manifest:  filled(0xbb),
}

// otherLetter is one that has neither a predecessor nor a thread.
func otherLetter() card.Letter {
	l := vectorLetter
	l.Kind, l.Sequence, l.Previous = "ack", 0, [32]byte{}
	return l
}

func TestLetterVector(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	made := must(t)(vectorLetter.Sign(signer, vectorThread))
	msg := vectorFile(t, "letter.note", made)
	if !bytes.Equal(made, msg) {
		t.Errorf("signing again gives\n%s", made)
	}
	got, err := card.OpenLetter(msg, c, vectorThread)
	if err != nil {
		t.Fatal(err)
	}
	// The rule of docs/formats.md, written again.
	text, _, _ := strings.Cut(string(msg), "\nthread ")
	h := hmac.New(sha256.New, vectorThread)
	h.Write([]byte("resguardo/v1/letter\n" + text + "\n"))
	want := vectorLetter
	want.Thread = [32]byte(h.Sum(nil))
	if got != want || !strings.Contains(string(msg), "\nthread "+hex.EncodeToString(want.Thread[:])+"\n") {
		t.Errorf("got %+v, want %+v", got, want)
	}
	claimed, by, err := card.ParseLetter(msg)
	if err != nil || claimed != got || by != vectorFingerprint {
		t.Errorf("ParseLetter: %+v by %s, %v", claimed, by, err)
	}
}

func TestLetterSignRefuses(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	for name, change := range map[string]func(*card.Letter){
		"origin":                     func(l *card.Letter) { l.Origin = "a\ncase b" },
		"case":                       func(l *card.Letter) { l.Case = "../../../../../a" },
		"a source's kind":            func(l *card.Letter) { l.Kind = "followup" },
		"no kind":                    func(l *card.Letter) { l.Kind = "" },
		"recipient as it is":         func(l *card.Letter) { l.Recipient = c.Recipient },
		"a first with a previous":    func(l *card.Letter) { l.Sequence = 0 },
		"a second without":           func(l *card.Letter) { l.Previous = [32]byte{} },
		"thread key for a desk only": func(l *card.Letter) { l.Kind = "note" },
	} {
		l := vectorLetter
		change(&l)
		if msg, err := l.Sign(signer, vectorThread); err == nil {
			t.Errorf("%s: signed\n%s", name, msg)
		}
	}
	for _, key := range [][]byte{nil, {}, vectorThread[1:], append(vectorThread, 1)} {
		if _, err := vectorLetter.Sign(signer, key); err == nil {
			t.Errorf("a reply was signed under %d bytes of thread key", len(key))
		}
	}
	stranger, _ := signerFor(t, "stranger")
	if _, err := vectorLetter.Sign(stranger, vectorThread); err == nil {
		t.Error("a letter was signed by a key that is no card's")
	}
}

// withThread gives the letter another HMAC and signs it again.
func withThread(thread string) func(*testing.T, string) string {
	return resigned(func(_ *testing.T, s string) string {
		before, after, _ := strings.Cut(s, "\nthread ")
		return before + "\nthread " + thread + after[64:]
	})
}

func TestOpenLetterRefuses(t *testing.T) {
	good := string(read(t, "letter.note"))
	_, c := vector(t)
	_, other := signerFor(t, "card/"+strings.Repeat("0", 64))
	auditor := c
	auditor.Role = card.Auditor
	stranger := card.Card{Role: card.Reviewer, Verifier: other}
	// Fingerprint and name are those of the card, the key is not.
	_, key, err := note.GenerateKey(nil, card.KeyName(c.Recipient))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*testing.T, string) string
		card   card.Card
		key    []byte
	}{
		"another card":       {nil, stranger, vectorThread},
		"another key":        {nil, card.Card{Role: card.Reviewer, Verifier: key}, vectorThread},
		"an auditor":         {nil, auditor, vectorThread},
		"another thread":     {nil, c, sequence(97)},
		"short thread key":   {nil, c, vectorThread[:31]},
		"empty thread key":   {nil, c, []byte{}},
		"made-up thread":     {withThread(strings.Repeat("cc", 32)), c, vectorThread},
		"no thread":          {withThread("-"), c, nil},
		"thread of zeros":    {withThread(strings.Repeat("00", 32)), c, nil},
		"changed":            {replace("kind reply", "kind close"), c, vectorThread},
		"changed and signed": {resigned(replace("sequence 1", "sequence 2")), c, vectorThread},
		"thread in a note":   {resigned(replace("kind reply", "kind note")), c, nil},
		"kind of a source":   {resigned(replace("kind reply", "kind report")), c, nil},
		"leading zero":       {resigned(replace("sequence 1", "sequence 01")), c, nil},
		"sign":               {resigned(replace("sequence 1", "sequence +1")), c, nil},
		"beyond 64 bits":     {resigned(replace("sequence 1", "sequence 18446744073709551616")), c, nil},
		"first, previous":    {resigned(replace("sequence 1", "sequence 0")), c, nil},
		"later, no previous": {resigned(replace("previous "+strings.Repeat("a", 64), "previous -")), c, nil},
		"upper-case hash":    {resigned(replace("previous aa", "previous AA")), c, nil},
		"no manifest":        {resigned(replace("manifest "+strings.Repeat("b", 64), "manifest -")), c, nil},
		"line missing":       {resigned(replace("sequence 1\n", "")), c, nil},
		"line more":          {resigned(replace("sequence 1\n", "sequence 1\nsequence 1\n")), c, nil},
		"another format":     {resigned(replace("letter/v1", "reply/v1")), c, nil},
		"signed twice":       {func(_ *testing.T, s string) string { return s + s[strings.Index(s, "— "):] }, c, nil},
		"loose signature":    {looseSignature, c, nil},
		"note in a note":     {noteInNote, c, nil},
		"text behind":        {func(_ *testing.T, s string) string { return s + "x\n" }, c, nil},
		"empty":              {func(*testing.T, string) string { return "" }, c, nil},
		"too long":           {func(_ *testing.T, s string) string { return s + strings.Repeat("\n", card.MaxLetter) }, c, nil},
	} {
		msg := good
		if test.change != nil {
			msg = test.change(t, good)
		}
		if got, err := card.OpenLetter([]byte(msg), test.card, test.key); err == nil || got != (card.Letter{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// Without the thread key a reader still learns whose card signed.
func TestOpenLetterWithoutThreadKey(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	if _, err := card.OpenLetter(read(t, "letter.note"), c, nil); err != nil {
		t.Error(err)
	}
	ack := must(t)(otherLetter().Sign(signer, nil))
	for _, key := range [][]byte{nil, vectorThread} {
		if got, err := card.OpenLetter(ack, c, key); err != nil || got != otherLetter() {
			t.Errorf("ack: %+v, %v", got, err)
		}
	}
}

func TestEveryByteOfALetterCounts(t *testing.T) {
	text := read(t, "letter.note")
	_, c := vector(t)
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := card.OpenLetter(changed, c, vectorThread); err == nil {
			t.Fatalf("byte %d may change", i)
		}
		if _, err := card.OpenLetter(text[:i], c, vectorThread); err == nil {
			t.Fatalf("the first %d bytes are a letter", i)
		}
	}
}

func FuzzOpenLetter(f *testing.F) {
	_, c := vector(f)
	signer, _ := signerFor(f, card.KeyName(c.Recipient))
	f.Add(read(f, "letter.note"))
	f.Add(must(f)(otherLetter().Sign(signer, nil)))
	f.Add(read(f, "login.note"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, _, _ = card.ParseLetter(msg) // must not panic, whoever signed
		text, _, _ := strings.Cut(string(msg), "\n\n")
		resigned, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
		for _, m := range [][]byte{msg, resigned} {
			l, err2 := card.OpenLetter(m, c, nil)
			if err2 != nil || err != nil {
				continue
			}
			if claimed, by, err := card.ParseLetter(m); err != nil || claimed != l || by != vectorFingerprint {
				t.Errorf("ParseLetter: %+v by %s, %v", claimed, by, err)
			}
			var key []byte
			if l.Kind == "reply" {
				key = vectorThread
			}
			again, err := l.Sign(signer, key)
			if err != nil {
				t.Fatal(err)
			}
			// Only what hangs on the thread key may differ.
			cut := strings.Index(string(m), "\nthread ")
			if key == nil && !bytes.Equal(again, m) || !bytes.Equal(again[:cut], m[:cut]) {
				t.Errorf("accepted, but signing again gives other bytes")
			}
		}
	})
}
