package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/seal"
)

// export writes the clear text of a case into a new folder, one folder for each
// item:
//
//	NNN-KIND/message.txt, answers.json, files/01 …   as the source sent them, under our names
//	NNN-KIND/names.txt                               the names and types that the source declared, quoted
//	NNN-KIND/manifest.json                           what the vault noted, without its keys
//	NNN-KIND/SHA256SUMS                              for sha256sum -c
//
// An item appears under its name when all of it is written and checked.
func (p *program) export(_ context.Context, args []string) error {
	f := newFlags("export")
	to := f.String("to", "", "")
	file := f.String("passphrase-file", "", "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	if *to == "" {
		return misuse(say.T("-to is missing"), say.T("-to DIR names a new folder for the clear text"))
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
	root, err := newRoot(*to)
	if err != nil {
		return err
	}
	defer root.Close()
	t, err := o.newThread(records)
	if err != nil {
		return err
	}
	o.alarms = nil // each item tells its own again
	for i, r := range records {
		if !o.folder.Here(r) || t.before(t.items[i]) {
			continue
		}
		if err := o.exportItem(root, r); err != nil {
			return err
		}
		o.Say(say.T("%s", filepath.Join(*to, itemDir(r))))
	}
	o.Warn(say.T("these files are not encrypted, and a stranger made them"),
		say.T("open them only in Tails, Dangerzone or on a computer without network; delete them when you are done"))
	return o.tellAlarms()
}

// newRoot makes dir, or takes it if it is empty.
func newRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, say.Fail(say.T("%s is not empty; nothing was written", dir), say.T("choose a new folder with -to"))
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func itemDir(r folder.Record) string { return fmt.Sprintf("%03d-%s", r.Number, r.Kind) }

// exportItem writes one item beside its place and then moves it there. After an
// error nothing of it is left.
func (o *opener) exportItem(root *os.Root, r folder.Record) (err error) {
	report, sealed, err := o.unseal(r)
	if err != nil {
		return err
	}
	defer sealed.Close()
	temp := itemDir(r) + ".part"
	if err := root.Mkdir(temp, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.RemoveAll(temp))
		}
	}()
	e := &export{root: root, dir: temp}
	if err := e.all(report); err != nil {
		return say.Fail(say.T("%s: %s", o.folder.Path(r.File()), err), say.T("nothing of this item was kept; fetch it again: resguardo forget, then forget -undo, then fetch"))
	}
	return root.Rename(temp, itemDir(r))
}

// export is one item on its way into a folder.
type export struct {
	root  *os.Root
	dir   string
	sums  bytes.Buffer
	names bytes.Buffer
}

// manifest writes a manifest without the secrets of the case: they are no part of
// the evidence.
func (e *export) manifest(name string, m seal.Manifest) error {
	m.ThreadKey, m.DeskLogKey = nil, nil
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return e.file(name, bytes.NewReader(append(text, '\n')))
}

func (e *export) all(report *seal.Report) error {
	for _, f := range report.Manifest.Files {
		if path.Dir(f.Entry) != "." {
			if err := e.root.MkdirAll(path.Join(e.dir, path.Dir(f.Entry)), 0o700); err != nil {
				return err
			}
			fmt.Fprintf(&e.names, "%s\t%s\t%s\t%d\n", f.Entry, quoted(f.Name), quoted(f.Type), f.Size)
		}
		if report.Original != nil && f.Entry == "original.json" {
			if err := e.manifest(f.Entry, report.Original.Manifest); err != nil {
				return err
			}
			continue
		}
		content, err := report.Open(f.Entry)
		if err != nil {
			return err
		}
		err = e.file(f.Entry, content)
		content.Close()
		if err != nil {
			return err
		}
	}
	if err := e.manifest("manifest.json", report.Manifest); err != nil {
		return err
	}
	if e.names.Len() > 0 {
		if err := e.file("names.txt", &e.names); err != nil {
			return err
		}
	}
	return e.file("SHA256SUMS", bytes.NewReader(e.sums.Bytes()))
}

// file writes one file of the item and notes its hash.
func (e *export) file(name string, content io.Reader) error {
	f, err := e.root.OpenFile(path.Join(e.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(&e.sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
	return nil
}
