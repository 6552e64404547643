package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// newName is the name of everything that is being made, or removed.
const newName = ".new"

// maxManifest is the most bytes of a manifest: some 60,000 blob files.
const maxManifest = 16 << 20

// Folder is a folder of backups that this process has locked.
type Folder struct {
	path string
	lock *os.File
}

// Open opens a folder for a new backup. It makes the folder if there is none. It
// refuses one with other things in it, and one in which a backup is being made.
func Open(path string) (*Folder, error) {
	for _, dir := range []string{path, filepath.Join(path, "blobs"), filepath.Join(path, "keys")} {
		if dir != path {
			if err := onlyBackups(path); err != nil {
				return nil, err
			}
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, unwritten(dir, err)
		}
	}
	// A backup must not be lost with the name of the folder, which may be new. A folder
	// above that we may not read was not changed by us.
	abs, err := filepath.Abs(path)
	if err == nil {
		err = syncDirs(filepath.Dir(abs))
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	return lock(path, unix.LOCK_EX)
}

// OpenToRestore opens a folder that exists, and changes nothing in it.
func OpenToRestore(path string) (*Folder, error) { return lock(path, unix.LOCK_SH) }

func lock(path string, how int) (*Folder, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unread(path, err)
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, &say.Error{Path: path, Err: err, What: say.T("another backup or restore is at work here"), Hint: say.T("wait until it has finished, then repeat the command")}
	}
	// Without locks on this file system, two backups at once are the operator's to avoid.
	return &Folder{path, f}, nil
}

// Path is the folder's own.
func (f *Folder) Path() string { return f.path }

// Close gives the folder free.
func (f *Folder) Close() error { return f.lock.Close() }

func (f *Folder) in(name string) string { return filepath.Join(f.path, filepath.FromSlash(name)) }

var (
	numberForm = regexp.MustCompile(`^[0-9]{6}$`)
	keyForm    = regexp.MustCompile(`^([0-9]{6})\.age$`)
)

func onlyBackups(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return unread(path, err)
	}
	for _, e := range entries {
		if name := e.Name(); !numberForm.MatchString(name) && !slices.Contains([]string{"blobs", "keys", "lost+found", newName, indexName, indexName + newName}, name) {
			return &say.Error{Path: path, What: say.T("the folder holds something else than backups: %s", name), Hint: say.T("choose an empty folder")}
		}
	}
	return nil
}

