package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"resguardo/onion/tornet/source"
)

// TestOwnQuestion: a vault asks a question of its own. Years later, when the vault asks
// another one by the same id, the answer is still shown as it was asked: by open, in
// the reviewer's language, and by stock age and unzip. Backups hold the questions.
func TestOwnQuestion(t *testing.T) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	ask := func(es, en, choice string) string {
		text := `[[group]]
title = { es = "El mar", en = "The sea" }
[[group.question]]
id = "boat"
type = "many"
text = { es = "` + es + `", en = "` + en + `" }
choices = [ { id = "cargo", text = { es = "de carga", en = "` + choice + `" } } ]
[[group.question]]
id = "port"
type = "text"
text = { es = "¿En qué puerto?", en = "In which port?" }
`
		if err := os.WriteFile(filepath.Join(h.dir, "questions.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := ask("¿Qué barco es?", "What boat is it?", "cargo boat")
	h.start()
	h.mustSend(source.Report{Message: "Vi a tres personas.", Answers: map[string]string{"a-boat": "cargo", "a-port": "Salina Cruz"}})

	backups, again := filepath.Join(t.TempDir(), "backups"), filepath.Join(t.TempDir(), "again")
	run(t, "resguardod", "backup", "-dir", h.dir, "-to", backups, "-recipients", h.recipientFile())
	run(t, "resguardod", "restore", "-dir", again, "-from", backups, "-identity", filepath.Join(h.reviewer, "identity.txt"))
	if text, err := os.ReadFile(filepath.Join(again, "questions.toml")); string(text) != first {
		t.Errorf("restored questions: %v\n%s", err, text)
	}

	h.kill()
	ask("¿Otra cosa?", "Something else?", "another thing")
	h.start()
	files := h.fetch()
	if len(files) != 1 {
		t.Fatalf("fetched %q, want one report", files)
	}
	english := "| What boat is it?\n|   - cargo boat\n| In which port?\n|   Salina Cruz\n"
	if shown := run(t, "resguardo", "open", "-dir", h.reviewer, "1"); !strings.Contains(shown, english) {
		t.Errorf("open shows:\n%s", shown)
	}
	c := exec.Command(filepath.Join(programs, "resguardo"), "open", "-dir", h.reviewer, "1")
	c.Env = append(os.Environ(), "LANG=es_MX.UTF-8", "LC_ALL=")
	spanish := "| ¿Qué barco es?\n|   - de carga\n| ¿En qué puerto?\n|   Salina Cruz\n"
	if shown, err := c.Output(); err != nil || !strings.Contains(string(shown), spanish) {
		t.Errorf("open in Spanish: %v\n%s", err, shown)
	}
	plain := filepath.Join(t.TempDir(), "report.zip")
	run(t, "age", "-d", "-i", filepath.Join(h.reviewer, "identity.txt"), "-o", plain, files[0])
	out, err := exec.Command("unzip", "-p", plain, "answers.json").Output()
	for _, want := range []string{"¿Qué barco es?", "What boat is it?", "cargo boat", "Salina Cruz"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("unzip shows no %q: %v\n%s", want, err, out)
		}
	}
}
