package main

import (
	"bufio"
	"context"
	"io"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/screen"
)

// forget removes the folder's copy of a case. The vault keeps its own.
func (p *program) forget(_ context.Context, args []string) error {
	f := newFlags("forget")
	yes := f.Bool("yes", false, "")
	undo := f.Bool("undo", false, "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	dir, err := folder.Open(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	records, err := p.caseRecords(dir, f.Arg(0))
	if err != nil {
		return err
	}
	if *undo {
		return p.undoForget(dir, records)
	}
	if !*yes {
		err := p.confirm(say.T("Remove case %s from this folder? Write yes: ", records[0].Case),
			say.T("nothing was removed: there is no terminal to ask whether you are sure"), say.T("give -yes"))
		if err != nil {
			return err
		}
	}
	for _, r := range records {
		if err := dir.Forget(r); err != nil {
			return err
		}
	}
	p.Say(say.T("case %s is removed from this folder", records[0].Case))
	p.Hint(say.T("the vault, the other reviewers, exports and backups still have their copies"))
	p.Hint(say.T("parts of the removed file may stay on this disk; they are encrypted, but your key still opens them"))
	p.Hint(say.T("fetch will not bring the case back; resguardo forget -undo lets it"))
	return nil
}

// confirm asks a question that is answered by yes. Without a terminal it fails
// with alone and hint.
func (p *program) confirm(question, alone, hint say.Text) error {
	answer, err := p.question(question, alone, hint)
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "yes", "si", "sí":
		return nil
	}
	return say.Fail(say.T("you did not say yes: nothing was done"), say.Text{})
}

// question asks for a line on the terminal. Without one it fails with alone and hint.
func (p *program) question(question, alone, hint say.Text) (string, error) {
	if !screen.IsTerminal(p.in) {
		return "", say.Fail(alone, hint)
	}
	if _, err := io.WriteString(p.Err, p.Text(question)); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}

// undoForget lets the next fetch bring a case back.
func (p *program) undoForget(dir *folder.Folder, records []folder.Record) error {
	for _, r := range records {
		r.Forgotten = false
		if err := dir.Put(r); err != nil {
			return err
		}
	}
	p.Hint(say.T("the next fetch brings the case back, if the vault still has it"))
	return nil
}
