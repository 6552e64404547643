package translog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"resguardo/vault/translog"
)

var kinds = []translog.Kind{
	translog.Report, translog.Followup, translog.SourceDelete, translog.Expire,
	translog.Ack, translog.Reply, translog.Note, translog.Rewrap, translog.Recuse,
	translog.Close, translog.DeskDelete, translog.Filler,
}

// worked is the example of the package comment.
func worked() (translog.Event, translog.Opening) {
	var key [32]byte
	for i := range key {
		key[i] = byte(i)
	}
	e := translog.NewEvent(key, translog.Report, 0)
	o := translog.Opening{
		Kind:       translog.Report,
		Tag:        e.Tag(translog.Report),
		Ciphertext: sha256.Sum256([]byte("ciphertext")),
		SizeClass:  65536,
		Recipients: 3,
	}
	for i := range o.Thread {
		o.Thread[i] = 0xa0 + byte(i)
	}
	return e, o
}

func Example() {
	e, o := worked()
	commitment := e.Commit(o.Marshal())
	fmt.Printf("E          %x\n", e)
	fmt.Printf("commitment %s\n", base64.StdEncoding.EncodeToString(commitment[:]))
	fmt.Printf("%s", o.Marshal())
	// Output:
	// E          056382995e7394fd1e99193328641ba81bc0e1b4e4ff6bc24645c77f20680474
	// commitment A+YmXxcGW0/9LXgGE3a320Pbu7qzNHgzU2AVEBQKDQM=
	// resguardo/opening/v1
	// kind report
	// tag CF9fuDn00I7xXFTfl5mbiCtP+OdaEriz994o/LbSmqo=
	// thread oKGio6SlpqeoqaqrrK2urw==
	// ref AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	// ciphertext MFUx3MUOvKMc8dWzHp/HbtUfZrO23VoDDGU5rmUy+Xk=
	// size-class 65536
	// recipients 3
	// governance 0
}

// TestVectors compares with figures that come
// from another implementation (Python's hmac and hashlib).
func TestVectors(t *testing.T) {
	e, o := worked()
	for _, v := range []struct{ name, got, want string }{
		{"E", hex.EncodeToString(e[:]), "056382995e7394fd1e99193328641ba81bc0e1b4e4ff6bc24645c77f20680474"},
		{"tag", fmt.Sprintf("%x", e.Tag(translog.Report)), "085f5fb839f4d08ef15c54df97999b882b4ff8e75a12b8b3f7de28fcb6d29aaa"},
		{"tag of another kind", fmt.Sprintf("%x", e.Tag(translog.Filler)), "156c8699c0ac6a7db4ec8ec5e00f318b2893e56da993a074ba84caf0f04af3db"},
		{"commitment", fmt.Sprintf("%x", e.Commit(o.Marshal())), "03e6265f17065b4ffd2d78061376b7db43dbbbbab334783353601510140a0d03"},
		{"SHA-256 of the record", fmt.Sprintf("%x", sha256.Sum256(translog.Record(e, o))), "899f42c600d5ed9cdfa2482b7ca5e4fedf8a1bffcf87e18902cc93fa4c71b2e3"},
		{"E of count 12", fmt.Sprintf("%x", translog.NewEvent([32]byte{}, translog.DeskDelete, 12)), "1b16f7585a8cdbd1c2ffbe74a5a67643016fa28787c3e568a3e9c54b4c897154"},
	} {
		if v.got != v.want {
			t.Errorf("%s: %s, want %s", v.name, v.got, v.want)
		}
	}
}

func TestKindsAreKeptApart(t *testing.T) {
	seen := make(map[[32]byte]string)
	for _, k := range kinds {
		if !k.Known() {
			t.Errorf("%s is not known", k)
		}
		for n := range uint64(3) {
			e := translog.NewEvent([32]byte{1}, k, n)
			for _, tagged := range kinds {
				name := fmt.Sprintf("%s %d tagged %s", k, n, tagged)
				if other, ok := seen[e.Tag(tagged)]; ok {
					t.Fatalf("%s and %s have one tag", name, other)
				}
				seen[e.Tag(tagged)] = name
			}
		}
	}
	if translog.Kind("").Known() || translog.Kind("reports").Known() {
		t.Error("an unknown kind is known")
	}
}

