package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"

	"resguardo/crypto/card"
)

// Rewrap copies every entry of r, which must be the first that w gets, to seal it
// again for other readers: contents stream and are compared with r's manifest on
// the way; the manifest itself becomes original.json and a letter original.note.
// If r is a rewrap, what is copied is its original. The manifest that Close gets
// must be of kind rewrap.
//
// Rewrap reads neither origin nor case: the caller has given both to [Open].
func (w *Writer) Rewrap(r *Report) error {
	if r.Original != nil {
		r = r.Original
	}
	if w.err == nil && len(w.files) > 0 {
		w.err = errors.New("a rewrap holds nothing but its original")
	}
	for _, f := range r.Manifest.Files {
		if err := w.copy(r, f.Entry, File{Entry: f.Entry, Name: f.Name, Type: f.Type}); err != nil {
			return err
		}
	}
	if err := w.copy(r, entryManifest, File{Entry: entryOriginal}); err != nil {
		return err
	}
	if last := w.files[len(w.files)-1]; last.SHA256 != hex.EncodeToString(r.ManifestSHA256[:]) {
		w.err = errors.New("the original's manifest has changed")
		return w.err
	}
	w.original = r
	if r.letter == nil {
		return nil
	}
	return w.writeFile(File{Entry: entryOriginalLetter}, bytes.NewReader(r.letter))
}

// copy adds the content of r's entry as f.
func (w *Writer) copy(r *Report, entry string, f File) error {
	content, err := r.Open(entry)
	if w.err == nil {
		w.err = err
	}
	return w.writeFile(f, content)
}

// openOriginal makes of the rewrap r the report that it was.
func (r *Report) openOriginal() (*Report, error) {
	files, entries := r.Manifest.Files, r.entries
	at := len(files) - 1 // original.json
	signed := files[at].Entry == entryOriginalLetter
	if signed {
		at--
	}
	o := &Report{plain: r.plain, entries: slices.Clone(entries[:at])}
	add := func(e entry, name string) {
		e.name = name
		o.entries = append(o.entries, e)
	}
	add(entries[at], entryManifest)
	if err := o.readManifest(entries[at], files[at].SHA256); err != nil {
		return nil, err
	}
	if signed {
		add(entries[at+1], entryLetter)
		if err := o.readLetter(entries[at+1], files[at+1].SHA256); err != nil {
			return nil, err
		}
	}
	add(entries[len(entries)-1], entryPadding)
	return o, r.Manifest.checkOriginal(&o.Manifest, signed)
}

// checkOriginal checks that m, the manifest of a rewrap, is about o and goes to
// nobody whom the source's choices forbid. A follow-up has none of its own: who
// sealed it could not open the report, so those in m stand. signed tells whether
// o's letter is there.
func (m *Manifest) checkOriginal(o *Manifest, signed bool) error {
	outside := func(desk string) bool { return !slices.Contains(o.Desks, desk) }
	n, more := len(o.Files), 1
	if signed {
		more = 2
	}
	switch {
	case card.DeskKind(o.Kind) != signed:
		return errors.New("the original's letter is missing, or one too many")
	case m.Origin != o.Origin || m.Case != o.Case || m.Thread != o.Thread:
		return errors.New("the original is of another case")
	case o.Kind != kindFollowup && (m.Share != o.Share || !m.Excluded.equal(o.Excluded)):
		return errors.New("the source's choices are not those of the original")
	case m.Share == "nobody" && slices.ContainsFunc(m.Desks, outside):
		return errors.New("the source forbade to share it with another desk")
	// This refuses a rewrap of a rewrap, too: no two entries are original.json.
	case len(m.Files) != n+more || !slices.Equal(m.Files[:n], o.Files):
		return errors.New("entries are not those of the original")
	}
	return nil
}

func (e Excluded) equal(f Excluded) bool {
	return slices.Equal(e.Desks, f.Desks) && slices.Equal(e.Organisations, f.Organisations) && e.Government == f.Government
}
