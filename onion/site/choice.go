package site

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"resguardo/vault"
)

// describeDesks is up to how many desks the choice page tells their regions. The
// form always tells everything about the desks chosen.
const describeDesks = 60

// choicePage is the data of the page that asks for states and desks.
type choicePage struct {
	States        []placeView
	Places        []placeView // outside, unknown
	Desks         []deskView
	Organisations []orgView // those with more than one desk
	Government    bool      // excluded
	AnyGovernment bool
	Single        bool // only one desk: nothing to propose
	Open          bool // the list of desks is unfolded
	OpenExclude   bool // the list of whom to exclude is unfolded
	Describe      bool // the list of desks tells more than their names
}

type placeView struct {
	Code, Name string
	Ticked     bool
}

// orgView is an organisation, told by the names of its desks: its id means nothing to a source.
type orgView struct {
	ID, Desks string
	Excluded  bool
}

// choices is what the source ticked on that page. It comes by POST: states and
// exclusions never stand in an addres.
type choices struct {
	places  []string
	desks   []string
	exclude []string
}

// parseChoices reads the page's form, or returns false if it is not one.
func parseChoices(v url.Values) (choices, bool) {
	for key := range v {
		if key != "state" && key != "desk" && key != "exclude" {
			return choices{}, false
		}
	}
	c := choices{places: unique(v["state"]), desks: unique(v["desk"]), exclude: unique(v["exclude"])}
	if slices.ContainsFunc(c.places, func(p string) bool { return !isPlace(p) }) {
		return choices{}, false
	}
	return c, true
}

// choose answers GET /{lang}/report: the choice of a desk, or with ?desk=ID the
// form itself.
func (s *Site) choose(c *gin.Context, lang string) {
	if s.closed(c, lang) {
		return
	}
	if c.Request.URL.RawQuery == "" {
		s.showChoice(c, lang, choices{}, nil)
		return
	}
	picked := choices{desks: unique(c.Request.URL.Query()["desk"])}
	r, ref := choose(s.desks(), picked.desks, nil)
	if ref != nil {
		s.showChoice(c, lang, picked, ref)
		return
	}
	s.newForm(c, lang, r, picked, false)
}

// closed answers with a notice if no report could be stored now.
func (s *Site) closed(c *gin.Context, lang string) bool {
	switch {
	case errors.Is(s.vault.Room(), vault.ErrFull):
		s.notice(c, http.StatusServiceUnavailable, lang, "notice.full")
	case s.kdf.busy():
		s.notice(c, http.StatusServiceUnavailable, lang, "notice.busy")
	default:
		return false
	}
	return true
}

// chosen answers the choice page's POST with the form, or with that page again.
func (s *Site) chosen(c *gin.Context, lang string) {
	values, ok := s.urlencoded(c)
	if !ok {
		return
	}
	picked, ok := parseChoices(values)
	if !ok {
		s.fail(c, http.StatusBadRequest)
		return
	}
	if s.closed(c, lang) {
		return
	}
	all := s.desks()
	proposed := false
	if len(picked.desks) == 0 {
		d, ok := propose(all, picked.places, picked.exclude)
		if !ok {
			s.showChoice(c, lang, picked, noProposal(picked))
			return
		}
		picked.desks, proposed = []string{d.ID}, true
	}
	r, ref := choose(all, picked.desks, picked.exclude)
	if ref != nil {
		s.showChoice(c, lang, picked, ref)
		return
	}
	s.newForm(c, lang, r, picked, proposed)
}

// noProposal says why no desk is proposed.
func noProposal(c choices) *refusal {
	switch {
	case len(c.places) == 0:
		return &refusal{key: "none_chosen", status: http.StatusUnprocessableEntity, field: "desks"}
	case slices.Contains(c.places, stateUnknown):
		return &refusal{key: "place_unknown", status: http.StatusOK, field: "desks"}
	}
	return &refusal{key: "none_outside", status: http.StatusOK, field: "desks"}
}

// showChoice shows the page with what was ticked, and why it is shown again.
func (s *Site) showChoice(c *gin.Context, lang string, picked choices, ref *refusal) {
	all := s.desks()
	p := choicePage{
		Desks:      s.showDesks(all, lang, picked),
		Government: slices.Contains(picked.exclude, excludeGovernment),
		Single:     len(all) == 1,
		Open:       ref != nil || len(picked.desks) > 0,
		Describe:   len(all) <= describeDesks,
	}
	for _, code := range [...]string{stateUnknown, stateOutside} {
		p.Places = append(p.Places, placeView{Code: code, Ticked: slices.Contains(picked.places, code)})
	}
	for _, st := range states {
		p.States = append(p.States, placeView{st.Code, st.Name, slices.Contains(picked.places, st.Code)})
	}
	count := map[string]int{}
	for _, d := range all {
		p.AnyGovernment = p.AnyGovernment || d.Government
		if count[d.Organisation]++; d.Organisation != "" && count[d.Organisation] == 2 {
			p.Organisations = append(p.Organisations, orgView{d.Organisation, desksOf(all, d.Organisation, lang),
				slices.Contains(picked.exclude, excludeOrganisation+d.Organisation)})
		}
	}
	p.OpenExclude = slices.ContainsFunc(picked.exclude, func(e string) bool { return e != excludeGovernment })
	v := view{Lang: lang, Path: "/report", Step: 2, Page: p}
	status := http.StatusOK
	if ref != nil {
		v.Error, status = &errorView{ref.key, ref.field}, ref.status
	}
	s.page(c, status, "choice", v)
}

func (s *Site) showDesks(all []Desk, lang string, picked choices) []deskView {
	views := make([]deskView, 0, len(all))
	for _, d := range all {
		v := s.showDesk(d, lang)
		v.Chosen = slices.Contains(picked.desks, d.ID)
		v.Excluded = slices.Contains(picked.exclude, excludeDesk+d.ID)
		views = append(views, v)
	}
	return views
}

// tellDesks is how many desks tell an organisation.
const tellDesks = 2

// desksOf is the names of an organisation's desks, some of them if they are many.
// An organisation that has no desk any more is told by its id.
func desksOf(all []Desk, organisation, lang string) string {
	var names []string
	for _, d := range all {
		if d.Organisation == organisation {
			names = append(names, name(d.Name, lang))
		}
	}
	switch {
	case len(names) == 0:
		return organisation
	case len(names) > tellDesks:
		names = append(names[:tellDesks], "…")
	}
	return strings.Join(names, ", ")
}
