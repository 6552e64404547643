package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestHeaderOfAgeFiles(t *testing.T) {
	for n := 1; n <= 5; n++ {
		file := sealed(1000, n)
		h, err := readHeader(bufio.NewReader(bytes.NewReader(file)))
		if err != nil || h.stanzas != uint64(n) || !bytes.Equal(must(age.ExtractHeader(bytes.NewReader(file))), file[:h.size]) {
			t.Errorf("%d recipients: %+v, %v", n, h, err)
		}
	}
	if _, err := readHeader(bufio.NewReader(io.MultiReader(strings.NewReader("age-encryption.org/v1\n-> x\n"), endlessLine{}))); err == nil {
		t.Error("an endless header is accepted")
	}
}

// endlessLine is a line without an end.
type endlessLine struct{}

func (endlessLine) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'A'
	}
	return len(b), nil
}

// FuzzHeader: what is accepted, age accepts as well, as the same bytes with the
// same stanzas; and the other way round.
func FuzzHeader(f *testing.F) {
	const mac = "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	full := strings.Repeat("A", 64) + "\n"
	for _, s := range []string{
		"-> X25519 abc\nAAAA\n" + mac, "-> x\n\n" + mac + "payload", "-> x\n" + full + "\n-> y z\n" + full + full + "AA\n" + mac,
		"", mac, "-> x\n" + mac, "->\n\n" + mac, "-> x  y\n\n" + mac, "-> x\nAB\n" + mac, "-> x\r\n\n" + mac, "-> x\nA=\n" + mac,
		"-> x\n\n--- AA\n", "-> x\n\n" + mac[:len(mac)-1], "-> x\n\n---\n" + mac,
	} {
		f.Add([]byte("age-encryption.org/v1\n" + s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := readHeader(bufio.NewReader(bytes.NewReader(file)))
		theirs, theirErr := age.ExtractHeader(bytes.NewReader(file))
		if (err == nil) != (theirErr == nil) && len(file) <= maxLine {
			t.Fatalf("we: %v, age: %v", err, theirErr)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(theirs, file[:h.size]) || uint64(bytes.Count(theirs, []byte("\n-> "))) != h.stanzas {
			t.Fatalf("we: %+v, age: %d bytes", h, len(theirs))
		}
	})
}
