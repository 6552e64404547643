package codename

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// The codenames of the test vectors in docs/formats.md.
const (
	wordsES = "otoño árbol limón pestaña jardín lobo jamón sueño"
	wordsEN = "garden orange velvet anchor puzzle ladder maple ocean"
)

func mustParse(t testing.TB, text, lang string) Codename {
	t.Helper()
	c, err := Parse(text, lang)
	if err != nil {
		t.Fatalf("Parse(%q, %q): %v", text, lang, err)
	}
	return c
}

func TestDrawVectors(t *testing.T) {
	random := sha256.Sum256([]byte("resguardo test vector: draw"))
	for lang, want := range map[string]string{
		"es": "azufre fiera armonía boda gasolina mejor amargo curioso",
		"en": "there margin keen maximum blouse media recipe economy",
	} {
		l, err := ForLanguage(lang)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Draw(random).String(); got != want {
			t.Errorf("%s: drew %q, want %q", lang, got, want)
		}
	}
}

// TestDrawTakesEveryWordAtItsIndex sweeps all indexes, at both ends of the uint32 range.
func TestDrawTakesEveryWordAtItsIndex(t *testing.T) {
	for _, l := range []*List{spanish(), english()} {
		n := uint32(len(l.drawn))
		for i := range n {
			var random [32]byte
			binary.BigEndian.PutUint32(random[0:], i)
			binary.BigEndian.PutUint32(random[28:], i+(1<<32-1)/n*n-n)
			c := l.Draw(random)
			if c.words[0] != l.drawn[i] || c.words[7] != l.drawn[i] || c.words[1] != l.drawn[0] {
				t.Fatalf("%s: index %d drew %q", l.lang, i, c)
			}
		}
	}
}

func TestParseAcceptsWhatPeopleType(t *testing.T) {
	normalised := "otono arbol limon pestana jardin lobo jamon sueno"
	for name, text := range map[string]string{
		"as shown":            wordsES,
		"normalised":          normalised,
		"upper case":          strings.ToUpper(wordsES),
		"first letters upper": "Otoño Árbol Limón Pestaña Jardín Lobo Jamón Sueño",
		"decomposed":          norm.NFD.String(wordsES),
		"full width":          "ｏｔｏｎｏ arbol limon pestana jardin lobo jamon sueno",
		"hyphens":             strings.ReplaceAll(wordsES, " ", "-"),
		"numbered":            "1. otoño 2. árbol 3. limón 4. pestaña 5. jardín 6. lobo 7. jamón 8. sueño",
		"a line each":         "\r\n" + strings.ReplaceAll(wordsES, " ", "\r\n") + "\r\n",
		"commas and tabs":     strings.ReplaceAll(wordsES, " ", ",\t"),
		"no-break spaces":     strings.ReplaceAll(wordsES, " ", "\u00a0"),
		"zero-width spaces":   strings.ReplaceAll(wordsES, " ", " \u200b\ufeff"),
		"direction marks":     "\u202e" + wordsES + "\u202c",
		"quotes":              "«" + wordsES + "»…",
		"NUL":                 strings.ReplaceAll(wordsES, " ", "\x00"),
		"first four letters":  "otoñ arbo LIMO pest jard lobo jamo sueñ",
		"five letters":        "otoño arbol limon pesta jardi lobo jamon sueno",
		"accents elsewhere":   "ótono arból limón pestána jardin lóbo jamon sueno",
		"stray accents":       "́ " + wordsES + " ̃",
	} {
		for _, lang := range []string{"es", "en", "fr", ""} {
			c, err := Parse(text, lang)
			if err != nil {
				t.Errorf("%s, page in %q: %v", name, lang, err)
				continue
			}
			if c.Normalised() != normalised || c.String() != wordsES || c.Language() != "es" {
				t.Errorf("%s, page in %q: read as %q", name, lang, c)
			}
		}
	}
}

