package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

// reviewer is the holder of the nth test identity, who writes for a desk.
type reviewer struct {
	card   card.Card
	signer note.Signer
}

func newReviewer(t testing.TB, r Recipient, seed byte) reviewer {
	t.Helper()
	return newReviewerOfSeed(t, r, [32]byte{seed})
}

// newReviewerOfSeed makes the signing key of an Ed25519 seed.
func newReviewerOfSeed(t testing.TB, r Recipient, seed [32]byte) reviewer {
	t.Helper()
	key := ed25519.NewKeyFromSeed(seed[:])
	name := card.KeyName(r.String())
	vkey, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), key.Public().(ed25519.PublicKey)...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, binary.BigEndian.Uint32(sum[:]),
		base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))))
	if err != nil {
		t.Fatal(err)
	}
	return reviewer{card.Card{Role: card.Reviewer, Recipient: r.String(), Verifier: vkey}, signer}
}

// answer is what a desk writes: the manifest less what Close fills in, and the
// letter less what the manifest decides. A change of one is no change of the other.
type answer struct {
	parts
	manifest Manifest
	letter   card.Letter
	by       reviewer
	thread   []byte
}

// newAnswer is the first item of its kind that the first reviewer writes to the
// source of [manifest], identity 200.
func newAnswer(t testing.TB, kind string) answer {
	t.Helper()
	_, r := identity(t, 1)
	_, source := identity(t, 200)
	m := manifest(t)
	m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kind, "", nil, nil
	a := answer{
		parts:    parts{message: "Gracias."},
		manifest: m,
		letter:   card.Letter{Origin: m.Origin, Case: m.Case, Kind: kind, Recipient: source.Fingerprint()},
		by:       newReviewer(t, r, 1),
	}
	if kind == kindReply {
		a.thread = bytes.Repeat([]byte{1}, 32)
	}
	return a
}

func (a answer) sign(sum [32]byte) ([]byte, error) {
	a.letter.Manifest = sum
	return a.letter.Sign(a.by.signer, a.thread)
}

