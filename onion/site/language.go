package site

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
)

// Language is a language that a vault adds to the built-in ones: the texts of its
// file, DIR/languages/CODE.toml. What the file leaves out is shown in its base.
//
//	name = "Maayat'aan"
//	base = "es"         # or "en"
//	reviewed = false    # or who read it all, and when: "Nicté, 3 December 2026"
//
//	[page]
//	leave = "…"
//
//	[questions]
//	kind = "…"
//	'kind.farm' = "…"
//
// Tables and keys are those of the catalogues in locales/; the ids of questions and
// of their choices are those of the vault's questions. Until somebody who speaks the
// language has read it, each of its pages says so.
type Language struct {
	Code     string // as in addresses, [a-z]{2,3}: nah, yua, mix
	name     string
	base     string
	reviewed string
	texts    []*i18n.Message
}

// Fault is one thing that is wrong in the file of a language, or of questions.
type Fault struct {
	Line   int    // 0 if it is not known
	Key    string // such as "page.leave"
	What   string // one of the constants below
	Detail string
}

// What can be wrong in the file of a language.
const (
	FaultCode        = "code"        // the code is not [a-z]{2,3}, or of a built-in language
	FaultTOML        = "toml"        // it is not TOML; Detail says why
	FaultHead        = "head"        // Key (name, base or reviewed) is missing or not as it must be
	FaultUnknown     = "unknown"     // no text has this key
	FaultForms       = "forms"       // neither a text nor a table of the forms one and other
	FaultEmpty       = "empty"       // no text
	FaultPlaceholder = "placeholder" // not the placeholders of the base's text, which are Detail
	FaultMarkup      = "markup"      // < or >
	FaultHidden      = "hidden"      // a line break, a control character or a mark of writing direction
	FaultLong        = "long"        // more than MaxText characters
)

// Bounds of the file of a language.
const (
	MaxLanguageFile = 256 << 10 // bytes
	MaxText         = 1000      // characters of one text
)

var (
	codeForm   = regexp.MustCompile(`^[a-z]{2,3}$`)
	valueForm  = regexp.MustCompile(`\{\{\.[a-z]+\}\}`)
	headFields = [...]string{"name", "base", "reviewed"}
)

// IsBuiltIn reports whether a language of the pages is part of this program.
func IsBuiltIn(code string) bool { return slices.Contains(builtIn[:], code) }

// ParseLanguage reads the file of a language of at most MaxLanguageFile bytes, which may
// translate the questions q (those of Config.Questions). The language is good if there
// are no faults.
func ParseLanguage(code string, file []byte, q Questions) (Language, []Fault) {
	p := &languageFile{doc: file, questions: q, language: Language{Code: code}}
	if !codeForm.MatchString(code) || IsBuiltIn(code) {
		p.wrong("", FaultCode, "")
	} else if p.head(); len(p.faults) == 0 {
		p.read()
	}
	return p.language, p.faults
}

type languageFile struct {
	doc       []byte
	questions Questions
	tables    map[string]any
	language  Language
	faults    []Fault
}

func (p *languageFile) wrong(key, fault, detail string) {
	p.faults = append(p.faults, Fault{lineOf(p.doc, key), key, fault, detail})
}

// head reads the first lines.
func (p *languageFile) head() {
	if err := toml.NewDecoder(bytes.NewReader(p.doc)).Decode(&p.tables); err != nil {
		line := 0
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = e.Position()
		}
		p.faults = append(p.faults, Fault{line, "", FaultTOML, strings.TrimPrefix(err.Error(), "toml: ")})
		return
	}
	l := &p.language
	l.name, _ = p.tables["name"].(string)
	l.base, _ = p.tables["base"].(string)
	l.reviewed, _ = p.tables["reviewed"].(string)
	no, isBool := p.tables["reviewed"].(bool)
	switch {
	case strings.TrimSpace(l.name) == "" || utf8.RuneCountInString(l.name) > 40 || strings.ContainsAny(l.name, "<>") || strings.ContainsFunc(l.name, unseen):
		p.wrong("name", FaultHead, "")
	case l.base != "es" && l.base != "en":
		p.wrong("base", FaultHead, "")
	case strings.TrimSpace(l.reviewed) == "" && (!isBool || no):
		p.wrong("reviewed", FaultHead, "")
	}
}

// read reads the tables of texts.
func (p *languageFile) read() {
	base, err := builtInTexts(p.language.base, p.questions)
	if err != nil {
		panic("site: " + err.Error())
	}
	known := map[string]*i18n.Message{}
	for _, m := range base {
		known[m.ID] = m
	}
	for table, keys := range p.tables {
		if slices.Contains(headFields[:], table) {
			continue
		}
		texts, ok := keys.(map[string]any)
		if !ok {
			p.wrong(table, FaultUnknown, "")
			continue
		}
		for key, value := range texts {
			id := table + "." + key
			if known[id] == nil {
				p.wrong(id, FaultUnknown, "")
				continue
			}
			p.text(known[id], value)
		}
	}
	slices.SortFunc(p.faults, func(a, b Fault) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key)) })
}

// text reads one text in place of the base's.
func (p *languageFile) text(base *i18n.Message, value any) {
	m, ok := message(base.ID, value)
	if !ok {
		p.wrong(base.ID, FaultForms, "")
		return
	}
	if m.One == "" || m.Other == "" {
		p.wrong(base.ID, FaultEmpty, "")
		return
	}
	if m.Many == "" {
		m.Many = m.Other
	}
	for _, text := range [...]string{m.One, m.Many, m.Other} {
		if fault, detail := textFault(base.Other, text); fault != "" {
			p.wrong(base.ID, fault, detail)
			return
		}
	}
	p.language.texts = append(p.language.texts, m)
}

// textFault is what is wrong with a text in place of the base's, or "".
func textFault(base, text string) (fault, detail string) {
	values, have := valuesOf(base), valuesOf(text)
	rest := valueForm.ReplaceAllString(text, "")
	switch {
	case strings.TrimSpace(text) == "":
		return FaultEmpty, ""
	case !slices.Equal(values, have) || strings.Contains(rest, "{{") || strings.Contains(rest, "}}"):
		return FaultPlaceholder, strings.Join(values, " ")
	case strings.ContainsAny(text, "<>"):
		return FaultMarkup, ""
	case strings.ContainsFunc(text, unseen):
		return FaultHidden, ""
	case utf8.RuneCountInString(text) > MaxText:
		return FaultLong, ""
	}
	return "", ""
}

// valuesOf are the placeholders of a text.
func valuesOf(text string) []string { return unique(valueForm.FindAllString(text, -1)) }

// unseen reports characters that change how a text looks without being seen.
func unseen(r rune) bool {
	return r != ' ' && r != '\u00A0' && !unicode.IsPrint(r) ||
		unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) // Hangul fillers are letters
}

// lineOf finds the line of a key in TOML that has been read before; 0 if it is not
// there.
func lineOf(doc []byte, key string) int {
	plain := func(s string) string { return strings.NewReplacer(`"`, "", `'`, "", " ", "", "\t", "").Replace(s) }
	table, n := "", 0
	for l := range strings.Lines(string(doc)) {
		n++
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			if table = plain(strings.Trim(l, "[]")); table == key {
				return n
			}
			table += "."
			continue
		}
		name, _, ok := strings.Cut(l, "=")
		if ok && table+plain(name) == key {
			return n
		}
	}
	return 0
}
