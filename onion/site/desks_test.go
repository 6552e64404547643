package site

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A desk is proposed while its last sign is at most 35 days old, to the second.
func TestSilentDesksAreNotProposed(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		sign     time.Time
		proposed bool
	}{
		{now, true},
		{now.Add(time.Hour), true}, // a clock of another machine
		{now.Add(-35 * 24 * time.Hour), true},
		{now.Add(-35*24*time.Hour - time.Second), false},
		{now.AddDate(-1, 0, 0), false},
		{time.Time{}, false},
	} {
		w := newWorld(t)
		w.site.now = func() time.Time { return now }
		for i := range w.desks {
			w.desks[i].LastSign = time.Time{}
		}
		w.desks[1].LastSign = tt.sign // sur, outside of Sonora
		d, ok := propose(w.desks, []string{"SON"}, nil, now)
		if ok != tt.proposed || ok && d.ID != "sur" {
			t.Errorf("sign %s: proposed %q %v", tt.sign, d.ID, ok)
		}
		page := w.postForm("/es/report", url.Values{"state": {"SON"}})
		if tt.proposed != strings.Contains(page.body, w.sentence("es", "form.proposed")) || !tt.proposed && !strings.Contains(page.body, w.sentence("es", "error.none_fits")) {
			t.Errorf("sign %s: status %d:\n%s", tt.sign, page.status, page.body)
		}
		// Whoever chooses it gets its form, and is told.
		form := w.get("/es/report?desk=sur")
		tokenIn(t, form)
		want := map[bool]string{true: "Última señal de que lee: " + fmt.Sprintf("%s de %d.", w.sentence("es", monthText(tt.sign.Month())), tt.sign.Year()),
			false: fmt.Sprintf("No da señales de que lea desde %s de %d.", w.sentence("es", monthText(tt.sign.Month())), tt.sign.Year())}[tt.proposed]
		if tt.sign.IsZero() {
			want = w.sentence("es", "desk.no_sign")
		}
		if !strings.Contains(form.body, want) {
			t.Errorf("sign %s: no %q in:\n%s", tt.sign, want, form.body)
		}
		short := map[bool]string{true: "última señal: ", false: "sin señales"}[tt.proposed]
		if choice := w.get("/es/report").body; !regexp.MustCompile(`Equipo sur · Sur · ` + short).MatchString(choice) {
			t.Errorf("sign %s: no %q in:\n%s", tt.sign, short, choice)
		}
	}
}

