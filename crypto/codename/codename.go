// Package codename makes, reads and derives keys from a codename: the eight
// words that are all a source needs to come back.
//
// The words come from the BIP39 list of the page's language, Spanish or
// English, 2,048 words each. New codenames are drawn without the words of a
// reviewed skip list (skip_es.txt, skip_en.txt: words that hurt, frighten or
// puzzle in Mexico); at least 86 bits remain. Reading accepts the whole list.
//
// A codename is stretched once with Argon2id; HKDF-SHA256 then gives each
// purpose a key of its own:
//
//	mk  = Argon2id(words, salt of the vault, t=3, m=64 MiB, p=1), 32 bytes
//	key = HKDF-SHA256(mk, no salt, "resguardo/v1/" + purpose), 32 bytes
//
// with the purposes mailbox, age, thread and log. The package gives seeds only:
// it knows nothing of age. Test vectors are in docs/formats.md.
package codename

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Words is the number of words of a codename.
const Words = 8

// Codename is eight words of one word list. The zero value is no codename.
// Equal codenames compare equal with ==.
type Codename struct {
	words [Words]string // normalised: lower case, no accents
	list  *List
}

// Control returns six words that tell a key by its fingerprint (SHA-256): the first
// that Draw makes of it. People compare them with what they were given another way.
// They are fewer than eight, so they are no codename.
func (l *List) Control(fingerprint [32]byte) string {
	return strings.Join(strings.Fields(l.Draw(fingerprint).String())[:6], " · ")
}

// Draw makes the codename that random selects: word i is the big-endian uint32
// of bytes 4i to 4i+3, modulo the number of words that may be drawn. The bias
// of the modulus is below 2^-20.
func (l *List) Draw(random [32]byte) Codename {
	c := Codename{list: l}
	for i := range c.words {
		n := binary.BigEndian.Uint32(random[4*i:])
		c.words[i] = l.drawn[n%uint32(len(l.drawn))]
	}
	return c
}

// Language is the language of the codename's list: "es" or "en".
func (c Codename) Language() string {
	if c.list == nil {
		return ""
	}
	return c.list.lang
}

// String is the codename as it is shown to people: words with their accents
// (NFC), one space between.
func (c Codename) String() string {
	if c.list == nil {
		return ""
	}
	shown := make([]string, Words)
	for i, w := range c.words {
		shown[i] = c.list.shown[w]
	}
	return strings.Join(shown, " ")
}

// Normalised is the input of the key derivation: lower case, no accents, one
// space between.
func (c Codename) Normalised() string {
	if c.list == nil {
		return ""
	}
	return strings.Join(c.words[:], " ")
}

// Differs returns the number (1 to 8) of the first word of typed that differs,
// or 0 if typed reads as c. A missing word differs; so does word 8 if more follow.
func (c Codename) Differs(typed string) int {
	if c.list == nil {
		return 1
	}
	tokens := split(typed)
	for i, w := range c.words {
		if i >= len(tokens) {
			return i + 1
		}
		if read, ok := c.list.read(tokens[i].word); !ok || read != w {
			return i + 1
		}
	}
	if len(tokens) > Words {
		return Words
	}
	return 0
}

// WordsError says which of the typed words are not in the list, or that the
// number of words is not eight. The words are secret: show them to the person
// who typed them and to nobody else.
type WordsError struct {
	Unknown []string // as typed, but cut to 20 characters and without control characters; at most 8
	Count   int      // words typed; 64 means 64 or more
}

// Error names no word.
func (e *WordsError) Error() string {
	if e.Count != Words {
		return fmt.Sprintf("%d words instead of %d", e.Count, Words)
	}
	return fmt.Sprintf("%d unknown words", len(e.Unknown))
}

// Parse reads a codename as a person types it: upper or lower case, with or
// without accents, whatever stands between the words. A word may be cut to its
// first four letters or more. The list of lang ("es" or "en") is tried first,
// then the other one; lists are never mixed.
//
// The error is a *[WordsError]. It is relative to the list that knows more of
// the words, or to the list of lang if both know as many.
func Parse(text, lang string) (Codename, error) {
	first, second := spanish(), english()
	if lang == english().lang {
		first, second = second, first
	}
	tokens := split(text)
	c, unknown := first.parse(tokens)
	if len(unknown) > 0 {
		if other, n := second.parse(tokens); len(n) < len(unknown) {
			c, unknown = other, n
		}
	}
	if len(tokens) != Words || len(unknown) > 0 {
		return Codename{}, &WordsError{Unknown: unknown[:min(len(unknown), 8)], Count: len(tokens)}
	}
	return c, nil
}

// parse reads the first eight tokens and returns those of all that l does not know.
func (l *List) parse(tokens []token) (c Codename, unknown []string) {
	c.list = l
	for i, t := range tokens {
		word, ok := l.read(t.word)
		if !ok {
			unknown = append(unknown, t.typed())
		} else if i < Words {
			c.words[i] = word
		}
	}
	return c, unknown
}
