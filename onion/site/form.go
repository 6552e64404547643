package site

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// formPage is the data of the report form.
type formPage struct {
	Token    string
	Desks    []deskView // who will read it; with Choose, every desk, the chosen ones ticked
	Choose   bool       // the desks must be chosen again
	Proposed bool       // we proposed the desk
	Others   bool       // there are other desks to choose
	Exclude  []labelled // as sent, never dropped
	Shares   []labelled // of the field share
	Message  string
	Places   []placeRoles
	AskRoles bool        // what happened in each place is asked
	Groups   []groupView // the optional questions
	NoFiles  bool        // every place for uploads is taken
	Again    bool        // files must be chosen again
}

// placeRoles is a place of the report, and what happened there.
type placeRoles struct {
	Code  string
	Name  string // of a state; empty for outside
	Roles []labelled
	Open  bool // something is ticked
}

func showPlace(code string, sent []string) placeRoles {
	v := placeRoles{Code: code, Name: stateName(code)}
	for _, role := range roles {
		value := code + ":" + role
		on := slices.Contains(sent, value)
		v.Roles = append(v.Roles, labelled{value, "role." + role, on})
		v.Open = v.Open || on
	}
	return v
}

// labelled is a value of a field with its text (or the key of it).
type labelled struct {
	Value, Text string
	On          bool
}

// groupView and questionView hold the ids of their texts.
type groupView struct {
	Title     string
	Open      bool
	Questions []questionView
}

type questionView struct {
	ID, Type, Text, Value string
	Choices               []labelled
}

// newForm shows an empty form for the readers chosen.
func (s *Site) newForm(c *gin.Context, lang string, r readers, picked choices, proposed bool) {
	places := slices.DeleteFunc(slices.Clone(picked.places), func(p string) bool { return p == stateUnknown })
	p := s.formPage(lang, &form{exclude: picked.exclude, answers: map[string][]string{answerPlaces: places}})
	p.Proposed, p.Others = proposed, len(s.desks()) > 1
	p.Desks = s.showReaders(r, lang)
	v := view{Lang: lang, Step: 3, Page: p}
	if len(r.desks) == 1 && len(picked.exclude) == 0 && len(picked.places) == 0 && !proposed {
		v.Path = "/report?desk=" + r.desks[0].ID
	}
	s.page(c, http.StatusOK, "form", v)
}

// refuseForm shows a refused form again: the reason, the text, a fresh token.
func (s *Site) refuseForm(c *gin.Context, lang string, ref *refusal, f *form) {
	p := s.formPage(lang, f)
	p.Again = true
	all := s.desks()
	r, wrong := choose(all, f.desks, f.exclude)
	if p.Choose = ref.choose || wrong != nil; p.Choose {
		p.Desks = s.showDesks(all, lang, choices{desks: f.desks, exclude: f.exclude})
	} else {
		p.Desks = s.showReaders(r, lang)
	}
	s.page(c, ref.status, "form", view{
		Lang: lang, Step: 3, Page: p, Error: &errorView{ref.key, ref.field},
	})
}

// formPage fills in what does not depend on the desks.
func (s *Site) formPage(lang string, f *form) formPage {
	p := formPage{
		Token:   s.tokens.mint(s.now()),
		Message: f.message,
		NoFiles: s.uploads.full(),
	}
	share := f.share
	if !slices.Contains(shares[:], share) {
		share = shares[0]
	}
	for _, value := range shares {
		p.Shares = append(p.Shares, labelled{value, "share." + value, value == share})
	}
	for _, v := range unique(f.exclude) {
		p.Exclude = append(p.Exclude, labelled{Value: v, Text: s.excludeText(lang, v)})
	}
	for _, code := range f.answers[answerPlaces] {
		p.Places = append(p.Places, showPlace(code, f.answers[answerRoles]))
	}
	p.AskRoles = len(p.Places) > 0 && len(p.Places) <= askPlaces
	for i, g := range s.questions.Groups {
		group := groupView{Title: groupText(i)}
		for _, q := range g.Question {
			sent := f.answers[q.ID]
			group.Open = group.Open || len(sent) > 0
			group.Questions = append(group.Questions, showQuestion(q, sent))
		}
		p.Groups = append(p.Groups, group)
	}
	return p
}

func showQuestion(q question, sent []string) questionView {
	v := questionView{ID: q.ID, Type: q.Type, Text: questionText(q.ID)}
	if q.Type == "text" {
		v.Value = strings.Join(sent, "\n")
	}
	for _, ch := range q.Choices {
		v.Choices = append(v.Choices, labelled{ch.ID, choiceText(q.ID, ch.ID), slices.Contains(sent, ch.ID)})
	}
	return v
}

// excludeText names an exclusion: a desk, an organisation, or all of government.
// What is none of them, or no longer, is shown as it came.
func (s *Site) excludeText(lang, value string) string {
	if value == excludeGovernment {
		return s.locales.must(lang, "form.avoid_government")
	}
	if id, ok := strings.CutPrefix(value, excludeDesk); ok {
		for _, d := range s.desks() {
			if d.ID == id {
				return s.locales.local(d.Name, lang)
			}
		}
		return id
	}
	if org, ok := strings.CutPrefix(value, excludeOrganisation); ok {
		return s.locales.must(lang, "form.avoid_organisation", "desks", s.desksOf(org, lang))
	}
	return value
}
