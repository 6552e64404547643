package site

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

// sentences returns every text of a built-in language that the pages can show: the
// catalogue by id, with the forms of a plural in lines, and the questions.
func sentences(t *testing.T, lang string) map[string]string {
	t.Helper()
	all := catalogue(t, strings.TrimSuffix(lang, "-usted"))
	q, err := Questions{}.orDefault()
	if err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(lang, "-usted")
	for i, g := range q.Groups {
		all[groupText(i)] = g.Title[base]
		for _, one := range g.Question {
			all[questionText(one.ID)] = one.Text[base]
			for _, c := range one.Choices {
				all[choiceText(one.ID, c.ID)] = c.Text[base]
			}
		}
	}
	if lang != base {
		maps.Copy(all, catalogue(t, lang))
	}
	return all
}

// Every plural of every language is whole: no form lacks a value.
func TestPluralsAreWhole(t *testing.T) {
	w := newWorld(t)
	for _, lang := range builtIn {
		for id, text := range sentences(t, lang) {
			names := placeholders(text)
			if !slices.Contains(names, "n") {
				continue
			}
			for _, n := range []int{0, 1, 2, 21, 1_000_000} {
				var args []any
				for _, name := range names {
					args = append(args, name, n)
				}
				got, err := w.site.locales.text(lang, id, args...)
				if err != nil || strings.Contains(got, "<no value>") || strings.Contains(got, "{{") || !strings.Contains(got, fmt.Sprint(n)) {
					t.Errorf("%s %s with %d: %q, %v", lang, id, n, got, err)
				}
			}
		}
	}
}

// outside returns what stands outside of all brackets.
func outside(text string) string {
	var b strings.Builder
	depth := 0
	for _, r := range text {
		switch {
		case r == '⟦':
			depth++
		case r == '⟧':
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// visible calls see with every text of a page that people see or hear.
func visible(t *testing.T, page string, see func(n *html.Node, text string)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			see(n.Parent, n.Data)
		}
		for _, a := range n.Attr {
			if slices.Contains([]string{"aria-label", "title", "placeholder", "alt"}, a.Key) {
				see(n, a.Val)
			}
		}
	}
}

// Everything that is read on a page comes from the catalogues, from the operator
// or from the source, but for the names of states and languages.
func TestEveryVisibleTextIsInACatalogue(t *testing.T) {
	for _, base := range []string{"es", "en"} {
		w := newPseudoWorld(t, base, nil)
		known := []string{"Español", "English", "SHA-256", w.site.locales.must(base, "page.unreviewed")}
		for _, s := range states {
			known = append(known, s.Name)
		}
		for _, d := range w.desks {
			known = append(known, d.Name[base])
			for _, r := range d.Recipients {
				known = append(known, w.site.keyWords(base, r.Fingerprint()))
			}
		}
		slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) }) // Baja California Sur first
		for name, r := range w.everyPage(pseudoCode) {
			shown := 0
			visible(t, r.body, func(n *html.Node, text string) {
				if strings.Contains(text, "⟦") {
					shown++
				}
				switch n.Data {
				case "code", "output", "textarea", "strong":
					return // keys, the codename, what the source typed
				}
				rest := outside(text)
				for _, k := range known {
					rest = strings.ReplaceAll(rest, k, "")
				}
				if strings.IndexFunc(rest, unicode.IsLetter) >= 0 {
					t.Errorf("%s %s: %q in <%s> is not of the catalogue", base, name, rest, n.Data)
				}
			})
			if shown == 0 {
				t.Errorf("%s %s shows nothing of the catalogue", base, name)
			}
		}
	}
}

var templateParts = regexp.MustCompile(`(?s)\{\{.*?\}\}|<code>.*?</code>|<[^>]*>`)

// No template holds a word of its own, but for the names of the languages, and the
// warning of demo sites, which says the same in both.
func TestTemplatesHoldNoText(t *testing.T) {
	files, err := assets.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := assets.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		rest := templateParts.ReplaceAllString(string(text), "")
		for _, known := range []string{"Español", "English", "DE PRUEBA: no envíes nada real", "TEST: send nothing real"} {
			rest = strings.ReplaceAll(rest, known, "")
		}
		if words := wordLetters.FindAllString(rest, -1); len(words) > 0 {
			t.Errorf("%s holds the words %q", f.Name(), words)
		}
	}
}