func TestParseNamesWrongWords(t *testing.T) {
	long := strings.Repeat("ñ", 100)
	for _, tt := range []struct {
		name, text, lang string
		unknown          []string
		count            int
	}{
		{"nothing", "", "es", nil, 0},
		{"only separators", " \x00 123 ... ", "es", nil, 0},
		{"seven words", "otoño árbol limón pestaña jardín lobo jamón", "es", nil, 7},
		{"nine words", wordsES + " lobo", "es", nil, 9},
		{"a wrong word as typed", "otoño ÁRBÓLES limón pestaña jardín lobo jamón sueño", "es", []string{"ÁRBÓLES"}, 8},
		{"three letters are no prefix", "oto árbol limón pestaña jardín lobo jamón sueño", "es", []string{"oto"}, 8},
		{"a prefix of nothing", "otoñx árbol limón pestaña jardín lobo jamón sueño", "es", []string{"otoñx"}, 8},
		{"cut to 20 characters", long + " árbol limón pestaña jardín lobo jamón sueño", "es", []string{long[:40]}, 8},
		{"letters of other scripts", "книга árbol limón pestaña jardín lobo jamón sueño", "es", []string{"книга"}, 8},
		{"wrong and too few", "lobo zzzz", "es", []string{"zzzz"}, 2},
		{"the other list knows more", "garden orange velvet anchor puzzle ladder maple zzzz", "es", []string{"zzzz"}, 8},
		{"lists are never mixed", "garden orange velvet anchor pestaña jardín lobo sueño", "es", []string{"garden", "orange", "velvet", "anchor"}, 8},
		{"page's list where both know as many", "garden orange velvet anchor pestaña jardín lobo sueño", "en", []string{"pestaña", "jardín", "lobo", "sueño"}, 8},
		{"at most eight", strings.Repeat("zzzz ", 20), "es", slices.Repeat([]string{"zzzz"}, 8), 20},
		{"at most 64", strings.Repeat("lobo ", 1000), "es", nil, 64},
		{"too long to read", wordsES + strings.Repeat(" ", maxText), "es", []string{"…"}, 9},
	} {
		c, err := Parse(tt.text, tt.lang)
		var e *WordsError
		if !errors.As(err, &e) {
			t.Errorf("%s: got %q and error %v", tt.name, c, err)
			continue
		}
		if c != (Codename{}) || !slices.Equal(e.Unknown, tt.unknown) || e.Count != tt.count {
			t.Errorf("%s: got %q, unknown %q of %d, want unknown %q of %d", tt.name, c, e.Unknown, e.Count, tt.unknown, tt.count)
		}
		if strings.Contains(e.Error(), "árbol") || strings.Contains(e.Error(), "zzzz") {
			t.Errorf("%s: error names words: %v", tt.name, e)
		}
	}
}

// TestParseReadsSharedWordsInThePagesLanguage: some words are in both lists.
func TestParseReadsSharedWordsInThePagesLanguage(t *testing.T) {
	var shared []string
	for _, w := range english().drawn {
		if _, ok := spanish().shown[w]; ok {
			shared = append(shared, w)
		}
	}
	if len(shared) < Words {
		t.Fatalf("only %d shared words: %q", len(shared), shared)
	}
	text := strings.Join(shared[:Words], " ")
	for _, lang := range []string{"es", "en"} {
		if c := mustParse(t, text, lang); c.Language() != lang {
			t.Errorf("page in %s: read %q in %s", lang, text, c.Language())
		}
	}
}

func TestDiffersNamesTheFirstWrongWord(t *testing.T) {
	c := mustParse(t, wordsES, "es")
	for _, tt := range []struct {
		typed string
		want  int
	}{
		{wordsES, 0},
		{"OTONO, arbol; limo pest jard lobo jamo suen", 0},
		{"", 1},
		{"otoño", 2},
		{"otoño árbol limón pestaña jardín lobo jamón", 8},
		{wordsES + " lobo", 8},
		{"árbol otoño limón pestaña jardín lobo jamón sueño", 1},
		{"otoño árbol zzzz pestaña jardín lobo jamón sueño", 3},
		{"otoño árbol limón pestaña jardín lobo jamón sueños", 8},
		{wordsEN, 1},
		{strings.Repeat("lobo ", 100000), 1},
	} {
		if got := c.Differs(tt.typed); got != tt.want {
			t.Errorf("Differs(%.60q) = %d, want %d", tt.typed, got, tt.want)
		}
	}
}

