package site

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"resguardo/crypto/seal"
)

// everyPage asks for each page and error state of one language.
func (w *world) everyPage(lang string) map[string]response {
	p := "/" + lang
	token := w.token(lang)
	report := []part{field("token", token), field("desk", "norte"), field("message", "hola")}
	pages := map[string]response{
		"landing":           w.get(p + "/"),
		"safety":            w.get(p + "/safety"),
		"help":              w.get(p + "/help"),
		"privacy":           w.get(p + "/privacy"),
		"keys":              w.get(p + "/keys"),
		"choice":            w.get(p + "/report"),
		"choice error":      w.postForm(p+"/report", url.Values{"state": {"SON", "unknown"}}),
		"form":              w.get(p + "/report?desk=norte"),
		"form proposed":     w.postForm(p+"/report", url.Values{"state": {"SON"}, "exclude": {"government", "org:gob"}}),
		"form, roles":       w.send(lang, field("token", ""), field("desk", "norte"), field("message", "hola"), field("a-states", "SON"), field("a-states", "outside"), field("a-roles", "SON:moved")),
		"choice, none left": w.postForm(p+"/report", url.Values{"state": {"SON"}, "exclude": {"government"}, "team-norte": {"no"}, "team-sur": {"no"}, "team-vacio": {"no"}, "team-otro": {"no"}}),
		"form empty":        w.send(lang, field("token", w.token(lang)), field("desk", "norte"), field("message", "")),
		"form expired":      w.send(lang, field("token", ""), field("desk", "norte"), field("message", "hola"), field("a-kind", "farm"), field("a-free", "yes"), field("a-where", "aquí")),
		"form no desk":      w.send(lang, field("token", w.token(lang)), field("desk", "norte"), field("exclude", "desk:norte"), field("message", "hola")),
		"codename":          w.send(lang, report...),
		"codename wrong":    w.postForm(p+"/codename", url.Values{"token": {token}, "action": {"check"}, "words": {"no"}}),
		"last":              w.postForm(p+"/codename", url.Values{"token": {token}, "action": {"finish"}}),
		"received":          w.send(lang, report...),
		"exit":              w.postForm(p+"/exit", nil),
		"not found":         w.get(p + "/nope"),
		"method":            w.get(p + "/exit"),
		"too large":         w.postForm(p+"/codename", url.Values{"words": {strings.Repeat("x", 70<<10)}}),
		"not understood":    w.postForm(p+"/report", url.Values{"colour": {"red"}}),
	}
	pages["sign in"] = w.get(p + "/mailbox")
	pages["sign in again"] = w.postForm(p+"/mailbox", url.Values{"action": {"show"}})
	pages["sign in, wrong words"] = w.signIn(lang, "zapato <b> qqqq")
	pages["sign in, seven words"] = w.signIn(lang, strings.Repeat("abrir ", 7))
	pages["sign in, unknown"] = w.signIn(lang, strings.Repeat("abrir ", 8))
	pages["mailbox"] = w.signIn(lang, codenameIn(w.t, pages["codename"]))
	post := func(from, action string) response {
		return w.postForm(p+"/mailbox", url.Values{"session": {sessionIn(w.t, pages[from])}, "action": {action}})
	}
	pages["mailbox, one reply"] = post("mailbox", "read")
	pages["mailbox, delete all"] = post("mailbox, one reply", "ask")
	pages["mailbox, deleted"] = post("mailbox, delete all", "erase")
	gateway := w.request("GET", p+"/", nil)
	gateway.Header.Set("X-Tor2web", "1")
	pages["gateway"] = w.do(gateway)
	elsewhere := w.request("GET", p+"/", nil)
	elsewhere.Host = "example.org"
	pages["misdirected"] = w.do(elsewhere)
	return pages
}

// many gives the world 127 desks with names of ordinary length.
func (w *world) many() {
	for i := range 127 - len(w.desks) {
		w.desks = append(w.desks, Desk{
			ID:           fmt.Sprintf("organizacion-%d", i+1),
			Name:         map[string]string{"es": fmt.Sprintf("Organización Civil de la Sierra Madre %d", i+1), "en": fmt.Sprintf("Civil Organisation of the Sierra Madre %d", i+1)},
			Runs:         map[string]string{"es": "una organización civil de la región", "en": "a civil organisation of the region"},
			Regions:      []Region{"N", "B"},
			Organisation: fmt.Sprintf("red-%d", i/3),
			Government:   i%10 == 0,
			Recipients:   w.recipients("a"),
		})
	}
}

