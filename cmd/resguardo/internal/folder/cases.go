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

	Since int64  `json:"since"` // when it should have been in the vault at the latest, Unix seconds; 0 = not known
	Log   string `json:"log"`   // what the public log says about it: a publiclog.State
	Leaf  int64  `json:"leaf"`  // its leaf in the log, if Log is verified
}

// name is the path of the item in the folder, less its extension. The item must
// be valid: see card.Item.Check.
func name(i card.Item) string {
	return path.Join(casesDir, i.Case, fmt.Sprintf("%03d-%s", i.Number, i.Kind))
}

// File is the path of the item's age file in the folder, with slashes.
func (r Record) File() string { return name(r.Item) + ".age" }

// caseFile is the name of a case's file beside its items.
const caseFile = "case.json"

// Records returns the record of every item, by place, then number. A record that
// cannot be read is left out, and named in damaged. Of two places that the records
// of a case name the first is its place.
func (f *Folder) Records() (all []Record, damaged []*say.Error, err error) {
	files, err := fs.Glob(f.root.FS(), casesDir+"/*/*.json")
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		if path.Base(file) == caseFile {
			continue
		}
		var r Record
		b, err := f.read(file, 64<<10)
		if err == nil {
			err = strictJSON(b, &r)
		}
		if err != nil || r.Check() != nil || r.Place < 1 || name(r.Item)+".json" != file {
			damaged = append(damaged, say.Fail(say.T("%s is damaged; this item is left out", f.Path(file)),
				say.T("the next fetch asks the vault about it again")))
			continue
		}
		all = append(all, r)
	}
	places := map[string]int{}
	for _, r := range all {
		if at, ok := places[r.Case]; !ok || r.Place < at {
			places[r.Case] = r.Place
		}
	}
	for i := range all {
		all[i].Place = places[all[i].Case]
	}
	slices.SortFunc(all, Compare)
	return all, damaged, nil
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
	for _, ext := range []string{".age", ".part", ".draft"} {
		if err := f.root.Remove(name(r.Item) + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Find returns those of the records that belong to the case that arg names: a
// case id, or the number of the case in list. A number that two cases have, as
// after files of another folder were copied into this one, names neither.
func Find(all []Record, arg string) ([]Record, error) {
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
	for _, r := range found {
		if r.Case != found[0].Case {
			return nil, say.Fail(say.T("the number %s stands for two cases here: %s and %s", arg, found[0].Case, r.Case),
				say.T("give the long id of the one that you mean; were files of another folder copied into this one?"))
		}
	}
	return found, nil
}

// Draft begins an item of ours on its way to the vault: an empty file for the
// sealed item, for writing and reading.
func (f *Folder) Draft(i card.Item) (*os.File, error) {
	if err := f.mkdirs(path.Join(casesDir, i.Case)); err != nil {
		return nil, err
	}
	return f.root.OpenFile(name(i)+".draft", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
}

// DropDraft removes what Draft made.
func (f *Folder) DropDraft(i card.Item) error { return f.root.Remove(name(i) + ".draft") }

// FinishDraft makes a draft that the vault has taken the item's age file.
func (f *Folder) FinishDraft(i card.Item) error { return f.rename(name(i)+".draft", name(i)+".age") }

// PutCase stores what the vault says about a case.
func (f *Folder) PutCase(c card.Case) error {
	if err := f.mkdirs(path.Join(casesDir, c.Case)); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return f.write(path.Join(casesDir, c.Case, caseFile), append(b, '\n'))
}

// Case returns what PutCase stored; ok is false if there is nothing, or nothing
// that can be read.
func (f *Folder) Case(id string) (c card.Case, ok bool) {
	if !card.ValidCase(id) {
		return card.Case{}, false
	}
	b, err := f.read(path.Join(casesDir, id, caseFile), 2*card.MaxDelete)
	if err != nil || strictJSON(b, &c) != nil || c.Check() != nil || c.Case != id {
		return card.Case{}, false
	}
	return c, true
}