// numbers lists what has a name of the given form in a folder, rising.
func (f *Folder) numbers(dir string, form *regexp.Regexp) ([]int, error) {
	entries, err := os.ReadDir(f.in(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unread(f.in(dir), err)
	}
	var all []int
	for _, e := range entries {
		if m := form.FindStringSubmatch(e.Name()); m != nil {
			n, err := strconv.Atoi(m[len(m)-1])
			if err == nil && n > 0 {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}

func folderOf(number int) string { return fmt.Sprintf("%06d", number) }

// backups lists the numbers of the backups, rising.
func (f *Folder) backups() ([]int, error) { return f.numbers(".", numberForm) }

func (f *Folder) manifest(number int) (Manifest, error) {
	path := f.in(folderOf(number) + "/" + manifestName)
	text, err := statedir.ReadFile(path, maxManifest)
	if err != nil {
		return Manifest{}, err
	}
	m, err := ParseManifest(text)
	if err != nil || m.Number != number {
		return Manifest{}, damaged(path)
	}
	return m, nil
}

// Known are the blob files of an owner that lie in the folder, by version.
type Known map[string]Entry

// Versions lists them for Stream.
func (k Known) Versions() []string {
	var all []string
	for version := range k {
		all = append(all, version)
	}
	slices.Sort(all)
	return all
}

// Known looks for blob files that need not be copied again: those that have the hash of
// their manifest; see index. broken are those that have not, in the folder's own
// words. It refuses a folder with the backups of another vault.
func (f *Folder) Known(o Owner) (known Known, broken []string, err error) {
	numbers, err := f.backups()
	if err != nil {
		return nil, nil, err
	}
	known = make(Known)
	old, now := f.index(), index{}
	due := old.due()
	for _, n := range numbers {
		m, err := f.manifest(n)
		if err != nil {
			continue // Tidy names it
		}
		if m.Vault != o.Vault {
			return nil, nil, &say.Error{Path: f.path, What: say.T("the folder holds backups of another vault"), Hint: say.T("choose a folder of its own for each vault")}
		}
		for _, e := range m.Entries {
			info, err := os.Lstat(f.in(e.File))
			if e.Version == "" || m.Recipients != o.Recipients || slices.Contains(broken, e.File) || known[e.Version].File == e.File {
				continue
			}
			whole := err == nil && info.Mode().IsRegular() && info.Size() == e.Size
			if whole && (e.File == due || !old.knows(e, info)) {
				if whole, err = f.sound(e); err != nil {
					return nil, nil, err
				}
				old.note(e, info)
			}
			if !whole {
				broken = append(broken, e.File)
				continue
			}
			known[e.Version], now[e.File] = e, old[e.File]
		}
	}
	return known, broken, f.save(now)
}

// Tidy keeps the newest backups, at most keep, and the keys of at most keepKeys of
// them. It removes the others, and what a backup that was cut short has left. Keys
// are overwritten first.
func (f *Folder) Tidy(keep, keepKeys int) error {
	numbers, err := f.backups()
	if err != nil {
		return err
	}
	if err := f.clean(); err != nil {
		return err
	}
	for len(numbers) > keep {
		if err := f.shredKeys(numbers[0]); err != nil {
			return err
		}
		if err := os.Rename(f.in(folderOf(numbers[0])), f.in(newName)); err != nil {
			return unwritten(f.path, err)
		}
		if err := f.clean(); err != nil {
			return err
		}
		numbers = numbers[1:]
	}
	keys, err := f.numbers("keys", keyForm)
	if err != nil {
		return err
	}
	newest := numbers[max(0, len(numbers)-keepKeys):]
	for _, n := range keys {
		if !slices.Contains(newest, n) {
			if err := f.shredKeys(n); err != nil {
				return err
			}
		}
	}
	return f.dropBlobs(numbers)
}

// clean removes what is half made.
func (f *Folder) clean() error {
	if err := shred(f.in("keys/" + newName)); err != nil {
		return err
	}
	for _, name := range []string{newName, "blobs/" + newName} {
		if err := os.RemoveAll(f.in(name)); err != nil {
			return unwritten(f.in(name), err)
		}
	}
	return nil
}

// dropBlobs removes blob files that no backup names.
func (f *Folder) dropBlobs(numbers []int) error {
	named := make(map[string]bool)
	for _, n := range numbers {
		m, err := f.manifest(n)
		if err != nil {
			return err // its files would be lost
		}
		for _, e := range m.Entries {
			named[e.File] = true
		}
	}
	entries, err := os.ReadDir(f.in("blobs"))
	if err != nil {
		return unread(f.in("blobs"), err)
	}
	for _, e := range entries {
		if name := "blobs/" + e.Name(); blobFile.MatchString(name) && !named[name] {
			if err := os.Remove(f.in(name)); err != nil {
				return unwritten(f.in(name), err)
			}
		}
	}
	return nil
}

func (f *Folder) shredKeys(number int) error { return shred(f.in(fileOf(slotsName, number))) }

// shred overwrites a file, if it is there, and removes it.
func shred(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unwritten(path, err)
	}
	info, err := file.Stat()
	for off := int64(0); err == nil && off < info.Size(); {
		var n int
		n, err = file.WriteAt(make([]byte, min(1<<20, info.Size()-off)), off)
		off += int64(n)
	}
	if err := errors.Join(err, file.Sync(), file.Close(), os.Remove(path)); err != nil {
		return unwritten(path, err)
	}
	return nil
}

func syncDirs(paths ...string) error {
	for _, path := range paths {
		d, err := os.Open(path)
		if err != nil {
			return unwritten(path, err)
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return unwritten(path, err)
		}
	}
	return nil
}

func unread(path string, err error) error {
	return &say.Error{Path: path, Err: err, What: say.T("cannot be read: %s", say.Bare(err)), Hint: say.T("name the folder that backup -to made")}
}

func unwritten(path string, err error) error {
	return &say.Error{Path: path, Err: err, What: say.T("cannot be written: %s", say.Bare(err)), Hint: say.T("nothing that was there is lost; the command can be repeated")}
}

func damaged(path string) error {
	return &say.Error{Path: path, What: say.T("the file is damaged, was cut short, or is of another backup"),
		Hint: say.T("copy the folder again from where it is whole, or use another backup: -number N")}
}

func tooLarge(path string) error {
	return &say.Error{Path: path, What: say.T("the operator's files are larger than %s bytes together", maxState), Hint: say.T("take out what does not belong there")}
}
