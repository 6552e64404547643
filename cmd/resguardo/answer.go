package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/seal"
)

// paths collects the values of a flag that may be repeated.
type paths []string

func (f *paths) String() string     { return "" }
func (f *paths) Set(s string) error { *f = append(*f, s); return nil }

// short writes an item that is a text alone.
func short(kind, text string) message {
	return message{kind: kind, write: func(w *seal.Writer) error { return w.WriteMessage([]byte(text)) }}
}

// simple is a command without flags of its own.
func (p *program) simple(ctx context.Context, name string, args []string, n int, compose func(*actFlags, *act) (message, error)) error {
	f := newActFlags(name)
	if err := f.parse(args, n); err != nil {
		return err
	}
	return p.onCase(ctx, f, func(a *act) error {
		m, err := compose(f, a)
		if err != nil {
			return err
		}
		return a.send(ctx, m)
	})
}

// ack tells the source that the case is being read. The source sees it in its
// mailbox, and the log has it.
func (p *program) ack(ctx context.Context, args []string) error {
	return p.simple(ctx, "ack", args, 1, func(_ *actFlags, a *act) (message, error) {
		m := short("ack", "")
		m.ref = a.sourceTag(a.t.count("ack") > 0)
		return m, nil
	})
}

// closeCase says that the desk has done what it could. The source can still write.
func (p *program) closeCase(ctx context.Context, args []string) error {
	return p.simple(ctx, "close", args, 1, func(*actFlags, *act) (message, error) { return short("close", ""), nil })
}

// status notes in one word where the case stands.
func (p *program) status(ctx context.Context, args []string) error {
	return p.simple(ctx, "status", args, 2, func(f *actFlags, _ *act) (message, error) { return labelled(statusNote, f.Arg(1)) })
}

// assign notes who takes care of the case.
func (p *program) assign(ctx context.Context, args []string) error {
	return p.simple(ctx, "assign", args, 2, func(f *actFlags, _ *act) (message, error) { return labelled(assignNote, f.Arg(1)) })
}

// labelled is a note of one short value.
func labelled(kind, value string) (message, error) {
	if value == "" || len([]rune(value)) > maxLabel || strings.TrimSpace(value) != value ||
		strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return message{}, misuse(say.T("%s is not a word of 1 to %s letters", value, maxLabel), say.T("a nickname, never a real name; more words go into quotation marks"))
	}
	return short("note", encodeNote(kind, value)), nil
}

// note writes to the desk itself. The source never sees it.
func (p *program) note(ctx context.Context, args []string) error {
	return p.write(ctx, "note", args, func(a *act, text string, with paths) message {
		return written("note", encodeNote(textNote, text), with)
	})
}

// reply writes to the source, and to the desk.
func (p *program) reply(ctx context.Context, args []string) error {
	return p.write(ctx, "reply", args, func(a *act, text string, with paths) message {
		m := written("reply", text, with)
		m.ref = a.sourceTag(true)
		return m
	})
}

func (p *program) write(ctx context.Context, name string, args []string, compose func(*act, string, paths) message) error {
	f := newActFlags(name)
	from := f.String("message", "", "")
	var with paths
	f.Var(&with, "file", "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	for _, file := range with {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return misuse(say.T("%s is not a file", file), say.T("give each file with a -file of its own"))
		}
	}
	text, err := p.compose(ctx, *from)
	if err != nil {
		return err
	}
	return p.onCase(ctx, f, func(a *act) error { return a.send(ctx, compose(a, text, with)) })
}

// written is an item with a text and files. Of a file's path only its last part
// is sent.
func written(kind, text string, with paths) message {
	return message{kind: kind, write: func(w *seal.Writer) error {
		if err := w.WriteMessage([]byte(text)); err != nil {
			return err
		}
		for _, name := range with {
			if err := attach(w, name); err != nil {
				return err
			}
		}
		return nil
	}}
}

func attach(w *seal.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return w.WriteFile(filepath.Base(name), "application/octet-stream", f)
}