// With many desks the list still says which are silent, and which are linked to government.
func TestLongListTellsWhatIsUnusual(t *testing.T) {
	w := newWorld(t)
	w.many()
	page := w.get("/es/report").body
	for _, want := range []string{"<label>Equipo norte <select", "<label>Equipo estado · relación con gobierno <select", "Sierra Madre 2 · sin señales <select"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}

// Why nothing is proposed, in the words for each case.
func TestNothingIsProposed(t *testing.T) {
	never := func(ids ...string) url.Values {
		v := url.Values{"state": {"SON"}}
		for _, id := range ids {
			v.Set("team-"+id, "no")
		}
		return v
	}
	with := func(v url.Values, key string, values ...string) url.Values { v[key] = values; return v }
	for name, tt := range map[string]struct {
		form   url.Values
		status int
		key    string
		ways   bool
	}{
		"nothing ticked":                      {url.Values{}, 422, "none_chosen", false},
		"nothing marked":                      {url.Values{"team-norte": {""}, "team-sur": {""}}, 422, "none_chosen", false},
		"states unknown":                      {url.Values{"state": {"SON", "unknown"}}, 200, "place_unknown", false},
		"all regions":                         {url.Values{"state": {"SON", "CHIS", "JAL", "CDMX"}}, 200, "none_outside", true},
		"only government outside":             {url.Values{"state": {"SON", "CHIS", "JAL"}}, 200, "none_fits", true},
		"all excluded one by one":             {never("norte", "sur", "estado", "otro"), 422, "no_desk", true},
		"all excluded, without states":        {with(with(never("norte", "sur"), "exclude", "org:gob"), "state"), 422, "no_desk", true},
		"all excluded, chosen desk as well":   {with(with(never("sur"), "exclude", "org:gob"), "desk", "sur"), 422, "no_desk", true},
		"the last one shares its keys":        {with(never("norte", "sur"), "exclude", "org:gob", "government"), 422, "no_desk", true},
		"government and its organisation":     {with(never("sur", "norte"), "exclude", "government"), 200, "", false},
		"exclusion of nobody":                 {never("nadie"), 422, "unknown_desk", false},
		"chosen and excluded by two parts":    {url.Values{"team-norte": {"yes"}, "exclude": {"desk:norte"}}, 422, "no_desk", true},
		"desk that cannot receive":            {url.Values{"team-vacio": {"yes"}}, 422, "desk_keys", true},
		"chosen although it is in the state":  {url.Values{"state": {"SON"}, "team-norte": {"yes"}}, 200, "", false},
		"chosen although it is of government": {url.Values{"state": {"SON"}, "team-estado": {"yes"}}, 200, "", false},
		"value that the list does not have":   {url.Values{"team-norte": {"maybe"}}, 400, "", false},
		"two values for one desk":             {url.Values{"team-norte": {"yes", "no"}}, 400, "", false},
	} {
		w := newWorld(t, func(c *Config) {
			c.Hotline = "800 5533 000"
			c.OtherWays = []Way{{Text: map[string]string{"es": "Por carta al apartado 10"}}}
		})
		r := w.postForm("/es/report", tt.form)
		if r.status != tt.status || tt.key != "" && !strings.Contains(r.body, w.sentence("es", "error."+tt.key)) {
			t.Errorf("%s: status %d, want %d with %s in:\n%s", name, r.status, tt.status, tt.key, r.body)
		}
		if a, b := strings.Index(r.body, "Por carta"), strings.Index(r.body, "800 5533 000"); (a > 0) != tt.ways || tt.ways && b < a {
			t.Errorf("%s: other ways at %d, hotline at %d", name, a, b)
		}
		if tt.key == "" && tt.status == http.StatusOK {
			tokenIn(t, r)
			continue
		}
		for field, values := range tt.form { // everything marked is marked still
			mark := map[string]string{"yes": `<option value="yes" selected>`, "no": `<option value="no" selected>`}[strings.Join(values, "+")]
			_, row, found := strings.Cut(r.body, `<select name="`+field+`">`)
			if row, _, _ = strings.Cut(row, "</select>"); found && mark != "" && field != "team-vacio" && !strings.Contains(row, mark) {
				t.Errorf("%s: %s is not %s any more in %s", name, field, values, row)
			}
		}
	}
}

// The only desk is never proposed, whatever is ticked; the source takes it or stops.
func TestOnlyDesk(t *testing.T) {
	w := newWorld(t)
	w.desks = w.desks[1:2]
	for _, r := range []response{w.get("/es/report"), w.postForm("/es/report", url.Values{"state": {"SON"}})} {
		if r.status != http.StatusOK || !strings.Contains(r.body, w.sentence("es", "choice.only")) || strings.Contains(r.body, w.sentence("es", "form.proposed")) ||
			!strings.Contains(r.body, `<input type="hidden" name="desk" value="sur">`) {
			t.Errorf("status %d:\n%s", r.status, r.body)
		}
	}
	form := w.postForm("/es/report", url.Values{"desk": {"sur"}})
	if strings.Contains(form.body, w.sentence("es", "form.proposed")) || strings.Contains(form.body, w.sentence("es", "form.change")) {
		t.Errorf("form:\n%s", form.body)
	}
}

// What happened in each place is asked for the places that were ticked, and for no
// other; the answers are in the sealed report, and survive a refusal.
func TestRolesAreAskedForTickedPlaces(t *testing.T) {
	w := newWorld(t)
	form := w.postForm("/es/report", url.Values{"state": {"SON", "outside"}})
	if n := strings.Count(form.body, `name="a-roles"`); n != 2*len(roles) {
		t.Errorf("%d roles asked", n)
	}
	for _, want := range []string{
		`<input type="hidden" name="a-states" value="SON">`, `<input type="hidden" name="a-states" value="outside">`, "<legend>Sonora</legend>",
		`value="SON:recruited"`, `value="SON:moved"`, `value="SON:exploited"`, `value="outside:official"`, "Lugares que marcaste: Sonora, Fuera de México.",
	} {
		if !strings.Contains(form.body, want) {
			t.Errorf("no %s in:\n%s", want, form.body)
		}
	}
	for _, r := range []response{w.get("/es/report?desk=sur"), w.postForm("/es/report", url.Values{"desk": {"sur"}, "state": {"unknown"}})} {
		tokenIn(t, r)
		if strings.Contains(r.body, "a-roles") || strings.Contains(r.body, "a-states") {
			t.Errorf("asked without a place:\n%s", r.body)
		}
	}
	parts := []part{field("token", "expired"), field("desk", "sur"), field("a-states", "SON"), field("a-states", "outside"), field("message", "hola"),
		field("a-roles", "SON:moved"), field("a-roles", "outside:exploited")}
	refused := w.send("es", parts...)
	w.refused(refused, http.StatusBadRequest, "expired", "hola")
	for _, want := range []string{`value="SON:moved" checked>`, `value="outside:exploited" checked>`, `value="SON:recruited">`, `<input type="hidden" name="a-states" value="outside">`} {
		if !strings.Contains(refused.body, want) {
			t.Errorf("no %s in:\n%s", want, refused.body)
		}
	}
	parts[0] = field("token", tokenIn(t, refused))
	codenameIn(t, w.send("es", parts...))
	want := "es\nstates: SON outside\nroles: SON:moved outside:exploited\n"
	if got := w.answers(w.only("sur", "c")); got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
	for _, bad := range []part{field("a-states", "unknown"), field("a-states", "XX"), field("a-roles", "SON"), field("a-roles", "SON:x"), field("a-roles", "XX:moved"), field("a-roles", "SON:moved:x")} {
		r := w.send("es", field("token", w.token("es")), field("desk", "sur"), field("message", "hola"), bad)
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, w.sentence("es", "error.malformed")) {
			t.Errorf("%s=%s: status %d", bad.name, bad.value, r.status)
		}
	}
	w.stored(1)
}

