package seal

import (
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
	"filippo.io/hpke"
	"github.com/btcsuite/btcd/btcutil/bech32"

	"resguardo/crypto/card"
)

func TestParseRecipient(t *testing.T) {
	_, hybrid := identity(t, 1)
	_, hard := hardware(t)
	classical, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := identity(t, 1)
	for _, tt := range []struct {
		text, refusal string // refusal empty: accepted
	}{
		{hybrid.String(), ""},
		{hard.String(), ""},
		{"", "empty"},
		{classical.Recipient().String(), "classical"},
		{classicalTag(t), "age1tag1"},
		{plugin.EncodeRecipient("yubikey", make([]byte, 33)), "plugin"},
		{plugin.EncodeRecipient("se", make([]byte, 33)), "plugin"},
		{plugin.EncodeRecipient("tagpqx", make([]byte, 33)), "plugin"},
		{"age1", "classical"},
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "ssh"},
		{"ecdsa-sha2-nistp256 AAAA", "ssh"},
		{"sk-ssh-ed25519@openssh.com AAAA", "ssh"},
		{id.String(), "secret"},
		{"AGE-SECRET-KEY-1QQQQ", "secret"},
		{"AGE-PLUGIN-YUBIKEY-1QQQQ", "secret"},
		{strings.ToUpper(hybrid.String()), "lower case"},
		{hybrid.String()[:500], "malformed"},
		{hybrid.String() + "q", "malformed"},
		{hybrid.String() + "\n", "malformed"},
		{" " + hybrid.String(), "not an age"},
		{"age1pq1", "malformed"},
		{"age1pq1" + strings.Repeat("q", 1952), "malformed"},
		{"age1tagpq1", "malformed"},
		{hard.String()[:500], "malformed"},
		{plugin.EncodeRecipient("tagpq", make([]byte, 33)), "malformed"},
		{"AGE1PQ1" + hybrid.String()[7:], "lower case"},
		{"github:someone", "not an age"},
	} {
		r, err := ParseRecipient(tt.text)
		if tt.refusal == "" {
			if err != nil || r.String() != tt.text || r.Fingerprint() != card.Fingerprint(tt.text) || r.Fingerprint() != sha256Hex([]byte(tt.text)) {
				t.Errorf("%.30q: %v", tt.text, err)
			}
			continue
		}
		if err == nil || r != (Recipient{}) || !strings.Contains(err.Error(), tt.refusal) {
			t.Errorf("%.30q: %v, want a refusal that says %q", tt.text, err, tt.refusal)
		} else if len(tt.text) > 10 && strings.Contains(err.Error(), tt.text[len(tt.text)-10:]) {
			t.Errorf("%.30q: the error quotes it", tt.text)
		}
	}
}

// classicalTag is an age1tag1 recipient.
func classicalTag(t *testing.T) string {
	t.Helper()
	// The generator of P-256, compressed.
	b, err := hex.DecodeString("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
	if err != nil {
		t.Fatal(err)
	}
	r, err := tag.NewClassicRecipient(b)
	if err != nil {
		t.Fatal(err)
	}
	return r.String()
}

// TestRecipientKeepsItsLabel: age itself refuses to mix our recipients with
// classical ones, which it could not if the label were hidden.
func TestRecipientKeepsItsLabel(t *testing.T) {
	_, hybrid := identity(t, 1)
	_, hard := hardware(t)
	classical, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Recipient{"hybrid": hybrid, "hardware": hard} {
		if _, err := age.Encrypt(io.Discard, r, classical.Recipient()); err == nil || !strings.Contains(err.Error(), "post-quantum") {
			t.Errorf("%s before classical: %v", name, err)
		}
		if _, err := age.Encrypt(io.Discard, classical.Recipient(), r); err == nil {
			t.Errorf("%s after classical: no error", name)
		}
	}
	if _, err := age.Encrypt(io.Discard, hybrid, hard); err != nil {
		t.Errorf("hybrid with hardware: %v", err)
	}
	if _, _, err := (Recipient{Recipient: unlabelled{hybrid}, text: "x"}).WrapWithLabels(make([]byte, 16)); err == nil {
		t.Error("a recipient without labels was accepted")
	}
}

// unlabelled hides every method of a recipient but Wrap.
type unlabelled struct{ age.Recipient }

func TestIdentityFromSeedTakesEverySeed(t *testing.T) {
	seeds := [][32]byte{{}}
	for i := range 50 {
		seeds = append(seeds, [32]byte(noise(byte(i), 32)))
	}
	var ones [32]byte
	for i := range ones {
		ones[i] = 0xff
	}
	for _, seed := range append(seeds, ones) {
		id, err := IdentityFromSeed(seed)
		if err != nil {
			t.Fatalf("seed %x: %v", seed, err)
		}
		// The identity in its text form holds the seed itself …
		hrp, data, err := bech32.DecodeToBase256(id.String())
		if err != nil || hrp != "age-secret-key-pq-" || string(data) != string(seed[:]) {
			t.Errorf("seed %x: identity holds %x (%v)", seed, data, err)
		}
		// … and its recipient is the one HPKE makes of the seed.
		key, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
		if err != nil {
			t.Fatal(err)
		}
		_, data, err = bech32.DecodeNoLimit(id.Recipient().String())
		if err != nil {
			t.Fatal(err)
		}
		public, err := bech32.ConvertBits(data, 5, 8, false)
		if err != nil || string(public) != string(key.PublicKey().Bytes()) {
			t.Errorf("seed %x: other recipient (%v)", seed, err)
		}
	}
}
