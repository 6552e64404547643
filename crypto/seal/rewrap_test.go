package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// rewrapOf is a rewrap of what manifest describes, for another desk.
func rewrapOf(t testing.TB) answer {
	t.Helper()
	a := newAnswer(t, kindRewrap)
	a.manifest.Desks = []string{"oeste"}
	return a
}

// rewrap seals r again.
func (a answer) rewrap(t testing.TB, r *Report, recipients ...Recipient) ([]byte, error) {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(w.Rewrap(r), w.CloseSigned(a.manifest, a.sign))
	return dst.Bytes(), err
}

func mustOpen(t testing.TB, sealed []byte, n byte) *Report {
	t.Helper()
	id, _ := identity(t, n)
	r, err := open(sealed, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// followup is what a source adds later.
func followup(t testing.TB) Manifest {
	m := manifest(t)
	m.Kind, m.Sequence, m.Previous = kindFollowup, 1, sha256Hex(nil)
	m.ReplyTo, m.ThreadKey, m.DeskLogKey = "", nil, nil
	return m
}

// TestRewrapKeepsWhatItSealsAgain: contents, manifest and letter are those of
// the original, also after a second rewrap, and only the new readers open it.
func TestRewrapKeepsWhatItSealsAgain(t *testing.T) {
	_, old := identity(t, 1)
	_, desk := identity(t, 2)
	_, colleague := identity(t, 3)
	_, to := identity(t, 200)
	var later bytes.Buffer
	w, err := NewWriter(&later, old)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteFile("a", "", strings.NewReader("b")), w.Close(followup(t))); err != nil {
		t.Fatal(err)
	}
	reply := newAnswer(t, kindReply)
	reply.files = []attachment{{"a", "b", "c"}}
	for name, sealed := range map[string][]byte{
		"report":    someParts.seal(t, old),
		"follow-up": later.Bytes(),
		"reply":     reply.seal(t, old, to),
	} {
		original := mustOpen(t, sealed, 1)
		first, err := rewrapOf(t).rewrap(t, original, desk)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		second, err := rewrapOf(t).rewrap(t, mustOpen(t, first, 2), colleague)
		if err != nil {
			t.Fatalf("%s again: %v", name, err)
		}
		for n, sealed := range map[byte][]byte{2: first, 3: second} {
			got := mustOpen(t, sealed, n)
			if got.Manifest.Kind != kindRewrap || got.Original == nil {
				t.Fatalf("%s: %+v", name, got.Manifest)
			}
			if _, err := got.VerifyLetter(rewrapOf(t).by.card, to.Fingerprint(), nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			checkSame(t, name, got.Original, original)
			if id, _ := identity(t, 1); n != 1 {
				if _, err := open(sealed, id); err == nil {
					t.Errorf("%s: the old desk opens the rewrap", name)
				}
			}
		}
	}
}

// checkSame compares the original in a rewrap with what was sealed first.
func checkSame(t *testing.T, name string, got, want *Report) {
	t.Helper()
	if got.ManifestSHA256 != want.ManifestSHA256 || fmt.Sprintf("%+v", got.Manifest) != fmt.Sprintf("%+v", want.Manifest) {
		t.Errorf("%s: manifest\n%+v, want\n%+v", name, got.Manifest, want.Manifest)
	}
	if !bytes.Equal(got.Letter(), want.Letter()) || (got.Letter() == nil) != (want.Letter() == nil) {
		t.Errorf("%s: letter %q, want %q", name, got.Letter(), want.Letter())
	}
	if err := got.Verify(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	var entries []string
	for _, e := range want.entries[:len(want.entries)-1] {
		entries = append(entries, e.name)
		a, errA := fs.ReadFile(got, e.name)
		b, errB := fs.ReadFile(want, e.name)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %s: %d bytes, %d wanted, %v, %v", name, e.name, len(a), len(b), errA, errB)
		}
	}
	if err := fstest.TestFS(got, entries...); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if got.Letter() != nil {
		if _, err := got.VerifyLetter(newAnswer(t, kindReply).by.card, newAnswer(t, kindReply).letter.Recipient, bytes.Repeat([]byte{1}, 32)); err != nil {
			t.Errorf("%s: the original's letter: %v", name, err)
		}
	}
}

// TestRewrapObeysTheSource: what the source excluded, and whom it let share.
func TestRewrapObeysTheSource(t *testing.T) {
	_, old := identity(t, 1)
	_, desk := identity(t, 2)
	original := mustOpen(t, someParts.seal(t, old), 1)
	private := mustOpen(t, someParts.seal(t, old), 1)
	private.Manifest.Share = "nobody"
	for name, test := range map[string]struct {
		of     *Report
		change func(*Manifest)
	}{
		"an excluded desk":            {original, func(m *Manifest) { m.Desks = []string{"centro"} }},
		"excluded desk forgotten":     {original, func(m *Manifest) { m.Excluded.Desks, m.Desks = nil, []string{"centro"} }},
		"excluded office forgotten":   {original, func(m *Manifest) { m.Excluded.Organisations = nil }},
		"government let in":           {original, func(m *Manifest) { m.Excluded.Government = false }},
		"share widened":               {original, func(m *Manifest) { m.Share = "authority" }},
		"another case":                {original, func(m *Manifest) { m.Case = "bbbbbbbbbbbbbbbb" }},
		"another thread":              {original, func(m *Manifest) { m.Thread = strings.Repeat("ff", 16) }},
		"another origin":              {original, func(m *Manifest) { m.Origin = "other" }},
		"another kind":                {original, func(m *Manifest) { m.Kind = kindNote }},
		"keys of its own":             {original, func(m *Manifest) { m.ThreadKey = make([]byte, 32) }},
		"another desk, share nobody":  {private, func(m *Manifest) { m.Share, m.Desks = "nobody", []string{"sur", "oeste"} }},
		"changed after it was opened": {private, func(m *Manifest) {}},
	} {
		a := rewrapOf(t)
		test.change(&a.manifest)
		// The letter goes along, so that only the manifest is wrong.
		a.letter.Case, a.letter.Origin, a.letter.Kind = a.manifest.Case, a.manifest.Origin, a.manifest.Kind
		sealed, err := a.rewrap(t, test.of, desk)
		if err == nil {
			t.Errorf("%s: sealed", name)
		}
		if id, _ := identity(t, 2); err != nil {
			if _, err := open(sealed, id); err == nil {
				t.Errorf("%s: refused, but it opens", name)
			}
		}
	}
}

// TestRewrapOfAFollowupKeepsTheChoices: those of the report, which a follow-up
// cannot have.
func TestRewrapOfAFollowupKeepsTheChoices(t *testing.T) {
	_, old := identity(t, 1)
	_, desk := identity(t, 2)
	var sealed bytes.Buffer
	w, err := NewWriter(&sealed, old)
	if err != nil {
		t.Fatal(err)
	}
	m := followup(t)
	m.Share, m.Excluded = "ask", Excluded{}
	if err := errors.Join(w.WriteMessage([]byte("más")), w.Close(m)); err != nil {
		t.Fatal(err)
	}
	original := mustOpen(t, sealed.Bytes(), 1)
	for _, share := range []string{"ask", "ngos", "nobody"} {
		a := rewrapOf(t)
		a.manifest.Share = share
		again, err := a.rewrap(t, original, desk)
		if share == "nobody" { // and the desk is not one that had the case
			if err == nil {
				t.Error("share nobody: sealed for another desk")
			}
			continue
		}
		if err != nil {
			t.Errorf("share %s: %v", share, err)
			continue
		}
		got := mustOpen(t, again, 2).Manifest
		if got.Share != share || !got.Excluded.equal(manifest(t).Excluded) {
			t.Errorf("share %s: %+v", share, got)
		}
	}
}

// TestRewrapIsAllOrNothing: no entry beside the copied ones, none without them.
func TestRewrapIsAllOrNothing(t *testing.T) {
	id, r := identity(t, 1)
	original := mustOpen(t, someParts.seal(t, r), 1)
	for name, f := range map[string]func(*Writer) error{
		"a message before": func(w *Writer) error { return errors.Join(w.WriteMessage(nil), w.Rewrap(original)) },
		"a file behind": func(w *Writer) error {
			return errors.Join(w.Rewrap(original), w.WriteFile("", "", strings.NewReader("x")))
		},
		"a message behind": func(w *Writer) error { return errors.Join(w.Rewrap(original), w.WriteMessage(nil)) },
		"twice":            func(w *Writer) error { return errors.Join(w.Rewrap(original), w.Rewrap(original)) },
		"no original":      func(w *Writer) error { return w.WriteMessage(nil) },
	} {
		var dst bytes.Buffer
		w, err := NewWriter(&dst, r)
		if err != nil {
			t.Fatal(err)
		}
		a := rewrapOf(t)
		if err := errors.Join(f(w), w.CloseSigned(a.manifest, a.sign)); err == nil {
			t.Errorf("%s: sealed", name)
		}
		if _, err := open(dst.Bytes(), id); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

// TestRewrapVerifiesAsItCopies: contents that are not those of the manifest are
// not sealed again under a new signature.
func TestRewrapVerifiesAsItCopies(t *testing.T) {
	id, r := identity(t, 1)
	bad, err := openBytes(doctored{manifest: func(m *Manifest) { m.Files[1].SHA256 = sha256Hex([]byte("other")) }}.build(t))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rewrapOf(t).rewrap(t, bad, r)
	if !errors.Is(err, errContent) {
		t.Errorf("error %v", err)
	}
	if _, err := open(sealed, id); err == nil {
		t.Error("it opens")
	}
}

// TestRewrapStreams: what is read of the old ciphertext leaves as new ciphertext
// before more is read.
func TestRewrapStreams(t *testing.T) {
	id, r := identity(t, 1)
	sealed := parts{message: "m", files: []attachment{{"v", "", string(noise(1, 8<<20))}}}.seal(t, r)
	read := &countingReaderAt{r: bytes.NewReader(sealed)}
	original, err := Open(read, int64(len(sealed)), Expect{}, id)
	if err != nil {
		t.Fatal(err)
	}
	dst := &trailing{read: read, before: read.n}
	w, err := NewWriter(dst, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Rewrap(original); err != nil {
		t.Fatal(err)
	}
	if dst.n < 8<<20 || dst.behind > 512<<10 {
		t.Errorf("wrote %d bytes, up to %d were held back", dst.n, dst.behind)
	}
}

// trailing is a writer that notes how far it is behind a reader.
type trailing struct {
	read              *countingReaderAt
	before, n, behind int64
}

func (w *trailing) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	w.behind = max(w.behind, w.read.n-w.before-w.n)
	return len(p), nil
}

// TestOpenRefusesDoctoredRewraps: what a dishonest reviewer could seal.
func TestOpenRefusesDoctoredRewraps(t *testing.T) {
	letter := []byte("resguardo/letter/v1\n")
	message := zipEntry{name: "message.txt", body: []byte("texto")}
	// original is the manifest of a report of message alone, changed.
	original := func(change func(*Manifest)) zipEntry {
		m := manifest(t)
		m.Format = Format
		m.Recipients, m.Stanzas = []string{sha256Hex(nil)}, []string{stanzaHybrid}
		m.Files = []File{{Entry: "message.txt", Size: 5, SHA256: sha256Hex(message.body)}}
		if change != nil {
			change(&m)
		}
		return zipEntry{name: "original.json", body: encodeAnyway(t, m)}
	}
	build := func(change func(*Manifest), files ...zipEntry) doctored {
		return doctored{
			files: files,
			manifest: func(m *Manifest) {
				m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kindRewrap, "", nil, nil
				if change != nil {
					change(m)
				}
			},
			change: func(e []zipEntry) []zipEntry {
				return slices.Insert(e, len(e)-1, zipEntry{name: "signature.note", body: letter})
			},
		}
	}
	reply := func(m *Manifest) { m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kindReply, "", nil, nil }
	note := zipEntry{name: "original.note", body: letter}
	for name, d := range map[string]doctored{
		"of a report": build(nil, message, original(nil)),
		"of a reply":  build(nil, message, original(reply), note),
	} {
		r, err := openBytes(d.build(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := errors.Join(r.Verify(), r.Original.Verify()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	file := zipEntry{name: "files/01", body: []byte("x")}
	for name, d := range map[string]doctored{
		"no original":             build(nil, message),
		"original alone":          build(nil, original(nil)),
		"original first":          build(nil, original(nil), message),
		"original twice":          build(nil, message, original(nil), original(nil)),
		"a file behind":           build(nil, message, original(nil), file),
		"a file smuggled in":      build(nil, message, file, original(nil)),
		"an entry without a name": build(nil, message, original(nil), zipEntry{body: []byte("x")}),
		"a letter too many":       build(nil, message, original(nil), note),
		"the letter missing":      build(nil, message, original(reply)),
		"the letter first":        build(nil, message, note, original(reply)),
		"two letters":             build(nil, message, original(reply), note, note),
		"an empty letter":         build(nil, message, original(reply), zipEntry{name: "original.note"}),
		"a letter without":        build(nil, message, note),
		"another content":         build(nil, message, original(func(m *Manifest) { m.Files[0].SHA256 = sha256Hex(nil) })),
		"another name":            build(nil, message, original(func(m *Manifest) { m.Files[0].Entry = "answers.json" })),
		"another case":            build(nil, message, original(func(m *Manifest) { m.Case = "bbbbbbbbbbbbbbbb" })),
		"another origin":          build(nil, message, original(func(m *Manifest) { m.Origin = "other" })),
		"another thread":          build(nil, message, original(func(m *Manifest) { m.Thread = strings.Repeat("ff", 16) })),
		"other exclusions":        build(nil, message, original(func(m *Manifest) { m.Excluded.Organisations = nil })),
		"another share":           build(nil, message, original(func(m *Manifest) { m.Share = "nobody" })),
		"share nobody": build(func(m *Manifest) { m.Share, m.Desks = "nobody", []string{"oeste"} }, message,
			original(func(m *Manifest) { m.Share = "nobody" })),
		"to an excluded desk": build(func(m *Manifest) { m.Desks = []string{"centro"} }, message, original(nil)),
		"of a rewrap": build(nil, message, original(func(m *Manifest) {
			m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = kindRewrap, "", nil, nil
		}), note),
		"of an unknown kind": build(nil, message, original(func(m *Manifest) { m.Kind = "other" })),
		"of no keys":         build(nil, message, original(func(m *Manifest) { m.ThreadKey = nil })),
		"of no manifest":     build(nil, message, zipEntry{name: "original.json", body: []byte("{}\n")}),
		"of a huge manifest": build(nil, message, zipEntry{name: "original.json", body: make([]byte, MaxManifest+1)}),
		"in a report":        build(func(m *Manifest) { m.Kind = kindNote }, message, original(nil)),
		"hash of original differs": build(func(m *Manifest) { m.Files[1].SHA256 = sha256Hex(nil) },
			message, original(nil)),
		"hash of its letter differs": build(func(m *Manifest) { m.Files[2].SHA256 = sha256Hex(nil) },
			message, original(reply), note),
		"original with a type": build(func(m *Manifest) { m.Files[1].Type = "x" }, message, original(nil)),
	} {
		if r, err := openBytes(d.build(t)); err == nil {
			t.Errorf("%s: opened %+v", name, r.Manifest.Files)
		} else if testing.Verbose() {
			t.Logf("%s: %v", name, err)
		}
	}
}

// TestTheLargestReportCanBeSealedAgain: with as many entries as a report can have.
func TestTheLargestReportCanBeSealedAgain(t *testing.T) {
	_, r := identity(t, 1)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	for range MaxEntries {
		if err := w.WriteFile("x", "", strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(manifest(t)); err != nil {
		t.Fatal(err)
	}
	sealed, err := rewrapOf(t).rewrap(t, mustOpen(t, dst.Bytes(), 1), r)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(mustOpen(t, sealed, 1).Original.Manifest.Files); n != MaxEntries {
		t.Errorf("%d entries", n)
	}
}
