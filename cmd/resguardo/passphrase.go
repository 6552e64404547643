package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/screen"
)

// maxPassphrase is the most bytes of a passphrase file.
const maxPassphrase = 4 << 10

// passphrase reads the passphrase from file, or asks for it on the terminal when
// file is empty. It asks once in the life of the returned function.
func (p *program) passphrase(file string) folder.Passphrase {
	var known string
	return func() (string, error) {
		if known != "" {
			return known, nil
		}
		var err error
		if file != "" {
			known, err = readPassphrase(file)
		} else {
			known, err = p.ask(say.T("Passphrase: "))
		}
		return known, err
	}
}

// readPassphrase returns the first and only line of a file.
func readPassphrase(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" || len(b) > maxPassphrase || strings.ContainsAny(s, "\r\n") {
		return "", &say.Error{
			Path: file,
			What: say.T("not one line with a passphrase"),
			Hint: say.T("the file holds the passphrase and nothing else"),
		}
	}
	return s, nil
}

// newPassphrase asks twice.
func (p *program) newPassphrase() (string, error) {
	for {
		first, err := p.ask(say.T("Choose a passphrase, for example six words drawn at random: "))
		if err != nil {
			return "", err
		}
		again, err := p.ask(say.T("The passphrase again: "))
		if err != nil {
			return "", err
		}
		if first != "" && first == again {
			return first, nil
		}
		p.Hint(say.T("the two were empty or not equal; once more"))
	}
}

// ask reads a line from the terminal without showing it.
func (p *program) ask(question say.Text) (string, error) {
	in, out, err := screen.Terminal()
	if err != nil {
		return "", say.Fail(say.T("a passphrase is needed, and there is no terminal to ask for it"),
			say.T("give -passphrase-file FILE"))
	}
	defer in.Close()
	defer out.Close()
	if _, err := io.WriteString(out, p.Text(question)); err != nil {
		return "", err
	}
	b, err := term.ReadPassword(int(in.Fd()))
	io.WriteString(out, "\n")
	return string(b), err
}
