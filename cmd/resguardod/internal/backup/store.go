package backup

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
)

// Store makes a backup of what Stream writes into r. Until it is whole, nothing in
// the folder looks like it; what is there is not changed.
func (f *Folder) Store(r io.Reader, o Owner, to Recipients, known Known) (Made, error) {
	number, err := f.next()
	if err != nil {
		return Made{}, err
	}
	if err := f.clean(); err != nil {
		return Made{}, err
	}
	if err := os.Mkdir(f.in(newName), 0o700); err != nil {
		return Made{}, unwritten(f.path, err)
	}
	source := &source{r: r}
	s := storing{Folder: f, to: to.Keys, known: known, index: f.index(), state: make(map[string][]byte),
		Manifest: Manifest{head: head{Format: Format, Number: number, Owner: o}}}
	err = s.all(tar.NewReader(source))
	if err == nil {
		err = s.finish()
	}
	s.made.Number = number
	if err == nil {
		return s.made, nil
	}
	if source.err != nil {
		err = brokenOff(source.err)
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		err = brokenOff(io.ErrUnexpectedEOF)
	}
	return Made{}, errors.Join(err, f.clean())
}

// brokenOff is the error of a copy that did not come to its end.
func brokenOff(err error) error {
	return &say.Error{Err: err, What: say.T("the copy of the vault broke off: %s", say.Bare(err)), Hint: say.T("no backup was made; look at the server's own messages, then repeat the command")}
}

// next is the number of a new backup.
func (f *Folder) next() (int, error) {
	numbers, err := f.backups()
	if err != nil {
		return 0, err
	}
	keys, err := f.numbers("keys", keyForm) // one more, when a backup was cut short at its very end
	if err != nil {
		return 0, err
	}
	last := slices.Max(append(append(numbers, keys...), 0))
	if last == MaxNumber {
		return 0, &say.Error{Path: f.path, What: say.T("there are no more numbers for backups"), Hint: say.T("choose an empty folder")}
	}
	return last + 1, nil
}

// source remembers how reading ended, to tell it from errors of writing.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// storing is one backup in the making.
type storing struct {
	*Folder
	Manifest
	to    []age.Recipient
	known Known
	index index
	state map[string][]byte
	size  int // bytes of state
	made  Made
}

// all reads parts up to the end.
func (s *storing) all(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // before endName
		}
		if err != nil {
			return brokenOff(err)
		}
		if h.Name == endName {
			return s.end(t)
		}
		if err := s.part(h, t); err != nil {
			return err
		}
	}
}

// end takes the last entry, and demands that nothing follows.
func (s *storing) end(t *tar.Reader) error {
	if err := json.NewDecoder(t).Decode(&s.made.Missing); err != nil {
		return brokenOff(err)
	}
	if _, err := t.Next(); err != io.EOF {
		return brokenOff(errors.Join(err, io.ErrUnexpectedEOF))
	}
	for _, name := range []string{slotsName, metaName} {
		if _, ok := s.entry(name); !ok {
			return brokenOff(io.ErrUnexpectedEOF)
		}
	}
	return nil
}

func (s *storing) part(h *tar.Header, content io.Reader) error {
	if name, ok := strings.CutPrefix(h.Name, statePrefix); ok {
		if s.size += int(min(h.Size, maxState+1)); s.size > maxState {
			return tooLarge(h.Name)
		}
		b, err := io.ReadAll(content)
		if err != nil {
			return brokenOff(err)
		}
		s.state[name] = b
		return nil
	}
	e := Entry{Name: h.Name, Version: h.PAXRecords[versionRecord], File: fileOf(h.Name, s.Number)}
	if name := blobForm.FindStringSubmatch(h.Name); name != nil {
		if h.PAXRecords[sameRecord] != "" {
			return s.same(e)
		}
		var random [8]byte
		rand.Read(random[:])
		e.File = fmt.Sprintf("blobs/%s-%x.age", name[1], random)
	}
	if err := s.put(e, content); err != nil {
		return err
	}
	if e.Version != "" {
		s.made.Copied++
	}
	return nil
}

// same takes over a blob file that lies in the folder.
func (s *storing) same(e Entry) error {
	there, ok := s.known[e.Version]
	if !ok || there.Name != e.Name {
		return brokenOff(errors.New("a file that is not in the folder"))
	}
	s.add(there)
	s.made.Kept++
	return nil
}

// put encrypts one file. Blob files get their name, as no backup names them yet; the
// others wait for finish.
func (s *storing) put(e Entry, content io.Reader) error {
	if e.File == "" {
		return brokenOff(errManifest) // a name that is not ours
	}
	making := making(e.File)
	e, err := encrypt(s.in(making), e, content, s.to)
	if err != nil {
		return err
	}
	if e.Version != "" {
		if err := os.Rename(s.in(making), s.in(e.File)); err != nil {
			return unwritten(s.in(e.File), err)
		}
		info, err := os.Lstat(s.in(e.File))
		if err != nil {
			return unwritten(s.in(e.File), err)
		}
		s.index.note(e, info)
	}
	s.add(e)
	s.made.Bytes += e.Size
	if !s.fitsAll() {
		return brokenOff(errManifest)
	}
	return nil
}

// making is where a file lies until it is whole.
func making(file string) string {
	if dir := path.Dir(file); dir == "blobs" || dir == "keys" {
		return dir + "/" + newName
	}
	return newName + "/" + path.Base(file)
}

// fitsAll tells whether ParseManifest would take the manifest.
func (s *storing) fitsAll() bool {
	_, err := ParseManifest(s.Marshal())
	return err == nil
}

// finish gives the backup its name, after everything in it is on the disk.
func (s *storing) finish() error {
	packed, err := packState(s.state, s.inner().Marshal())
	if err != nil {
		return err
	}
	if err := s.put(Entry{Name: stateName, File: fileOf(stateName, s.Number)}, bytes.NewReader(packed)); err != nil {
		return err
	}
	if err := writeSynced(s.in(newName+"/"+manifestName), s.Marshal()); err != nil {
		return err
	}
	if err := syncDirs(s.in("blobs"), s.in(newName)); err != nil {
		return err
	}
	if err := s.save(s.index); err != nil {
		return err
	}
	for _, names := range [][2]string{{"keys/" + newName, fileOf(slotsName, s.Number)}, {newName, folderOf(s.Number)}} {
		if err := os.Rename(s.in(names[0]), s.in(names[1])); err != nil {
			return unwritten(s.in(names[1]), err)
		}
		if err := syncDirs(s.in("keys"), s.path); err != nil {
			return err
		}
	}
	return nil
}

// encrypt writes a new file, waits until it is on the disk, and completes its entry.
func encrypt(name string, e Entry, content io.Reader, to []age.Recipient) (Entry, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return e, unwritten(name, err)
	}
	sum := sha256.New()
	counted := &counter{w: io.MultiWriter(file, sum)}
	w, err := age.Encrypt(counted, to...)
	if err == nil {
		_, err = io.Copy(w, content)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return e, unwritten(name, err)
	}
	e.Size, e.SHA256 = counted.n, hex.EncodeToString(sum.Sum(nil))
	return e, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writeSynced writes a new file and waits until it is on the disk.
func writeSynced(name string, content []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unwritten(name, err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return unwritten(name, err)
	}
	return nil
}
