package site

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"resguardo/crypto/seal"
)

// ownQuestions are those of a vault.
const ownQuestions = `# ours
[[group]]
title = { es = "El mar", en = "The sea" }

[[group.question]]
id = "boat"
type = "many"
text = { es = "¿Qué barco es?", en = "What boat is it?" }
choices = [
  { id = "shrimp", text = { es = "de camarón & más", en = "shrimp & more" } },
  { id = "cargo", text = { es = "de carga", en = "cargo" } },
]

[[group.question]]
id = "language" # es-usted has a text for the program's question of this id
type = "text"
text = { es = "¿Lengua a bordo?", en = "Language on board?" }
`

func parsed(t *testing.T, file string) Questions {
	t.Helper()
	q, faults := ParseQuestions([]byte(file))
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	return q
}

// answers reads answers.json of a report, and returns its language and, in lines, ids
// and values.
func (w *world) answers(r *seal.Report) string {
	w.t.Helper()
	a, err := seal.ParseAnswers([]byte(entry(w.t, r, "answers.json")))
	if err != nil {
		w.t.Fatal(err)
	}
	text := a.Language + "\n"
	for _, one := range a.Answers {
		values := slices.Clone(one.Texts)
		for _, c := range one.Choices {
			values = append(values, c.ID)
		}
		text += one.ID + ": " + strings.Join(values, " ") + "\n"
	}
	return text
}

// A vault's own questions stand on the form in place of the program's, in every
// language, and their texts are sealed with the answers, in the order of the form.
func TestOwnQuestions(t *testing.T) {
	q := parsed(t, ownQuestions)
	l, faults := ParseLanguage("nah", []byte("name = 'Nāhuatl'\nbase = 'es'\nreviewed = false\n[questions]\nboat = 'Acalli'\n'boat.cargo' = 'Tlamamalli'\n"), q)
	if len(faults) > 0 {
		t.Fatalf("%+v", faults)
	}
	if _, faults := ParseLanguage("nah", []byte("name = 'Nāhuatl'\nbase = 'es'\nreviewed = false\n[questions]\nkind = 'x'\n"), q); len(faults) != 1 || faults[0].What != FaultUnknown {
		t.Errorf("a text for a question that is not asked: %+v", faults)
	}
	w := newWorld(t, func(c *Config) {
		c.Questions, c.Languages, c.Added = q, []string{"es", "es-usted", "en", "nah"}, []Language{l}
	})
	for lang, want := range map[string][]string{
		"es":       {"El mar", "¿Qué barco es?", "de camarón &amp; más", "¿Lengua a bordo?"},
		"es-usted": {"El mar", "¿Qué barco es?", "de carga", "¿Lengua a bordo?"},
		"en":       {"The sea", "What boat is it?", "shrimp &amp; more", "Language on board?"},
		"nah":      {"Acalli", "Tlamamalli", `<span lang="es">¿Lengua a bordo?</span>`},
	} {
		page := w.get("/" + lang + "/report?desk=norte").body
		for _, text := range append(want, `name="a-boat" value="shrimp"`, `name="a-language"`) {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %s in:\n%s", lang, text, page)
			}
		}
		if strings.Contains(page, `name="a-kind"`) {
			t.Errorf("%s: the program's questions are asked too", lang)
		}
		checkPage(t, strings.TrimSuffix(lang, "-usted"), page)
	}
	refused := w.send("nah", field("token", w.token("nah")), field("desk", "norte"), field("message", "x"), field("a-kind", "farm"))
	if refused.status != http.StatusBadRequest {
		t.Errorf("an answer to no question: status %d", refused.status)
	}
	codenameIn(t, w.send("nah", field("token", tokenIn(t, refused)), field("desk", "norte"), field("a-states", "SON"), field("a-states", "outside"), field("a-states", "SON"),
		field("message", "x"), field("a-roles", "outside:official"), field("a-boat", "cargo"), field("a-language", "mixe \"<&\u2028\n1"), field("a-boat", "shrimp"),
		field("a-boat", "cargo"), field("a-language", "y zoque")))
	want := `{
 "format": "resguardo/answers/v1",
 "language": "nah",
 "answers": [
  {
   "id": "states",
   "question": {
    "es": "¿En qué estados pasó?",
    "en": "In which states did it happen?"
   },
   "choices": [
    {
     "id": "SON",
     "es": "Sonora",
     "en": "Sonora"
    },
    {
     "id": "outside",
     "es": "Fuera de México",
     "en": "Outside Mexico"
    }
   ]
  },
  {
   "id": "roles",
   "question": {
    "es": "Qué pasó en cada lugar",
    "en": "What happened in each place"
   },
   "choices": [
    {
     "id": "outside:official",
     "es": "Fuera de México: ahí trabaja la autoridad",
     "en": "Outside Mexico: the official works there"
    }
   ]
  },
  {
   "id": "boat",
   "question": {
    "es": "¿Qué barco es?",
    "en": "What boat is it?"
   },
   "choices": [
    {
     "id": "shrimp",
     "es": "de camarón & más",
     "en": "shrimp & more"
    },
    {
     "id": "cargo",
     "es": "de carga",
     "en": "cargo"
    }
   ]
  },
  {
   "id": "language",
   "question": {
    "es": "¿Lengua a bordo?",
    "en": "Language on board?"
   },
   "texts": [
    "mixe \"<&\u2028\n1",
    "y zoque"
   ]
  }
 ]
}
`
	if got := entry(t, w.only("norte", "a"), "answers.json"); got != want {
		t.Errorf("answers.json:\n%s", got)
	}
}

