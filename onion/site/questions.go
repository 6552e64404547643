package site

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Questions are the optional questions of the form, in groups: those of the program
// (questions.toml, the zero value of Config.Questions), or those of a vault's own
// file of the same form. Their ids are part of sealed reports, so no id ever changes
// its meaning.
type Questions struct {
	Groups []group `toml:"group"`
}

type group struct {
	Title    map[string]string // by language, as every text here: es and en
	Question []question
}

type question struct {
	ID      string
	Type    string // text, one (of the choices) or many
	Text    map[string]string
	Choices []choice
}

type choice struct {
	ID   string
	Text map[string]string
}

// Bounds of a file of questions. With them answers.json stays below
// seal.MaxAnswers, and a form with every choice ticked below maxParts.
const (
	MaxQuestionsFile = 32 << 10 // bytes
	MaxChoices       = 200      // of all questions together
)

// What can be wrong in a file of questions, besides FaultTOML, FaultUnknown and the
// faults of texts.
const (
	FaultGroups  = "groups"  // no group, or Key is a group without a question
	FaultID      = "id"      // the id Key is not of a-z, 0-9 and -, or is taken by the program
	FaultTwice   = "twice"   // the id Key stands there twice
	FaultType    = "type"    // the type of Key is not text, one or many
	FaultChoices = "choices" // Key has choices and is of type text, or none and is not
	FaultMany    = "many"    // more than MaxChoices choices
)

var validID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// own reports whether the questions are a vault's.
func (q Questions) own() bool { return len(q.Groups) > 0 }

// orDefault is q, or the questions of the program.
func (q Questions) orDefault() (Questions, error) {
	if q.own() {
		return q, nil
	}
	text, err := assets.ReadFile("questions.toml")
	if err != nil {
		return q, err
	}
	q, faults := ParseQuestions(text)
	if len(faults) > 0 {
		return q, errors.New("questions.toml: " + faults[0].Key + ": " + faults[0].What)
	}
	return q, nil
}

// ParseQuestions reads a file of questions of at most MaxQuestionsFile bytes. The
// questions are good if there are no faults.
func ParseQuestions(file []byte) (Questions, []Fault) {
	p := &questionsFile{doc: file, seen: map[string]bool{answerPlaces: true, answerRoles: true}}
	if p.decode(); len(p.faults) == 0 {
		p.check()
	}
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return p.questions, p.faults
}

type questionsFile struct {
	doc       []byte
	questions Questions
	seen      map[string]bool // ids of questions
	choices   int
	faults    []Fault
}

func (p *questionsFile) wrong(line int, key, fault, detail string) {
	p.faults = append(p.faults, Fault{line, key, fault, detail})
}

func (p *questionsFile) decode() {
	err := toml.NewDecoder(bytes.NewReader(p.doc)).DisallowUnknownFields().Decode(&p.questions)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for _, e := range strict.Errors {
			line, _ := e.Position()
			p.wrong(line, strings.Join(e.Key(), "."), FaultUnknown, "")
		}
		return
	}
	if err != nil {
		line := 0
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ = e.Position()
		}
		p.wrong(line, "", FaultTOML, strings.TrimPrefix(err.Error(), "toml: "))
	}
}

func (p *questionsFile) check() {
	if len(p.questions.Groups) == 0 {
		p.wrong(0, "group", FaultGroups, "")
	}
	groups, questions := headLines(p.doc, "[[group]]"), headLines(p.doc, "[[group.question]]")
	for _, g := range p.questions.Groups {
		line := take(&groups)
		p.texts(line, "title", g.Title)
		if len(g.Question) == 0 {
			p.wrong(line, "group", FaultGroups, "")
		}
		for _, q := range g.Question {
			p.question(take(&questions), q)
		}
	}
	if p.choices > MaxChoices {
		p.wrong(0, "choices", FaultMany, "")
	}
}

