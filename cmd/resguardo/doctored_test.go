package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// reader is a reviewer's folder with its identity.
type reader struct {
	dir      string
	folder   *folder.Folder
	identity *age.HybridIdentity
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{dir: victim(t)}
	var err error
	if r.folder, err = folder.Open(r.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.folder.Close() })
	if r.identity, err = r.folder.Identity(nil); err != nil {
		t.Fatal(err)
	}
	if err := r.folder.SetServer(folder.Server{URL: "http://127.0.0.1:1", Origin: enemyOrigin}); err != nil {
		t.Fatal(err)
	}
	return r
}

// sealTo seals a report to r and the others.
func (r *reader) sealTo(t *testing.T, m seal.Manifest, message string, attached []byte, others ...age.Identity) []byte {
	t.Helper()
	var to []seal.Recipient
	for _, id := range append([]age.Identity{r.identity}, others...) {
		recipient, err := seal.ParseRecipient(id.(*age.HybridIdentity).Recipient().String())
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, recipient)
	}
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteMessage([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if attached != nil {
		if err := w.WriteFile("nota.age", "", bytes.NewReader(attached)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fetched puts sealed into the folder as if it had been fetched.
func (r *reader) fetched(t *testing.T, inCase string, sealed []byte) {
	t.Helper()
	sum := sha256.Sum256(sealed)
	k := folder.Record{Place: 1, Item: card.Item{
		ID: strings.Repeat("1", 32), Case: inCase, Kind: "report", Day: "2026-11-21",
		Desks: []string{"norte"}, Size: int64(len(sealed)), SHA256: hex.EncodeToString(sum[:]),
	}}
	evidence(&k.Item, politeKey, 0)
	if err := r.folder.Put(k); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.folder.Path(k.File()), sealed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// reseal puts the same zip under another age header, as an operator can who
// opened a report with a key of its own.
func reseal(t *testing.T, sealed []byte, with age.Identity, to ...age.Recipient) []byte {
	t.Helper()
	plain, err := age.Decrypt(bytes.NewReader(sealed), with)
	if err != nil {
		t.Fatal(err)
	}
	return encrypt(t, plain, to...)
}

func encrypt(t *testing.T, plain io.Reader, to ...age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// escrow is a recipient of a type of its own that mixes with post-quantum ones.
type escrow struct{}

func (escrow) Wrap([]byte) ([]*age.Stanza, error) { panic("age asks for labels first") }
func (escrow) WrapWithLabels([]byte) ([]*age.Stanza, []string, error) {
	return []*age.Stanza{{Type: "escrow", Body: []byte("the file key, for all we know")}}, []string{"postquantum"}, nil
}

func stranger(t *testing.T) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// letter is the first place from at on whose character stays one of base64 when
// its last bit is flipped.
func letter(b []byte, at int) int {
	return at + bytes.IndexFunc(b[at:], func(r rune) bool { return strings.ContainsRune("bcdefghijklmnopq", r) })
}

const canary = "palabra-canario-4417"

// Whoever puts another key in, or passes one report for another, is named.
func TestDoctoredReports(t *testing.T) {
	r := newReader(t)
	m := manifest(enemyOrigin, "norte", stranger(t).Recipient().String())
	beto := stranger(t)
	good := r.sealTo(t, m, canary, nil)
	shared := r.sealTo(t, m, canary, nil, beto)
	mine := r.identity.Recipient()
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	otherDay := m
	otherDay.Day = "2026-11-20"
	elsewhere := m
	elsewhere.Origin = "sur-0a1b2c3d"
	otherCase := m
	otherCase.Case = "aaaaaaaaaaaaaaaa"
	for _, test := range []struct {
		name   string
		sealed []byte
		code   int
		says   string
		shown  bool
	}{
		{"good", good, 0, "", true},
		{"for two", shared, 0, "", true},
		{"a key more", reseal(t, good, r.identity, mine, beto.Recipient()), 1, "is sealed to 2 keys, but names 1 readers", true},
		{"a key less", reseal(t, shared, r.identity, mine), 1, "is sealed to 1 keys, but names 2 readers", true},
		{"a key of another type", reseal(t, shared, r.identity, mine, escrow{}), 1, "to keys of the types mlkem768x25519 escrow", true},
		{"my key not named", reseal(t, (&reader{identity: beto}).sealTo(t, m, canary, nil), beto, mine), 1, "does not name your key", true},
		{"my key left out", reseal(t, shared, r.identity, beto.Recipient(), stranger(t).Recipient()), 1, "is not sealed to your key", false},
		{"another day", r.sealTo(t, otherDay, canary, nil), 1, "inside stands report 2026-11-20", true},
		{"another vault", r.sealTo(t, elsewhere, canary, nil), 1, "belongs to origin sur-0a1b2c3d", false},
		{"another case", r.sealTo(t, otherCase, canary, nil), 1, "belongs to case aaaaaaaaaaaaaaaa", false},
		{"bit in the header", flip(letter(good, 60)), 1, "is not sealed to your key", false},
		{"bit at the end", flip(len(good) - 1), 1, "does not open", false},
		{"truncated", good[:len(good)-100], 1, "does not open", false},
		{"extended", append(bytes.Clone(good), 0), 1, "does not open", false},
		{"one byte", []byte{0}, 1, "does not open", false},
		{"no zip", encrypt(t, strings.NewReader(canary), mine), 1, "does not open", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.fetched(t, m.Case, test.sealed)
			code, out, errs := call(nil, "open", "-dir", r.dir, m.Case)
			if code != test.code || !strings.Contains(errs, test.says) || (code == 0) != (errs == "") {
				t.Errorf("exit %d, %q", code, errs)
			}
			if strings.Contains(out, "| "+canary) != test.shown {
				t.Errorf("shown: %s", out)
			}
			if test.shown && code == 1 && !strings.Contains(out, "ALARM: ") {
				t.Errorf("no alarm above the text: %s", out)
			}
			if strings.Contains(errs, canary) {
				t.Errorf("the text stays on the terminal: %s", errs)
			}
			to := filepath.Join(t.TempDir(), "out")
			code, _, _ = call(nil, "export", "-dir", r.dir, "-to", to, m.Case)
			if got := files(t, to); code != test.code || (got != "") != test.shown {
				t.Errorf("export: exit %d, files %s", code, got)
			}
		})
	}
}

// Damage behind the part that Open reads is found by the reads; nothing clear
// is left of an item that is damaged anywhere.
func TestExportLeavesNothingOfDamage(t *testing.T) {
	r := newReader(t)
	m := manifest(enemyOrigin, "norte", stranger(t).Recipient().String())
	good := r.sealTo(t, m, canary, bytes.Repeat([]byte("0123456789abcdef"), 40_000))
	for _, at := range []int{len(good) * 3 / 10, len(good) / 2} {
		damaged := bytes.Clone(good)
		damaged[at] ^= 1
		r.fetched(t, m.Case, damaged)
		to := filepath.Join(t.TempDir(), "out")
		code, out, errs := call(nil, "export", "-dir", r.dir, "-to", to, m.Case)
		if code != 1 || out != "" || !strings.Contains(errs, "nothing of this item was kept") {
			t.Errorf("byte %d: exit %d, %q %q", at, code, out, errs)
		}
		if got := files(t, to); got != "" {
			t.Errorf("byte %d: left %s", at, got)
		}
	}
}

// What the source encrypted before sending is opened one level deep.
func TestNested(t *testing.T) {
	r := newReader(t)
	m := manifest(enemyOrigin, "norte", stranger(t).Recipient().String())
	mine := r.identity.Recipient()
	inner := encrypt(t, strings.NewReader("dentro\x1b[2J\n"), mine)
	zip := encrypt(t, strings.NewReader("PK\x03\x04 \x00"), mine)
	broken := bytes.Clone(inner)
	broken[len(broken)-1] ^= 1
	for _, test := range []struct {
		name     string
		attached []byte
		want     string
		never    string
	}{
		{"text", inner, "    an age file; your key opens it; the text inside:\n| dentro\\x1b[2J\n", "\x1b"},
		{"two levels", encrypt(t, bytes.NewReader(inner), mine), "your key opens it; inside, by its first bytes: ", "dentro"},
		{"no text", zip, "your key opens it; inside, by its first bytes: application/zip, 6 B", "PK"},
		{"large", encrypt(t, strings.NewReader(strings.Repeat("x", maxShown+1)), mine), "first bytes: text/plain; charset=utf-8, >1 MiB", "xxxx"},
		{"another's", encrypt(t, strings.NewReader("dentro"), stranger(t).Recipient()), "    an age file that your key does not open", "dentro"},
		{"damaged", broken, "    an age file that is damaged", "dentro"},
		{"only looks like it", []byte("age-encryption.org/v1\nhello"), "    an age file that is damaged", "hello"},
		{"armored nonsense", []byte("-----BEGIN AGE ENCRYPTED FILE-----\nhello"), "    an age file that is damaged", "hello"},
		{"no age file", []byte("hola"), "files/01: 4 B, declared name \"nota.age\", declared type \"\"\n\n", "age file"},
		{"empty", []byte{}, "files/01: 0 B", "age file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.fetched(t, m.Case, r.sealTo(t, m, "mensaje", test.attached))
			code, out, errs := call(nil, "open", "-dir", r.dir, m.Case)
			if code != 0 || !strings.Contains(out, test.want) || strings.Contains(out, test.never) {
				t.Errorf("exit %d %q: %s", code, errs, out)
			}
		})
	}
}

// Names that a source declared never become paths.
func TestDeclaredNamesAreNoPaths(t *testing.T) {
	r := newReader(t)
	m := manifest(enemyOrigin, "norte", stranger(t).Recipient().String())
	var b bytes.Buffer
	recipient, err := seal.ParseRecipient(r.identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	w, err := seal.NewWriter(&b, recipient)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"../../x", "/etc/passwd", `..\..\x`, "a\x00b", "a\nfiles/09", "\u202egpj.exe", strings.Repeat("n", 5000), ".bashrc", "CON", "", "=cmd()"}
	for _, name := range names {
		if err := w.WriteFile(name, "text/x\x1b[2J", strings.NewReader(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(m); err != nil {
		t.Fatal(err)
	}
	r.fetched(t, m.Case, b.Bytes())
	to := filepath.Join(t.TempDir(), "out")
	if code, _, errs := call(nil, "export", "-dir", r.dir, "-to", to, "1"); code != 0 {
		t.Fatal(errs)
	}
	want := []string{"000-report/SHA256SUMS"}
	for i := range names {
		want = append(want, fmt.Sprintf("000-report/files/%02d", i+1))
	}
	want = append(want, "000-report/manifest.json", "000-report/names.txt")
	if got := files(t, filepath.Dir(to)); got != "out/"+strings.Join(want, " out/") {
		t.Errorf("files %s", got)
	}
	list, err := os.ReadFile(filepath.Join(to, "000-report", "names.txt"))
	if err != nil || strings.Count(string(list), "\n") != len(names) || strings.ContainsAny(string(list), "\x00\x1b\u202e") {
		t.Errorf("names.txt (%v): %q", err, list)
	}
}
