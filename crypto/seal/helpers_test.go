package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/tag"
	"filippo.io/hpke"
)

// identity is the nth test identity.
func identity(t testing.TB, n byte) (*age.HybridIdentity, Recipient) {
	t.Helper()
	id, err := IdentityFromSeed([32]byte{n})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return id, r
}

// hardware makes a recipient as a hardware key has it, and an identity that
// does in memory what the key's plugin asks of the key.
func hardware(t testing.TB) (age.Identity, Recipient) {
	t.Helper()
	key, err := hpke.MLKEM768P256().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	r, err := tag.NewHybridRecipient(key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseRecipient(r.String())
	if err != nil {
		t.Fatal(err)
	}
	return hardwareIdentity{key}, parsed
}

type hardwareIdentity struct{ key hpke.PrivateKey }

func (h hardwareIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != "mlkem768p256tag" || len(s.Args) != 2 {
			continue
		}
		enc, err := b64(s.Args[1])
		if err != nil {
			return nil, err
		}
		r, err := hpke.NewRecipient(enc, h.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte("age-encryption.org/mlkem768p256tag"))
		if err != nil {
			return nil, err
		}
		if fileKey, err := r.Open(nil, s.Body); err == nil {
			return fileKey, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// manifest is a manifest that holds, less what Close fills in.
func manifest(t testing.TB) Manifest {
	t.Helper()
	_, source := identity(t, 200)
	return Manifest{
		Origin:     "resguardo.example-0a1b2c3d",
		Case:       "abcdefghij234567",
		Thread:     "000102030405060708090a0b0c0d0e0f",
		Kind:       "report",
		Day:        "2026-11-21",
		Desks:      []string{"sur", "norte"},
		Excluded:   Excluded{Desks: []string{"centro"}, Organisations: []string{"org-1"}, Government: true},
		Share:      "ngos",
		Governance: 7,
		ReplyTo:    source.String(),
		ThreadKey:  bytes.Repeat([]byte{1}, 32),
		DeskLogKey: bytes.Repeat([]byte{2}, 32),
	}
}

// attachment is a file that a source sends.
type attachment struct{ name, typ, body string }

// parts is what a source sends.
type parts struct {
	message, answers string
	files            []attachment
}

var someParts = parts{
	message: "Lo que pasó: «ñ», 日本, \u202e.\n",
	answers: `{"state":["CHIS"]}`,
	files: []attachment{
		{"../../etc/passwd\x00\u202egpj.exe", "image/jpeg", strings.Repeat("foto ", 30000)},
		{"", "", ""},
		{"vídeo.mp4", "video/mp4", string(noise(1, 200<<10))},
	},
}

// noise is n bytes that do not compress.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// writeAll writes p to w.
func (p parts) writeAll(w *Writer) error {
	if err := w.WriteMessage([]byte(p.message)); err != nil {
		return err
	}
	if err := w.WriteAnswers([]byte(p.answers)); err != nil {
		return err
	}
	for _, f := range p.files {
		if err := w.WriteFile(f.name, f.typ, strings.NewReader(f.body)); err != nil {
			return err
		}
	}
	return nil
}

// seal seals p to recipients.
func (p parts) seal(t testing.TB, recipients ...Recipient) []byte {
	t.Helper()
	var dst bytes.Buffer
	w, err := NewWriter(&dst, recipients...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.writeAll(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(manifest(t)); err != nil {
		t.Fatal(err)
	}
	return dst.Bytes()
}

// plaintext is the zip of a report of p.
func (p parts) plaintext(t testing.TB) []byte {
	t.Helper()
	id, r := identity(t, 1)
	return decrypted(t, p.seal(t, r), id)
}

// decrypted is the zip in sealed.
func decrypted(t testing.TB, sealed []byte, id age.Identity) []byte {
	t.Helper()
	plain, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// open opens sealed and reads all of it.
func open(sealed []byte, ids ...age.Identity) (*Report, error) {
	r, err := Open(bytes.NewReader(sealed), int64(len(sealed)), Expect{}, ids...)
	if err != nil {
		return nil, err
	}
	return r, r.Verify()
}

// failing is a reader or writer that works for n bytes.
type failing struct{ n int }

var errFailing = errors.New("the test's own failure")

func (f *failing) Write(p []byte) (int, error) {
	if f.n < len(p) {
		return f.n, errFailing
	}
	f.n -= len(p)
	return len(p), nil
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n == 0 {
		return 0, errFailing
	}
	n := min(len(p), f.n)
	f.n -= n
	return n, nil
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