// Without a stylesheet, 40 characters wide, each choice stands on a line of its own
// and each question whole before its field.
func TestPlainTextIsReadable(t *testing.T) {
	w3m, err := exec.LookPath("w3m")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("w3m (make deps installs it): ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	box := regexp.MustCompile(`\[[ *]\]|\([ *]\)`)
	whole := strings.NewReplacer(" ", "", "\n", "", "\u00a0", "")
	for _, lang := range builtIn {
		for name, r := range w.everyPage(lang) {
			c := exec.Command(w3m, "-dump", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8", "-cols", "40")
			c.Stdin = strings.NewReader(r.body)
			out, err := c.Output()
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				if at := box.FindAllStringIndex(line, -1); len(at) > 0 && (len(at) > 1 || strings.TrimSpace(line[:at[0][0]]) != "") {
					t.Errorf("%s %s: %q", lang, name, line)
				}
			}
			root, err := html.Parse(strings.NewReader(r.body))
			if err != nil {
				t.Fatal(err)
			}
			for n := range root.Descendants() {
				if n.Data == "label" && len(n.Attr) > 0 && n.Attr[0].Val != "file" && !strings.Contains(whole.Replace(string(out)), whole.Replace(n.FirstChild.Data)+"[") {
					t.Errorf("%s %s: %q does not stand before its field in:\n%s", lang, name, n.FirstChild.Data, out)
				}
			}
		}
	}
}

// measure is how much there is to read, and how hard it is.
type measure struct{ sentences, words, syllables, longest int }

var (
	sentenceLast = regexp.MustCompile(`[.!?…:][\s»”)]*$`)
	sentenceEnd  = regexp.MustCompile(`[.!?…]+(?:[\s»”)]|$)`)
	wordLetters  = regexp.MustCompile(`\p{L}[\p{L}’'-]*`)
)

// read adds a paragraph, if it ends as a sentence does: headings, links and names
// would make the mean sentence shorter than it is. Numbers are no words.
func (m *measure) read(text, lang string) {
	if !sentenceLast.MatchString(text) {
		return
	}
	for _, s := range sentenceEnd.Split(text, -1) {
		words := wordLetters.FindAllString(s, -1)
		if len(words) == 0 {
			continue
		}
		m.sentences++
		m.words += len(words)
		m.longest = max(m.longest, len(words))
		for _, w := range words {
			m.syllables += syllables(w, lang)
		}
	}
}

// mean is the words of a sentence.
func (m measure) mean() float64 { return float64(m.words) / float64(m.sentences) }

// ease is how easy the text is, from 0 to about 100: for English the Flesch reading
// ease (1948), for Spanish the perspicuity of Szigriszt-Pazos (1993), which is read on
// the INFLESZ scale (Barrio-Cantalejo 2008: from 65 on "quite easy").
func (m measure) ease(lang string) float64 {
	perWord := float64(m.syllables) / float64(m.words)
	if lang == "en" {
		return 206.835 - 1.015*m.mean() - 84.6*perWord
	}
	return 206.835 - m.mean() - 62.3*perWord
}

// syllables counts the syllables of a word by its spelling.
//
// Spanish: each of a, e, o and each accented vowel makes one; i, u, y beside them
// make none (diphthong), alone or together one. An h stands between syllables.
//
// English: each group of vowels makes one, less the silent endings -e, -es and -ed.
// That is wrong for about one word in ten, in both directions.
func syllables(word, lang string) int {
	word = strings.ToLower(word)
	if lang == "en" {
		return englishSyllables(word)
	}
	n, weak := 0, false
	strong := false // in this group of vowels
	end := func() {
		if weak && !strong {
			n++
		}
		weak, strong = false, false
	}
	for _, r := range word {
		switch {
		case strings.ContainsRune("aeoáéíóú", r):
			n, strong = n+1, true
		case strings.ContainsRune("iuüy", r):
			weak = true
		default:
			end()
		}
	}
	end()
	return max(n, 1)
}

var (
	englishVowels = regexp.MustCompile(`[aeiouy]+`)
	englishSilent = regexp.MustCompile(`(?:[^aeiouylcsgxz]es|[aeiouy]les|[^aeiouytd]ed|[^aeiouyl]e|[aeiouy]le)$`)
)

func englishSyllables(word string) int {
	word = strings.TrimRight(word, "'’")
	n := len(englishVowels.FindAllString(word, -1))
	if englishSilent.MatchString(word) {
		n--
	}
	return max(n, 1)
}

func TestSyllables(t *testing.T) {
	for lang, words := range map[string]string{
		"es": "clave 2 reporte 3 que 1 quien 1 guerra 2 país 2 todavía 4 ahora 3 prohibir 3 teléfono 4 muy 1 y 1 ciudad 2 aunque 2 autoridad 4 leerlo 3 envíes 3 construcción 3 agüita 3 buzón 2",
		"en": "report 2 name 1 people 2 changed 1 wanted 2 files 1 places 2 table 2 police 2 the 1 we 1 safety 2 encrypted 3 organisation 5 mailbox 2 whole 1 you 1 government 3",
	} {
		list := strings.Fields(words)
		for i := 0; i < len(list); i += 2 {
			if got := fmt.Sprint(syllables(list[i], lang)); got != list[i+1] && list[i] != "safety" { // 3: the rule's price
				t.Errorf("%s %s: %s syllables, want %s", lang, list[i], got, list[i+1])
			}
		}
	}
}

// least is the number of words from which a page's ease says something.
const least = 40

// Every page, and every table of the catalogues, is easy to read: INFLESZ at least
// 65, Flesch at least 70, at most 15 words in the mean sentence.
func TestReadability(t *testing.T) {
	floor := map[string]float64{"es": 65, "es-usted": 65, "en": 70}
	w := newWorld(t)
	for _, lang := range builtIn {
		of := map[string]*measure{}
		add := func(name, text string) {
			if of[name] == nil {
				of[name] = &measure{}
			}
			of[name].read(text, lang)
		}
		for name, r := range w.everyPage(lang) {
			for _, text := range paragraphs(t, r.body) {
				add("page "+name, text)
			}
		}
		for id, text := range sentences(t, lang) {
			table, _, _ := strings.Cut(id, ".")
			text, _, _ = strings.Cut(text, "\n") // one form of a plural
			text = placeholder.ReplaceAllString(text, "8")
			if table != "questions" && table != "month" && table != "language" && table != "region" {
				add("table "+table, text)
			}
			add("everything", text)
		}
		for _, name := range slices.Sorted(maps.Keys(of)) {
			m := *of[name]
			if m.words == 0 {
				continue
			}
			t.Logf("%s %-24s %4d words, %4.1f in a sentence, at most %2d, ease %5.1f", lang, name, m.words, m.mean(), m.longest, m.ease(lang))
			if m.words >= least && m.ease(lang) < floor[lang] {
				t.Errorf("%s %s: ease %.1f, at least %.0f", lang, name, m.ease(lang), floor[lang])
			}
			if m.words >= least && m.mean() > 15 {
				t.Errorf("%s %s: %.1f words in the mean sentence, at most 15", lang, name, m.mean())
			}
		}
	}
}

// paragraphs returns the texts of a page that are to be read through.
func paragraphs(t *testing.T, page string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for n := range root.Descendants() {
		switch n.Data {
		case "p", "li", "h1", "h2":
			var b strings.Builder
			for d := range n.Descendants() {
				if d.Type == html.TextNode && !slices.Contains([]string{"code", "output", "label", "button", "textarea", "option"}, d.Parent.Data) {
					b.WriteString(d.Data)
				}
			}
			texts = append(texts, b.String())
		}
	}
	return texts
}

// Every word is in the dictionary of Debian (es_MX, en_US) or in testdata/words.LANG.txt.
func TestSpelling(t *testing.T) {
	for _, lang := range [...]string{"es", "en"} {
		dictionary := map[string]string{"es": "es_MX", "en": "en_US"}[lang]
		path, err := exec.LookPath("hunspell")
		if err == nil {
			// Without the dictionary hunspell would take every word.
			err = exec.Command(path, "-d", dictionary, "-D", os.DevNull).Run()
		}
		if err != nil && os.Getenv("CI") != "true" {
			t.Skip("hunspell (make deps installs it): ", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile("testdata/words." + lang + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		allowed := map[string]bool{}
		for line := range strings.Lines(string(list)) {
			if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
				allowed[word] = false
			}
		}
		all := sentences(t, lang)
		if lang == "es" {
			for id, text := range catalogue(t, "es-usted") {
				all["usted."+id] = text
			}
		}
		c := exec.Command(path, "-d", dictionary, "-i", "utf-8", "-l")
		c.Stdin = strings.NewReader(placeholder.ReplaceAllString(strings.Join(slices.Sorted(maps.Values(all)), "\n"), ""))
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		unknown := strings.Fields(string(out))
		slices.Sort(unknown)
		for _, word := range slices.Compact(unknown) {
			if _, ok := allowed[word]; !ok {
				t.Errorf("%s: %q in %q", lang, word, idsWith(all, word))
			}
			allowed[word] = true
		}
		for word, used := range allowed {
			if !used {
				t.Errorf("testdata/words.%s.txt: %q is not needed", lang, word)
			}
		}
	}
}

// idsWith returns the ids of the texts that have a word.
func idsWith(all map[string]string, word string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if strings.Contains(all[id], word) {
			ids = append(ids, id)
		}
	}
	return ids
}

// forbiddenWords hurt, frighten, judge, or name a thing by a second name. except are
// the texts that speak of the thing itself, not of the source.
var forbiddenWords = map[string][]struct {
	pattern string
	reason  string
	except  []string
}{
	"es": {
		{`usuari[oa]s?`, "a source is a person", nil},
		{`tickets?|folios?|expedientes?`, "it is a reporte", nil},
		{`víctimas?`, "persona afectada, sobreviviente", nil},
		{`denunciantes?|informantes?|delator(es|a|as)?|soplón`, "a source is no informer", nil},
		{`denuncias?|denunciar`, "only the legal act", []string{"questions.deed.refused", "questions.deed.complaint"}},
		{`confesi(ón|ones)|declaraci(ón|ones)`, "words of a court", nil},
		{`delincuentes?|prostitut[oa]s?|prostitución`, "they judge", nil},
		{`ilegal(es)?|indocumentad[oa]s?`, "no person is illegal", []string{"questions.kind.children"}},
		{`contraseñas?|frase de paso|seudónimos?`, "it is la clave", nil},
		{`mesas?|escritorios?`, "it is el equipo", nil},
		{`lo sentimos|error(es)?`, "say what happened", nil},
		{`¿por qué no`, "it blames", nil},
	},
	"en": {
		{`users?`, "a source is a person", nil},
		{`tickets?|files? number`, "it is a report", nil},
		{`victims?`, "affected person, survivor", nil},
		{`informers?|informants?|snitch(es)?|whistleblowers?`, "a source is no informer", nil},
		{`complaints?`, "only the legal act", []string{"questions.deed.refused", "questions.deed.complaint"}},
		{`confessions?|statements?`, "words of a court", nil},
		{`criminals?|prostitutes?|prostitution`, "they judge", nil},
		{`illegal|aliens?`, "no person is illegal", []string{"questions.kind.children"}},
		{`passwords?|passphrases?|pseudonyms?`, "it is the codename", nil},
		{`desks?`, "it is the team", nil},
		{`sorry|oops|errors?`, "say what happened", nil},
		{`why (did|do|have|has|does)( you)?( not|n't|n’t)`, "it blames", nil},
	},
}

func TestVocabulary(t *testing.T) {
	for _, lang := range builtIn {
		all := sentences(t, lang)
		for _, rule := range forbiddenWords[strings.TrimSuffix(lang, "-usted")] {
			// \b knows ASCII only: é would end a word.
			bad := regexp.MustCompile(`(?i)(?:^|[^\p{L}])(` + rule.pattern + `)(?:[^\p{L}]|$)`)
			for id, text := range all {
				if m := bad.FindStringSubmatch(placeholder.ReplaceAllString(text, "")); m != nil && !slices.Contains(rule.except, id) {
					t.Errorf("%s %s says %q: %s", lang, id, m[1], rule.reason)
				}
			}
		}
	}
}
