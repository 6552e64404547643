// Package screen shows text that a stranger wrote, so that it can do nothing
// but be read: no control character, no change of writing direction and no
// invisible character reaches the terminal, and no line of it can pass for a
// line of ours.
package screen

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Escape returns s as one line of printable text. What does not print is shown
// by its code: \n and \t, \x1b for other ASCII control characters and bytes that
// are not UTF-8, \u202e for everything else (C1 controls, bidirectional
// controls, zero-width and other invisible characters). A backslash becomes two,
// so that nobody can write what looks like a code.
func Escape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case shows(r):
			b.WriteString(s[:n])
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// shows reports whether r can be seen. unicode.IsPrint leaves out controls,
// format characters (bidirectional, zero width) and every space but one; some
// letters and marks are invisible too.
func shows(r rune) bool {
	const textStyle, emojiStyle = '\ufe0e', '\ufe0f' // stand in most emoji
	switch {
	case r == textStyle || r == emojiStyle:
		return true
	case unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return false
	}
	return unicode.IsPrint(r)
}

// Lines splits text at LF and CR LF and escapes each line. A last line end makes
// no empty line.
func Lines(text []byte) []string {
	text = bytes.TrimSuffix(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"))
	var lines []string
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		lines = append(lines, Escape(string(line)))
	}
	return lines
}

// quoteMark begins every line of foreign text.
const quoteMark = "| "

// Quote is Lines, each behind a mark that tells it from our own lines.
func Quote(text []byte) []string {
	lines := Lines(text)
	for i := range lines {
		lines[i] = quoteMark + lines[i]
	}
	return lines
}

// Wrap cuts lines so that none is wider than width columns, at spaces where
// there are some. What goes on of a quoted line stays quoted: a terminal that
// wrapped it would put the rest where our own lines begin.
func Wrap(lines []string, width int) []string {
	var out []string
	for _, line := range lines {
		mark := ""
		if strings.HasPrefix(line, quoteMark) {
			mark = quoteMark
		}
		rest := strings.TrimPrefix(line, mark)
		for first := true; first || rest != ""; first = false {
			var part string
			part, rest = cut(rest, max(width-len(mark), 10))
			out = append(out, mark+part)
		}
	}
	return out
}

// cut returns the longest beginning of s that fits width columns, at least one
// character, and the rest without the spaces it began with.
func cut(s string, width int) (part, rest string) {
	columns, end, space := 0, 0, 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		_, to := g.Positions()
		if columns += g.Width(); columns > width && end > 0 {
			if space > 0 {
				end = space
			}
			return s[:end], strings.TrimLeft(s[end:], " ")
		}
		end = to
		if g.Str() == " " {
			space = to
		}
	}
	return s, ""
}