// The desks that will read a report are described, with the words of their keys;
// of many only what a source must know.
func TestReadersAreDescribed(t *testing.T) {
	w := newWorld(t)
	w.desks[1].Runs = map[string]string{"es": "una red de casas"}
	form := w.get("/es/report?desk=sur").body
	for _, want := range []string{"<strong>Equipo sur</strong>", "Lo lleva: una red de casas.", "Relación con gobierno: no.", "Región: Sur.", "<summary>Palabras de control (opcional)</summary>",
		"<code>" + w.site.keyWords("es", w.desks[1].Recipients[0].Fingerprint()) + "</code>", "<code>" + w.site.keyWords("es", w.desks[1].Recipients[1].Fingerprint()) + "</code>"} {
		if !strings.Contains(form, want) {
			t.Errorf("no %q in:\n%s", want, form)
		}
	}
	if form := w.get("/es/report?desk=estado").body; !strings.Contains(form, "Relación con gobierno: sí.") || !strings.Contains(form, "Lo lleva: no se dice, por seguridad.") {
		t.Errorf("form:\n%s", form)
	}
	w.many()
	values := url.Values{"state": {}}
	for _, s := range states {
		values.Add("state", s.Code)
	}
	for _, d := range w.desks[5:65] {
		values.Set("team-"+d.ID, "yes")
	}
	many := w.postForm("/es/report", values)
	tokenIn(t, many)
	if n := len(many.body) + len(w.site.css); n > 50_000 || strings.Count(many.body, "Relación con gobierno: sí.") != 6 || strings.Contains(many.body, "Palabras de control") ||
		strings.Contains(many.body, "a-roles") || strings.Count(many.body, `name="a-states"`) != 32 {
		t.Errorf("%d bytes:\n%s", n, many.body)
	}
}
