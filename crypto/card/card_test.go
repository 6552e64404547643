package card_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

// The vector in testdata has these secrets: age seed 0x00…1f, signing seed
// 0x20…3f, onion client key 0x40…5f.
const vectorFingerprint = "e1704ce7caadaa4e436845c280d1527742f46a8af62d934c41b60c624e7cb185"

func sequence(from byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// signerFor is the signing key of the vector under any name.
func signerFor(t testing.TB, name string) (note.Signer, string) {
	t.Helper()
	pub := ed25519.NewKeyFromSeed(sequence(32)).Public().(ed25519.PublicKey)
	sum := sha256.Sum256(append([]byte(name+"\n\x01"), pub...))
	key := base64.StdEncoding.EncodeToString(append([]byte{1}, sequence(32)...))
	s, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, sum[:4], key))
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := note.NewEd25519VerifierKey(name, pub)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vector(t testing.TB) ([]byte, card.Card) {
	t.Helper()
	text := read(t, "reviewer.card")
	c, err := card.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return text, c
}

func TestCardVector(t *testing.T) {
	text, c := vector(t)
	if got := c.Fingerprint(); got != vectorFingerprint || !card.ValidFingerprint(got) {
		t.Errorf("fingerprint %s", got)
	}
	client, err := ecdh.X25519().NewPrivateKey(sequence(64))
	if err != nil {
		t.Fatal(err)
	}
	if want := card.EncodeClient(client.PublicKey().Bytes()); c.Client != want {
		t.Errorf("client %s, want %s", c.Client, want)
	}
	signer, vkey := signerFor(t, card.KeyName(c.Recipient))
	if c.Verifier != vkey {
		t.Errorf("verifier %s, want %s", c.Verifier, vkey)
	}
	again, err := card.Sign(c, signer)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("signing again gives other bytes (%v)", err)
	}
}

func TestSignRefusesForeignKey(t *testing.T) {
	_, c := vector(t)
	other, _ := signerFor(t, "card/someone")
	if _, err := card.Sign(c, other); err == nil {
		t.Error("a card was signed by a key that it does not name")
	}
}

// replace makes a doctored file; resigned puts a good signature under a
// doctored text.
func replace(old, new string) func(*testing.T, string) string {
	return func(t *testing.T, s string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(s, old, new, 1)
	}
}

func resigned(change func(*testing.T, string) string) func(*testing.T, string) string {
	return func(t *testing.T, s string) string {
		signer, _ := signerFor(t, "card/"+vectorFingerprint)
		text, _, _ := strings.Cut(change(t, s), "\n\n")
		msg, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(msg)
	}
}