// write seals a.
func (a answer) write(t testing.TB, recipients ...Recipient) ([]byte, error) {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage([]byte(a.message)); err != nil {
		t.Fatal(err)
	}
	for _, f := range a.files {
		if err := w.WriteFile(f.name, f.typ, strings.NewReader(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	err = w.CloseSigned(a.manifest, a.sign)
	return dst.Bytes(), err
}

func (a answer) seal(t testing.TB, recipients ...Recipient) []byte {
	t.Helper()
	b, err := a.write(t, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReplyOpensForSourceAndDesk: the source with what its codename gives, the
// desk with its identity, and nobody else.
func TestReplyOpensForSourceAndDesk(t *testing.T) {
	keys, to := source(t, 0)
	desk, r := identity(t, 1)
	excluded, _ := identity(t, 2)
	a := newAnswer(t, kindReply)
	a.letter.Recipient, a.thread = to.Fingerprint(), keys.Thread[:]
	a.files = []attachment{{"carta.pdf", "application/pdf", "%PDF"}}
	sealed := a.seal(t, to, r)
	mailbox, err := IdentityFromSeed(keys.Age)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]age.Identity{"source": mailbox, "desk": desk} {
		report, err := open(sealed, id)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := report.VerifyLetter(a.by.card, to.Fingerprint(), keys.Thread[:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := fstest.TestFS(report, "message.txt", "files/01", "manifest.json", "signature.note"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text, err := fs.ReadFile(report, "manifest.json")
		if err != nil || report.ManifestSHA256 != sha256.Sum256(text) || report.Original != nil {
			t.Errorf("%s: manifest %x, original %v, %v", name, report.ManifestSHA256, report.Original, err)
		}
		if letter, err := fs.ReadFile(report, "signature.note"); err != nil || !bytes.Equal(letter, report.Letter()) {
			t.Errorf("%s: letter %q, %v", name, report.Letter(), err)
		}
	}
	_, err = open(sealed, excluded)
	var no *age.NoIdentityMatchError
	if !errors.As(err, &no) {
		t.Errorf("excluded desk: %v", err)
	}
}

// TestStockToolsOpenReplies: a source with the recipe, and without our program.
func TestStockToolsOpenReplies(t *testing.T) {
	unzip, err := exec.LookPath("unzip")
	if err != nil {
		t.Fatal("unzip is not installed: make deps says how")
	}
	dir := t.TempDir()
	stock := filepath.Join(dir, "age")
	run(t, ".", "go", "build", "-o", stock, "filippo.io/age/cmd/age")
	id, to := identity(t, 200)
	_, r := identity(t, 1)
	a := newAnswer(t, kindReply)
	for name, b := range map[string][]byte{"reply.age": a.seal(t, to, r), "identity.txt": []byte(id.String() + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, stock, "-d", "-i", "identity.txt", "-o", "reply.zip", "reply.age")
	run(t, dir, unzip, "-q", "reply.zip", "-d", "out")
	if b, err := os.ReadFile(filepath.Join(dir, "out", "message.txt")); err != nil || string(b) != a.message {
		t.Errorf("message %q, %v", b, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := os.ReadFile(filepath.Join(dir, "out", "signature.note"))
	if err != nil {
		t.Fatal(err)
	}
	if l, err := card.OpenLetter(msg, a.by.card, a.thread); err != nil || l.Manifest != sha256.Sum256(text) {
		t.Errorf("letter %+v, %v", l, err)
	}
}

// TestShortRepliesHaveOneSize: who watches the disk or the line learns from the
// size of a short answer neither its length nor its kind.
func TestShortRepliesHaveOneSize(t *testing.T) {
	_, to := identity(t, 200)
	_, r := identity(t, 1)
	_, other := identity(t, 2)
	want := len(newAnswer(t, kindReply).seal(t, to, r))
	for _, n := range []int{0, 1, 1000, 30_000, 55_000} {
		a := newAnswer(t, kindReply)
		a.message = strings.Repeat("x", n)
		if got := len(a.seal(t, to, r)); got != want {
			t.Errorf("a reply of %d bytes is sealed in %d, another in %d", n, got, want)
		}
	}
	a := newAnswer(t, kindReply)
	a.letter.Sequence, a.letter.Previous = 1<<64-1, [32]byte{0xff}
	a.manifest.Sequence, a.manifest.Previous = 1<<64-1, "ff"+strings.Repeat("0", 62)
	a.files = []attachment{{strings.Repeat("n", MaxName), "application/pdf", "kurz"}}
	if got := len(a.seal(t, to, r)); got != want {
		t.Errorf("a late reply is sealed in %d bytes, the first in %d", got, want)
	}
	for _, kind := range []string{"ack", "note", "close", "recuse"} {
		a := newAnswer(t, kind)
		a.message = ""
		if got := len(a.seal(t, r, other)); got != want {
			t.Errorf("%s is sealed in %d bytes, a reply in %d", kind, got, want)
		}
	}
}

// TestVerifyLetterRefuses: each is an item that opens, for anybody can seal one.
func TestVerifyLetterRefuses(t *testing.T) {
	id, r := identity(t, 1)
	_, to := identity(t, 200)
	_, stranger := identity(t, 7)
	good := newAnswer(t, kindReply)
	report, err := open(good.seal(t, to, r), id)
	if err != nil {
		t.Fatal(err)
	}
	auditor := good.by.card
	auditor.Role = card.Auditor
	another := newReviewer(t, r, 9).card // same name, another key
	for name, test := range map[string]struct {
		card   card.Card
		to     string
		thread []byte
		ok     bool
	}{
		"all right":          {good.by.card, to.Fingerprint(), good.thread, true},
		"without thread key": {good.by.card, to.Fingerprint(), nil, true},
		"another reviewer":   {newReviewer(t, stranger, 1).card, to.Fingerprint(), good.thread, false},
		"another key":        {another, to.Fingerprint(), good.thread, false},
		"an auditor":         {auditor, to.Fingerprint(), good.thread, false},
		"another source":     {good.by.card, r.Fingerprint(), good.thread, false},
		"another thread":     {good.by.card, to.Fingerprint(), bytes.Repeat([]byte{2}, 32), false},
	} {
		l, err := report.VerifyLetter(test.card, test.to, test.thread)
		if (err == nil) != test.ok || !test.ok && l != (card.Letter{}) {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}

	// The letter is genuine, the item is not the one it was written for.
	for name, change := range map[string]func(*Manifest){
		"another content":  func(m *Manifest) { m.Day = "2026-11-22" },
		"another sequence": func(m *Manifest) { m.Sequence, m.Previous = 1, sha256Hex(nil) },
		"another kind":     func(m *Manifest) { m.Kind = kindNote },
		"another case":     func(m *Manifest) { m.Case = "bbbbbbbbbbbbbbbb" },
	} {
		for _, sumToo := range []bool{false, true} {
			d := doctored{files: []zipEntry{{name: "message.txt", body: []byte("x")}}}
			d.manifest = func(m *Manifest) {
				m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kindReply, "", nil, nil
				m.Recipients, m.Stanzas = []string{to.Fingerprint()}, []string{stanzaHybrid}
				change(m)
			}
			d.change = func(e []zipEntry) []zipEntry {
				// Of the right manifest, or else of one that nobody has.
				a := newAnswer(t, kindReply)
				sum := [32]byte{1}
				if sumToo {
					sum = sha256.Sum256(e[1].body)
				}
				letter, err := a.sign(sum)
				if err != nil {
					t.Fatal(err)
				}
				return slices.Insert(e, 2, zipEntry{name: "signature.note", body: letter})
			}
			if name == "another content" && sumToo {
				continue // the letter is about that content then
			}
			report, err := openBytes(d.build(t))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if l, err := report.VerifyLetter(good.by.card, to.Fingerprint(), good.thread); err == nil {
				t.Errorf("%s: %+v", name, l)
			}
		}
	}

	plain, err := open(someParts.seal(t, r), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.VerifyLetter(good.by.card, to.Fingerprint(), nil); err == nil || plain.Letter() != nil {
		t.Errorf("a report has a letter: %v", err)
	}
}

// TestCloseSignedRefuses, and what was written is no age file.
func TestCloseSignedRefuses(t *testing.T) {
	id, r := identity(t, 1)
	sourceID, to := identity(t, 200)
	errSign := errors.New("the test's own refusal")
	for name, test := range map[string]struct {
		kind   string
		to     []Recipient
		change func(*answer)
		sign   func(answer) func([32]byte) ([]byte, error)
	}{
		"a reply that its source cannot open": {kindReply, []Recipient{r}, nil, nil},
		"a note that the source can open":     {kindNote, []Recipient{r, to}, nil, nil},
		"another sequence":                    {kindReply, []Recipient{r, to}, func(a *answer) { a.manifest.Sequence, a.manifest.Previous = 1, sha256Hex(nil) }, nil},
		"another case":                        {kindReply, []Recipient{r, to}, func(a *answer) { a.letter.Case = "bbbbbbbbbbbbbbbb" }, nil},
		"another origin":                      {kindReply, []Recipient{r, to}, func(a *answer) { a.letter.Origin = "other" }, nil},
		"another kind":                        {"ack", []Recipient{r}, func(a *answer) { a.letter.Kind = "close" }, nil},
		"another previous": {"ack", []Recipient{r}, func(a *answer) {
			a.manifest.Sequence, a.manifest.Previous = 1, sha256Hex(nil)
			a.letter.Sequence, a.letter.Previous = 1, [32]byte{1}
		}, nil},
		"an ack with a file": {"ack", []Recipient{r}, func(a *answer) { a.files = []attachment{{"a", "b", "c"}} }, nil},
		"a report":           {kindReport, []Recipient{r}, func(a *answer) { a.manifest = manifest(t) }, nil},
		"keys":               {"ack", []Recipient{r}, func(a *answer) { a.manifest.ThreadKey = make([]byte, 32) }, nil},
		"another manifest": {"ack", []Recipient{r}, nil, func(a answer) func([32]byte) ([]byte, error) {
			return func([32]byte) ([]byte, error) { return a.sign([32]byte{1}) }
		}},
		"an error": {"ack", []Recipient{r}, nil, func(answer) func([32]byte) ([]byte, error) {
			return func([32]byte) ([]byte, error) { return nil, errSign }
		}},
		"nothing": {"ack", []Recipient{r}, nil, func(answer) func([32]byte) ([]byte, error) {
			return func([32]byte) ([]byte, error) { return nil, nil }
		}},
		"no callback": {"ack", []Recipient{r}, nil, func(answer) func([32]byte) ([]byte, error) { return nil }},
	} {
		a := newAnswer(t, test.kind)
		if test.change != nil {
			test.change(&a)
		}
		sign := a.sign
		if test.sign != nil {
			sign = test.sign(a)
		}
		var dst bytes.Buffer
		w, err := NewWriter(&dst, test.to...)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteMessage([]byte("x")); err != nil {
			t.Fatal(err)
		}
		for _, f := range a.files {
			if err := w.WriteFile(f.name, f.typ, strings.NewReader(f.body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.CloseSigned(a.manifest, sign); err == nil {
			t.Errorf("%s: sealed", name)
		} else if name == "an error" && !errors.Is(err, errSign) {
			t.Errorf("%s: %v", name, err)
		}
		if w.CloseSigned(newAnswer(t, test.kind).manifest, a.sign) == nil || w.Close(manifest(t)) == nil {
			t.Errorf("%s: the Writer works afterwards", name)
		}
		if _, err := open(dst.Bytes(), id, sourceID); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

func TestWriterFailsClosedAfterPanicInSign(t *testing.T) {
	id, r := identity(t, 1)
	a := newAnswer(t, "ack")
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage(nil); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of sign is gone")
			}
		}()
		_ = w.CloseSigned(a.manifest, func([32]byte) ([]byte, error) { panic("the test's own panic") })
	}()
	if w.CloseSigned(a.manifest, a.sign) == nil {
		t.Error("the Writer works after a panic")
	}
	if _, err := open(dst.Bytes(), id); err == nil {
		t.Error("the item opens")
	}
}

// TestOpenRefusesDoctoredLetters: a letter stands behind the manifest, once, in
// what a desk writes and in nothing else.
func TestOpenRefusesDoctoredLetters(t *testing.T) {
	letter := zipEntry{name: "signature.note", body: []byte("resguardo/letter/v1\n")}
	of := func(kind string) func(*Manifest) {
		return func(m *Manifest) {
			if m.Kind = kind; kind != kindReport {
				m.ReplyTo, m.ThreadKey, m.DeskLogKey = "", nil, nil
			}
		}
	}
	at := func(kind string, i int, entries ...zipEntry) doctored {
		return doctored{manifest: of(kind), change: func(e []zipEntry) []zipEntry { return slices.Insert(e, i, entries...) }}
	}
	if r, err := openBytes(at(kindReply, 3, letter).build(t)); err != nil || !bytes.Equal(r.Letter(), letter.body) {
		t.Fatalf("the plain reply: %v", err)
	}
	for name, d := range map[string]doctored{
		"reply without":    at(kindReply, 3),
		"report with":      at(kindReport, 3, letter),
		"followup with":    at(kindFollowup, 3, letter),
		"two":              at(kindReply, 3, letter, letter),
		"before manifest":  at(kindReply, 2, letter),
		"first":            at(kindReply, 0, letter),
		"behind padding":   at(kindReply, 4, letter),
		"empty":            at(kindReply, 3, zipEntry{name: letter.name}),
		"too long":         at(kindReply, 3, zipEntry{name: letter.name, body: make([]byte, card.MaxLetter+1)}),
		"another name":     at(kindReply, 3, zipEntry{name: "signature.not", body: letter.body}),
		"listed and there": {files: []zipEntry{{name: "message.txt"}, letter}, manifest: of(kindReply), change: at(kindReply, 3, letter).change},
		"listed":           {files: []zipEntry{{name: "message.txt"}, letter}, manifest: of(kindReply)},
		"CRC-32 differs": {manifest: of(kindReply), change: at(kindReply, 3, letter).change, raw: func(b []byte) []byte {
			b[bytes.Index(b, letter.body)] ^= 1
			return b
		}},
		"zip of a letter alone": {change: func([]zipEntry) []zipEntry { return []zipEntry{letter, {name: "padding"}} }},
		"zip of nothing":        {change: func([]zipEntry) []zipEntry { return []zipEntry{{name: "padding"}} }},
	} {
		if r, err := openBytes(d.build(t)); err == nil {
			t.Errorf("%s: opened %+v", name, r.Manifest.Files)
		}
	}
}
