package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"
	"pgregory.net/rapid"
)

func b64(s string) ([]byte, error) { return base64.RawStdEncoding.Strict().DecodeString(s) }

func TestRoundTrip(t *testing.T) {
	id, r := identity(t, 1)
	_, other := identity(t, 2)
	key, hard := hardware(t)
	sealed := someParts.seal(t, other, hard, r)
	for name, identity := range map[string]age.Identity{"identity": id, "hardware key": key} {
		report, err := open(sealed, identity)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkReport(t, report, someParts)
		m := manifest(t)
		m.Format = Format
		m.Recipients = []string{other.Fingerprint(), hard.Fingerprint(), r.Fingerprint()}
		m.Stanzas = []string{stanzaHybrid, stanzaTag, stanzaHybrid}
		m.Files = report.Manifest.Files
		if got, want := fmt.Sprintf("%+v", report.Manifest), fmt.Sprintf("%+v", m); got != want {
			t.Errorf("%s: manifest\n%s, want\n%s", name, got, want)
		}
		if err := fstest.TestFS(report, "message.txt", "answers.json", "manifest.json", "files/01", "files/02", "files/03"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stanzas, err := Stanzas(bytes.NewReader(sealed))
	if want := []string{"mlkem768x25519", "mlkem768p256tag", "mlkem768x25519"}; err != nil || !slices.Equal(stanzas, want) {
		t.Errorf("stanzas %q, %v, want %q", stanzas, err, want)
	}
}

// checkReport compares report with the parts it was made of.
func checkReport(t interface {
	Errorf(string, ...any)
	Fatal(...any)
}, report *Report, p parts) {
	want := []File{
		{Entry: "message.txt", Size: int64(len(p.message)), SHA256: sha256Hex([]byte(p.message))},
		{Entry: "answers.json", Size: int64(len(p.answers)), SHA256: sha256Hex([]byte(p.answers))},
	}
	bodies := []string{p.message, p.answers}
	for i, f := range p.files {
		want = append(want, File{fmt.Sprintf("files/%02d", i+1), declared(f.name), declared(f.typ), int64(len(f.body)), sha256Hex([]byte(f.body))})
		bodies = append(bodies, f.body)
	}
	if !slices.Equal(report.Manifest.Files, want) {
		t.Errorf("files\n%+v, want\n%+v", report.Manifest.Files, want)
	}
	for i, f := range want {
		b, err := fs.ReadFile(report, f.Entry)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != bodies[i] {
			t.Errorf("%s has %d bytes that differ from the %d sent", f.Entry, len(b), len(bodies[i]))
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	id, r := identity(t, 1)
	m := manifest(t)
	rapid.Check(t, func(t *rapid.T) {
		body := func(label string) string {
			return string(noise(rapid.Byte().Draw(t, label+" seed"), rapid.IntRange(0, 100<<10).Draw(t, label+" size")))
		}
		p := parts{message: body("message"), answers: body("answers")}
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			p.files = append(p.files, attachment{
				name: rapid.String().Draw(t, "name"),
				typ:  string(rapid.SliceOf(rapid.Byte()).Draw(t, "type")),
				body: body(fmt.Sprint("file ", i)),
			})
		}
		var dst bytes.Buffer
		w, err := NewWriter(&dst, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.writeAll(w); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(m); err != nil {
			t.Fatal(err)
		}
		report, err := open(dst.Bytes(), id)
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, report, p)
		if w.plain.n != PaddedSize(w.plain.n) {
			t.Fatalf("plaintext has %d bytes", w.plain.n)
		}
	})
}

// TestExcludedIdentityOpensNothing: who is not among the recipients gets
// age's error, which the reviewers' program can tell from damage.
func TestExcludedIdentityOpensNothing(t *testing.T) {
	_, r := identity(t, 1)
	excluded, _ := identity(t, 2)
	key, _ := hardware(t)
	_, err := open(someParts.seal(t, r), excluded, key)
	var no *age.NoIdentityMatchError
	if !errors.As(err, &no) {
		t.Fatalf("excluded identity: %v", err)
	}
}

func TestOpenChecksOriginAndCase(t *testing.T) {
	id, r := identity(t, 1)
	sealed := someParts.seal(t, r)
	m := manifest(t)
	for _, tt := range []struct {
		want Expect
		ok   bool
	}{
		{Expect{}, true},
		{Expect{Origin: m.Origin}, true},
		{Expect{Case: m.Case}, true},
		{Expect{m.Origin, m.Case}, true},
		{Expect{Origin: "other.example-0a1b2c3d"}, false},
		{Expect{m.Origin, "bbbbbbbbbbbbbbbb"}, false},
		{Expect{"other.example-0a1b2c3d", m.Case}, false},
	} {
		_, err := Open(bytes.NewReader(sealed), int64(len(sealed)), tt.want, id)
		if (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.want, err)
		}
	}
}

// TestOpenReadsTextOnly: opening a report and reading its text must not touch
// the ciphertext of the video.
func TestOpenReadsTextOnly(t *testing.T) {
	id, r := identity(t, 1)
	sealed := parts{message: "texto", files: []attachment{{"v", "video/mp4", string(noise(1, 8<<20))}}}.seal(t, r)
	read := &countingReaderAt{r: bytes.NewReader(sealed)}
	report, err := Open(read, int64(len(sealed)), Expect{}, id)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(report, "message.txt"); err != nil || string(b) != "texto" {
		t.Fatalf("message %q, %v", b, err)
	}
	if read.n > 1<<20 {
		t.Errorf("read %d of %d bytes", read.n, len(sealed))
	}
}

type countingReaderAt struct {
	r io.ReaderAt
	n int64
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestWriterStreams: ciphertext leaves the Writer while the body still comes
// in, and a file costs no memory.
func TestWriterStreams(t *testing.T) {
	_, r := identity(t, 1)
	var dst counter
	dst.w = io.Discard
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body := &watchingReader{left: 64 << 20, dst: &dst}
	if err := w.WriteFile("", "", body); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if body.behind > 256<<10 {
		t.Errorf("up to %d bytes were held back", body.behind)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("a file of 64 MiB allocated %d bytes", grown)
	}
}

type watchingReader struct {
	left, done, behind int64
	dst                *counter
}

func (w *watchingReader) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, io.EOF
	}
	w.behind = max(w.behind, w.done-w.dst.n)
	n := min(int64(len(p)), w.left)
	w.left -= n
	w.done += n
	return int(n), nil
}

func TestWriterRefusesOrder(t *testing.T) {
	message := func(w *Writer) error { return w.WriteMessage([]byte("m")) }
	answers := func(w *Writer) error { return w.WriteAnswers([]byte("{}")) }
	file := func(w *Writer) error { return w.WriteFile("", "", strings.NewReader("f")) }
	type calls = []func(*Writer) error
	for name, tt := range map[string]struct {
		calls calls
		ok    bool
	}{
		"all":                  {calls{message, answers, file, file}, true},
		"message":              {calls{message}, true},
		"answers":              {calls{answers}, true},
		"file":                 {calls{file}, true},
		"message, file":        {calls{message, file}, true},
		"answers, file":        {calls{answers, file}, true},
		"nothing":              {calls{}, false},
		"answers, message":     {calls{answers, message}, false},
		"file, message":        {calls{file, message}, false},
		"file, answers":        {calls{file, answers}, false},
		"message twice":        {calls{message, message}, false},
		"answers twice":        {calls{message, answers, answers}, false},
		"message, file, again": {calls{message, file, message}, false},
	} {
		id, r := identity(t, 1)
		var dst bytes.Buffer
		w, err := NewWriter(&dst, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range tt.calls {
			err = errors.Join(err, call(w))
		}
		if !tt.ok && len(tt.calls) > 0 && err == nil {
			t.Errorf("%s: no error before Close", name)
		}
		err = errors.Join(err, w.Close(manifest(t)))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := open(dst.Bytes(), id); (err == nil) != tt.ok {
			t.Errorf("%s: opening: %v", name, err)
		}
	}
}

func TestWriterRefusesTooManyEntries(t *testing.T) {
	id, r := identity(t, 1)
	for extra := range 2 {
		var dst bytes.Buffer
		w, err := NewWriter(&dst, r)
		if err != nil {
			t.Fatal(err)
		}
		for range MaxEntries + extra {
			err = errors.Join(err, w.WriteFile("n", "t", strings.NewReader("x")))
		}
		err = errors.Join(err, w.Close(manifest(t)))
		if (err == nil) != (extra == 0) {
			t.Fatalf("%d entries: %.200v", MaxEntries+extra, err)
		}
		if report, err := open(dst.Bytes(), id); (err == nil) != (extra == 0) {
			t.Errorf("%d entries: opening: %v", MaxEntries+extra, err)
		} else if err == nil && report.Manifest.Files[999].Entry != "files/1000" {
			t.Errorf("last entry is %s", report.Manifest.Files[999].Entry)
		}
	}
}

// TestWriterRefusesManifestOfAMegabyte: names escape to six times their size.
func TestWriterRefusesManifestOfAMegabyte(t *testing.T) {
	id, r := identity(t, 1)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := w.WriteFile(strings.Repeat("\x01", MaxName), "", strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(manifest(t)); err == nil {
		t.Error("a manifest of more than 1 MiB was written")
	}
	if _, err := open(dst.Bytes(), id); err == nil {
		t.Error("the report opens")
	}
}

// TestWriterFailsClosed: wherever dst or a body fails, every later call fails
// too and what was written is no age file.
func TestWriterFailsClosed(t *testing.T) {
	id, r := identity(t, 1)
	whole := len(someParts.seal(t, r))
	check := func(name string, dst *bytes.Buffer, w *Writer, err error) {
		t.Helper()
		if !errors.Is(err, errFailing) {
			t.Errorf("%s: %v", name, err)
		}
		for call, err := range map[string]error{
			"WriteMessage": w.WriteMessage(nil),
			"WriteAnswers": w.WriteAnswers(nil),
			"WriteFile":    w.WriteFile("", "", strings.NewReader("x")),
			"Close":        w.Close(manifest(t)),
			"Close again":  w.Close(manifest(t)),
		} {
			if err == nil {
				t.Errorf("%s: %s worked afterwards", name, call)
			}
		}
		if _, err := open(dst.Bytes(), id); err == nil {
			t.Errorf("%s: the report opens", name)
		}
	}
	for n := 0; n < whole; n += 997 {
		var dst bytes.Buffer
		w, err := NewWriter(io.MultiWriter(&failing{n}, &dst), r)
		if err == nil {
			err = errors.Join(someParts.writeAll(w), w.Close(manifest(t)))
		} else {
			w = &Writer{err: err} // NewWriter returned none
		}
		check(fmt.Sprintf("dst fails after %d bytes", n), &dst, w, err)
	}
	for _, n := range []int{0, 1, 4096, 1 << 20} {
		var dst bytes.Buffer
		w, err := NewWriter(&dst, r)
		if err != nil {
			t.Fatal(err)
		}
		err = w.WriteFile("", "", &failing{n})
		check(fmt.Sprintf("body fails after %d bytes", n), &dst, w, err)
	}
}

// TestWriterFailsClosedAfterPanic: a server that recovers from a panic in a
// body must not be able to finish the report.
func TestWriterFailsClosedAfterPanic(t *testing.T) {
	id, r := identity(t, 1)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage([]byte("m")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of the body is gone")
			}
		}()
		w.WriteFile("", "", io.MultiReader(strings.NewReader("half"), panicking{}))
	}()
	if w.WriteFile("", "", strings.NewReader("x")) == nil || w.Close(manifest(t)) == nil {
		t.Error("the Writer works after a panic")
	}
	if _, err := open(dst.Bytes(), id); err == nil {
		t.Error("the report opens")
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("the test's own panic") }

func TestWriterIsClosedOnce(t *testing.T) {
	id, r := identity(t, 1)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteMessage([]byte("m")), w.Close(manifest(t))); err != nil {
		t.Fatal(err)
	}
	n := dst.Len()
	if w.WriteFile("", "", strings.NewReader("x")) == nil || w.Close(manifest(t)) == nil {
		t.Error("a closed Writer still works")
	}
	if dst.Len() != n {
		t.Errorf("%d bytes were written after Close", dst.Len()-n)
	}
	if _, err := open(dst.Bytes(), id); err != nil {
		t.Error(err)
	}
}

func TestNewWriterRefusesRecipients(t *testing.T) {
	_, a := identity(t, 1)
	_, b := identity(t, 2)
	var many []Recipient
	for n := range byte(MaxRecipients + 1) {
		_, r := identity(t, n)
		many = append(many, r)
	}
	classical, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		recipients []Recipient
		ok         bool
	}{
		"none":              {nil, false},
		"one":               {[]Recipient{a}, true},
		"most":              {many[:MaxRecipients], true},
		"too many":          {many, false},
		"twice the same":    {[]Recipient{a, b, a}, false},
		"zero value":        {[]Recipient{a, {}}, false},
		"not parsed":        {[]Recipient{{Recipient: a.Recipient}}, false},
		"classical":         {[]Recipient{{Recipient: classical.Recipient()}}, false},
		"classical inside":  {[]Recipient{{classical.Recipient(), "age1x"}}, false},
		"classical and not": {[]Recipient{a, {classical.Recipient(), "age1x"}}, false},
	} {
		var dst bytes.Buffer
		w, err := NewWriter(&dst, tt.recipients...)
		if (err == nil) != tt.ok || (w != nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && dst.Len() > 0 {
			t.Errorf("%s: %d bytes were written", name, dst.Len())
		}
	}
}
