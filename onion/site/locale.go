package site

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
)

// locales are the catalogues in locales/: every sentence of every page.
type locales struct {
	byLang map[string]*i18n.Localizer
}

// loadLocales reads the catalogues of all languages.
func loadLocales(fallback string) (*locales, error) {
	bundle := i18n.NewBundle(language.Make(fallback))
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	l := &locales{byLang: map[string]*i18n.Localizer{}}
	for _, lang := range [...]string{"es", "en"} {
		path := "locales/" + lang + ".toml"
		text, err := assets.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if _, err := bundle.ParseMessageFileBytes(text, path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		l.byLang[lang] = i18n.NewLocalizer(bundle, lang)
	}
	return l, nil
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
	return l.byLang[lang].Localize(c)
}

// must is text for ids that stand in this program: the catalogues have them all.
func (l *locales) must(lang, id string, args ...any) string {
	text, err := l.text(lang, id, args...)
	if err != nil {
		panic("site: no sentence " + id)
	}
	return text
}

// name is the text of one language from the operator's files, or of another one
// if that is missing.
func name(text map[string]string, lang string) string {
	for _, l := range [...]string{lang, "es", "en"} {
		if text[l] != "" {
			return text[l]
		}
	}
	return ""
}

// sizeText is a size in bytes as people read it: "4 GB", "1,5 MB" (es), "1.5 MB".
func sizeText(n int64, lang string) string {
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
		if lang == "es" {
			point = ","
		}
		text += point + strconv.FormatInt(tenths%10, 10)
	}
	return strings.Join([]string{text, name}, " ")
}
