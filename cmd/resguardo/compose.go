package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/screen"
)

// maxText is the most bytes of a message that a reviewer writes.
const maxText = 1 << 20

// compose returns the text of a message: of a file, of standard input ("-"), or of
// an editor if from is empty.
func (p *program) compose(ctx context.Context, from string) (text string, err error) {
	var b []byte
	switch from {
	case "":
		b, err = p.edit(ctx)
	case "-":
		b, err = io.ReadAll(io.LimitReader(p.in, maxText+1))
	default:
		b, err = readSmall(from, maxText)
	}
	switch {
	case err != nil:
		return "", err
	case len(b) > maxText:
		return "", say.Fail(say.T("the message has more than %s bytes", maxText), say.T("give the rest as a file, with -file"))
	case !utf8.Valid(b):
		return "", say.Fail(say.T("the message is not text in UTF-8"), say.T("save it as plain text; give other files with -file"))
	case strings.TrimSpace(string(b)) == "":
		return "", say.Fail(say.T("the message is empty: nothing was sent"), say.Text{})
	}
	return string(b), nil
}

// edit opens $VISUAL or $EDITOR on a file in a folder of our own, which is removed
// afterwards with everything that the editor left in it. In memory if the system
// has such a place.
func (p *program) edit(ctx context.Context) (text []byte, err error) {
	editor := strings.Fields(os.Getenv("VISUAL"))
	if len(editor) == 0 {
		editor = strings.Fields(os.Getenv("EDITOR"))
	}
	if len(editor) == 0 || !screen.IsTerminal(p.in) {
		return nil, misuse(say.T("there is no message, and no editor to write it in"), say.T("give -message FILE, or -message - to read it from standard input; or set EDITOR"))
	}
	dir, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "resguardo-") // 0700
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "message.txt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, editor[0], append(editor[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.Out, p.Err
	if err := cmd.Run(); err != nil {
		return nil, say.Fail(say.T("the editor %s failed: %s", editor[0], err), say.T("nothing was sent; give -message FILE instead"))
	}
	return readSmall(file, maxText)
}
