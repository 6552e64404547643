package seal

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/cryptotest"

	agetest "c2sp.org/CCTV/age"
	"filippo.io/age"
	"filippo.io/age/armor"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
)

var update = flag.Bool("update", false, "rewrite testdata/report.age and testdata/reply.age")

// sources are the codenames of docs/formats.md (crypto/codename tests how their
// keys come about) and the fingerprint of the age recipient of each.
var sources = []struct{ words, age, recipient string }{
	{
		"otoño árbol limón pestaña jardín lobo jamón sueño",
		"3eea3d6322ca1285c7d86ca934f42519993f672d8142d7a44a88bd13c331fb35",
		"33bb84f4d3bc355c7706e7ed9fb936dbc1d1c526c4716865bc54dae9073c3cf8",
	},
	{
		"garden orange velvet anchor puzzle ladder maple ocean",
		"ac7e796bfc3c2970136ac254cfdac0155ad90c7a9c733acd5bce62171272a114",
		"a3e14021162db562fe60c68e408f95455ac967f01dd9933c790b225ae980a786",
	},
}

// source derives the keys of the nth source.
func source(t *testing.T, n int) (codename.Keys, Recipient) {
	t.Helper()
	c, err := codename.Parse(sources[n].words, "es")
	if err != nil {
		t.Fatal(err)
	}
	p := codename.DefaultParams
	for i := range p.Salt {
		p.Salt[i] = byte(i)
	}
	keys := c.Derive(p)
	id, err := IdentityFromSeed(keys.Age)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return keys, r
}

func TestCodenameToRecipientVectors(t *testing.T) {
	for n, s := range sources {
		keys, r := source(t, n)
		if got := hex.EncodeToString(keys.Age[:]); got != s.age {
			t.Errorf("%s: seed %s, want %s", s.words, got, s.age)
		}
		if r.Fingerprint() != s.recipient {
			t.Errorf("%s: recipient %s, want %s", s.words, r.Fingerprint(), s.recipient)
		}
	}
}

// The report of docs/formats.md, and its parts.
const (
	vectorFile   = "testdata/report.age"
	vectorSHA256 = "24637ee6bc9a811cd5278716b84c611e399321af5104fe84789cc44ce55a6b2e"
	vectorPlain  = "50e798307b8f41012edff15983dcc4f6509804b1ca060618c1e6f85b74877780"
	vectorRandom = 1 // seed of cryptotest.SetGlobalRandom
)

var vectorParts = parts{
	message: "Vi algo. I saw something.\n",
	answers: vectorAnswersText,
	files:   []attachment{{"foto 1.jpg", "image/jpeg", "not a photo\n"}},
}

func vectorManifest(t *testing.T) Manifest {
	keys, r := source(t, 0)
	desk := keys.DeskLog()
	m := manifest(t)
	m.ReplyTo, m.ThreadKey, m.DeskLogKey = r.String(), keys.Thread[:], desk[:]
	return m
}