// Every page is at most 50 KB with its stylesheet, which is its only other
// request, also with 127 desks.
func TestPagesAreLight(t *testing.T) {
	for _, many := range []bool{false, true} {
		w := newWorld(t, func(c *Config) { c.Demo = true; c.Hotline = "800 5533 000" })
		if many {
			w.many()
		}
		for _, lang := range builtIn {
			for name, r := range w.everyPage(lang) {
				size := len(r.body) + len(w.site.css)
				t.Logf("%s %s, %d desks: %d bytes", lang, name, len(w.desks), size)
				limit := 50_000
				if strings.HasPrefix(name, "choice") {
					limit = 47_000 // here each desk tells of itself, and all of them are silent
				}
				if size > limit {
					t.Errorf("%s %s: %d bytes with %d desks, at most %d", lang, name, size, len(w.desks), limit)
				}
				if n := strings.Count(r.body, "<link"); n != 1 || !strings.Contains(r.body, w.site.cssPath) {
					t.Errorf("%s %s: %d links", lang, name, n)
				}
			}
		}
	}
}

func TestDemoIsOnEveryPage(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Demo = true })
	for _, lang := range builtIn {
		for name, r := range w.everyPage(lang) {
			if !strings.Contains(r.body, "DE PRUEBA: no envíes nada real") || !strings.Contains(r.body, "TEST: send nothing real") {
				t.Errorf("%s %s does not say that it is a test", lang, name)
			}
		}
	}
}

var (
	allowedElements = strings.Fields(`html head meta title link body form button p span nav a main h1 h2 h3 footer ol ul li
		section fieldset legend label input details summary textarea select option div strong output code br`)
	allowedAttributes = strings.Fields(`lang charset name content rel href hreflang class method action id role tabindex autofocus
		type value checked selected open for rows required spellcheck autocomplete autocapitalize enctype accept-charset multiple
		aria-label aria-describedby aria-invalid`)
)

// checkPage reads a page as a browser does: only inert elements and attributes,
// unique ids, labels and links that lead somewhere, one h1, the language.
func checkPage(t *testing.T, lang, page string) {
	t.Helper()
	ids, h1, first := map[string]int{}, 0, ""
	var refs []string
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			for id, n := range ids {
				if n > 1 {
					t.Errorf("id %q stands %d times", id, n)
				}
			}
			for _, id := range refs {
				if ids[id] == 0 {
					t.Errorf("%q is referred to and does not exist", id)
				}
			}
			if h1 != 1 {
				t.Errorf("%d h1", h1)
			}
			if first != "" && first != "leave" && first != "exit" {
				t.Errorf("the first control is %q", first)
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := z.Token()
			if !slices.Contains(allowedElements, tag.Data) {
				t.Errorf("element %s", tag.Data)
			}
			if tag.Data == "h1" {
				h1++
			}
			for _, a := range tag.Attr {
				if !slices.Contains(allowedAttributes, a.Key) {
					t.Errorf("attribute %s of %s", a.Key, tag.Data)
				}
				switch a.Key {
				case "id":
					ids[a.Val]++
				case "for":
					refs = append(refs, a.Val)
				case "aria-describedby":
					refs = append(refs, strings.Fields(a.Val)...)
				case "href":
					if id, ok := strings.CutPrefix(a.Val, "#"); ok {
						refs = append(refs, id)
					}
				case "class":
					if first == "" && tag.Data == "form" {
						first = a.Val
					}
				case "lang":
					if tag.Data == "html" && a.Val != lang {
						t.Errorf("language %q", a.Val)
					}
				}
			}
			if first == "" && (tag.Data == "a" || tag.Data == "input") {
				first = "exit" // pages without the button have a link at most
				if strings.Contains(page, `class="leave"`) {
					first = tag.Data
				}
			}
		}
	}
}

