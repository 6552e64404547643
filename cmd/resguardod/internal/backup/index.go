package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"resguardo/cmd/resguardod/internal/statedir"
)

// The file index notes which files in blobs were read or written with which hash. A
// file that has not changed since (size and time) is not read for every backup, but one
// of them, that which was read longest ago, once it is a month. Without an index, or
// with a damaged one, all are read.
const (
	indexName  = "index"
	indexAge   = 30 * 24 * time.Hour
	indexBytes = 16 << 20
)

// noted is what the index knows of one file.
type noted struct {
	Size   int64  `json:"size"`
	Time   int64  `json:"time"` // nanoseconds since 1970
	SHA256 string `json:"sha256"`
	Day    string `json:"day"` // on which it was read
}

// index notes files, by their names in the folder.
type index map[string]noted

func (f *Folder) index() index {
	text, err := statedir.ReadFile(f.in(indexName), indexBytes)
	i := index{}
	if err != nil || json.Unmarshal(text, &i) != nil {
		return index{}
	}
	return i
}

// save replaces the index.
func (f *Folder) save(i index) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	temporary := indexName + newName
	if err := os.Remove(f.in(temporary)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritten(f.in(temporary), err)
	}
	if err := writeSynced(f.in(temporary), text); err != nil {
		return err
	}
	if err := os.Rename(f.in(temporary), f.in(indexName)); err != nil {
		return unwritten(f.in(indexName), err)
	}
	return syncDirs(f.path)
}

// note takes up that a file was read or written with this hash.
func (i index) note(e Entry, info fs.FileInfo) {
	i[e.File] = noted{info.Size(), info.ModTime().UnixNano(), e.SHA256, time.Now().UTC().Format(time.DateOnly)}
}

// knows tells whether a file has not changed since it was read.
func (i index) knows(e Entry, info fs.FileInfo) bool {
	n, ok := i[e.File]
	return ok && n.Size == info.Size() && n.Time == info.ModTime().UnixNano() && n.SHA256 == e.SHA256
}

// due is the file that was read longest ago, if that is a month; else empty.
func (i index) due() (file string) {
	oldest := time.Now().Add(-indexAge).UTC().Format(time.DateOnly)
	for name, n := range i {
		if n.Day < oldest {
			file, oldest = name, n.Day
		}
	}
	return file
}

// sound reads a file and tells whether it has the hash of its entry.
func (f *Folder) sound(e Entry) (bool, error) {
	file, err := os.Open(f.in(e.File))
	if err != nil {
		return false, unread(f.in(e.File), err)
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return false, nil // it is copied again
	}
	return hex.EncodeToString(h.Sum(nil)) == e.SHA256, nil
}
