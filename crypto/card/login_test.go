package card_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

var vectorLogin = card.Login{
	Origin:      "mx-0a1b2c3d",
	Address:     "127.0.0.1:8081",
	ClientNonce: "AAECAwQFBgcICQoLDA0ODw",
	ServerNonce: "EBESExQVFhcYGRobHB0eHw",
}

func TestLoginVector(t *testing.T) {
	_, c := vector(t)
	msg := read(t, "login.note")
	got, err := card.OpenLogin(msg, c)
	if err != nil || got != vectorLogin {
		t.Errorf("got %+v, %v", got, err)
	}
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	again, err := vectorLogin.Sign(signer)
	if err != nil || !bytes.Equal(again, msg) {
		t.Errorf("signing again gives other bytes (%v)", err)
	}
}

func TestNonce(t *testing.T) {
	a, b := card.NewNonce(), card.NewNonce()
	if a == b || !card.ValidNonce(a) || len(a) != 22 {
		t.Errorf("nonces %q %q", a, b)
	}
	for _, s := range []string{"", a[:21], a + "A", a[:21] + "=", a[:10] + "\n" + a[11:], a[:20] + "+/", "AAECAwQFBgcICQoLDA0ODx"} {
		if card.ValidNonce(s) {
			t.Errorf("%q is taken for a nonce", s)
		}
	}
}

// A login with a field that could forge another line must not be signed.
func TestLoginRefusesFields(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	for _, change := range []func(*card.Login){
		func(l *card.Login) { l.Origin = "" },
		func(l *card.Login) { l.Origin = "a\naddress b" },
		func(l *card.Login) { l.Origin = strings.Repeat("a", 256) },
		func(l *card.Login) { l.Address = "A.onion" },
		func(l *card.Login) { l.Address = "a b" },
		func(l *card.Login) { l.Address = "a\u202eb" },
		func(l *card.Login) { l.ClientNonce = "" },
		func(l *card.Login) { l.ServerNonce = "EBESExQVFhcYGRobHB0eHx" },
	} {
		l := vectorLogin
		change(&l)
		if _, err := l.Sign(signer); err == nil {
			t.Errorf("signed %+v", l)
		}
	}
}

// A signature for one purpose must not serve another: the same key over another
// first line, or over other fields, is no login.
func TestOpenLoginRefuses(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	stranger, _ := signerFor(t, "card/stranger")
	good := string(read(t, "login.note"))
	text, _, _ := strings.Cut(good, "\n\n")
	signed := func(text string, by note.Signer) string {
		msg, err := note.Sign(&note.Note{Text: text}, by)
		if err != nil {
			t.Fatal(err)
		}
		return string(msg)
	}
	for name, msg := range map[string]string{
		"a card":         string(read(t, "reviewer.card")),
		"another format": signed(strings.Replace(text, "login", "reply", 1)+"\n", signer),
		"another key":    signed(text+"\n", stranger),
		"two keys":       signed(text+"\n", stranger) + good[strings.Index(good, "— "):],
		"field missing":  signed(text[:strings.LastIndex(text, "\n")+1], signer),
		"field more":     signed(text+"\nrole auditor\n", signer),
		"field empty":    signed(strings.Replace(text, " mx-0a1b2c3d", " ", 1)+"\n", signer),
		"changed":        strings.Replace(good, "8081", "8082", 1),
		"empty":          "",
		"too long":       signed(text+strings.Repeat("\n", 5000), signer),
	} {
		if got, err := card.OpenLogin([]byte(msg), c); err == nil || got != (card.Login{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func FuzzOpenLogin(f *testing.F) {
	_, c := vector(f)
	signer, _ := signerFor(f, card.KeyName(c.Recipient))
	f.Add(read(f, "login.note"))
	f.Add(read(f, "reviewer.card"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		// Sign the fuzzed text as well, so that the parser behind the signature is reached.
		resigned, err := note.Sign(&note.Note{Text: string(msg)}, signer)
		for _, m := range [][]byte{msg, resigned} {
			l, err2 := card.OpenLogin(m, c)
			if err2 != nil || err != nil {
				continue
			}
			again, err := l.Sign(signer)
			if err != nil || !bytes.Equal(again, m) {
				t.Errorf("accepted, but signing again gives other bytes (%v)", err)
			}
		}
	})
}
