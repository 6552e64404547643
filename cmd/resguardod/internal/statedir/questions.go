package statedir

import (
	"errors"
	"io/fs"
)

// QuestionsFile holds the vault's own questions of the form, read by
// [resguardo/onion/site.ParseQuestions]. A vault without it asks the program's.
const QuestionsFile = "questions.toml"

// maxQuestions is the bytes of questions.toml.
const maxQuestions = 32 << 10

// loadQuestions reads questions.toml, if there is one.
func (d Dir) loadQuestions(s *State) (err error) {
	s.Questions, err = ReadFile(d.Path(QuestionsFile), maxQuestions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
