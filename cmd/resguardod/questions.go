package main

import (
	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion/site"
)

// ownTexts reads the texts of the pages that are the vault's own: its questions, and
// its languages. The error names everything that is wrong with them; languages are
// not read as long as the questions are wrong, because they translate them.
func ownTexts(d statedir.Dir, s *statedir.State) (site.Questions, []site.Language, error) {
	questions, err := ownQuestions(d.Path(statedir.QuestionsFile), s.Questions)
	if err != nil {
		return questions, nil, err
	}
	languages, err := addedLanguages(s.Languages, questions)
	return questions, languages, err
}

// ownQuestions reads the file of questions; nil means that there is none.
func ownQuestions(path string, file []byte) (site.Questions, error) {
	if file == nil {
		return site.Questions{}, nil
	}
	questions, faults := site.ParseQuestions(file)
	return questions, told(path, faults, questionFault)
}

// questionFault is what is wrong in the file of questions, and what to do.
func questionFault(f site.Fault) (what, hint say.Text) {
	switch f.What {
	case site.FaultGroups:
		return say.T("there is no [[group]], or one without a [[group.question]]"), say.T("write one, or remove the file: then the pages ask the questions of the program")
	case site.FaultID:
		return say.T("the id \"%s\" is not possible", f.Key), say.T("an id is 1 to 32 of a-z, 0-9 and -, and neither states nor roles, and does not begin with group-")
	case site.FaultTwice:
		return say.T("the id %s stands there twice", f.Key), say.T("give one of the two another id; an id never changes its meaning")
	case site.FaultType:
		return say.T("the type of question %s is not text, one or many", f.Key), say.T("text = own words; one, many = of the choices")
	case site.FaultChoices:
		return say.T("the choices of question %s do not fit its type", f.Key), say.T("questions of the type one or many have choices, others have none")
	case site.FaultMany:
		return say.T("there are more than %s choices in all", site.MaxChoices), say.T("take some out: the form must stay short")
	case site.FaultUnknown:
		return say.T("unknown key %s", f.Key), say.T("remove the line, or correct the spelling of the key")
	case site.FaultEmpty:
		return say.T("%s has no text", f.Key), say.T("every text stands there in es and en")
	}
	return languageFault(f)
}
