package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// restoring is the suffix of a directory that is being filled.
const restoring = ".restoring"

// Restore puts a backup back into the directory to, which must be empty or not
// there: the newest, or the one with this number if it is not 0. It returns the
// number.
//
// Everything is decrypted beside to, and every file compared with the manifest and
// the manifest with the one in state.age; then verify sees that directory; only then
// it gets its name. There is no high-water in it: the vault signs nothing before it
// knows what others have seen.
func (f *Folder) Restore(to string, number int, ids []age.Identity, verify func(dir string) error) (int, error) {
	to, err := filepath.Abs(to)
	if err != nil {
		return 0, err
	}
	if err := vacant(to); err != nil {
		return 0, err
	}
	m, err := f.choose(number)
	if err != nil {
		return 0, err
	}
	state, err := f.openState(m, ids)
	if err != nil {
		return 0, err
	}
	r := restored{Folder: f, dir: to + restoring, ids: ids}
	if err := r.begin(); err != nil {
		return 0, err
	}
	err = r.fill(m, state)
	if err == nil {
		err = verify(r.dir)
	}
	if err == nil {
		// Unlike os.Rename, the system call replaces an empty directory.
		if err = unix.Rename(r.dir, to); err != nil {
			err = unwritten(to, err)
		}
	}
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(r.dir))
	}
	return m.Number, syncDirs(filepath.Dir(to))
}

func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return &say.Error{Path: dir, What: say.T("the directory is not empty"), Hint: say.T("choose a new directory; restore never overwrites anything")}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unread(dir, err)
	}
	return nil
}

// choose reads the manifest of a backup that can be restored.
func (f *Folder) choose(number int) (Manifest, error) {
	numbers, err := f.backups()
	if err != nil {
		return Manifest{}, err
	}
	if len(numbers) == 0 {
		return Manifest{}, &say.Error{Path: f.path, What: say.T("there is no backup here"), Hint: say.T("name the folder that backup -to made")}
	}
	if number == 0 {
		number = numbers[len(numbers)-1]
	} else if !slices.Contains(numbers, number) {
		return Manifest{}, &say.Error{Path: f.path, What: say.T("there is no backup %s here", number), Hint: say.T("the newest is %s", numbers[len(numbers)-1])}
	}
	m, err := f.manifest(number)
	if err != nil {
		return Manifest{}, err
	}
	for _, name := range []string{slotsName, metaName, stateName} {
		if _, ok := m.entry(name); !ok {
			return Manifest{}, damaged(f.in(folderOf(number) + "/" + manifestName))
		}
	}
	keys := f.in(fileOf(slotsName, number))
	if _, err := os.Lstat(keys); errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, &say.Error{Path: keys, Err: err, What: say.T("the keys of backup %s are gone: nothing in it can be read", number), Hint: say.T("use a newer backup, or put the file back if you have it")}
	}
	return m, nil
}

// openState opens state.age and proves that the manifest is the one that was made with it.
func (f *Folder) openState(m Manifest, ids []age.Identity) (map[string][]byte, error) {
	e, _ := m.entry(stateName)
	if e.Size > 2*maxState {
		return nil, damaged(f.in(e.File))
	}
	var packed bytes.Buffer
	if err := f.decrypt(&packed, e, ids); err != nil {
		return nil, err
	}
	state, manifest, err := unpackState(packed.Bytes())
	if err != nil {
		return nil, damaged(f.in(e.File))
	}
	if !bytes.Equal(manifest, m.inner().Marshal()) {
		return nil, damaged(f.in(folderOf(m.Number) + "/" + manifestName))
	}
	return state, nil
}

// decrypt writes the content of one file to w, and proves that the file is the one
// that the manifest names.
func (f *Folder) decrypt(w io.Writer, e Entry, ids []age.Identity) error {
	path := f.in(e.File)
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return unread(path, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != e.Size {
		return damaged(path)
	}
	sum := sha256.New()
	plain, err := age.Decrypt(io.TeeReader(file, sum), ids...)
	if other := (*age.NoIdentityMatchError)(nil); errors.As(err, &other) {
		return &say.Error{Path: path, Err: err, What: say.T("the identity does not open it: the backup was encrypted to others"), Hint: say.T("give the identity of one of the recipients that backup was called with")}
	}
	if err != nil {
		return damaged(path)
	}
	out := &target{w: w}
	_, err = io.Copy(out, plain)
	switch {
	case out.err != nil:
		return out.err
	case err != nil && errors.As(err, new(*fs.PathError)): // the disk, and not age
		return unread(path, err)
	case err != nil || hex.EncodeToString(sum.Sum(nil)) != e.SHA256:
		return damaged(path)
	}
	return nil
}

// target remembers an error of writing, to tell it from damage.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.err = err
	return n, err
}

// sparse writes a file, but no blocks of zeros: what the vault has given back to the
// disk stays given back.
type sparse struct {
	file *os.File
	off  int64
}

// hole is how long zeros must be, and at which multiples they begin.
const hole = 4 << 10

var zeros [hole]byte

func (s *sparse) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		size, empty := run(p[n:], s.off)
		if !empty {
			if _, err := s.file.WriteAt(p[n:n+size], s.off); err != nil {
				return n, err
			}
		}
		n, s.off = n+size, s.off+int64(size)
	}
	return len(p), nil
}

// run is how many bytes of p, which begins at off, are blocks of zeros, or else blocks of something.
func run(p []byte, off int64) (size int, empty bool) {
	for size < len(p) {
		part := p[size:min(len(p), size+hole-int((off+int64(size))%hole))]
		zero := bytes.Equal(part, zeros[:len(part)])
		if size > 0 && zero != empty {
			break
		}
		size, empty = size+len(part), zero
	}
	return size, empty
}

// restored is a directory that is being filled.
type restored struct {
	*Folder
	dir string
	ids []age.Identity
}

// begin makes the directory, and refuses one that another restore has left or is filling.
func (r restored) begin() error {
	err := os.Mkdir(r.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return &say.Error{Path: r.dir, Err: err, What: say.T("a restore that was cut short has left this"), Hint: say.T("if no other restore is running, remove it: rm -r %s", r.dir)}
	}
	if err != nil {
		return unwritten(r.dir, err)
	}
	return nil
}

// fill writes every file and waits until all is on the disk.
func (r restored) fill(m Manifest, state map[string][]byte) error {
	dirs := map[string]bool{".": true, "blobs": true, statedir.DesksDir: true, statedir.CardsDir: true}
	for name := range state {
		for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	for dir := range dirs {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o700); err != nil {
			return unwritten(r.dir, err)
		}
	}
	for name, content := range state {
		if err := writeSynced(filepath.Join(r.dir, name), content); err != nil {
			return err
		}
	}
	for _, e := range m.inner().Entries {
		if err := r.file(e); err != nil {
			return err
		}
	}
	for dir := range dirs {
		if err := syncDirs(filepath.Join(r.dir, dir)); err != nil {
			return err
		}
	}
	return nil
}

func (r restored) file(e Entry) error {
	path := filepath.Join(r.dir, filepath.FromSlash(e.Name))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unwritten(path, err)
	}
	var w io.Writer = file
	holes := &sparse{file: file}
	if e.Name != slotsName { // whose zeros must be on the disk, because it is written in place
		w = holes
	}
	err = r.decrypt(w, e, r.ids)
	if err == nil && e.Name != slotsName {
		err = file.Truncate(holes.off)
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		if told := (*say.Error)(nil); errors.As(err, &told) {
			return told
		}
		return unwritten(path, err)
	}
	return nil
}
