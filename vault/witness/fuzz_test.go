package witness

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// checkpoint, and the one line that may come back for it, made on the first of January 2000 UTC.
const (
	fuzzText = "example.org-0123abcd\n1\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n"
	fuzzTime = 946684800
)

// FuzzAnswer: whatever a witness sends is refused, or is a size that encodes to the
// same bytes, or is one line of its own that verifies alone.
func FuzzAnswer(f *testing.F) {
	signer, err := torchwood.NewCosignatureSigner("w.example", ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	w := Witness{Key: signer.Verifier().String()}
	signed, err := note.Sign(&note.Note{Text: fuzzText}, signer)
	if err != nil {
		f.Fatal(err)
	}
	_, line, _ := cut(signed)
	other := strings.Replace(string(line), "w.example", "v.example", 1)
	f.Add(200, "text/plain", line)
	f.Add(200, "", append([]byte(other), line...))
	f.Add(200, "", append(line, "\nx\n\n"...))
	f.Add(200, "", append([]byte("x\n\n"), line...))
	f.Add(409, sizeFormat, []byte("0\n"))
	f.Add(409, sizeFormat+"; charset=utf-8", []byte("18446744073709551616\n"))
	f.Add(422, "", []byte(fuzzText))
	f.Fuzz(func(t *testing.T, status int, format string, body []byte) {
		a := answer{status: status, format: format, body: body}
		s, err := a.open(w, fuzzText, time.Now())
		if c := (*ConflictError)(nil); errors.As(err, &c) {
			if status != 409 || string(body) != fmt.Sprintln(c.Size) {
				t.Fatalf("%q is the size %d", body, c.Size)
			}
		}
		if err != nil {
			if s != (Cosignature{}) {
				t.Fatal("something beside an error")
			}
			return
		}
		alone, err := note.Sign(&note.Note{Text: fuzzText, Sigs: []note.Signature{s.Signature}})
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(alone, note.VerifierList(signer.Verifier()))
		if err != nil || len(n.Sigs) != 1 || n.Text != fuzzText || s.Time.Unix() < fuzzTime {
			t.Fatalf("%v: %s", err, alone)
		}
		if _, text, _ := cut(alone); !strings.Contains(string(body), string(text)) {
			t.Fatalf("%q does not hold %q", body, text)
		}
	})
}

// FuzzParse: what Parse takes, torchwood takes too, and in its plainest form it
// says the same again.
func FuzzParse(f *testing.F) {
	signer, err := torchwood.NewCosignatureSigner("w.example", ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	_, log, err := note.GenerateKey(strings.NewReader(strings.Repeat("x", 64)), "example.org")
	if err != nil {
		f.Fatal(err)
	}
	key := signer.Verifier().String()
	f.Add("log " + log + "\nquorum none\n")
	f.Add("# x\n\tlog " + log + " http://x/\nwitness w " + key + " http://w.example/a%20b\ngroup g 1 w\ngroup h all g\nquorum h")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse([]byte(text))
		if err != nil {
			if e := (*PolicyError)(nil); p != nil || !errors.As(err, &e) || e.Line > strings.Count(text, "\n")+1 {
				t.Fatal(err)
			}
			return
		}
		if _, err := torchwood.ParsePolicy([]byte(text)); err != nil {
			t.Fatal(err)
		}
		var plain strings.Builder
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 0 && words[0][0] != '#' {
				plain.WriteString(strings.Join(words, " ") + "\n")
			}
		}
		q, err := Parse([]byte(plain.String()))
		if err != nil || q.Origin != p.Origin || q.LogKey != p.LogKey || q.Quorum != p.Quorum || len(q.Witnesses) != len(p.Witnesses) {
			t.Fatalf("%v: %q says something else than %q", err, plain.String(), text)
		}
		for i, w := range q.Witnesses {
			if w != p.Witnesses[i] {
				t.Fatalf("%+v, before %+v", w, p.Witnesses[i])
			}
			if _, err := w.endpoint(); w.URL != "" && err != nil {
				t.Fatal(err)
			}
		}
	})
}