func TestRecordRoundTrip(t *testing.T) {
	for _, k := range kinds {
		e := translog.NewEvent([32]byte{2}, k, math.MaxUint64)
		o := translog.Opening{Kind: k, Tag: e.Tag(k)}
		if k != translog.Filler {
			o.SizeClass, o.Recipients, o.Governance = math.MaxUint64, math.MaxUint64, math.MaxUint64
			o.Ref, o.Thread = [32]byte{0xff}, [16]byte{0xfe}
		}
		record := translog.Record(e, o)
		if len(record) != translog.RecordSize {
			t.Fatalf("%s: record of %d bytes", k, len(record))
		}
		gotE, gotO, err := translog.ParseRecord(record)
		if err != nil || gotE != e || gotO != o {
			t.Errorf("%s: %v, %+v, want %+v", k, err, gotO, o)
		}
		q := translog.Queue(e, o)
		if q.Tag != o.Tag || q.Commitment != e.Commit(o.Marshal()) || !bytes.Equal(q.Record, record) {
			t.Errorf("%s: queued %+v", k, q)
		}
	}
}

func TestParseOpeningRejects(t *testing.T) {
	e, o := worked()
	good := string(o.Marshal())
	if _, err := translog.ParseOpening([]byte(good)); err != nil {
		t.Fatal(err)
	}
	filler := translog.Opening{Kind: translog.Filler, Tag: e.Tag(translog.Filler)}
	replace := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("no %q in the example", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"another version":       replace("/v1", "/v2"),
		"no last line feed":     strings.TrimSuffix(good, "\n"),
		"a line too many":       good + "\n",
		"a zero byte":           good + "\x00",
		"carriage returns":      strings.ReplaceAll(good, "\n", "\r\n"),
		"leading zero":          replace("recipients 3", "recipients 03"),
		"sign":                  replace("recipients 3", "recipients +3"),
		"negative":              replace("recipients 3", "recipients -3"),
		"too large a number":    replace("recipients 3", "recipients 18446744073709551616"),
		"no number":             replace("recipients 3", "recipients "),
		"two spaces":            replace("kind report", "kind  report"),
		"unknown kind":          replace("kind report", "kind reports"),
		"no kind":               replace("kind report\n", ""),
		"fields out of order":   replace("recipients 3\ngovernance 0\n", "governance 0\nrecipients 3\n"),
		"short thread":          replace("oKGio6SlpqeoqaqrrK2urw==", "oKGio6SlpqeoqaqrrK2u"),
		"no padding":            replace("oKGio6SlpqeoqaqrrK2urw==", "oKGio6SlpqeoqaqrrK2urw"),
		"stray bits in base64":  replace("oKGio6SlpqeoqaqrrK2urw==", "oKGio6SlpqeoqaqrrK2urx=="),
		"line feed in base64":   replace("oKGio6Sl", "oKGi\no6Sl"),
		"url alphabet":          replace("ref AAAA", "ref __AA"),
		"too long":              good + strings.Repeat(" ", 400),
		"filler with a thread":  string(translog.Opening{Kind: translog.Filler, Thread: [16]byte{1}}.Marshal()),
		"filler with a number":  string(translog.Opening{Kind: translog.Filler, Governance: 1}.Marshal()),
		"spaces before the end": replace("governance 0\n", "governance 0 \n"),
	} {
		if _, err := translog.ParseOpening([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := translog.ParseOpening(filler.Marshal()); err != nil {
		t.Errorf("filler: %v", err)
	}
}

func TestParseRecordRejects(t *testing.T) {
	record := translog.Record(worked())
	for name, change := range map[string]func([]byte) []byte{
		"short":              func(b []byte) []byte { return b[:len(b)-1] },
		"long":               func(b []byte) []byte { return append(b, 0) },
		"padding not zero":   func(b []byte) []byte { b[len(b)-1] = 1; return b },
		"zero in the text":   func(b []byte) []byte { b[60] = 0; return b },
		"no opening":         func(b []byte) []byte { clear(b[32:]); return b },
		"line feed after it": func(b []byte) []byte { b[bytes.IndexByte(b[32:], 0)+32] = '\n'; return b },
	} {
		if _, _, err := translog.ParseRecord(change(bytes.Clone(record))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseOpening(f *testing.F) {
	_, o := worked()
	f.Add(o.Marshal())
	f.Add(translog.Opening{Kind: translog.Filler, Tag: o.Tag}.Marshal())
	f.Add([]byte("resguardo/opening/v1\nkind report\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if o, err := translog.ParseOpening(text); err == nil && !bytes.Equal(o.Marshal(), text) {
			t.Errorf("%q is not what Marshal writes", text)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add(translog.Record(worked()))
	f.Add(make([]byte, translog.RecordSize))
	f.Fuzz(func(t *testing.T, record []byte) {
		if e, o, err := translog.ParseRecord(record); err == nil && !bytes.Equal(translog.Record(e, o), record) {
			t.Errorf("%x is not what Record writes", record)
		}
	})
}
