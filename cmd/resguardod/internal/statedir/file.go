package statedir

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"

	"resguardo/cmd/internal/say"
)

// Words is a text by language.
type Words struct {
	ES string `toml:"es" json:"es"`
	EN string `toml:"en" json:"en"`
}

// In is the text in a language of the pages, or in the one that it is built on; any
// for a language of a file.
func (w Words) In(lang string) string {
	switch base(lang) {
	case "es":
		return w.ES
	case "en":
		return w.EN
	}
	return cmp.Or(w.ES, w.EN)
}

// Map is w without the languages that have no text; nil if there is none.
func (w Words) Map() map[string]string {
	m := map[string]string{}
	for _, lang := range Languages {
		if w.In(lang) != "" {
			m[lang] = w.In(lang)
		}
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

// Languages are those of the operator's texts.
var Languages = [...]string{"es", "en"}

// file collects what is wrong in one file. With no path it checks a value that
// comes from a command.
type file struct {
	path string
	doc  []byte
	errs []error
}

// decode reads strict TOML into v: every key must be known. A document with
// another format is refused for that alone, because its keys may be others.
func (f *file) decode(v any, format string) {
	var head struct {
		Format string `toml:"format"`
	}
	if err := toml.Unmarshal(f.doc, &head); err == nil && head.Format != format {
		f.wrong("format", say.T("format is %s, this version reads %s", quote(head.Format), format),
			say.T("use the version of resguardod that made this directory, or a newer one"))
		return
	}
	d := toml.NewDecoder(bytes.NewReader(f.doc))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if strict := (*toml.StrictMissingError)(nil); errors.As(err, &strict) {
		for _, e := range strict.Errors {
			line, _ := e.Position()
			f.add(line, say.T("unknown key %s", strings.Join(e.Key(), ".")),
				say.T("remove the line, or correct the spelling of the key"))
		}
		return
	}
	if e := (*toml.DecodeError)(nil); errors.As(err, &e) {
		line, _ := e.Position()
		what := strings.TrimPrefix(e.Error(), "toml: ")
		if strings.HasPrefix(what, "cannot decode") {
			f.add(line, say.T("%s has a value of the wrong type", strings.Join(e.Key(), ".")),
				say.T("texts stand in quotes, numbers and true or false do not, lists stand in [ ]"))
			return
		}
		f.add(line, say.T("not valid TOML: %s", what), say.T("correct the line; nothing was changed"))
		return
	}
	if err != nil {
		f.add(0, say.T("not valid TOML: %s", strings.TrimPrefix(err.Error(), "toml: ")), say.Text{})
	}
}

func (f *file) add(line int, what, hint say.Text) {
	f.errs = append(f.errs, &say.Error{Path: f.path, Line: line, What: what, Hint: hint})
}

// wrong notes a problem with the value of a key, such as "log.epoch".
func (f *file) wrong(key string, what, hint say.Text) { f.add(line(f.doc, key), what, hint) }

// err is everything that is wrong, or nil.
func (f *file) err() error { return errors.Join(f.errs...) }

// line finds the line of a key in TOML that has been read before; 0 if it is not
// there. It takes the first of several tables of an array.
func line(doc []byte, key string) int {
	table, name, found := strings.Cut(key, ".")
	if !found {
		table, name = "", key
	}
	current := ""
	for i, l := range strings.Split(string(doc), "\n") {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			current = strings.Trim(l, "[] ")
			continue
		}
		k, _, ok := strings.Cut(l, "=")
		if ok && current == table && strings.Trim(strings.TrimSpace(k), `"'`) == name {
			return i + 1
		}
	}
	return 0
}

// text checks a text of at most limit characters for people to read.
func (f *file) text(key, value string, limit int) {
	n := utf8.RuneCountInString(value)
	switch {
	case !utf8.ValidString(value):
		f.wrong(key, say.T("%s is not valid UTF-8", key), say.T("type the text again"))
	case n > limit:
		f.wrong(key, say.T("%s has %s characters, at most %s are allowed", key, n, limit), say.T("make the text shorter"))
	case strings.ContainsFunc(value, hidden):
		f.wrong(key, say.T("%s has a character that cannot be seen: a line break, a control character or a mark of writing direction", key),
			say.T("type the text again instead of pasting it"))
	case strings.TrimSpace(value) != value:
		f.wrong(key, say.T("%s begins or ends with a space", key), say.T("remove the space"))
	}
}

// hidden reports characters that change how a text looks without being seen.
func hidden(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r) ||
		unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) // Hangul fillers are letters
}

// each checks a list: every element against ok, and none twice.
func (f *file) each(key string, values []string, ok func(string) bool, allowed say.Text) {
	for i, v := range values {
		switch {
		case !ok(v):
			f.wrong(key, say.T("%s: %s is not allowed", key, quote(v)), say.T("allowed are: %s", allowed))
		case slices.Contains(values[:i], v):
			f.wrong(key, say.T("%s: %s stands there twice", key, quote(v)), say.T("remove one of the two"))
		}
	}
}

// quote shows at most 40 characters of a value that may be hostile.
func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return `"` + s + `"`
}

// isID reports whether s is an id of a desk or an organisation: [a-z0-9-]{1,32},
// but not "-", which stands for none in the public log.
func isID(s string) bool {
	return s != "-" && isOf(s, "abcdefghijklmnopqrstuvwxyz0123456789-", 32)
}

func isOf(s, letters string, limit int) bool {
	return s != "" && len(s) <= limit && strings.Trim(s, letters) == ""
}
