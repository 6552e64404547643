package site

import (
	"slices"
	"strings"

	"resguardo/crypto/seal"
)

// answersJSON is answers.json of the sealed report: what was answered, in the order of
// the form, with the texts in es and en that its questions and choices have now.
func (s *Site) answersJSON(lang string, f *form) ([]byte, error) {
	a := seal.Answers{Language: lang}
	add := func(one seal.Answer) {
		if len(one.Texts)+len(one.Choices) > 0 {
			a.Answers = append(a.Answers, one)
		}
	}
	add(seal.Answer{ID: answerPlaces, Question: s.label("choice.states"), Choices: chosen(f.answers[answerPlaces], s.placeLabel)})
	add(seal.Answer{ID: answerRoles, Question: s.label("form.roles"), Choices: chosen(f.answers[answerRoles], s.roleLabel)})
	for _, g := range s.questions.Groups {
		for _, q := range g.Question {
			one, sent := seal.Answer{ID: q.ID, Question: labelOf(q.Text)}, f.answers[q.ID]
			if q.Type == "text" {
				one.Texts = sent
			}
			for _, c := range q.Choices {
				if slices.Contains(sent, c.ID) {
					one.Choices = append(one.Choices, seal.Chosen{ID: c.ID, Label: labelOf(c.Text)})
				}
			}
			add(one)
		}
	}
	return a.Encode()
}

// chosen are the values ticked, each once.
func chosen(values []string, label func(string) seal.Label) (all []seal.Chosen) {
	for i, v := range values {
		if !slices.Contains(values[:i], v) {
			all = append(all, seal.Chosen{ID: v, Label: label(v)})
		}
	}
	return all
}

func labelOf(text map[string]string) seal.Label { return seal.Label{ES: text["es"], EN: text["en"]} }

// label is a sentence of the catalogues.
func (s *Site) label(id string) seal.Label {
	return seal.Label{ES: s.locales.must("es", id), EN: s.locales.must("en", id)}
}

func (s *Site) placeLabel(code string) seal.Label {
	if code == stateOutside {
		return s.label("choice.outside")
	}
	return seal.Label{ES: stateName(code), EN: stateName(code)}
}

// roleLabel names PLACE:ROLE.
func (s *Site) roleLabel(value string) seal.Label {
	place, role, _ := strings.Cut(value, ":")
	p, r := s.placeLabel(place), s.label("role."+role)
	return seal.Label{ES: p.ES + ": " + r.ES, EN: p.EN + ": " + r.EN}
}