func TestZeroCodenameIsNone(t *testing.T) {
	var c Codename
	if c.String() != "" || c.Normalised() != "" || c.Language() != "" || c.Differs("") != 1 {
		t.Error("the zero Codename reads as something")
	}
	defer func() {
		if recover() == nil {
			t.Error("Derive of the zero Codename did not panic")
		}
	}()
	c.Derive(DefaultParams)
}

func TestForLanguageRefusesOthers(t *testing.T) {
	for _, lang := range []string{"", "ES", "fr", "es-MX"} {
		if _, err := ForLanguage(lang); err == nil {
			t.Errorf("ForLanguage(%q) gave a list", lang)
		}
	}
}

// TestEveryDrawCanBeTyped types what was drawn in any of the ways a person may.
func TestEveryDrawCanBeTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom([]*List{spanish(), english()}).Draw(t, "list")
		c := l.Draw([32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "random")))
		var typed strings.Builder
		for _, w := range strings.Fields(c.String()) {
			if letters := []rune(w); len(letters) > 4 {
				w = string(letters[:rapid.IntRange(4, len(letters)).Draw(t, "letters")])
			}
			switch rapid.IntRange(0, 3).Draw(t, "spelling") {
			case 0:
				w = strings.ToUpper(w)
			case 1:
				w = norm.NFD.String(w)
			case 2:
				w = normalise(norm.NFKD.String(w))
			}
			typed.WriteString(rapid.StringMatching(`[ .,;:0-9\n\t\x{a0}\x{200b}-]{1,5}`).Draw(t, "separator") + w)
		}
		got, err := Parse(typed.String(), l.lang)
		if err != nil || got != c {
			t.Fatalf("drew %q, typed %q, read %q (%v)", c, typed.String(), got, err)
		}
		if n := c.Differs(typed.String()); n != 0 {
			t.Fatalf("drew %q, typed %q: word %d differs", c, typed.String(), n)
		}
	})
}

// FuzzParse: what is read is read again from both of its forms, and an error
// holds only what may be shown.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		wordsES, wordsEN, strings.ToUpper(norm.NFD.String(wordsES)), "1.otoñ 2.arbo limo\u200bpest jard-lobo jamo suen",
		"garden orange velvet anchor pestaña jardín lobo sueño", "ﬁ ª ⓐ ǅ İ \xff ́", strings.Repeat("a ", 100),
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, es bool) {
		lang := "en"
		if es {
			lang = "es"
		}
		c, err := Parse(text, lang)
		if err == nil {
			for _, again := range []string{c.String(), c.Normalised()} {
				if got, err := Parse(again, c.Language()); err != nil || got != c {
					t.Fatalf("%q read as %q, %q as %q (%v)", text, c, again, got, err)
				}
			}
			if n := c.Differs(text); n != 0 {
				t.Fatalf("%q read as %q, but word %d differs", text, c, n)
			}
			return
		}
		var e *WordsError
		if !errors.As(err, &e) || !reflect.ValueOf(c).IsZero() {
			t.Fatalf("%q: %q, %v", text, c, err)
		}
		if len(e.Unknown) > 8 || e.Count > maxTokens+1 || (e.Count == Words && len(e.Unknown) == 0) {
			t.Fatalf("%q: %d unknown of %d", text, len(e.Unknown), e.Count)
		}
		for _, w := range e.Unknown {
			if w == "" || utf8.RuneCountInString(w) > 20 || strings.ContainsFunc(w, func(r rune) bool {
				return w != "…" && !unicode.IsLetter(r) && !unicode.IsMark(r)
			}) {
				t.Fatalf("%q: unknown word %q", text, w)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := Parse(wordsES, "es"); err != nil {
			b.Fatal(err)
		}
	}
}
