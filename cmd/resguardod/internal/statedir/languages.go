package statedir

import (
	"errors"
	"io/fs"
	"slices"

	"resguardo/cmd/internal/say"
)

// LanguagesDir holds the languages of the pages that the program does not bring:
// CODE.toml, read by [resguardo/onion/site.ParseLanguage].
const LanguagesDir = "languages"

// maxLanguage is the bytes of the file of a language.
const maxLanguage = 256 << 10

// pageLanguages are the languages of the pages that the program brings.
var pageLanguages = [...]string{"es", "es-usted", "en"}

// LanguageFile is languages/CODE.toml.
type LanguageFile struct {
	Code string
	Path string
	Text []byte
}

func isPageLanguage(code string) bool { return slices.Contains(pageLanguages[:], code) }

// base is the language of the operator's texts, es or en, that a language of the
// pages shows: empty if it takes any.
func base(lang string) string {
	switch lang {
	case "es", "es-usted":
		return "es"
	case "en":
		return "en"
	}
	return ""
}

// Spoken are the languages of the pages as a desk names them.
func (c Config) Spoken() (spoken []string) {
	for _, lang := range c.Languages {
		if b := base(lang); b != "" {
			lang = b
		}
		if !slices.Contains(spoken, lang) {
			spoken = append(spoken, lang)
		}
	}
	return spoken
}

// loadLanguages reads the file of every language of the pages that has one.
func (d Dir) loadLanguages(s *State) error {
	var errs []error
	for _, code := range s.Config.Languages {
		if isPageLanguage(code) {
			continue
		}
		path := d.Path(LanguagesDir, code+".toml")
		text, err := ReadFile(path, maxLanguage)
		if errors.Is(err, fs.ErrNotExist) {
			err = &say.Error{Path: path, Err: fs.ErrNotExist, What: say.T("there is no file for the language %s", quote(code)),
				Hint: say.T("write it (see docs/operator.md, Languages), or take the language out of %s", ConfigFile)}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.Languages = append(s.Languages, LanguageFile{code, path, text})
	}
	return errors.Join(errs...)
}
