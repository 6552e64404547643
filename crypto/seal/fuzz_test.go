package seal

import (
	"bytes"
	"io"
	"io/fs"
	"testing"
)

// FuzzOpen mutates ciphertext. What opens must be what was sealed: age makes
// anything else improbable.
func FuzzOpen(f *testing.F) {
	id, r := identity(f, 1)
	_, other := identity(f, 2)
	want := parts{message: "texto"}
	sealed := want.seal(f, r)
	f.Add(sealed)
	f.Add(want.seal(f, other))
	f.Add(sealed[:headerSize(f, sealed)])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\n\n--- \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		types, err := Stanzas(bytes.NewReader(b))
		if err == nil && len(types) == 0 {
			t.Fatal("a header without stanzas")
		}
		report, err := open(b, id)
		if err != nil {
			return
		}
		checkReport(t, report, want)
	})
}

// FuzzOpenPlain mutates the zip below the encryption: what a dishonest server
// or a dishonest reviewer can put in front of a reviewer. Zeros are put between
// head and tail up to a padded size, so that inputs stay small. What opens and
// verifies must be the zip that a Writer makes of the same manifest and contents.
func FuzzOpenPlain(f *testing.F) {
	add := func(b []byte) {
		tail := bytes.LastIndex(b[:bytes.Index(b, []byte(central))], []byte(descriptor))
		head := len(bytes.TrimRight(b[:tail], "\x00"))
		f.Add(b[:head], b[tail:])
	}
	add(parts{message: "texto"}.plaintext(f))
	add(parts{answers: "{}", files: []attachment{{"a", "b", "c"}, {"", "", ""}}}.plaintext(f))
	add(doctored{}.build(f))
	add(doctored{comment: "x"}.build(f))
	add(doctored{manifest: func(m *Manifest) { m.Kind = "reply"; m.Excluded = Excluded{} }}.build(f))
	_, to := identity(f, 200)
	id, r := identity(f, 1)
	reply := newAnswer(f, kindReply).seal(f, to, r)
	rewrap, err := rewrapOf(f).rewrap(f, mustOpen(f, reply, 1), r)
	if err != nil {
		f.Fatal(err)
	}
	for _, sealed := range [][]byte{reply, rewrap} {
		add(decrypted(f, sealed, id))
	}
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		size := int64(len(head) + len(tail))
		b := append(append(bytes.Clone(head), make([]byte, PaddedSize(size)-size)...), tail...)
		report, err := openBytes(b)
		if err != nil {
			return
		}
		for name, e := range report.entries[:len(report.entries)-1] {
			if _, err := fs.Stat(report, e.name); err != nil {
				t.Fatalf("entry %d: %v", name, err)
			}
		}
		if report.Verify() != nil {
			return
		}
		if again := rebuild(t, report); !bytes.Equal(again, b) {
			t.Fatalf("a Writer would have made %d other bytes of\n%q", len(again), b)
		}
	})
}

// rebuild writes the zip of report again, by way of a Writer without age.
func rebuild(t *testing.T, report *Report) []byte {
	t.Helper()
	var dst bytes.Buffer
	w := newWriter(nopCloser{&dst}, report.Manifest.Recipients, report.Manifest.Stanzas)
	for _, f := range report.Manifest.Files {
		b, err := fs.ReadFile(report, f.Entry)
		if err != nil {
			t.Fatal(err)
		}
		switch f.Entry {
		case entryMessage:
			err = w.WriteMessage(b)
		case entryAnswers:
			err = w.WriteAnswers(b)
		case entryOriginal, entryOriginalLetter:
			err = w.writeFile(File{Entry: f.Entry}, bytes.NewReader(b))
		default:
			err = w.WriteFile(f.Name, f.Type, bytes.NewReader(b))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if report.Letter() == nil {
		if err := w.Close(report.Manifest); err != nil {
			t.Fatal(err)
		}
		return dst.Bytes()
	}
	// Open takes any letter, Close only those that hold.
	m := report.Manifest
	text, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []zipEntry{{name: entryManifest, body: text}, {name: entryLetter, body: report.Letter()}} {
		if _, _, err := w.writeEntry(e.name, bytes.NewReader(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	padding, total := w.layout.padding()
	if _, _, err := w.writeEntry(entryPadding, io.LimitReader(zeros{}, padding)); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(total); err != nil {
		t.Fatal(err)
	}
	return dst.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// FuzzManifest: a text is refused, or it is the text of what it says.
func FuzzManifest(f *testing.F) {
	m := wholeManifest(f)
	f.Add(encodeAnyway(f, m))
	m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey, m.Excluded = "reply", "", nil, nil, Excluded{}
	f.Add(encodeAnyway(f, m))
	m.Sequence, m.Previous = 3, sha256Hex(nil)
	f.Add(encodeAnyway(f, m))
	m.Kind, m.Files[1] = "rewrap", File{Entry: "original.json", SHA256: sha256Hex(nil)}
	f.Add(encodeAnyway(f, m))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			return
		}
		if again := encodeAnyway(t, m); !bytes.Equal(again, text) {
			t.Fatalf("%q\nreads as %+v, which is written\n%q", text, m, again)
		}
	})
}

// FuzzParseRecipient: a text is refused, or it is the recipient's own.
func FuzzParseRecipient(f *testing.F) {
	_, hybrid := identity(f, 1)
	_, hard := hardware(f)
	for _, s := range []string{
		hybrid.String(), hard.String(), "age1pq1", "age1tagpq1", "ssh-ed25519 AAAA",
		"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "AGE-SECRET-KEY-PQ-1QQQ", "age1yubikey1qqq",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecipient(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Fatalf("%q is written %q", s, r)
		}
		if _, labels, err := r.WrapWithLabels(make([]byte, 16)); err != nil || len(labels) != 1 || labels[0] != "postquantum" {
			t.Fatalf("%q: labels %q, %v", s, labels, err)
		}
	})
}
