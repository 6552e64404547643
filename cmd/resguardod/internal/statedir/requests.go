package statedir

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

const requestSuffix = ".note"

// Request is a file in requests/: a governance note that waits for signatures, or,
// with enough of them, for its place in the log.
type Request struct {
	Name string // NNNNNN-KIND-ID.note, NNNNNN its sequence number
	Note []byte // text, and what signatures there are
}

// Requests reads the requests, in the order of their names. What is too large for a
// leaf, or not a file, counts as empty.
func (d Dir) Requests() ([]Request, error) {
	names, err := d.names(RequestsDir, requestSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Request
	for _, name := range names {
		name += requestSuffix
		text, err := ReadFile(d.Path(RequestsDir, name), translog.MaxLeaf)
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		all = append(all, Request{name, text})
	}
	return all, nil
}

// SetRequests makes requests/ hold exactly these requests. A file that somebody
// is just copying into place is left alone.
func (d Dir) SetRequests(want []Request) error {
	if err := os.Mkdir(d.Path(RequestsDir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return &say.Error{Path: d.Path(RequestsDir), Err: err, What: say.T("cannot be written: %s", say.Bare(err)),
			Hint: say.T("nothing was changed; check the disk and the owner of the directory")}
	}
	have, err := d.Requests()
	if err != nil {
		return err
	}
	old := make(map[string][]byte)
	for _, r := range have {
		old[r.Name] = r.Note
	}
	for _, r := range want {
		text, there := old[r.Name]
		delete(old, r.Name)
		if there && (bytes.Equal(text, r.Note) || d.arriving(r, text)) {
			continue
		}
		if err := write(d.Path(RequestsDir, r.Name), r.Note); err != nil {
			return err
		}
	}
	for name := range old {
		if err := os.Remove(d.Path(RequestsDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unreadable(d.Path(RequestsDir, name), err)
		}
	}
	return nil
}

// arrivalTime is how long a file may take to be copied into requests/.
const arrivalTime = 10 * time.Second

// arriving tells whether text may be a part of r with signatures, on its way.
func (d Dir) arriving(r Request, text []byte) bool {
	if bytes.Contains(r.Note, []byte("\n\n")) || !bytes.HasPrefix(r.Note, text) && !bytes.HasPrefix(text, r.Note) {
		return false
	}
	info, err := os.Stat(d.Path(RequestsDir, r.Name))
	return err == nil && time.Since(info.ModTime()) < arrivalTime
}

// ReplaceFile puts a file in place of one that exists, whole or not at all, with
// the old one's owner and mode.
func ReplaceFile(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(path, err)
	}
	if err := write(path, content); err != nil {
		return err
	}
	if err := keepOwner(path, info); err != nil {
		return &say.Error{Path: path, Err: err, What: say.T("the file was written, but now belongs to another account: %s", say.Bare(err)),
			Hint: say.T("give it to the account that serves: chown %s %s", owner(info), path)}
	}
	return nil
}

// keepOwner gives path the mode and, where this process may, the owner of info.
func keepOwner(path string, info fs.FileInfo) error {
	if err := os.Chmod(path, info.Mode().Perm()); err != nil {
		return err
	}
	if uid := owner(info); uid != os.Geteuid() {
		return os.Chown(path, uid, -1)
	}
	return nil
}

// owner is the number of the account to which a file belongs.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return os.Geteuid()
}
