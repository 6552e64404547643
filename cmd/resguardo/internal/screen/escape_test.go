package screen

import (
	"strings"
	"testing"
	"unicode"

	"github.com/rivo/uniseg"
)

func TestEscape(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"¿Qué pasó? ñandú 日本 👍", "¿Qué pasó? ñandú 日本 👍"},
		{"❤️", "❤️"},
		{"", ""},
		{"\x1b[2J", `\x1b[2J`},
		{"\x1b]0;title\a", `\x1b]0;title\x07`},
		{"\x1b]52;c;aGk=\x1b\\", `\x1b]52;c;aGk=\x1b\\`},
		{`\x1b[2J C:\new`, `\\x1b[2J C:\\new`}, // typed, and no code
		{"a\nb\tc\rd", `a\nb\tc\rd`},
		{"\x00\x08\x7f", `\x00\x08\x7f`},
		{"\u0085\u009b31m", `\u0085\u009b31m`},                             // C1: 9b is a one-character CSI
		{"fdp\u202eexe.txt\u202c", `fdp\u202eexe.txt\u202c`},               // overrides
		{"\u2066a\u2069\u200f\u061c", `\u2066a\u2069\u200f\u061c`},         // isolates and marks
		{"a\u200bb\u200d\ufeff\u2060", `a\u200bb\u200d\ufeff\u2060`},       // zero width
		{"\u00ad\u034f\u115f\u3164", `\u00ad\u034f\u115f\u3164`},           // soft hyphen, fillers
		{"\u2028\u2029\u00a0\u3000", `\u2028\u2029\u00a0\u3000`},           // line ends and spaces
		{"\U000e0041\U000e0100\ufe00", `\U000e0041\U000e0100\ufe00`},       // tags, variation selectors
		{"\xff\xc0\xaf\xed\xa0\x80", `\xff\xc0\xaf\xed\xa0\x80`},           // not UTF-8
		{"\xc2\x9b", `\u009b`}, {"\x9b1m", `\x9b1m`}, {"\ue000", `\ue000`}, // raw C1 byte, private use
	} {
		if got := Escape(test.in); got != test.want {
			t.Errorf("Escape(%+q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"", []string{"| "}},
		{"a", []string{"| a"}},
		{"a\n", []string{"| a"}},
		{"a\r\nb\n\nc\n\n", []string{"| a", "| b", "| ", "| c", "| "}},
		{"a\rALARM", []string{`| a\rALARM`}},
	} {
		if got := Quote([]byte(test.in)); strings.Join(got, "~") != strings.Join(test.want, "~") {
			t.Errorf("Quote(%q) = %q", test.in, got)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		in    string
		width int
		want  string
	}{
		{"", 20, ""},
		{"short", 20, "short"},
		{"one two three four five", 13, "one two ~three four ~five"},
		{"| one two three four five", 15, "| one two ~| three four ~| five"},
		{"| " + strings.Repeat("x", 25), 14, "| xxxxxxxxxxxx~| xxxxxxxxxxxx~| x"},
		{"| 日本語日本語日本語", 12, "| 日本語日本~| 語日本語"},
		{"| e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 12, "| e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301~| e\u0301"},
	} {
		if got := strings.Join(Wrap([]string{test.in}, test.width), "~"); got != test.want {
			t.Errorf("Wrap(%q, %d) = %q, want %q", test.in, test.width, got, test.want)
		}
	}
}

// No two texts look the same.
func FuzzEscape(f *testing.F) {
	f.Add("\x1b", `\x1b`)
	f.Add("\n", "\\n")
	f.Fuzz(func(t *testing.T, a, b string) {
		if (a == b) != (Escape(a) == Escape(b)) {
			t.Errorf("%q and %q are both %s", a, b, Escape(a))
		}
	})
}

// Whatever a source writes, the terminal gets printable characters, every line
// marked, none wider than the window, and nothing is lost.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("hola\r\n\x1b[2J\u202e"), 20)
	f.Add([]byte("| x\n\xff日本語 e\u0301 👩‍👩‍👧"), 12)
	f.Fuzz(func(t *testing.T, text []byte, width int) {
		if width < 14 || width > 1000 {
			return
		}
		lines := Quote(text)
		for _, line := range lines {
			if i := strings.IndexFunc(line, func(r rune) bool { return !shows(r) }); i >= 0 || !strings.HasPrefix(line, "| ") {
				t.Errorf("line %q", line)
			}
			if strings.ContainsFunc(line, unicode.IsControl) {
				t.Errorf("line %q", line)
			}
		}
		wrapped := Wrap(lines, width)
		for _, line := range wrapped {
			if !strings.HasPrefix(line, "| ") || uniseg.StringWidth(line) > width {
				t.Errorf("line %q is wider than %d", line, width)
			}
		}
		flat := func(lines []string) string {
			var b strings.Builder
			for _, l := range lines {
				b.WriteString(strings.ReplaceAll(strings.TrimPrefix(l, "| "), " ", ""))
			}
			return b.String()
		}
		if flat(lines) != flat(wrapped) {
			t.Errorf("wrapping lost text: %q", wrapped)
		}
	})
}
