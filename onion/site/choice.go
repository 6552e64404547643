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

// choicePage is the data of the page that asks for states and desks.
type choicePage struct {
	States        []placeView
	Places        []placeView // unknown, outside
	Desks         []deskView
	Groups        []groupOfDesks // the same, each once
	Government    bool           // excluded
	AnyGovernment bool
	Single        bool // only one desk: nothing to propose
	Open          bool // the list of desks is unfolded
	Describe      bool // it tells more than names and what is unusual
}

type placeView struct {
	Code, Name string
	Ticked     bool
}

// groupOfDesks is the desks of an organisation, if it has several: they tell what
// it is, for its id means nothing to a source. Else it is one desk.
type groupOfDesks struct {
	Organisation string // id; empty for one desk
	Excluded     bool   // the organisation
	Desks        []deskView
}

// choices is what the source ticked on that page. It comes by POST: states and
// exclusions never stand in an address.
type choices struct {
	places  []string
	desks   []string
	exclude []string
}

// The field of a desk in the list is named teamField and its id.
const (
	teamField = "team-"
	teamReads = "yes" // it may read the report
	teamNever = "no"  // it must not
)

// parseChoices reads the page's form, or returns false if it is not one.
func parseChoices(v url.Values) (choices, bool) {
	c := choices{places: unique(v["state"])}
	desks, exclude := slices.Clone(v["desk"]), slices.Clone(v["exclude"])
	for key, values := range v {
		id, team := strings.CutPrefix(key, teamField)
		switch {
		case key == "state", key == "desk", key == "exclude":
		case !team:
			return choices{}, false
		case slices.Equal(values, []string{teamReads}):
			desks = append(desks, id)
		case slices.Equal(values, []string{teamNever}):
			exclude = append(exclude, excludeDesk+id)
		case !slices.Equal(values, []string{""}):
			return choices{}, false
		}
	}
	c.desks, c.exclude = unique(desks), unique(exclude)
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
	case s.kdf.reports.full():
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
		d, ok := propose(all, picked.places, picked.exclude, s.now())
		if !ok {
			s.showChoice(c, lang, picked, noProposal(all, picked))
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
func noProposal(all []Desk, c choices) *refusal {
	left, ref := takers(all, c.exclude)
	switch {
	case ref != nil:
		return ref
	case len(left) == 0 && len(c.exclude) > 0:
		return errNoDesk
	case len(c.places) == 0:
		return &refusal{key: "none_chosen", status: http.StatusUnprocessableEntity, field: "desks"}
	case slices.Contains(c.places, stateUnknown):
		return &refusal{key: "place_unknown", status: http.StatusOK, field: "desks"}
	case slices.ContainsFunc(left, func(d Desk) bool { return !d.near(c.places) }):
		return &refusal{key: "none_fits", status: http.StatusOK, field: "desks"}
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
		Open:       ref != nil || len(picked.desks) > 0 || slices.ContainsFunc(picked.exclude, func(e string) bool { return e != excludeGovernment }),
		Describe:   len(all) <= describeDesks,
	}
	for _, code := range [...]string{stateUnknown, stateOutside} {
		p.Places = append(p.Places, placeView{Code: code, Ticked: slices.Contains(picked.places, code)})
	}
	for _, st := range states {
		p.States = append(p.States, placeView{st.Code, st.Name, slices.Contains(picked.places, st.Code)})
	}
	p.AnyGovernment = slices.ContainsFunc(all, func(d Desk) bool { return d.Government })
	p.Groups = groupDesks(all, p.Desks, picked.exclude)
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

// groupDesks puts the desks of an organisation together, where its first one stands.
func groupDesks(all []Desk, views []deskView, exclude []string) (groups []groupOfDesks) {
	count := map[string]int{}
	for _, d := range all {
		count[d.Organisation]++
	}
	at := map[string]int{} // index of the organisation's group, and 1
	for i, d := range all {
		org := d.Organisation
		if org == "" || count[org] == 1 {
			groups = append(groups, groupOfDesks{Desks: views[i : i+1]})
			continue
		}
		if at[org] == 0 {
			groups = append(groups, groupOfDesks{Organisation: org, Excluded: slices.Contains(exclude, excludeOrganisation+org)})
			at[org] = len(groups)
		}
		g := &groups[at[org]-1]
		g.Desks = append(g.Desks, views[i])
	}
	return groups
}

// tellDesks is how many desks tell an organisation.
const tellDesks = 2

// desksOf is the names of an organisation's desks, some of them if they are many.
// An organisation that has no desk any more is told by its id.
func (s *Site) desksOf(organisation, lang string) string {
	var names []string
	for _, d := range s.desks() {
		if d.Organisation == organisation {
			names = append(names, s.locales.local(d.Name, lang))
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
