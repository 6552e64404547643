package folder

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

const casesDir = "cases"

// Record is what the folder knows about one item.
type Record struct {
	card.Item
	Place     int  `json:"place"`     // number of the case in list, from 1; never used again for another case
	Opened    bool `json:"opened"`    // open has shown it
	Forgotten bool `json:"forgotten"` // forget has removed it; fetch leaves it alone
	Gone      bool `json:"gone"`      // the vault does not list it any more
}

// name is the path of the item in the folder, less its extension. The item must
// be valid: see card.Item.Check.
func name(i card.Item) string {
	return path.Join(casesDir, i.Case, fmt.Sprintf("%03d-%s", i.Number, i.Kind))
}

// File is the path of the item's age file in the folder, with slashes.
func (r Record) File() string { return name(r.Item) + ".age" }

// Records returns the record of every item, by place, then number.
func (f *Folder) Records() ([]Record, error) {
	files, err := fs.Glob(f.root.FS(), casesDir+"/*/*.json")
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, file := range files {
		b, err := f.read(file, 64<<10)
		if err != nil {
			return nil, err
		}
		var r Record
		if err := strictJSON(b, &r); err != nil || r.Check() != nil || r.Place < 1 || name(r.Item)+".json" != file {
			return nil, say.Fail(say.T("%s is damaged", f.Path(file)),
				say.T("delete it; the next fetch asks the vault again"))
		}
		all = append(all, r)
	}
	slices.SortFunc(all, Compare)
	return all, nil
}

// Compare orders records by place, then case, then number.
func Compare(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Place, b.Place), strings.Compare(a.Case, b.Case), cmp.Compare(a.Number, b.Number))
}

// Put stores a record.
func (f *Folder) Put(r Record) error {
	if err := f.mkdirs(path.Join(casesDir, r.Case)); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return f.write(name(r.Item)+".json", append(b, '\n'))
}

func (f *Folder) mkdirs(dir string) error { return f.root.MkdirAll(dir, 0o700) }

// Here reports whether the item's age file is complete in the folder.
func (f *Folder) Here(r Record) bool { return f.exists(r.File()) }

// Item opens the age file of an item.
func (f *Folder) Item(r Record) (*os.File, error) { return f.root.Open(r.File()) }

// Part opens what is there of an item whose download was cut, or an empty file,
// for reading and appending.
func (f *Folder) Part(r Record) (*os.File, error) {
	return f.root.OpenFile(name(r.Item)+".part", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
}

// DropPart removes what Part made.
func (f *Folder) DropPart(r Record) error { return f.root.Remove(name(r.Item) + ".part") }

// Finish makes a complete part the item's age file. The caller has checked and
// synced it.
func (f *Folder) Finish(r Record) error { return f.rename(name(r.Item)+".part", r.File()) }

// Forget removes every copy of the item and keeps the record, so that fetch does
// not bring it back.
func (f *Folder) Forget(r Record) error {
	r.Forgotten = true
	if err := f.Put(r); err != nil {
		return err
	}
	for _, ext := range []string{".age", ".part"} {
		if err := f.root.Remove(name(r.Item) + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Case returns the records of the case that arg names: a case id, or the number
// of the case in list.
func (f *Folder) Case(arg string) ([]Record, error) {
	all, err := f.Records()
	if err != nil {
		return nil, err
	}
	place, notNumber := strconv.Atoi(arg)
	var found []Record
	for _, r := range all {
		if r.Case == arg || notNumber == nil && r.Place == place {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, say.Fail(say.T("there is no case %s here", arg), say.T("resguardo list shows the cases; resguardo fetch brings new ones"))
	}
	return found, nil
}
