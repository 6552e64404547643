package seal

import (
	"bytes"
	_ "embed"
	"reflect"
	"strings"
	"testing"
)

// vectorAnswersText is answers.json of the report of docs/formats.md.
//
//go:embed testdata/answers.json
var vectorAnswersText string

func vectorAnswers() Answers {
	return Answers{Format: AnswersFormat, Language: "es-usted", Answers: []Answer{
		{ID: "states", Question: Label{"¿En qué estados pasó?", "In which states did it happen?"}, Choices: []Chosen{{"SON", Label{"Sonora", "Sonora"}}}},
		{ID: "where", Question: Label{"¿Dónde?", "Where?"}, Texts: []string{"En \"El Ancla\" <b>&\n2º piso"}},
	}}
}

func TestAnswersVector(t *testing.T) {
	want := vectorAnswers()
	if again, err := want.Encode(); err != nil || string(again) != vectorAnswersText {
		t.Errorf("%v\n%s", err, again)
	}
	if got, err := ParseAnswers([]byte(vectorAnswersText)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	empty := Answers{Language: "es"}
	none, err := empty.Encode()
	if got, wrong := ParseAnswers(none); err != nil || wrong != nil || len(got.Answers) != 0 {
		t.Errorf("no answers: %v, %v\n%s", err, wrong, none)
	}
}

// Two readers cannot read one answers.json in two ways: there is one text for it.
func TestParseAnswersRefuses(t *testing.T) {
	a := vectorAnswers()
	text, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for name, change := range map[string][2]string{
		"another version":   {"answers/v1", "answers/v2"},
		"no version":        {"\n \"format\": \"resguardo/answers/v1\",", ""},
		"version at end":    {"\n \"format\": \"resguardo/answers/v1\",\n \"language\": \"es-usted\",", "\n \"language\": \"es-usted\",\n \"format\": \"resguardo/answers/v1\","},
		"a field twice":     {"\"id\": \"SON\",", "\"id\": \"BC\",\n     \"id\": \"SON\","},
		"unknown field":     {"\"id\": \"SON\",", "\"id\": \"SON\",\n     \"fr\": \"x\","},
		"field in capitals": {"\"language\"", "\"Language\""},
		"escaped letter":    {"Sonora", "\\u0053onora"},
		"other spaces":      {"\n ", "\n  "},
		"no last line end":  {"\n}\n", "\n}"},
		"more behind":       {"\n}\n", "\n}\n{}"},
		"not UTF-8":         {"Sonora", "\xff"},
		"question twice":    {`"where"`, `"states"`},
		"id with a space":   {`"where"`, `"wh ere"`},
		"no id":             {`"where"`, `""`},
		"no language":       {`"es-usted"`, `""`},
		"no text in en":     {`"Where?"`, `""`},
		"long question":     {"Where?", strings.Repeat("x", maxLabel+1)},
		"empty texts":       {"\"texts\": [\n    \"En \\\"El Ancla\\\" <b>&\\n2º piso\"\n   ]", "\"texts\": []"},
		"texts are null":    {"\"texts\": [\n    \"En \\\"El Ancla\\\" <b>&\\n2º piso\"\n   ]", "\"texts\": null"},
		"texts and choices": {"\"choices\": [", "\"texts\": [\n    \"x\"\n   ],\n   \"choices\": ["},
		"too long":          {"2º piso", strings.Repeat("x", MaxAnswers)},
		"null":              {good, "null"},
		"nothing":           {good, ""},
		"a list":            {good, "[]"},
	} {
		if !strings.Contains(good, change[0]) {
			t.Fatalf("%s: nothing to change", name)
		}
		bad := strings.Replace(good, change[0], change[1], 1)
		if a, err := ParseAnswers([]byte(bad)); err == nil {
			t.Errorf("%s: took\n%.400s\nas %+v", name, bad, a)
		}
	}
	double := vectorAnswers()
	double.Answers[0].Choices = append(double.Answers[0].Choices, double.Answers[0].Choices[0])
	many := Answers{Language: "es", Answers: []Answer{{ID: "x", Question: Label{"x", "x"}, Texts: make([]string, maxAnswer+1)}}}
	for _, a := range []Answers{double, many} {
		if _, err := a.Encode(); err == nil {
			t.Errorf("encoded %.300v", a)
		}
	}
}

// FuzzAnswers: what is read is written again as the same bytes.
func FuzzAnswers(f *testing.F) {
	a := vectorAnswers()
	text, err := a.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte("Sonora"), []byte(`\u2028\u0000`), 1))
	f.Add([]byte(`{"language":"es","answers":{"a-where":["Tijuana"]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := ParseAnswers(text)
		if err != nil {
			return
		}
		if again, err := a.Encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is written again as %q, %v", text, again, err)
		}
	})
}
