package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/screen"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// opener is a folder with the identity that opens its reports.
type opener struct {
	*program
	folder   *folder.Folder
	identity *age.HybridIdentity
	origin   string // pinned; empty if no vault is known
	alarms   []say.Text
}

// newOpener opens the folder and asks for the passphrase. The caller must close
// the folder.
func (p *program) newOpener(dir, passphraseFile string) (*opener, error) {
	f, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	o := &opener{program: p, folder: f}
	if err := o.load(passphraseFile); err != nil {
		f.Close()
		return nil, err
	}
	return o, nil
}

func (o *opener) load(passphraseFile string) (err error) {
	if o.identity, err = o.folder.Identity(o.passphrase(passphraseFile)); err != nil {
		return err
	}
	server, err := o.folder.Server()
	if err != nil {
		return err
	}
	if o.origin = server.Origin; o.origin == "" {
		o.Warn(say.T("this folder knows no vault, so nothing shows whether the report belongs to the right one"),
			say.T("resguardo fetch remembers the vault"))
	}
	return nil
}

// me is the fingerprint of the identity.
func (o *opener) me() string { return card.Fingerprint(o.identity.Recipient().String()) }

func (o *opener) alarm(key string, args ...any) { o.alarms = append(o.alarms, say.T(key, args...)) }

// open shows a case: on a terminal on the alternate screen, which leaves nothing
// in the scrollback, else on standard output.
func (p *program) open(_ context.Context, args []string) error {
	f := newFlags("open")
	file := f.String("passphrase-file", "", "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	o, err := p.newOpener(f.dir, *file)
	if err != nil {
		return err
	}
	defer o.folder.Close()
	records, err := o.here(f.Arg(0))
	if err != nil {
		return err
	}
	var lines []string
	for _, r := range records {
		part, err := o.show(r)
		if err != nil {
			return err
		}
		lines = append(lines, part...)
	}
	if err := o.print(lines); err != nil {
		return err
	}
	for _, r := range records {
		if r.Opened = true; o.folder.Put(r) != nil {
			o.Warn(say.T("%s cannot be marked as opened", o.folder.Path(r.File())), say.Text{})
		}
	}
	return o.tellAlarms()
}

// here returns the records of a case whose items are complete in the folder.
func (o *opener) here(arg string) ([]folder.Record, error) {
	records, err := o.folder.Case(arg)
	if err != nil {
		return nil, err
	}
	all := len(records)
	records = slices.DeleteFunc(records, func(r folder.Record) bool { return !o.folder.Here(r) })
	if len(records) == 0 {
		return nil, say.Fail(say.T("no item of case %s is here", arg), say.T("resguardo fetch brings it; after resguardo forget, run resguardo forget -undo first"))
	}
	if missing := all - len(records); missing > 0 {
		o.Warn(say.T("items of this case that are not here: %s", missing), say.T("resguardo fetch brings the rest"))
	}
	return records, nil
}

func (o *opener) print(lines []string) error {
	in, out := o.in, o.Out
	if screen.IsTerminal(in) && screen.IsTerminal(out) {
		return screen.Page(in.(*os.File), out.(*os.File), lines,
			o.Text(say.T("q: leave   space: next page   b: page before   j, k: lines")))
	}
	for _, line := range lines {
		if _, err := out.Write([]byte(line + "\n")); err != nil {
			return err
		}
	}
	return nil
}

// tellAlarms repeats the alarms where they stay visible. They hold nothing that
// the source wrote.
func (o *opener) tellAlarms() error {
	if len(o.alarms) == 0 {
		return nil
	}
	for _, a := range o.alarms {
		o.Fail(say.Fail(a, say.Text{}))
	}
	o.Hint(say.T("do not act on this report before you have asked the operator and the other reviewers"))
	return errAlarmed
}

// unseal opens an item and compares it with everything that is known about it
// from elsewhere. The caller must close the file.
func (o *opener) unseal(r folder.Record) (*seal.Report, *os.File, error) {
	path := o.folder.Path(r.File())
	f, err := o.folder.Item(r)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	report, err := seal.Open(f, info.Size(), seal.Expect{Origin: o.origin, Case: r.Case}, o.identity)
	if err != nil {
		f.Close()
		return nil, nil, notOpened(path, err)
	}
	m := report.Manifest
	if m.Kind != r.Kind || m.Day != r.Day {
		o.alarm("%s: the vault lists kind and day as %s %s, inside stands %s %s", path, r.Kind, r.Day, m.Kind, m.Day)
	}
	o.checkReaders(path, f, m)
	return report, f, nil
}

// notOpened tells why an item stays closed. A reviewer whose key was left out is
// the only one who notices it.
func notOpened(path string, err error) error {
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		return say.Fail(say.T("%s is not sealed to your key", path),
			say.T("if your card was in force on its day, the file is damaged or another key was put in the place of yours: ask the other reviewers whether they can open it, and tell them"))
	}
	return say.Fail(say.T("%s does not open: %s", path, err),
		say.T("it is not what your vault sealed, or it is damaged; fetch it again: resguardo forget, then forget -undo, then fetch"))
}

// checkReaders raises an alarm when the keys that an item is sealed to cannot be
// those that its manifest names. A key put in the place of another of the same
// type does not show here: only its owner notices, who cannot open the item.
func (o *opener) checkReaders(path string, f *os.File, m seal.Manifest) {
	if _, err := f.Seek(0, 0); err != nil {
		o.alarm("%s: its header cannot be read: %s", path, err)
		return
	}
	stanzas, err := seal.Stanzas(f)
	if err != nil {
		o.alarm("%s: its header cannot be read: %s", path, err)
		return
	}
	if len(stanzas) != len(m.Recipients) {
		o.alarm("%s is sealed to %s keys, but names %s readers: someone who is not named may read it", path, len(stanzas), len(m.Recipients))
	}
	if len(stanzas) == len(m.Recipients) && !slices.Equal(stanzas, m.Stanzas) {
		o.alarm("%s is sealed to keys of the types %s, but names the types %s: a key was put in the place of another", path, strings.Join(stanzas, " "), strings.Join(m.Stanzas, " "))
	}
	if !slices.Contains(m.Recipients, o.me()) {
		o.alarm("%s does not name your key among its readers, but your key opens it", path)
	}
}