func TestPagesAreInertAndWhole(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Demo = true
		c.Organisation = "Red <b>"
		c.OtherWays = []Way{{Text: map[string]string{"es": "<i>"}}}
	})
	for _, lang := range builtIn {
		for name, r := range w.everyPage(lang) {
			t.Run(lang+" "+name, func(t *testing.T) {
				checkPage(t, w.site.locales.byCode[lang].Tag, r.body)
				title := regexp.MustCompile(`<title>(.*)</title>`).FindStringSubmatch(r.body)
				if title == nil || !strings.HasPrefix(title[1], w.sentence(lang, "page.title")) || len(title[1]) > 18 {
					t.Errorf("title %q", title)
				}
				if strings.Contains(name, "codename") && strings.Contains(r.body, "hreflang") {
					t.Error("a link to the other language where the codename would be lost")
				}
			})
		}
	}
}

// What a source sends comes back as text.
func TestSentTextIsInert(t *testing.T) {
	w := newWorld(t)
	for _, x := range hostile {
		for name, r := range map[string]response{
			"message": w.send("es", field("token", ""), field("desk", "norte"), field("message", x), field("a-where", x), file(x, x)),
			"fields":  w.send("es", field("token", x), field("desk", x), field("exclude", "org:"+x), field("share", x), field("message", "m"), field("a-kind", x)),
			"query":   w.get("/es/report?desk=" + url.QueryEscape(x)),
			"keys":    w.get("/es/keys/" + url.PathEscape(x) + ".txt"),
			"path":    w.get("/es/" + url.PathEscape(x)),
			"words":   w.postForm("/es/codename", url.Values{"token": {x}, "action": {"check"}, "words": {x}}),
			"choice":  w.postForm("/es/report", url.Values{"state": {"SON"}, "desk": {x}, "exclude": {"desk:" + x}}),
			"teams":   w.postForm("/es/report", url.Values{"state": {"SON"}, "team-" + x: {"yes"}, "exclude": {"org:" + x}}),
			"team":    w.postForm("/es/report", url.Values{"team-norte": {x}, x: {x}}),
			"places":  w.send("es", field("token", ""), field("desk", "norte"), field("message", x), field("a-states", x), field("a-roles", "SON:"+x), field("a-risk", x)),
			"sign in": w.signIn("es", x),
			"button":  w.postForm("/es/mailbox", url.Values{"session": {x}, "action": {x}, "number": {x}, "entry": {x}}),
			"leave":   w.postForm("/es/exit", url.Values{"session": {x}}),
			"large":   w.send("es", field("token", ""), field("desk", "norte"), field("message", strings.Repeat(x, 70<<10/len(x))), file(x, x)),
		} {
			t.Run(name, func(t *testing.T) { checkPage(t, "es", r.body) })
		}
	}
	w.stored(0)
}

// hostile are texts that would do something if a page showed them as anything but text.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</textarea><svg/onload=alert(1)>`, `' autofocus onfocus=alert(1) x='`,
	`javascript:alert(1)`, `<a href="javascript:alert(1)">x</a>`, "</title><iframe src=//example.org>", `{{.Page}}`, "\x00<b>", "<!--", `&lt;b&gt;`,
	"\u2028<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">", `--><details open ontoggle=alert(1)>`, `</option></select><input autofocus onfocus=alert(1)>`,
	`</legend></fieldset><form action=//example.org><button>`, `</code></output><base href=//example.org>`, `{{template "main"}}`,
}

// What an operator writes comes as text too, on every page: names of desks, who runs
// them, their languages, organisation, other ways, hotline, lawyer.
func TestOperatorsTextIsInert(t *testing.T) {
	for _, x := range hostile {
		w := newWorld(t, func(c *Config) {
			c.Organisation, c.Hotline, c.Lawyer = x, x, x
			c.OtherWays = []Way{{Text: map[string]string{"es": x, "en": x}}}
		})
		for i := range w.desks {
			w.desks[i].Name = map[string]string{"es": x, "en": x}
			w.desks[i].Runs = map[string]string{"es": x}
			w.desks[i].Languages = []string{x}
		}
		for name, r := range w.everyPage("en") {
			if r.status < 300 && r.header.Get("Content-Type") != htmlType {
				t.Errorf("%s is %q", name, r.header.Get("Content-Type"))
			}
			t.Run(name, func(t *testing.T) { checkPage(t, "en", r.body) })
		}
	}
}

