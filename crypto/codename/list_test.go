package codename

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/text/unicode/norm"
)

// minBits is what a codename must have left after the skip list.
const minBits = 86

var allLists = []struct {
	list  *List
	bip39 []string
	skip  string
}{
	{spanish(), wordlists.Spanish, skipSpanish},
	{english(), wordlists.English, skipEnglish},
}

func TestBitsRemain(t *testing.T) {
	for _, tt := range allLists {
		bits := Words * math.Log2(float64(len(tt.list.drawn)))
		t.Logf("%s: %d words may be drawn, %.1f bits", tt.list.lang, len(tt.list.drawn), bits)
		if bits < minBits {
			t.Errorf("%s: %.2f bits remain, want %d", tt.list.lang, bits, minBits)
		}
	}
}

// TestSkipLists: every line is a word of the list and a reason, in order, once.
func TestSkipLists(t *testing.T) {
	for _, tt := range allLists {
		last, n := "", 0
		for line := range strings.Lines(tt.skip) {
			n++
			word, reason, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			if !ok || strings.TrimSpace(reason) != reason || len(reason) < 3 {
				t.Errorf("skip_%s.txt:%d: %q has no reason", tt.list.lang, n, word)
			}
			key := normalise(norm.NFKD.String(word))
			if tt.list.shown[key] != word {
				t.Errorf("skip_%s.txt:%d: %q is not in the list", tt.list.lang, n, word)
			}
			if key <= last {
				t.Errorf("skip_%s.txt:%d: %q is out of order", tt.list.lang, n, word)
			}
			last = key
			if slices.Contains(tt.list.drawn, key) {
				t.Errorf("skip_%s.txt:%d: %q can be drawn", tt.list.lang, n, word)
			}
		}
		if n+len(tt.list.drawn) != len(tt.bip39) || len(tt.bip39) != 2048 {
			t.Errorf("%s: %d skipped and %d drawn are not %d", tt.list.lang, n, len(tt.list.drawn), len(tt.bip39))
		}
	}
}

// TestParseAcceptsSkippedWords: an older vault may have drawn them, and the
// skip list may grow.
func TestParseAcceptsSkippedWords(t *testing.T) {
	for _, tt := range allLists {
		for line := range strings.Lines(tt.skip) {
			word, _, _ := strings.Cut(line, "\t")
			c, err := Parse(strings.Repeat(word+" ", Words), tt.list.lang)
			if err != nil || c.Language() != tt.list.lang || !strings.HasPrefix(c.String(), word+" ") {
				t.Errorf("%s: %q read as %q (%v)", tt.list.lang, word, c, err)
			}
		}
	}
}

// TestFourLettersDecide: without accents, no two words of a list are the same
// or share their first four letters, and no word is the prefix of another that
// begins with four of its letters. Parse relies on it.
func TestFourLettersDecide(t *testing.T) {
	for _, tt := range allLists {
		seen := make(map[string]string)
		for _, w := range tt.bip39 {
			key := normalise(norm.NFKD.String(w))
			if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz") != "" {
				t.Errorf("%s: %q is not made of letters a to z: %q", tt.list.lang, w, key)
			}
			key = key[:min(len(key), prefixLen)]
			if other, ok := seen[key]; ok {
				t.Errorf("%s: %q and %q begin alike", tt.list.lang, other, w)
			}
			seen[key] = w
			if shown := tt.list.shown[normalise(norm.NFKD.String(w))]; shown != norm.NFC.String(w) || !norm.NFC.IsNormalString(shown) {
				t.Errorf("%s: %q is shown as %q", tt.list.lang, w, shown)
			}
		}
	}
}

// TestControlWords: six words that depend on the fingerprint and are no codename.
func TestControlWords(t *testing.T) {
	for lang, want := range map[string]string{
		"es": "ábaco · ábaco · ábaco · ábaco · ábaco · ábaco",
		"en": "ability · ability · ability · ability · ability · ability",
	} {
		list, err := ForLanguage(lang)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Control([32]byte{}); got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
		if list.Control([32]byte{23: 1}) == want || list.Control([32]byte{24: 1}) != want {
			t.Errorf("%s: not the first 24 bytes decide", lang)
		}
		if _, err := Parse(want, lang); err == nil {
			t.Errorf("%s: control words are taken as a codename", lang)
		}
	}
}
