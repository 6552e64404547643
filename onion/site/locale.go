package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
)

// Built-in languages: Spanish that says tú, Spanish that says usted, and English.
var builtIn = [...]string{"es", "es-usted", "en"}

// tongue is one language of the pages.
type tongue struct {
	Code     string // in addresses
	Base     string // es or en: plural forms, words of codenames, and every text that the language does not have
	Tag      string // of lang attributes
	Name     string // as its speakers call it
	Reviewed bool   // a person who speaks it has read its texts
	own      map[string]bool
	texts    *i18n.Localizer
}

// owns reports whether the language has a text of its own for id.
func (t *tongue) owns(id string) bool { return t.own == nil || t.own[id] }

// locales are the languages: every sentence of every page.
type locales struct {
	byCode map[string]*tongue
}

// loadLocales reads the built-in catalogues, and adds questions and languages to them.
func loadLocales(q Questions, added []Language) (*locales, error) {
	l := &locales{byCode: map[string]*tongue{}}
	for _, t := range []tongue{
		{Code: "es", Base: "es", Tag: "es", Name: "Español"},
		{Code: "es-usted", Base: "es", Tag: "es", Name: "Español (usted)"},
		{Code: "en", Base: "en", Tag: "en", Name: "English"},
	} {
		texts, err := builtInTexts(t.Base, q)
		if err != nil {
			return nil, err
		}
		if t.Code != t.Base { // only what differs
			more, err := readCatalogue(t.Code)
			if err != nil {
				return nil, err
			}
			if q.own() { // what it says of the program's questions is not meant
				more = slices.DeleteFunc(more, func(m *i18n.Message) bool { return strings.HasPrefix(m.ID, "questions.") })
			}
			texts = append(texts, more...)
		}
		t.Reviewed = true
		if err := l.add(t, texts); err != nil {
			return nil, err
		}
	}
	for _, a := range added {
		texts, err := builtInTexts(a.base, q)
		if err != nil {
			return nil, err
		}
		t := tongue{Code: a.Code, Base: a.base, Tag: a.Code, Name: a.name, Reviewed: a.reviewed != "", own: map[string]bool{}}
		for _, m := range a.texts {
			t.own[m.ID] = true
		}
		if err := l.add(t, append(texts, a.texts...)); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// add makes a language of its texts; of two with one id the later one counts.
func (l *locales) add(t tongue, texts []*i18n.Message) error {
	if l.byCode[t.Code] != nil {
		return fmt.Errorf("language %q stands there twice", t.Code)
	}
	tag := language.Make(t.Base)
	bundle := i18n.NewBundle(tag)
	if err := bundle.AddMessages(tag, texts...); err != nil {
		return fmt.Errorf("language %q: %w", t.Code, err)
	}
	t.texts = i18n.NewLocalizer(bundle, t.Base)
	l.byCode[t.Code] = &t
	return nil
}

// builtInTexts are all texts in es or en: the catalogue, and the questions as
// questions.group-N (N from 1), questions.ID and questions.ID.CHOICE.
func builtInTexts(lang string, q Questions) ([]*i18n.Message, error) {
	texts, err := readCatalogue(lang)
	if err != nil {
		return nil, err
	}
	q, err = q.orDefault()
	if err != nil {
		return nil, err
	}
	add := func(id string, text map[string]string) {
		texts = append(texts, &i18n.Message{ID: id, Other: text[lang]})
	}
	for i, g := range q.Groups {
		add(groupText(i), g.Title)
		for _, one := range g.Question {
			add(questionText(one.ID), one.Text)
			for _, c := range one.Choices {
				add(choiceText(one.ID, c.ID), c.Text)
			}
		}
	}
	return texts, nil
}

// readCatalogue reads a file of locales/.
func readCatalogue(code string) ([]*i18n.Message, error) {
	path := "locales/" + code + ".toml"
	text, err := assets.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var tables map[string]map[string]any
	if err := toml.Unmarshal(text, &tables); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var texts []*i18n.Message
	for table, keys := range tables {
		for key, value := range keys {
			m, ok := message(table+"."+key, value)
			if !ok {
				return nil, fmt.Errorf("%s: %s.%s is no text", path, table, key)
			}
			texts = append(texts, m)
		}
	}
	return texts, nil
}

// message is a text of a catalogue: one string for every number, or a table of
// plural forms.
func message(id string, value any) (*i18n.Message, bool) {
	m := &i18n.Message{ID: id}
	switch value := value.(type) {
	case string:
		m.One, m.Many, m.Other = value, value, value
	case map[string]any:
		for form, text := range value {
			text, ok := text.(string)
			at := map[string]*string{"one": &m.One, "many": &m.Many, "other": &m.Other}[form]
			if !ok || at == nil {
				return nil, false
			}
			*at = text
		}
	default:
		return nil, false
	}
	return m, true
}

// text is the sentence id, with args as pairs of name and value. With the name
// "n" and a number, the plural form follows the number.
func (l *locales) text(lang, id string, args ...any) (string, error) {
	c := &i18n.LocalizeConfig{MessageID: id}
	if len(args) > 0 {
		data := make(map[string]any, len(args)/2)
		for i := 0; i+1 < len(args); i += 2 {
			data[args[i].(string)] = args[i+1]
		}
		c.TemplateData = data
		if n, ok := data["n"].(int); ok {
			c.PluralCount = n
		}
	}
	return l.byCode[lang].texts.Localize(c)
}

// must is text for ids that stand in this program: the catalogues have them all.
func (l *locales) must(lang, id string, args ...any) string {
	text, err := l.text(lang, id, args...)
	if err != nil {
		panic("site: no sentence " + id)
	}
	return text
}

// local is a text from the operator's files, in the language, else in the one that
// it is built on, else in any.
func (l *locales) local(text map[string]string, lang string) string {
	for _, code := range slices.Concat([]string{lang, l.byCode[lang].Base}, builtIn[:]) {
		if text[code] != "" {
			return text[code]
		}
	}
	return ""
}

// size is a size in bytes as people read it: "4 GB", "1,5 MB" (es), "1.5 MB".
func (l *locales) size(n int64, lang string) string {
	unit, name := int64(1<<10), "KB"
	switch {
	case n >= 1<<30:
		unit, name = 1<<30, "GB"
	case n >= 1<<20:
		unit, name = 1<<20, "MB"
	}
	tenths := n * 10 / unit // rounded down: the limit is never shown larger than it is
	if n > 1<<59 {
		tenths = n / unit * 10
	}
	text := strconv.FormatInt(tenths/10, 10)
	if tenths%10 != 0 {
		point := "."
		if l.byCode[lang].Base == "es" {
			point = ","
		}
		text += point + strconv.FormatInt(tenths%10, 10)
	}
	return strings.Join([]string{text, name}, " ")
}
