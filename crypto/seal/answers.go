package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// AnswersFormat is the format field of answers.json.
const AnswersFormat = "resguardo/answers/v1"

// Limits of answers.json.
const (
	MaxAnswers = 1 << 20 // bytes
	maxAnswer  = 1000    // answers, and texts or choices of one
	maxLabel   = 4000    // bytes of a question or a choice in one language
)

// Answers is answers.json: what the source answered to the questions of the form,
// with the texts of the questions and choices as they were then. So it can be read
// without the vault's questions, also when those have changed.
type Answers struct {
	Format   string   `json:"format"`   // filled in by Encode
	Language string   `json:"language"` // of the form: es, es-usted, en or the code of an added one
	Answers  []Answer `json:"answers"`  // in the order of the form; what was left blank is not there
}

// Answer is one question that was answered: with texts in the source's own words, or
// with choices. Exactly one of the two is there.
type Answer struct {
	ID       string   `json:"id"`
	Question Label    `json:"question"`
	Texts    []string `json:"texts,omitempty"`
	Choices  []Chosen `json:"choices,omitempty"`
}

// Label is a text of the form in both languages that every vault has.
type Label struct {
	ES string `json:"es"`
	EN string `json:"en"`
}

// In is the text in es or en.
func (l Label) In(lang string) string {
	if lang == "es" {
		return l.ES
	}
	return l.EN
}

// Chosen is a choice that the source ticked.
type Chosen struct {
	ID string `json:"id"`
	Label
}

// Encode returns the one text of a: JSON as [ParseAnswers] takes it. It refuses what
// that would refuse.
func (a *Answers) Encode() ([]byte, error) {
	a.Format = AnswersFormat
	if a.Answers == nil {
		a.Answers = []Answer{}
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(a); err != nil {
		return nil, fmt.Errorf("answers: %w", err)
	}
	if b.Len() > MaxAnswers {
		return nil, fmt.Errorf("answers: %d bytes are more than %d", b.Len(), MaxAnswers)
	}
	return b.Bytes(), nil
}

// ParseAnswers reads answers.json. It refuses every text but the one that Encode
// makes: no field is unknown, missing or repeated, so that all readers read the same.
// What it returns was written by a stranger, and may hold any character.
func ParseAnswers(text []byte) (Answers, error) {
	if len(text) > MaxAnswers {
		return Answers{}, fmt.Errorf("answers: more than %d bytes", MaxAnswers)
	}
	var a Answers
	if err := json.Unmarshal(text, &a); err != nil {
		// encoding/json quotes its input in some errors.
		return Answers{}, errors.New("answers: not the JSON of answers")
	}
	if a.Format != AnswersFormat {
		return Answers{}, errors.New("answers: format is not " + AnswersFormat)
	}
	again, err := a.Encode()
	if err != nil {
		return Answers{}, err
	}
	if !bytes.Equal(again, text) {
		return Answers{}, errors.New("answers: not in canonical form")
	}
	return a, nil
}

// check says what does not hold about a.
func (a *Answers) check() error {
	if !isAnswerID(a.Language) || len(a.Answers) > maxAnswer {
		return errors.New("language or number of answers is not possible")
	}
	seen := map[string]bool{}
	for i, one := range a.Answers {
		if seen[one.ID] {
			return fmt.Errorf("answer %d stands there twice", i+1)
		}
		seen[one.ID] = true
		if err := one.check(); err != nil {
			return fmt.Errorf("answer %d: %w", i+1, err)
		}
	}
	return nil
}

func (a *Answer) check() error {
	n := len(a.Texts) + len(a.Choices)
	switch {
	case !isAnswerID(a.ID) || !a.Question.isWhole():
		return errors.New("id or question is not possible")
	case len(a.Texts) > 0 && len(a.Choices) > 0 || n == 0 || n > maxAnswer:
		return errors.New("texts or choices, and not both or none, up to 1000")
	}
	seen := map[string]bool{}
	for _, c := range a.Choices {
		if !isAnswerID(c.ID) || seen[c.ID] || !c.isWhole() {
			return errors.New("id or text of a choice is not possible, or repeated")
		}
		seen[c.ID] = true
	}
	return nil
}

// isAnswerID reports whether s is a-z, A-Z, 0-9, - and : only, such as farm or
// SON:moved.
func isAnswerID(s string) bool {
	return isMadeOf(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:", 1, 64)
}

func (l Label) isWhole() bool {
	return l.ES != "" && l.EN != "" && len(l.ES) <= maxLabel && len(l.EN) <= maxLabel
}
