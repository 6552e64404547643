// Package say puts into words what a program tells the person who runs it, in English
// or Spanish.
//
// A [Text] is an English format string, which is also the key of its Spanish
// translation, with its arguments. It becomes words only where a [Printer]
// prints it, so that an error made by a running server can be read in the
// language of the person who asked.
//
// Data goes to standard output. Everything else goes to standard error, one
// line each, after the program's name and a word:
//
//	resguardod: error: vault/desks/norte.toml, line 4: region "X" is none of N, B, C, S
//	resguardod: hint: edit the file, then run the command again
package say

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// Text is a message that is not yet in a language. The zero value says nothing.
type Text struct {
	key  string
	args []any
}

// T makes a Text. The key is an English format string whose verbs are all %s.
// Arguments are strings, integers, errors or Texts; integers are never grouped.
func T(key string, args ...any) Text { return Text{key, args} }

// IsZero reports whether the text says nothing.
func (t Text) IsZero() bool { return t.key == "" }

// String is the text in English.
func (t Text) String() string { return English().Text(t) }

// Error is a failure that its reader can act on.
type Error struct {
	Path string // the file it is about; may be empty
	Line int    // line in Path, from 1; 0 if it is about no single line
	What Text   // what happened
	Hint Text   // what to do; may be zero
	Err  error  // the cause, for errors.Is; not printed
}

// Fail makes an error that is about no file.
func Fail(what, hint Text) *Error { return &Error{What: what, Hint: hint} }

// Error is the error in English, without the hint.
func (e *Error) Error() string { return English().Text(e.text()) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) text() Text {
	switch {
	case e.Path == "":
		return e.What
	case e.Line == 0:
		return T("%s: %s", e.Path, e.What)
	}
	return T("%s, line %s: %s", e.Path, e.Line, e.What)
}

// Line is one thing to tell, in words: what, and what to do about it.
type Line struct {
	What string `json:"what"`
	Hint string `json:"hint,omitempty"`
}

// Printer prints texts in one language.
type Printer struct {
	Out, Err io.Writer
	Language string // "es" or "en"
	name     string
	message  *message.Printer
	errors   map[string]string
}

// Language returns "es" or "en", as the environment asks for: the first of
// LC_ALL, LC_MESSAGES and LANG that is set decides.
func Language(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if v == "es" || strings.HasPrefix(v, "es_") || strings.HasPrefix(v, "es.") {
				return "es"
			}
			return "en"
		}
	}
	return "en"
}

// Catalogue is the Spanish of a program. What has no entry is printed in
// English.
type Catalogue struct {
	Texts  map[string]string // by the key of the Text
	Errors map[string]string // by the error's own words; for errors from elsewhere
}

// New makes a printer for the program of the given name.
func New(name, lang string, spanish Catalogue, out, err io.Writer) *Printer {
	b := catalog.NewBuilder(catalog.Fallback(language.English))
	tag := language.English
	p := &Printer{Out: out, Err: err, Language: lang, name: name}
	if lang == "es" {
		tag = language.Spanish
		p.errors = spanish.Errors
		for key, text := range spanish.Texts {
			if err := b.SetString(tag, key, text); err != nil {
				panic("say: catalogue: " + err.Error())
			}
		}
	}
	p.message = message.NewPrinter(tag, message.Catalog(b))
	return p
}

// English returns a printer that has no output; it only puts texts into words.
func English() *Printer { return New("", "en", Catalogue{}, io.Discard, io.Discard) }

// Text puts t into words. Control characters in arguments are escaped: they
// come from files and must not reach a terminal.
func (p *Printer) Text(t Text) string {
	args := make([]any, len(t.args))
	for i, a := range t.args {
		switch a := a.(type) {
		case Text:
			args[i] = p.Text(a)
		case *Error:
			args[i] = p.Text(a.text())
		case error:
			args[i] = p.foreign(a)
		default:
			args[i] = Escape(fmt.Sprint(a))
		}
	}
	return p.message.Sprintf(t.key, args...)
}

// foreign puts an error from elsewhere into words.
func (p *Printer) foreign(err error) string {
	if text, ok := p.errors[err.Error()]; ok {
		return text
	}
	return Escape(err.Error())
}

// Bare is the error of the system at the bottom of err, without the paths and
// names of calls around it; err itself if there is none.
func Bare(err error) error {
	if e := (syscall.Errno)(0); errors.As(err, &e) {
		return e
	}
	return err
}

// Escape replaces every character that does not print (control characters,
// marks that turn the writing direction, line ends) by its Go escape.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// Lines puts an error into words; an error made by errors.Join gives several
// lines.
func (p *Printer) Lines(err error) []Line {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []Line
		for _, e := range many.Unwrap() {
			lines = append(lines, p.Lines(e)...)
		}
		return lines
	}
	if told := (Told)(nil); errors.As(err, &told) {
		return told
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		l := Line{What: p.Text(e.text())}
		if !e.Hint.IsZero() {
			l.Hint = p.Text(e.Hint)
		}
		return []Line{l}
	}
	return []Line{{What: p.foreign(err)}}
}

// Told is an error that is in words already: another process has put it so.
type Told []Line

// Error is the first line.
func (t Told) Error() string {
	if len(t) == 0 {
		return "unknown error"
	}
	return t[0].What
}

// Fail prints an error and what to do about it.
func (p *Printer) Fail(err error) {
	for _, l := range p.Lines(err) {
		p.Line("error", l)
	}
}

// Warn prints a warning; hint may be zero.
func (p *Printer) Warn(what, hint Text) {
	for _, l := range p.Lines(Fail(what, hint)) {
		p.Line("warning", l)
	}
}

// Hint prints what to do next.
func (p *Printer) Hint(t Text) { fmt.Fprintf(p.Err, "%s: hint: %s\n", p.name, p.Text(t)) }

// Say prints a line of data to standard output.
func (p *Printer) Say(t Text) { fmt.Fprintln(p.Out, p.Text(t)) }

// Line prints one line of the given kind, "error" or "warning", and its hint.
func (p *Printer) Line(kind string, l Line) {
	fmt.Fprintf(p.Err, "%s: %s: %s\n", p.name, kind, l.What)
	if l.Hint != "" {
		fmt.Fprintf(p.Err, "%s: hint: %s\n", p.name, l.Hint)
	}
}
