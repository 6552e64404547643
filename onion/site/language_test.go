package site

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/net/html"
)

// pseudoCode is the code of the pseudo-language, which is no language's.
const pseudoCode = "qps"

// pseudoFile is the file of a language whose every text is that of a built-in one in
// brackets, but for those that leaveOut takes.
func pseudoFile(t *testing.T, base string, leaveOut func(id string) bool) []byte {
	t.Helper()
	messages, err := builtInTexts(base, Questions{})
	if err != nil {
		t.Fatal(err)
	}
	bracket := func(s string) string { return "⟦" + s + "⟧" }
	tables := map[string]any{"name": "⟦Pseudo⟧", "base": base, "reviewed": false}
	for _, m := range messages {
		if leaveOut != nil && leaveOut(m.ID) {
			continue
		}
		table, key, _ := strings.Cut(m.ID, ".")
		if tables[table] == nil {
			tables[table] = map[string]any{}
		}
		var text any = bracket(m.Other)
		if m.One != "" && m.One != m.Other {
			forms := map[string]string{"one": bracket(m.One), "other": bracket(m.Other)}
			if m.Many != "" {
				forms["many"] = bracket(m.Many)
			}
			text = forms
		}
		tables[table].(map[string]any)[key] = text
	}
	file, err := toml.Marshal(tables)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// newPseudoWorld makes a world whose first language is the pseudo-language. What a
// page then shows outside of brackets has another source.
func newPseudoWorld(t *testing.T, base string, leaveOut func(id string) bool) *world {
	t.Helper()
	l, faults := ParseLanguage(pseudoCode, pseudoFile(t, base, leaveOut), Questions{})
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	return newWorld(t, func(c *Config) {
		c.Languages, c.Added = []string{pseudoCode, "es", "en"}, []Language{l}
		c.Hotline = "800 5533 000"
	})
}

// es-usted holds only texts that differ, with the placeholders of es.
func TestUstedHoldsOnlyWhatDiffers(t *testing.T) {
	es, usted := sentences(t, "es"), catalogue(t, "es-usted")
	for id, text := range usted {
		switch {
		case es[id] == "":
			t.Errorf("%s is not in es", id)
		case es[id] == text:
			t.Errorf("%s is the same in es", id)
		case !slices.Equal(placeholders(es[id]), placeholders(text)):
			t.Errorf("%s: placeholders %q and %q", id, placeholders(es[id]), placeholders(text))
		}
	}
}

// informal are words that say tú: pronouns, and forms of the verbs that our texts
// use. Some are third person too ("usa"): those stand under aside.
var informal = regexp.MustCompile(`(?i)(?:^|[^\p{L}])(tú|tu|tus|te|ti|contigo|tuy[oa]s?|` +
	// second person of the present, the past and the future; plurals of nouns in -as, -es, -is are not meant
	`sabes|puedes|quieres|debes|tienes|eres|elijas|eliges|elegiste|excluyas|agregues|defiendes|temes|necesitas|escribiste|enviaste|usaste|` +
	`marcaste|cambiaste|agregaste|apuntaste|apuntas|contaste|viste|abriste|entraste|acababas|habías|envíes|verás|usas|recargas|abres|ves|vas|sepas|hagas|` +
	`\p{L}{2,}(?:aste|íste)|` +
	// imperatives that are no third person
	`haz|pon|sal|no\s+(?:uses|sigas|des|vayas|guardes|tomes|mandes|envíes|abras|hagas|quites|busques|pidas)|` +
	// imperatives with a pronoun
	`cuéntanos|escríbenos|escríbelo|apréndela|guárdala|bórrala|hazlo|elígelos|acórtalo|revísalas|compáralas|inténtalo|pregúntame|contártelo|pedirte|ayudarte|decirte|confirmarte|mostrarte)(?:[^\p{L}]|$)`)

// openers are imperatives that begin a sentence, and are third person elsewhere.
var openers = regexp.MustCompile(`(?:^|[.:;!?¿¡»] ?|\n)(Usa|Escribe|Cuenta|Vuelve|Cierra|Piensa|Mira|Abre|Instala|Guarda|Agrega|Elige|Marca|Envía|Espera [0-9]+|Entra|Intenta|Destruye|Compara|Cifra|Deja|Toca|Manda|Busca|Pregúntame|Aprende)(?: |$)`)

// Nowhere in es-usted is anybody addressed as tú. The same patterns find something in
// every text that es-usted replaces but one, so they see what they should.
func TestUstedNeverSaysTu(t *testing.T) {
	for id, text := range sentences(t, "es-usted") {
		text = placeholder.ReplaceAllString(text, "8")
		if m := informal.FindStringSubmatch(text); m != nil {
			t.Errorf("%s says %q: %q", id, m[1], text)
		}
		if m := openers.FindStringSubmatch(text); m != nil {
			t.Errorf("%s says %q: %q", id, m[1], text)
		}
	}
	es := sentences(t, "es")
	var missed []string
	for id := range catalogue(t, "es-usted") {
		if !informal.MatchString(es[id]) && !openers.MatchString(es[id]) {
			missed = append(missed, id)
		}
	}
	if slices.Sort(missed); !slices.Equal(missed, []string{"safety.heading"}) { // cuidarte
		t.Errorf("replaced, and found by no pattern: %q", missed)
	}
	w := newWorld(t, func(c *Config) { c.Hotline = "800 5533 000" })
	for name, r := range w.everyPage("es-usted") {
		for _, text := range paragraphs(t, r.body) {
			if m := informal.FindStringSubmatch(text); m != nil {
				t.Errorf("page %s says %q: %q", name, m[1], text)
			}
		}
		if !strings.Contains(r.body, `<html lang="es">`) || strings.Contains(r.body, `href="/es/`) && !strings.Contains(r.body, `hreflang="es"`) {
			t.Errorf("page %s is not in the language, or leads out of it", name)
		}
	}
}

// A report in es-usted has a Spanish codename, which opens its mailbox in any language.
func TestUstedHasSpanishCodenames(t *testing.T) {
	w := newWorld(t)
	sent := w.send("es-usted", field("token", w.token("es-usted")), field("desk", "norte"), field("message", "hola"))
	words := codenameIn(t, sent)
	for _, word := range strings.Fields(words) {
		if w.site.words["es"] != w.site.words["es-usted"] {
			t.Fatalf("%q of another list", word)
		}
	}
	if got, want := w.answers(w.only("norte", "a")), "es-usted\n"; got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
	for _, lang := range builtIn {
		if r := w.signIn(lang, words); r.status != http.StatusOK {
			t.Errorf("%s: status %d", lang, r.status)
		}
	}
}

// What a language's file leaves out is shown in its base, and marked as such; the
// page says that nobody has reviewed it, in the base.
func TestAddedLanguageFallsBack(t *testing.T) {
	for _, base := range []string{"es", "en"} {
		leaveOut := func(id string) bool {
			return strings.HasPrefix(id, "landing.") || strings.HasPrefix(id, "questions.kind") || id == "page.leave" || id == "page.languages" || id == "page.title"
		}
		w := newPseudoWorld(t, base, leaveOut)
		note := fmt.Sprintf(`<p class="demo" lang="%s">%s</p>`, base, w.sentence(base, "page.unreviewed"))
		for name, r := range w.everyPage(pseudoCode) {
			if !strings.Contains(r.body, `<html lang="`+pseudoCode+`">`) || !strings.Contains(r.body, note) {
				t.Errorf("%s %s: no language or no note", base, name)
			}
			checkPage(t, pseudoCode, r.body)
			visible(t, r.body, func(n *html.Node, text string) {
				if strings.Contains(text, "<span") {
					t.Errorf("%s %s shows a tag: %q", base, name, text)
				}
			})
		}
		landing := w.get("/" + pseudoCode + "/").body
		for _, want := range []string{
			`<h1><span lang="` + base + `">` + w.sentence(base, "landing.heading") + `</span></h1>`,
			`<button><span lang="` + base + `">` + w.sentence(base, "page.leave") + `</span></button>`,
			`aria-label="` + w.sentence(base, "page.languages") + `"`,
			`<title>` + w.sentence(base, "page.title") + `</title>`,
			`>⟦` + w.sentence(base, "page.help") + `⟧</a>`,
			`<a href="/es/" lang="es" hreflang="es">Español</a>`,
		} {
			if !strings.Contains(landing, want) {
				t.Errorf("%s: no %s in:\n%s", base, want, landing)
			}
		}
		if other := w.get("/es/").body; !strings.Contains(other, `lang="`+pseudoCode+`" hreflang="`+pseudoCode+`">⟦Pseudo⟧</a>`) {
			t.Errorf("no link to the language in:\n%s", other)
		}
		if form := w.get("/" + pseudoCode + "/report?desk=norte").body; !strings.Contains(form, `<legend><span lang="`+base+`">`) || !strings.Contains(form, "⟦"+w.sentence(base, "form.send")+"⟧") {
			t.Errorf("%s: the questions do not fall back:\n%s", base, form)
		}
	}
}

// Once somebody has reviewed a language, its pages do not warn any more.
func TestReviewedLanguageSaysNothing(t *testing.T) {
	l, faults := ParseLanguage("nah", []byte("name = 'Nāhuatl'\nbase = 'es'\nreviewed = 'Citlali, 3 de diciembre de 2026'\n[page]\nhome = 'Kaltenpa'\n"), Questions{})
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	w := newWorld(t, func(c *Config) { c.Languages, c.Added = []string{"nah"}, []Language{l} })
	page := w.get("/").body
	if strings.Contains(page, w.sentence("es", "page.unreviewed")) || !strings.Contains(page, ">Kaltenpa</a>") || !strings.Contains(page, `<html lang="nah">`) {
		t.Errorf("page:\n%s", page)
	}
}

// Each thing that is wrong with a language's file is named by line and key.
func TestLanguageFaults(t *testing.T) {
	const head = "name = 'x'\nbase = 'es'\nreviewed = false\n"
	for _, tt := range []struct {
		code, file string
		want       Fault
	}{
		{"es", head, Fault{0, "", FaultCode, ""}},
		{"es-usted", head, Fault{0, "", FaultCode, ""}},
		{"NAH", head, Fault{0, "", FaultCode, ""}},
		{"nahu", head, Fault{0, "", FaultCode, ""}},
		{"nah", head + "[page]\nleave = \n", Fault{5, "", FaultTOML, ""}},
		{"nah", "base = 'es'\nreviewed = false\n", Fault{0, "name", FaultHead, ""}},
		{"nah", "name = 'x<b>'\nbase = 'es'\nreviewed = false\n", Fault{1, "name", FaultHead, ""}},
		{"nah", "name = 'x'\nbase = 'fr'\nreviewed = false\n", Fault{2, "base", FaultHead, ""}},
		{"nah", "name = 'x'\nbase = 'es'\nreviewed = true\n", Fault{3, "reviewed", FaultHead, ""}},
		{"nah", "name = 'x'\nbase = 'es'\nreviewed = ' '\n", Fault{3, "reviewed", FaultHead, ""}},
		{"nah", head + "title = 'x'\n", Fault{4, "title", FaultUnknown, ""}},
		{"nah", head + "[page]\nlaeve = 'x'\n", Fault{5, "page.laeve", FaultUnknown, ""}},
		{"nah", head + "[questions]\n'kind.moon' = 'x'\n", Fault{5, "questions.kind.moon", FaultUnknown, ""}},
		{"nah", head + "[page]\nleave = 3\n", Fault{5, "page.leave", FaultForms, ""}},
		{"nah", head + "[codename.lasts]\none = '{{.n}}'\nfew = '{{.n}}'\n", Fault{4, "codename.lasts", FaultForms, ""}},
		{"nah", head + "[codename.lasts]\none = '{{.n}}'\n", Fault{4, "codename.lasts", FaultEmpty, ""}},
		{"nah", head + "[page]\nleave = ' '\n", Fault{5, "page.leave", FaultEmpty, ""}},
		{"nah", head + "[page]\nstep = 'x'\n", Fault{5, "page.step", FaultPlaceholder, "{{.step}}"}},
		{"nah", head + "[page]\nstep = '{{.step}} {{.more}}'\n", Fault{5, "page.step", FaultPlaceholder, "{{.step}}"}},
		{"nah", head + "[page]\nleave = '{{.site}}'\n", Fault{5, "page.leave", FaultPlaceholder, ""}},
		{"nah", head + "[page]\nleave = '{{printf 1}}'\n", Fault{5, "page.leave", FaultPlaceholder, ""}},
		{"nah", head + "[page]\nleave = 'x <b>'\n", Fault{5, "page.leave", FaultMarkup, ""}},
		{"nah", head + "[page]\nleave = \"x\\u202ey\"\n", Fault{5, "page.leave", FaultHidden, ""}},
		{"nah", head + "[page]\nleave = \"x\\u3164y\"\n", Fault{5, "page.leave", FaultHidden, ""}}, // a Hangul filler
		{"nah", head + "[page]\nleave = \"x\\ny\"\n", Fault{5, "page.leave", FaultHidden, ""}},
		{"nah", head + "[page]\nleave = '" + strings.Repeat("x", MaxText+1) + "'\n", Fault{5, "page.leave", FaultLong, ""}},
	} {
		_, faults := ParseLanguage(tt.code, []byte(tt.file), Questions{})
		if len(faults) == 1 && tt.want.What == FaultTOML {
			faults[0].Detail = ""
		}
		if len(faults) != 1 || faults[0] != tt.want {
			t.Errorf("%s:\n%.200s\nfaults %+v, want %+v", tt.code, tt.file, faults, tt.want)
		}
	}
	// Several at once, in the order of the file.
	_, faults := ParseLanguage("nah", []byte(head+"[page]\nleave = '<'\nstep = 'x'\n[form]\nx = 'y'\n"), Questions{})
	if len(faults) != 3 || faults[0].Line != 5 || faults[1].Line != 6 || faults[2].Line != 8 {
		t.Errorf("%+v", faults)
	}
	// One text for every number is enough, and so are names in other letters.
	if _, faults := ParseLanguage("yua", []byte(head+"[codename.lasts]\none = 'jun k’iin {{.n}}'\nother = '{{.n}} k’iino’ob'\n[mailbox]\nsoon = '{{.n}}'\n"), Questions{}); len(faults) > 0 {
		t.Errorf("%+v", faults)
	}
}

// Whatever a language's file says, it is refused, or the site shows it as text.
func FuzzLanguage(f *testing.F) {
	f.Add("name = 'x'\nbase = 'es'\nreviewed = false\n[page]\nleave = 'x & y'\n[mailbox]\nsoon = '{{.n}}'\n")
	f.Add("name = 'x'\nbase = 'en'\nreviewed = 'y'\n[form.files_hint]\none = '{{.n}} {{.size}}'\nother = '{{.size}} {{.n}}'\n")
	f.Fuzz(func(t *testing.T, file string) {
		l, faults := ParseLanguage("nah", []byte(file), Questions{})
		if len(faults) > 0 {
			return
		}
		all, err := loadLocales(Questions{}, []Language{l})
		if err != nil {
			t.Fatal(err)
		}
		for id := range maps.Keys(all.byCode["nah"].own) {
			args := []any{}
			for _, m := range l.texts {
				if m.ID == id {
					for _, name := range placeholders(m.Other) {
						args = append(args, name, 7)
					}
				}
			}
			text, err := all.text("nah", id, args...)
			if err != nil || strings.TrimSpace(text) == "" || strings.ContainsAny(text, "<>") {
				t.Errorf("%s: %q, %v", id, text, err)
			}
		}
	})
}
