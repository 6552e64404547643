package codename

import (
	"encoding/hex"
	"testing"

	"golang.org/x/crypto/argon2"
)

// vectors are those of docs/formats.md. The salt is 00 01 02 … 0f; what age
// makes of the seed is tested in crypto/seal.
var vectors = []struct {
	lang, words, normalised, mk        string
	mailbox, age, thread, log, deskLog string
}{
	{
		lang:       "es",
		words:      wordsES,
		normalised: "otono arbol limon pestana jardin lobo jamon sueno",
		mk:         "734e2cf7d7be5cb22142a86f49cf796eef6c57488d78e54a7350146c9695513f",
		mailbox:    "e9d76c86b7ae7c3ae5df9808e32d56e926108b8cc07e4c0a1b25b34a16ea308c",
		age:        "3eea3d6322ca1285c7d86ca934f42519993f672d8142d7a44a88bd13c331fb35",
		thread:     "f5bae1a532cd5acf17e0ad278c62071ee392181c102fc655a32205da4755939d",
		log:        "50c92afc5aadfbefe952efe9eeb256211942efc39938b3941c8860b05429f7bb",
		deskLog:    "bb7b8e9d3b0cb34ee0b6930c46b515795324d24bb35bab5f6f0742e90ed5adab",
	},
	{
		lang:       "en",
		words:      wordsEN,
		normalised: "garden orange velvet anchor puzzle ladder maple ocean",
		mk:         "e51adf5725227d6f845ad7fb89166a9fa809fbb4d666d3bcdbeb3a29efad6981",
		mailbox:    "30e02199e7f2501d3495e4435cf0fe78841e03db961345d0863f9f4a22c4b1c0",
		age:        "ac7e796bfc3c2970136ac254cfdac0155ad90c7a9c733acd5bce62171272a114",
		thread:     "9194816b6c17207ec176bc2fa1e74d85e83c980908a4c3343c3abd755801342a",
		log:        "d60fa87139333e1d528eb8928f7654ba460bb5fae5b1f1cf601cf329cf2caf84",
		deskLog:    "a0e93b19862c8fecb7bab67174780c26284c0bae5f58c455a500f633f1b497de",
	},
}

func vectorParams() Params {
	p := DefaultParams
	for i := range p.Salt {
		p.Salt[i] = byte(i)
	}
	return p
}

func TestDeriveVectors(t *testing.T) {
	for _, v := range vectors {
		c := mustParse(t, v.words, v.lang)
		if c.Normalised() != v.normalised {
			t.Errorf("%s: normalised %q, want %q", v.lang, c.Normalised(), v.normalised)
		}
		p := vectorParams()
		k := c.Derive(p)
		deskLog := k.DeskLog()
		for _, f := range []struct {
			name, want string
			got        []byte
		}{
			{"mk", v.mk, argon2.IDKey([]byte(v.normalised), p.Salt[:], 3, 64*1024, 1, 32)},
			{"mailbox", v.mailbox, k.Mailbox[:]},
			{"age", v.age, k.Age[:]},
			{"thread", v.thread, k.Thread[:]},
			{"log", v.log, k.Log[:]},
			{"log/desk", v.deskLog, deskLog[:]},
		} {
			if got := hex.EncodeToString(f.got); got != f.want {
				t.Errorf("%s %s: %s, want %s", v.lang, f.name, got, f.want)
			}
		}
	}
}

// TestDeriveDependsOnEverything: salt and words change every key, and no two
// keys are equal.
func TestDeriveDependsOnEverything(t *testing.T) {
	small := Params{Time: 1, Memory: 64, Threads: 1}
	salted := small
	salted.Salt[15] = 1
	seen := make(map[[32]byte]bool)
	for _, k := range []Keys{
		mustParse(t, wordsES, "es").Derive(small),
		mustParse(t, wordsES, "es").Derive(salted),
		mustParse(t, wordsEN, "es").Derive(small),
	} {
		for _, key := range [][32]byte{k.Mailbox, k.Age, k.Thread, k.Log, k.DeskLog()} {
			if seen[key] {
				t.Errorf("key %x appears twice", key)
			}
			seen[key] = true
		}
	}
	if a, b := mustParse(t, wordsES, "en").Derive(small), mustParse(t, "OTON arbo limo pest jard lobo jamo suen", "es").Derive(small); a != b {
		t.Error("the same codename typed in two ways gave two sets of keys")
	}
}

func BenchmarkDerive(b *testing.B) {
	c := mustParse(b, wordsES, "es")
	for b.Loop() {
		c.Derive(vectorParams())
	}
}