func line(n int, text string) func(*testing.T, string) string {
	return func(_ *testing.T, s string) string {
		lines := strings.SplitAfter(s, "\n")
		lines[n-1] = text
		return strings.Join(lines, "")
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	_, c := vector(t)
	classical := "recipient age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\n"
	otherName, _ := signerFor(t, "card/"+strings.Repeat("0", 64))
	for _, test := range []struct {
		name   string
		change func(*testing.T, string) string
		want   string
	}{
		{"empty", func(*testing.T, string) string { return "" }, "line 1: "},
		{"too long", func(_ *testing.T, s string) string { return s + strings.Repeat("\n", card.MaxSize) }, "not a card"},
		{"first line", replace("card/v1", "card/v2"), `line 1: "resguardo/card/v2" instead of resguardo/card/v1`},
		{"byte order mark", func(_ *testing.T, s string) string { return "\ufeff" + s }, "line 1: has a character"},
		{"CR LF", func(_ *testing.T, s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }, "line 1: ends in CR LF"},
		{"control character", replace("role reviewer", "role \x1b[2Jreviewer"), "line 2: has a character"},
		{"not UTF-8", replace("role reviewer", "role \xff"), "line 2: has a character"},
		{"role", line(2, "role owner\n"), `line 2: role is "owner"`},
		{"bidi in role", line(2, "role \u202ereviewer\n"), `line 2: role is "\u202ereviewer"`},
		{"line missing", line(2, ""), "line 2: "},
		{"classical key", line(3, classical), "line 3: recipient \"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hz\\u2026\" is not a post-quantum key"},
		{"plugin key", line(3, "recipient age1yubikey1qqq\n"), "is not a post-quantum key"},
		{"ssh key", line(3, "recipient ssh-ed25519 AAAA\n"), "is not a post-quantum key"},
		{"no key", line(3, "recipient hello\n"), "is not an age recipient"},
		{"cut recipient", line(3, "recipient "+c.Recipient[:1900]+"\n"), "line 3: recipient has 1900 characters instead of 1959"},
		{"letter of recipient", line(3, "recipient "+c.Recipient[:1958]+"b\n"), "line 3: recipient has a character"},
		{"another recipient", line(3, "recipient "+c.Recipient[:1958]+"q\n"), "line 4: verifier is named"},
		{"verifier sum", replace("+c33baceb+", "+c33bacec+"), "line 4: verifier does not match"},
		{"verifier upper case", resigned(replace("+c33baceb+", "+C33BACEB+")), "line 4: verifier does not match"},
		{"verifier cut", replace("UvJMilm", ""), "line 4: "},
		{"client", replace("client PGTD", "client pgtd"), "line 5: client is not"},
		{"client's last bits", resigned(replace("FUUNA\n", "FUUNB\n")), "line 5: client is not"},
		{"one line more", resigned(replace("\n\n—", "\nnote hello\n\n—")), "line 6: "},
		{"no signature", func(_ *testing.T, s string) string { return s[:strings.Index(s, "\n\n")+1] }, "line 6: "},
		{"not signed", func(_ *testing.T, s string) string { return s[:strings.Index(s, "— ")] }, "line 7: "},
		{"changed text", replace("role reviewer", "role auditor"), "line 7: the signature does not match"},
		{"signed by another", func(t *testing.T, s string) string {
			text, _, _ := strings.Cut(s, "\n\n")
			msg, err := note.Sign(&note.Note{Text: text + "\n"}, otherName)
			if err != nil {
				t.Fatal(err)
			}
			return string(msg)
		}, "line 7: not signed by the key"},
		{"signed twice", func(_ *testing.T, s string) string { return s + s[strings.Index(s, "— "):] }, "line 7: more than one signature"},
		{"last bits of the signature", looseSignature, "line 7: more than one signature, or one in another form"},
		{"note in a note", noteInNote, "line 7: more than one signature, or one in another form"},
		{"text after the end", func(_ *testing.T, s string) string { return s + "hello\n" }, "line 7: not a signed note"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, _ := vector(t)
			got, err := card.Parse([]byte(test.change(t, string(text))))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if got != (card.Card{}) {
				t.Error("a refused card was returned")
			}
		})
	}
}

// noteInNote signs the whole card once more, signature and all.
func noteInNote(t *testing.T, s string) string {
	signer, _ := signerFor(t, "card/"+vectorFingerprint)
	msg, err := note.Sign(&note.Note{Text: s}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(msg)
}

// looseSignature sets a bit that base64 ignores: 68 bytes leave two of them.
func looseSignature(t *testing.T, s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	body, ok := strings.CutSuffix(s, "=\n")
	if !ok {
		t.Fatal("no padding")
	}
	last := strings.IndexByte(letters, body[len(body)-1])
	return body[:len(body)-1] + string(letters[last|1]) + "=\n"
}

func TestEveryByteOfACardCounts(t *testing.T) {
	text, _ := vector(t)
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := card.Parse(changed); err == nil {
			t.Fatalf("byte %d may change", i)
		}
		if _, err := card.Parse(text[:i]); err == nil {
			t.Fatalf("the first %d bytes are a card", i)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f, "reviewer.card"))
	f.Add([]byte("resguardo/card/v1\nrole reviewer\n\n— x y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := card.Parse(text)
		if err != nil {
			return
		}
		signer, vkey := signerFor(t, card.KeyName(c.Recipient))
		if vkey != c.Verifier {
			return // signed by a key that is not ours to sign with again
		}
		again, err := card.Sign(c, signer)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("accepted, but signing again gives other bytes (%v)", err)
		}
	})
}
