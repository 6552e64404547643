package codename

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/tyler-smith/go-bip39/wordlists"
	"golang.org/x/text/unicode/norm"
)

// Each line of a skip list is a word of the list as it is shown, a tab, and the
// reason why it is not drawn.
var (
	//go:embed skip_es.txt
	skipSpanish string
	//go:embed skip_en.txt
	skipEnglish string
)

// The lists are built on first use (about 2 ms each) and never change.
var (
	spanish = sync.OnceValue(func() *List { return newList("es", wordlists.Spanish, skipSpanish) })
	english = sync.OnceValue(func() *List { return newList("en", wordlists.English, skipEnglish) })
)

// List is the word list of one language: a BIP39 list, and the part of it that
// new codenames are drawn from (the skip list taken out). It is immutable.
type List struct {
	lang   string
	drawn  []string          // normalised words that may be drawn, in the order of the list
	shown  map[string]string // normalised word -> with accents, NFC
	prefix map[string]string // first prefixLen letters -> the only normalised word with them
}

// prefixLen is how many letters of a word decide which it is: in both lists no
// two words share four.
const prefixLen = 4

// ForLanguage returns the list of "es" or "en", the same one each time.
func ForLanguage(lang string) (*List, error) {
	switch lang {
	case "es":
		return spanish(), nil
	case "en":
		return english(), nil
	}
	return nil, fmt.Errorf("no word list for language %q", lang)
}

func newList(lang string, words []string, skip string) *List {
	skipped := make(map[string]bool)
	for line := range strings.Lines(skip) {
		word, _, _ := strings.Cut(line, "\t")
		skipped[normalise(norm.NFKD.String(word))] = true
	}
	l := &List{lang: lang, shown: make(map[string]string), prefix: make(map[string]string)}
	for _, w := range words {
		word := normalise(norm.NFKD.String(w))
		l.shown[word] = norm.NFC.String(w)
		if len(word) >= prefixLen {
			l.prefix[word[:prefixLen]] = word
		}
		if !skipped[word] {
			l.drawn = append(l.drawn, word)
		}
	}
	return l
}

// read returns the word that a normalised token stands for: the word itself, or
// the only word that begins with it if it has four letters or more.
func (l *List) read(token string) (word string, ok bool) {
	if _, ok := l.shown[token]; ok {
		return token, true
	}
	if len(token) < prefixLen {
		return "", false
	}
	word, ok = l.prefix[token[:prefixLen]]
	return word, ok && strings.HasPrefix(word, token)
}

// A token is one typed word.
type token struct {
	nfkd string
	word string // normalised
}

// typed is the token to be shown to whoever typed it. It holds letters and
// accents only.
func (t token) typed() string {
	r := []rune(norm.NFC.String(t.nfkd))
	return string(r[:min(len(r), 20)])
}

// Bounds of what split looks at.
const (
	maxText   = 64 << 10 // bytes
	maxTokens = 64
)

// split cuts text at everything but letters and their accents, into at most
// maxTokens tokens. What lies beyond maxText counts as one more word.
func split(text string) []token {
	long := len(text) > maxText
	text = norm.NFKD.String(text[:min(len(text), maxText)])
	var tokens []token
	for f := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
		if len(tokens) == maxTokens {
			return tokens
		}
		// Accents alone are no word.
		if word := normalise(f); word != "" {
			tokens = append(tokens, token{f, word})
		}
	}
	if long {
		tokens = append(tokens, token{"…", "…"})
	}
	return tokens
}

// normalise lowers the case of NFKD text and drops its accents.
func normalise(nfkd string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsMark(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, nfkd)
}
