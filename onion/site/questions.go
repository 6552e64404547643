package site

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// questions are the optional questions of the form, in groups: questions.toml.
// Their ids are part of sealed reports, so no id ever changes its meaning.
type questions struct {
	Groups []struct {
		Title    map[string]string // by language, as every text here
		Question []question
	} `toml:"group"`
}

type question struct {
	ID      string
	Type    string // text, one (of the choices) or many
	Text    map[string]string
	Choices []choice
}

type choice struct {
	ID   string
	Text map[string]string
}

var validID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func loadQuestions() (questions, error) {
	text, err := assets.ReadFile("questions.toml")
	if err != nil {
		return questions{}, err
	}
	q, err := parseQuestions(text)
	if err != nil {
		return questions{}, fmt.Errorf("questions: %w", err)
	}
	return q, nil
}

func parseQuestions(text []byte) (questions, error) {
	var q questions
	d := toml.NewDecoder(bytes.NewReader(text))
	if err := d.DisallowUnknownFields().Decode(&q); err != nil {
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := e.Position()
			return q, fmt.Errorf("line %d: %w", line, err)
		}
		return q, err
	}
	seen := map[string]bool{}
	for _, g := range q.Groups {
		if !bilingual(g.Title) {
			return q, errors.New("group without a title in es and en")
		}
		for _, one := range g.Question {
			if err := one.check(); err != nil {
				return q, fmt.Errorf("question %q: %w", one.ID, err)
			}
			if seen[one.ID] {
				return q, fmt.Errorf("question %q: twice", one.ID)
			}
			seen[one.ID] = true
		}
	}
	return q, nil
}

func (q question) check() error {
	switch {
	case !validID.MatchString(q.ID) || q.ID == answerPlaces || q.ID == answerRoles || strings.HasPrefix(q.ID, "group-"):
		return errors.New("id is not of a-z, 0-9 and -, or is taken")
	case !bilingual(q.Text):
		return errors.New("no text in es and en")
	case q.Type != "text" && q.Type != "one" && q.Type != "many":
		return errors.New("type is not text, one or many")
	case (q.Type == "text") != (len(q.Choices) == 0):
		return errors.New("choices do not fit the type")
	}
	seen := map[string]bool{}
	for _, c := range q.Choices {
		if !validID.MatchString(c.ID) || seen[c.ID] || !bilingual(c.Text) {
			return fmt.Errorf("choice %q: bad or repeated id, or no text in es and en", c.ID)
		}
		seen[c.ID] = true
	}
	return nil
}

func bilingual(text map[string]string) bool { return text["es"] != "" && text["en"] != "" }

// Ids of the texts of questions in the catalogues.
func groupText(i int) string          { return "questions.group-" + strconv.Itoa(i+1) }
func questionText(id string) string   { return "questions." + id }
func choiceText(id, ch string) string { return "questions." + id + "." + ch }

// Two answers are no questions of questions.toml: the places that the source ticked,
// as codes of states or outside, and what happened in each, as PLACE:ROLE.
const (
	answerPlaces = "states"
	answerRoles  = "roles"

	askPlaces = 8 // up to so many places the form asks what happened in each
)

// roles are what can have happened in a place: someone was recruited there, was taken
// there or through it, was exploited there, or the official works there.
var roles = [...]string{"recruited", "moved", "exploited", "official"}

// accepts reports whether value answers the question id.
func (q questions) accepts(id, value string) bool {
	switch id {
	case answerPlaces:
		return value != stateUnknown && isPlace(value)
	case answerRoles:
		place, role, _ := strings.Cut(value, ":")
		return q.accepts(answerPlaces, place) && slices.Contains(roles[:], role)
	}
	for _, g := range q.Groups {
		for _, one := range g.Question {
			if one.ID == id {
				return one.Type == "text" || slices.ContainsFunc(one.Choices, func(c choice) bool { return c.ID == value })
			}
		}
	}
	return false
}
