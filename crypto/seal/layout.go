package seal

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
)

// entry is one zip entry less its content.
type entry struct {
	name string
	size int64
	crc  uint32 // CRC-32 (IEEE) of the content
	off  int64  // where the content begins in the zip, set by layout.replay
}

// layout is the sequence of entries of a zip.
type layout []entry

// newHeader is the file header of every entry: stored, no time, no extra field.
func newHeader(name string) *zip.FileHeader {
	return &zip.FileHeader{Name: name, Method: zip.Store}
}

// replay writes the zip of l to f, with zeros as contents. Except for the
// contents the bytes are those of a [Writer]: archive/zip decides both, also
// where zip64 records begin. It costs a few milliseconds for 4 GiB.
func (l layout) replay(f *frame) error {
	z := zip.NewWriter(f)
	zero := make([]byte, 64<<10)
	for i := range l {
		h := newHeader(l[i].name)
		h.Flags = 0x8 // data descriptor follows
		h.CreatorVersion, h.ReaderVersion = 20, 20
		h.CRC32 = l[i].crc
		h.CompressedSize64, h.UncompressedSize64 = uint64(l[i].size), uint64(l[i].size)
		w, err := z.CreateRaw(h)
		if err != nil {
			return err
		}
		if err := z.Flush(); err != nil {
			return err
		}
		l[i].off = f.off
		f.content = true
		for n := l[i].size; n > 0; n -= int64(len(zero)) {
			if _, err := w.Write(zero[:min(n, int64(len(zero)))]); err != nil {
				return err
			}
		}
		if err := z.Flush(); err != nil {
			return err
		}
		f.content = false
		if l[i].size >= math.MaxUint32 {
			h.ReaderVersion = 45 // in the directory only, as CreateHeader does
		}
	}
	return z.Close()
}

// size is the length in bytes of the zip of l.
func (l layout) size() int64 {
	var f frame
	if err := l.replay(&f); err != nil {
		panic("seal: cannot lay out entries: " + err.Error())
	}
	return f.off
}

// padding returns how many bytes the entry padding must have behind l for the
// zip to have a [PaddedSize], and that size.
func (l layout) padding() (n, total int64) {
	padded := func(n int64) int64 {
		return append(l[:len(l):len(l)], entry{name: entryPadding, size: n}).size()
	}
	empty := padded(0)
	// The padding can make zip64 records necessary (up to 112 bytes). Where no
	// length hits a size for that reason, the next size is taken.
	for total = PaddedSize(empty); ; total = PaddedSize(total + 1) {
		n = total - empty
		n -= padded(n) - total
		if n >= 0 && padded(n) == total {
			return n, total
		}
	}
}

var errFrame = errors.New("zip is not one that a sealed report holds")

// frame counts what is written to it and, if want is set, compares with want
// everything but contents.
type frame struct {
	want    io.ReaderAt
	off     int64
	content bool
}

func (f *frame) Write(p []byte) (int, error) {
	if f.want != nil && !f.content {
		got := make([]byte, len(p))
		if _, err := io.ReadFull(io.NewSectionReader(f.want, f.off, int64(len(p))), got); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return 0, errFrame
			}
			return 0, err
		}
		if !bytes.Equal(got, p) {
			return 0, errFrame
		}
	}
	f.off += int64(len(p))
	return len(p), nil
}
