package main

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/cmd/resguardo/internal/screen"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
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
	if err := o.load(p.passphrase(passphraseFile)); err != nil {
		f.Close()
		return nil, err
	}
	return o, nil
}

func (o *opener) load(ask folder.Passphrase) (err error) {
	if o.identity, err = o.folder.Identity(ask); err != nil {
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
	t, err := o.newThread(records)
	if err != nil {
		return err
	}
	lines, failed := t.show()
	if len(lines) > 0 {
		if err := o.print(lines); err != nil {
			return err
		}
	}
	for _, i := range t.items {
		if i.manifest == nil {
			continue
		}
		if i.Record.Opened = true; o.folder.Put(i.Record) != nil {
			o.Warn(say.T("%s cannot be marked as opened", o.folder.Path(i.File())), say.Text{})
		}
	}
	for _, err := range failed {
		o.Fail(err)
	}
	if err := o.tellAlarms(); err != nil || len(failed) == 0 {
		return err
	}
	return errAlarmed
}

// here returns the records of a case, if at least one of its items is complete in
// the folder.
func (o *opener) here(arg string) ([]folder.Record, error) {
	records, err := o.caseRecords(o.folder, arg)
	if err != nil {
		return nil, err
	}
	missing, here := 0, 0
	for _, r := range records {
		if o.folder.Here(r) {
			here++
		} else if !r.Gone {
			missing++
		}
	}
	if here == 0 {
		return nil, say.Fail(say.T("no item of case %s is here", arg), say.T("resguardo fetch brings it; after resguardo forget, run resguardo forget -undo first"))
	}
	if missing > 0 {
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
	report, f, err := o.openItem(r)
	if err != nil {
		return nil, nil, err
	}
	path := o.folder.Path(r.File())
	m := report.Manifest
	if m.Kind != r.Kind || !sameDay(m, r.Day) {
		o.alarm("%s: the vault lists kind and day as %s %s, inside stands %s %s", path, r.Kind, r.Day, m.Kind, m.Day)
	}
	if opening, err := translog.ParseOpening([]byte(r.Opening)); err == nil && hex.EncodeToString(opening.Thread[:]) != m.Thread {
		o.alarm("%s is of another thread than its event in the log", path)
	}
	switch publiclog.State(r.Log) {
	case publiclog.Missing:
		o.alarm("%s is NOT in the public log, although it should be by now", path)
	case publiclog.Replaced:
		o.alarm("%s is not what the public log says was stored", path)
	}
	o.checkReaders(path, f, m)
	return report, f, nil
}

// sameDay compares the day in a manifest with that of the vault. The clock of a
// reviewer's computer, who wrote the manifest of a desk's item, may be some hours
// off.
func sameDay(m seal.Manifest, day string) bool {
	if m.Day == day || !card.DeskKind(m.Kind) {
		return m.Day == day
	}
	ours, err1 := time.Parse(time.DateOnly, m.Day)
	theirs, err2 := time.Parse(time.DateOnly, day)
	return err1 == nil && err2 == nil && ours.Sub(theirs).Abs() <= 24*time.Hour
}

// openItem opens an item. The caller must close the file.
func (o *opener) openItem(r folder.Record) (*seal.Report, *os.File, error) {
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
		return nil, nil, notOpened(o.folder.Path(r.File()), err)
	}
	return report, f, nil
}

// notOpened tells why an item stays closed. A reviewer whose key was left out is
// the only one who notices it.
func notOpened(path string, err error) error {
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		return &say.Error{What: say.T("%s is not sealed to your key", path),
			Hint: say.T("if your card was in force on its day, the file is damaged or another key was put in the place of yours: ask the other reviewers whether they can open it, and tell them"),
			Err:  err}
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
