package main

import (
	"errors"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion/site"
)

// addedLanguages reads the files of languages, which may translate the questions. Its
// error names everything that is wrong with them.
func addedLanguages(files []statedir.LanguageFile, questions site.Questions) (added []site.Language, err error) {
	var errs []error
	for _, f := range files {
		l, faults := site.ParseLanguage(f.Code, f.Text, questions)
		errs = append(errs, told(f.Path, faults, languageFault))
		added = append(added, l)
	}
	return added, errors.Join(errs...)
}

// told puts the faults of a file into our words.
func told(path string, faults []site.Fault, words func(site.Fault) (what, hint say.Text)) error {
	var errs []error
	for _, x := range faults {
		what, hint := words(x)
		errs = append(errs, &say.Error{Path: path, Line: x.Line, What: what, Hint: hint})
	}
	return errors.Join(errs...)
}

// languageFault is what is wrong in the file of a language, and what to do.
func languageFault(f site.Fault) (what, hint say.Text) {
	switch f.What {
	case site.FaultCode:
		return say.T("this is not the code of a language to add"), say.T("name the file after its code of two or three letters, such as nah.toml")
	case site.FaultTOML:
		return say.T("not valid TOML: %s", f.Detail), say.T("correct the line; nothing was changed")
	case site.FaultHead:
		return say.T("%s is missing, or not as it must be", f.Key), headHint(f.Key)
	case site.FaultUnknown:
		return say.T("no text has the key %s", f.Key), say.T("remove the line, or correct the spelling of the key")
	case site.FaultForms:
		return say.T("%s is neither a text nor a table of the forms one and other", f.Key), say.T("write one text in quotes, or both forms")
	case site.FaultEmpty:
		return say.T("%s has no text", f.Key), say.T("write the text, or remove the line: then the page shows the text of the base")
	case site.FaultPlaceholder:
		return say.T("%s does not have the places for values that its text has in the base", f.Key), placeholderHint(f.Detail)
	case site.FaultMarkup:
		return say.T("%s has a < or a >", f.Key), say.T("write plain text: pages take no markup from a language")
	case site.FaultHidden:
		return say.T("%s has a character that cannot be seen: a line break, a control character or a mark of writing direction", f.Key),
			say.T("type the text again instead of pasting it")
	}
	return say.T("%s has more than %s characters", f.Key, site.MaxText), say.T("make the text shorter")
}

func headHint(key string) say.Text {
	switch key {
	case "name":
		return say.T("write what its speakers call the language, in at most 40 characters: name = \"Maayat'aan\"")
	case "base":
		return say.T("write base = \"es\" or base = \"en\": what the file leaves out is shown in that language")
	}
	return say.T("write reviewed = false, or who read every text and when: reviewed = \"Nicté, 3 December 2026\"")
}

func placeholderHint(values string) say.Text {
	if values == "" {
		return say.T("write the text without {{ and }}")
	}
	return say.T("keep these, each where it belongs: %s", values)
}