func TestKeysPage(t *testing.T) {
	w := newWorld(t)
	page := w.get("/es/keys").body
	for _, d := range w.desks {
		for _, r := range d.Recipients {
			if !strings.Contains(page, r.String()) || !strings.Contains(page, r.Fingerprint()) {
				t.Errorf("a key of %s is missing", d.ID)
			}
		}
	}
	var got []string
	for line := range strings.Lines(w.get("/es/keys/sur.txt").body) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			r, err := seal.ParseRecipient(line)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Fingerprint())
		}
	}
	if want := []string{w.desks[1].Recipients[0].Fingerprint(), w.desks[1].Recipients[1].Fingerprint()}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

// A source knows an organisation by its teams, not by its id.
func TestOrganisationIsToldByItsDesks(t *testing.T) {
	w := newWorld(t)
	told := regexp.MustCompile(`value="org:([a-z]+)"( checked)?> ([^<]*)</label>`)
	for lang, want := range map[string][2]string{
		"es": {"Equipo estado Equipo otro", "la organización de Equipo estado, Equipo otro"},
		"en": {"Team estado Team otro", "the organisation of Team estado, Team otro"},
	} {
		choice := w.get("/" + lang + "/report").body
		m := told.FindAllStringSubmatch(choice, -1)
		_, group, _ := strings.Cut(choice, `value="org:gob"`)
		group, _, _ = strings.Cut(group, "</fieldset>")
		var names []string
		for _, m := range regexp.MustCompile(`<label>((?:Equipo|Team) [a-z]+)`).FindAllStringSubmatch(group, -1) {
			names = append(names, m[1])
		}
		if len(m) != 1 || strings.Join(names, " ") != want[0] {
			t.Errorf("choice: %q of %q", m, names)
		}
		form := w.postForm("/"+lang+"/report", url.Values{"desk": {"norte"}, "exclude": {"org:gob", "government"}})
		if text := w.sentence(lang, "form.avoid") + " " + w.sentence(lang, "form.avoid_government") + "; " + want[1] + "."; !strings.Contains(form.body, text) {
			t.Errorf("no %q in:\n%s", text, form.body)
		}
		refused := w.send(lang, field("token", w.token(lang)), field("desk", "otro"), field("exclude", "org:gob"), field("message", "x"))
		if m := told.FindAllStringSubmatch(refused.body, -1); len(m) != 1 || m[0][2] == "" || m[0][3] != want[1] {
			t.Errorf("refused form: %q", m)
		}
	}

	w.desks = append(w.desks, Desk{ID: "tercero", Name: map[string]string{"es": "Equipo tercero"}, Organisation: "gob"})
	if text := w.site.desksOf("gob", "es"); text != "Equipo estado, Equipo otro, …" {
		t.Errorf("three desks: %q", text)
	}
	// Nobody is renamed into somebody else: what is gone keeps its id, and what never was is not called government.
	w.desks = w.desks[:2]
	for value, want := range map[string]string{"org:gob": "la organización de gob", "desk:estado": "estado", "nada": "nada"} {
		r := w.send("es", field("token", w.token("es")), field("desk", "norte"), field("exclude", value), field("message", "x"))
		if r.status != 422 || !strings.Contains(r.body, `value="`+value+`" checked> `+want+"</label>") {
			t.Errorf("%s: status %d, no %q in:\n%s", value, r.status, want, r.body)
		}
	}
}

// The hotline is shown only when it is configured, after the other ways.
func TestOtherWays(t *testing.T) {
	if body := newWorld(t).get("/en/").body; strings.Contains(body, "hotline") || strings.Contains(body, "Other ways") {
		t.Error("a hotline that is not configured")
	}
	w := newWorld(t, func(c *Config) {
		c.Hotline = "800 5533 000"
		c.OtherWays = []Way{{Text: map[string]string{"es": "Por carta", "en": "By letter"}}}
	})
	body := w.get("/en/").body
	if a, b := strings.Index(body, "By letter"), strings.Index(body, "800 5533 000"); a < 0 || b < a {
		t.Errorf("other ways at %d, hotline at %d", a, b)
	}
}