func (p *questionsFile) question(line int, q question) {
	switch {
	case !validID.MatchString(q.ID) || q.ID == answerPlaces || q.ID == answerRoles || strings.HasPrefix(q.ID, "group-"):
		p.wrong(line, q.ID, FaultID, "")
	case p.seen[q.ID]:
		p.wrong(line, q.ID, FaultTwice, "")
	}
	p.seen[q.ID] = true
	p.texts(line, q.ID, q.Text)
	switch {
	case q.Type != "text" && q.Type != "one" && q.Type != "many":
		p.wrong(line, q.ID, FaultType, "")
	case (q.Type == "text") != (len(q.Choices) == 0):
		p.wrong(line, q.ID, FaultChoices, "")
	}
	p.choices += len(q.Choices)
	seen := map[string]bool{}
	for _, c := range q.Choices {
		at, key := idLine(p.doc, line, c.ID), q.ID+"."+c.ID
		switch {
		case !validID.MatchString(c.ID):
			p.wrong(at, key, FaultID, "")
		case seen[c.ID]:
			p.wrong(at, key, FaultTwice, "")
		}
		seen[c.ID] = true
		p.texts(at, key, c.Text)
	}
}

// texts checks a text in es and en.
func (p *questionsFile) texts(line int, key string, texts map[string]string) {
	for _, lang := range [...]string{"es", "en"} {
		if fault, detail := textFault("", texts[lang]); fault != "" {
			p.wrong(line, key+"."+lang, fault, detail)
		}
	}
	for lang := range texts {
		if lang != "es" && lang != "en" {
			p.wrong(line, key+"."+lang, FaultUnknown, "")
		}
	}
}

// headLines are the lines of the tables with a head, in TOML that has been read.
func headLines(doc []byte, head string) (lines []int) {
	n := 0
	for l := range strings.Lines(string(doc)) {
		n++
		if l, _, _ = strings.Cut(l, "#"); strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(l) == head {
			lines = append(lines, n)
		}
	}
	return lines
}

// take returns the first of lines and leaves the rest; 0 if there is none.
func take(lines *[]int) (first int) {
	if len(*lines) > 0 {
		first, *lines = (*lines)[0], (*lines)[1:]
	}
	return first
}

// idLine is the last line with an id in the table that begins at a line, or that line.
func idLine(doc []byte, table int, id string) int {
	if table == 0 || !validID.MatchString(id) {
		return table
	}
	form, found, n := regexp.MustCompile(`\bid\s*=\s*["']`+id+`["']`), table, 0
	for l := range strings.Lines(string(doc)) {
		if n++; n <= table {
			continue
		}
		if strings.HasPrefix(strings.TrimSpace(l), "[[group") && !strings.Contains(l, "choices") {
			break
		}
		if form.MatchString(l) {
			found = n
		}
	}
	return found
}

// Ids of the texts of questions in the catalogues.
func groupText(i int) string          { return "questions.group-" + strconv.Itoa(i+1) }
func questionText(id string) string   { return "questions." + id }
func choiceText(id, ch string) string { return "questions." + id + "." + ch }

// Two answers are no questions of a file: the places that the source ticked,
// as codes of states or outside, and what happened in each, as PLACE:ROLE.
const (
	answerPlaces = "states"
	answerRoles  = "roles"

	askPlaces = 8 // up to so many places the form asks what happened in each
)

// roles are what can have happened in a place: someone was recruited there, was taken
// there or through it, was exploited there, or the official works there.
var roles = [...]string{"recruited", "moved", "exploited", "official"}

// accepts reports whether value answers the question id.
func (q Questions) accepts(id, value string) bool {
	switch id {
	case answerPlaces:
		return value != stateUnknown && isPlace(value)
	case answerRoles:
		place, role, _ := strings.Cut(value, ":")
		return q.accepts(answerPlaces, place) && slices.Contains(roles[:], role)
	}
	for _, g := range q.Groups {
		for _, one := range g.Question {
			if one.ID == id {
				return one.Type == "text" || slices.ContainsFunc(one.Choices, func(c choice) bool { return c.ID == value })
			}
		}
	}
	return false
}