// vectorIdentity is the reviewer's: the seed is 00 01 02 … 1f.
func vectorIdentity(t *testing.T) (*age.HybridIdentity, Recipient) {
	t.Helper()
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	id, err := IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecipient(id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return id, r
}

// TestVectorOpens: this file must open for ever.
func TestVectorOpens(t *testing.T) {
	id, r := vectorIdentity(t)
	sealed, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := sha256Hex(sealed); got != vectorSHA256 {
		t.Errorf("SHA-256 of %s is %s, want %s", vectorFile, got, vectorSHA256)
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	if got := sha256Hex(b); got != vectorPlain {
		t.Errorf("SHA-256 of the zip is %s, want %s", got, vectorPlain)
	}
	report, err := open(sealed, id)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, report, vectorParts)
	m := vectorManifest(t)
	m.Format, m.Recipients, m.Stanzas, m.Files = Format, []string{r.Fingerprint()}, []string{stanzaHybrid}, report.Manifest.Files
	text, err := fs.ReadFile(report, "manifest.json")
	if err != nil || !bytes.Equal(text, encodeAnyway(t, m)) {
		t.Errorf("manifest is\n%s(%v)", text, err)
	}
}

// TestVectorIsSealedByteForByte: with the same randomness, a Writer makes the
// same file. The randomness is that of Go 1.26's testing/cryptotest and of the
// order in which age and hpke draw from it: if only this test fails after an
// update of them, run it with -update and review what else changed.
func TestVectorIsSealedByteForByte(t *testing.T) {
	_, r := vectorIdentity(t)
	m := vectorManifest(t)
	cryptotest.SetGlobalRandom(t, vectorRandom)
	var dst bytes.Buffer
	w, err := NewWriter(&dst, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(vectorParts.writeAll(w), w.Close(m)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorFile, dst.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dst.Bytes(), want) {
		t.Errorf("sealed %d bytes with SHA-256 %s, want %d with %s", dst.Len(), sha256Hex(dst.Bytes()), len(want), sha256Hex(want))
	}
}

// The reply of docs/formats.md: of the reviewer whose card is the vector of
// crypto/card, to the source of the report above and to the reviewer itself.
const (
	replyFile     = "testdata/reply.age"
	replySHA256   = "990dceea8513b551edb0274c757e079a7d16f3bd669cf0cadf91a2d46c9d07a1"
	replyManifest = "c66299b70dbb9eac07854eff845086483c4ccdae7de777603a360ac4ea208026"
	replyRandom   = 2 // seed of cryptotest.SetGlobalRandom
)

func vectorReply(t *testing.T) answer {
	t.Helper()
	keys, to := source(t, 0)
	_, r := vectorIdentity(t)
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(32 + i)
	}
	a := newAnswer(t, kindReply)
	a.message = "Lo leímos. We have read it.\n"
	a.by = newReviewerOfSeed(t, r, seed)
	a.letter.Recipient, a.thread = to.Fingerprint(), keys.Thread[:]
	return a
}

func TestReplyVectorOpens(t *testing.T) {
	sealed, err := os.ReadFile(replyFile)
	if err != nil {
		t.Fatal(err)
	}
	if got := sha256Hex(sealed); got != replySHA256 {
		t.Errorf("SHA-256 %s", got)
	}
	text, err := os.ReadFile("../card/testdata/reviewer.card")
	if err != nil {
		t.Fatal(err)
	}
	c, err := card.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	keys, to := source(t, 0)
	mailbox, err := IdentityFromSeed(keys.Age)
	if err != nil {
		t.Fatal(err)
	}
	reviewer, _ := vectorIdentity(t)
	for _, id := range []age.Identity{mailbox, reviewer} {
		report, err := open(sealed, id)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := fs.ReadFile(report, "message.txt"); err != nil || string(b) != vectorReply(t).message {
			t.Errorf("message %q, %v", b, err)
		}
		if got := hex.EncodeToString(report.ManifestSHA256[:]); got != replyManifest {
			t.Errorf("manifest %s", got)
		}
		if _, err := report.VerifyLetter(c, to.Fingerprint(), keys.Thread[:]); err != nil {
			t.Error(err)
		}
	}
}

// TestReplyVectorIsSealedByteForByte is TestVectorIsSealedByteForByte for the reply.
func TestReplyVectorIsSealedByteForByte(t *testing.T) {
	a := vectorReply(t)
	_, to := source(t, 0)
	_, r := vectorIdentity(t)
	cryptotest.SetGlobalRandom(t, replyRandom)
	made := a.seal(t, to, r)
	if *update {
		if err := os.WriteFile(replyFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(replyFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, want) {
		t.Errorf("sealed %d bytes with SHA-256 %s, want %d with %s", len(made), sha256Hex(made), len(want), sha256Hex(want))
	}
}

// TestAgeVectors runs age's public vectors (c2sp.org/CCTV/age) through the
// function by which Open decrypts. Armor is taken off before: sealed reports
// have none.
func TestAgeVectors(t *testing.T) {
	entries, err := fs.ReadDir(agetest.Vectors, ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 140 {
		t.Fatalf("only %d vectors", len(entries))
	}
	for _, e := range entries {
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			b, err := fs.ReadFile(agetest.Vectors, e.Name())
			if err != nil {
				t.Fatal(err)
			}
			parseAgeVector(t, b).run(t)
		})
	}
}

type ageVector struct {
	expect, payload string
	identities      []age.Identity
	armored         bool
	file            []byte
}

func (v ageVector) run(t *testing.T) {
	file := v.file
	if v.armored {
		var err error
		if file, err = io.ReadAll(armor.NewReader(bytes.NewReader(file))); err != nil {
			if v.expect == "success" {
				t.Error(err)
			}
			return
		}
	}
	plain, size, err := decrypt(bytes.NewReader(file), int64(len(file)), v.identities...)
	var out []byte
	if err == nil {
		out, err = io.ReadAll(io.NewSectionReader(plain, 0, size))
	}
	if v.expect == "success" {
		if err != nil || sha256Hex(out) != v.payload {
			t.Errorf("want success, got %d bytes and %v", len(out), err)
		}
		return
	}
	if err == nil {
		t.Fatalf("want %s, got %d bytes", v.expect, len(out))
	}
	var no *age.NoIdentityMatchError
	if errors.As(err, &no) != (v.expect == "no match") {
		t.Errorf("want %s, got %v", v.expect, err)
	}
	// Contents go through the sealed report's own checks as well.
	if _, err := Open(bytes.NewReader(file), int64(len(file)), Expect{}, v.identities...); err == nil {
		t.Error("Open took it for a report")
	}
}

func parseAgeVector(t *testing.T, b []byte) (v ageVector) {
	t.Helper()
	compressed := false
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok {
			t.Fatal("vector has no body")
		}
		b = rest
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			v.payload = value
		case "identity":
			v.identities = append(v.identities, parseIdentity(t, value))
		case "passphrase":
			id, err := age.NewScryptIdentity(value)
			if err != nil {
				t.Fatal(err)
			}
			v.identities = append(v.identities, id)
		case "armored":
			v.armored = true
		case "compressed":
			compressed = true
		case "comment", "file key":
		default:
			t.Fatalf("unknown field %q", key)
		}
	}
	if v.file = b; compressed {
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if v.file, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func parseIdentity(t *testing.T, s string) age.Identity {
	t.Helper()
	ids, err := age.ParseIdentities(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}