// Whatever is ticked and typed, and whatever the questions are, fits answers.json.
func TestLargestAnswersFit(t *testing.T) {
	var b strings.Builder
	text := func() string { return `{es='` + strings.Repeat(`"`, 30) + `',en='` + strings.Repeat(`\`, 30) + `'}` }
	n := 0
	for g := range 2 {
		fmt.Fprintf(&b, "[[group]]\ntitle=%s\n", text())
		for i := range MaxChoices / 4 {
			fmt.Fprintf(&b, "[[group.question]]\nid='q%d-%d'\ntype='many'\ntext=%s\nchoices=[{id='a',text=%s},{id='b',text=%s}]\n", g, i, text(), text(), text())
			n += 2
		}
	}
	fmt.Fprintf(&b, "[[group.question]]\nid='own'\ntype='text'\ntext=%s\n", text())
	if n != MaxChoices || b.Len() > MaxQuestionsFile || b.Len() < MaxQuestionsFile*9/10 {
		t.Fatalf("%d choices, %d bytes", n, b.Len())
	}
	w := newWorld(t, func(c *Config) { c.Questions = parsed(t, b.String()) })
	f := form{answers: map[string][]string{"own": {strings.Repeat("\x01", maxText)}}}
	for _, g := range w.site.questions.Groups {
		for _, q := range g.Question {
			for _, c := range q.Choices {
				f.answers[q.ID] = append(f.answers[q.ID], c.ID)
			}
		}
	}
	for _, s := range states {
		f.answers[answerPlaces] = append(f.answers[answerPlaces], s.Code)
		for _, role := range roles {
			f.answers[answerRoles] = append(f.answers[answerRoles], s.Code+":"+role)
		}
	}
	text2, err := w.site.answersJSON("es", &f)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes of %d", len(text2), seal.MaxAnswers)
}

func TestQuestionsAreRefused(t *testing.T) {
	const good = "[[group]]\ntitle={es='t',en='t'}\n[[group.question]]\nid='q'\ntype='one'\ntext={es='t',en='t'}\nchoices=[\n{id='c',text={es='t',en='t'}},\n]\n"
	parsed(t, good)
	for _, tt := range []struct {
		old, new string
		want     Fault
	}{
		{good, "", Fault{0, "group", FaultGroups, ""}},
		{good, "[[group]]\ntitle={es='t',en='t'}\n", Fault{1, "group", FaultGroups, ""}},
		{"id='q'", "id='Q'", Fault{3, "Q", FaultID, ""}},
		{"id='q'", "", Fault{3, "", FaultID, ""}},
		{"id='q'", "id='states'", Fault{3, "states", FaultID, ""}},
		{"id='q'", "id='group-1'", Fault{3, "group-1", FaultID, ""}},
		{"type='one'", "type='two'", Fault{3, "q", FaultType, ""}},
		{"type='one'", "type='text'", Fault{3, "q", FaultChoices, ""}},
		{"\n{id='c',text={es='t',en='t'}},\n", "", Fault{3, "q", FaultChoices, ""}},
		{"text={es='t',en='t'}\n", "text={es='t'}\n", Fault{3, "q.en", FaultEmpty, ""}},
		{"text={es='t',en='t'}\n", "text={es='t',en='t',fr='t'}\n", Fault{3, "q.fr", FaultUnknown, ""}},
		{"title={es='t',", "title={es=' ',", Fault{1, "title.es", FaultEmpty, ""}},
		{"es='t',en='t'}},", "es='<b>',en='t'}},", Fault{8, "q.c.es", FaultMarkup, ""}},
		{"es='t',en='t'}},", "es='t',en='{{.x}}'}},", Fault{8, "q.c.en", FaultPlaceholder, ""}},
		{"es='t',en='t'}},", "es='t',en=\"a\\u202eb\"}},", Fault{8, "q.c.en", FaultHidden, ""}},
		{"es='t',en='t'}},", "es='t',en='" + strings.Repeat("x", MaxText+1) + "'}},", Fault{8, "q.c.en", FaultLong, ""}},
		{"id='c'", "id='C'", Fault{3, "q.C", FaultID, ""}},
		{"},\n]", "},\n{id='c',text={es='t',en='t'}}]", Fault{9, "q.c", FaultTwice, ""}},
		{"title=", "titel=", Fault{2, "group.titel", FaultUnknown, ""}},
		{"type='one'", "type=1", Fault{5, "", FaultTOML, ""}},
		{"type='one'", "type='one", Fault{5, "", FaultTOML, ""}},
		{good, good + strings.SplitN(good, "\n", 3)[2], Fault{10, "q", FaultTwice, ""}},
		{good, good + "[[group.question]]\nid='many'\ntype='one'\ntext={es='t',en='t'}\nchoices=[" + manyChoices(MaxChoices) + "]\n", Fault{0, "choices", FaultMany, ""}},
	} {
		file := strings.Replace(good, tt.old, tt.new, 1)
		_, faults := ParseQuestions([]byte(file))
		if len(faults) == 1 && tt.want.What == FaultTOML {
			faults[0].Detail = ""
		}
		if len(faults) != 1 || faults[0] != tt.want {
			t.Errorf("faults %+v, want %+v:\n%.300s", faults, tt.want, file)
		}
	}
}

func manyChoices(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{id='c%d',text={es='t',en='t'}}", i))
	}
	return strings.Join(all, ",")
}

// Whatever a file of questions says, it is refused, or the form shows it as text and
// what is answered can be read again.
func FuzzQuestions(f *testing.F) {
	text, err := assets.ReadFile("questions.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{ownQuestions, string(text), "group = [{title={es='a',en='b'},question=[{id='x',type='text',text={es='a',en='b'}}]}]", "[[group]]", "[group]\n"} {
		f.Add(seed)
	}
	templates, err := loadTemplates()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file string) {
		q, faults := ParseQuestions([]byte(file))
		if len(faults) > 0 || len(file) > MaxQuestionsFile {
			return
		}
		s := &Site{questions: q, templates: templates, config: Config{Languages: builtIn[:]}}
		if s.locales, err = loadLocales(q, nil); err != nil {
			t.Fatal(err)
		}
		filled := form{answers: map[string][]string{}}
		for i, g := range q.Groups {
			for _, one := range g.Question {
				texts := map[string]string{groupText(i): g.Title["es"], questionText(one.ID): one.Text["es"]}
				filled.answers[one.ID] = []string{"x"}
				for j, c := range one.Choices {
					texts[choiceText(one.ID, c.ID)] = c.Text["es"]
					filled.answers[one.ID] = append(filled.answers[one.ID][:j], c.ID)
				}
				for id, want := range texts {
					for _, lang := range []string{"es", "es-usted"} {
						if got := s.locales.must(lang, id); got != want {
							t.Errorf("%s %s is %q, not %q", lang, id, got, want)
						}
					}
				}
			}
		}
		sealed, err := s.answersJSON("es", &filled)
		if err != nil {
			t.Fatal(err)
		}
		a, err := seal.ParseAnswers(sealed)
		if err != nil || len(a.Answers) != len(filled.answers) {
			t.Errorf("%d of %d answers, %v:\n%s", len(a.Answers), len(filled.answers), err, sealed)
		}
	})
}
