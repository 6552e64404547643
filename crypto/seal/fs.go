package seal

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// errContent is what a read of bytes that are not the manifest's returns.
var errContent = errors.New("content differs from the manifest")

// Open implements [fs.FS]. Besides the entries there are the directories "."
// and "files".
func (r *Report) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	last := len(r.entries) - 1 // padding
	for i, e := range r.entries[:last] {
		if e.name != name {
			continue
		}
		want := ""
		if i < len(r.Manifest.Files) {
			want = r.Manifest.Files[i].SHA256
		}
		return &file{info: info{path.Base(name), e.size, 0o444}, r: r.content(e, want)}, nil
	}
	list := r.list(name)
	if len(list) == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &directory{info: info{path.Base(name), 0, fs.ModeDir | 0o555}, list: list}, nil
}

// list returns what lies in the directory dir, sorted by name.
func (r *Report) list(dir string) []fs.DirEntry {
	var list []fs.DirEntry
	for _, e := range r.entries[:len(r.entries)-1] {
		parent, base := path.Split(e.name)
		switch {
		case path.Clean(parent) == dir:
			list = append(list, fs.FileInfoToDirEntry(info{base, e.size, 0o444}))
		case dir == "." && !slices.ContainsFunc(list, fs.DirEntry.IsDir):
			list = append(list, fs.FileInfoToDirEntry(info{path.Clean(parent), 0, fs.ModeDir | 0o555}))
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// content reads e and compares it with the CRC-32 of the zip and, if it is not
// empty, with want, a SHA-256 in hex.
func (r *Report) content(e entry, want string) *content {
	section := io.NewSectionReader(r.plain, e.off, e.size)
	c := &content{
		entry:  e,
		r:      bufio.NewReaderSize(section, 64<<10), // one age chunk
		left:   e.size,
		sha256: sha256.New(),
		crc32:  crc32.NewIEEE(),
		want:   want,
	}
	if e.size == 0 {
		c.end()
	}
	return c
}

// content is a reader that ends in io.EOF only if all bytes were right.
type content struct {
	entry  entry
	r      io.Reader
	left   int64
	sha256 hash.Hash
	crc32  hash.Hash32
	want   string
	err    error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	c.sha256.Write(p[:n])
	c.crc32.Write(p[:n])
	if c.left == 0 {
		// Now, not with the next read: a caller that knows the size may not
		// come back.
		if c.end(); c.err != io.EOF {
			clear(p[:n])
			return 0, c.err
		}
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		c.err = fmt.Errorf("read %s: %w", c.entry.name, err)
	}
	return n, c.err
}

// end sets c.err to io.EOF or to what is wrong with the bytes read.
func (c *content) end() {
	c.err = io.EOF
	if c.crc32.Sum32() != c.entry.crc ||
		(c.want != "" && hex.EncodeToString(c.sha256.Sum(nil)) != c.want) {
		c.err = fmt.Errorf("read %s: %w", c.entry.name, errContent)
	}
}

// file is an open entry.
type file struct {
	info   info
	r      io.Reader
	closed bool
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *file) Read(p []byte) (int, error) {
	if f.closed {
		return 0, fs.ErrClosed
	}
	return f.r.Read(p)
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

// directory is an open directory.
type directory struct {
	info info
	list []fs.DirEntry // what ReadDir did not return yet
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *directory) Close() error               { return nil }

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.list)
	} else if len(d.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	list := d.list[:n:n]
	d.list = d.list[n:]
	return list, nil
}

// info describes a file or directory. Reports hold no times.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
