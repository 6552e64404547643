package browser

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTextBrowser walks from the start to a sent report, and into the mailbox, in
// w3m: keys are typed into it on a terminal, it follows the links and sends the
// forms itself, and each page is read as it shows it.
func TestTextBrowser(t *testing.T) {
	t.Parallel()
	w := newW3m(t, newStage(t, "es"))
	w.page("Cuenta lo que sabes. No pedimos tu nombre.", "Salir ya")
	w.follow("Hacer un reporte")
	w.page("Paso 1 de 4", "Cómo cuidarte")
	w.follow("Continuar")
	w.page("Paso 2 de 4", "¿Quién leerá tu reporte?")
	w.tick("Sonora")
	w.follow("Continuar")
	w.page("Paso 3 de 4", "Lo leerá:", "Red Sur")
	w.answer("Lo vi en la garita.")
	w.field("¿Qué pasó?")
	w.follow("Enviar reporte")
	sent := w.page("Paso 4 de 4", "Recibimos tu reporte", "Esta es tu clave.")
	_, rest, _ := strings.Cut(sent, "nadie puede recuperarla.")
	words := strings.Join(strings.Fields(rest)[:8], " ")
	t.Logf("codename as w3m shows it: %d words", len(strings.Fields(words)))
	w.follow("Ya tengo mi clave")
	w.page("Escribe tu clave", "Tus 8 palabras")
	w.answer(words)
	w.field("Tus 8 palabras")
	w.follow("Abrir mi buzón")
	w.page("Tu buzón", "Aún no hay respuesta.", "Lo tiene ahora: Red Sur.")
	fmt.Fprint(w.keys, "g\r") // the first thing of every page
	w.page("Un momento", "Continuar")
}

// w3m is a w3m on a terminal of its own.
type w3m struct {
	t     testing.TB
	keys  io.Writer
	dir   string
	saved int
}

// newW3m starts w3m at the start page of the stage. Fields of several lines are
// filled in by an editor that writes the file answer.
func newW3m(t testing.TB, s *stage) *w3m {
	t.Helper()
	w := &w3m{t: t, dir: t.TempDir()}
	editor := filepath.Join(w.dir, "editor")
	script := fmt.Sprintf("#!/bin/sh\nfor f; do :; done\ncp %s/answer \"$f\"\n", w.dir)
	if err := os.WriteFile(editor, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	command := fmt.Sprintf("stty cols 80 rows 50; exec %s -no-cookie -o display_image=0 -o confirm_qq=0 -o editor=%s http://%s/%s/", need(t, "w3m"), editor, s.address, s.lang)
	c := exec.Command(need(t, "script"), "-qec", command, os.DevNull)
	c.Env = append(os.Environ(), "HOME="+w.dir, "TERM=xterm", "LC_ALL=C.UTF-8")
	var err error
	if w.keys, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	screen, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill := time.AfterFunc(5*time.Second, func() { c.Process.Kill() })
		fmt.Fprint(w.keys, "Q")
		c.Wait()
		kill.Stop()
	})
	// It drops what was typed before its first screen, which ends in its last line.
	for shown := bufio.NewReader(screen); ; {
		line, err := shown.ReadString('>')
		if err != nil {
			t.Fatalf("w3m: %v: %s", err, line)
		}
		if strings.Contains(line, "Viewing") {
			go io.Copy(io.Discard, screen)
			return w
		}
	}
}

// page saves the page as w3m shows it, and looks for texts in it. w3m drops what is
// typed while it loads a page, so it is told again, with another name, until it does.
func (w *w3m) page(want ...string) string {
	w.t.Helper()
	var text string
	for began := time.Now(); !strings.Contains(text, want[len(want)-1]); {
		if time.Since(began) > patience {
			w.t.Fatalf("no page with %q, but:\n%s", want, text)
		}
		w.saved++
		name := filepath.Join(w.dir, fmt.Sprintf("page-%d", w.saved))
		fmt.Fprintf(w.keys, "\x07S\x15%s\r", name) // ^G leaves a question, ^U empties the field
		for soon := time.Now().Add(time.Second); time.Now().Before(soon); time.Sleep(10 * time.Millisecond) {
			if b, err := os.ReadFile(name); err == nil && strings.HasSuffix(string(b), "\n") {
				text = string(b)
				break
			}
		}
	}
	for _, one := range want {
		if !strings.Contains(text, one) {
			w.t.Fatalf("no %q in:\n%s", one, text)
		}
	}
	return text
}

// follow goes to a link or a button by its text and presses Enter.
func (w *w3m) follow(text string) { fmt.Fprintf(w.keys, "G?%s\r\r", text) }

// tick goes to the box before a text and ticks it.
func (w *w3m) tick(text string) { fmt.Fprintf(w.keys, "g/%s\r\x1b\t\r", text) }

// answer is what the editor writes into the next field.
func (w *w3m) answer(text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "answer"), []byte(text+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// field goes to the field after a text and fills it in.
func (w *w3m) field(text string) { fmt.Fprintf(w.keys, "g/%s\r\t\r", text) }
