package vault

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// Ciphertext is a stored age file.
type Ciphertext interface {
	io.ReadSeeker
	io.ReaderAt
	io.Closer
}

// OpenItem returns the age file of an item. Reads copy out of the database; no transaction stays open between reads.
//
// It returns ErrNotFound when there is no such item, ErrDamaged when its header
// does not open, its payload is missing, or when Check or Rehash has found its ciphertext damaged. Reads
// return ErrDamaged when a part of the payload is missing; that every byte is the one
// that was stored, only the reader's own comparison with the hash can say.
func (v *Vault) OpenItem(id ItemID) (Ciphertext, error) {
	if v.spoiled.has(id) {
		return nil, errOtherHash
	}
	return v.openItem(id)
}

// openItem is OpenItem, whatever is known of the item.
func (v *Vault) openItem(id ItemID) (*ciphertext, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	e, ok := v.index.item(id)
	if !ok {
		return nil, ErrNotFound
	}
	key, _ := id.bytes()
	c := &ciphertext{v: v, id: key, size: e.Size, file: v.blobs.file(e.blob)}
	c.last.Store(-1)
	if c.file == nil {
		return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, blobName(e.blob))
	}
	err := guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) (err error) {
			c.header, err = v.slots.openHeader(key[:], tx.Bucket([]byte(headersBucket)).Get(key[:]))
			return err
		})
	})
	if err != nil {
		return nil, v.readError(err)
	}
	if err := c.file.holds(key[:]); err != nil {
		return nil, v.readError(err)
	}
	if len(c.header) != e.header {
		return nil, fmt.Errorf("%w: header of %d bytes, the row says %d", ErrDamaged, len(c.header), e.header)
	}
	return c, nil
}

// readError turns what a closed database says into ErrClosed.
func (v *Vault) readError(err error) error {
	if state := v.usable(); state != nil {
		return state
	}
	return err
}

// ciphertext reads the header from RAM and the payload chunk by chunk.
type ciphertext struct {
	v      *Vault
	id     [16]byte
	file   *blobFile
	header []byte
	size   int64

	uncached bool // read the payload from the disk

	off  int64        // of Read and Seek
	last atomic.Int64 // chunk of the newest read, for read-ahead
}

// ReadAt may be called from many goroutines.
func (c *ciphertext) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	total := 0
	for total < len(p) && off < c.size {
		n, err := c.part(p[total:], off)
		if err != nil {
			return total, err
		}
		total, off = total+n, off+int64(n)
	}
	if total < len(p) {
		return total, io.EOF
	}
	return total, nil
}

// part reads at least one byte: of the header, or of one chunk.
func (c *ciphertext) part(p []byte, off int64) (int, error) {
	if err := c.v.usable(); err != nil {
		return 0, err
	}
	if off < int64(len(c.header)) {
		return copy(p, c.header[off:]), nil
	}
	if rest := c.size - off; int64(len(p)) > rest {
		p = p[:rest]
	}
	off -= int64(len(c.header))
	chunk := off / valueSize
	if c.uncached {
		return c.file.readUncached(c.id[:], uint32(chunk), int(off%valueSize), p)
	}
	fresh := c.last.Swap(chunk) != chunk
	n, err := c.file.read(c.id[:], uint32(chunk), int(off%valueSize), p, fresh)
	if err != nil {
		return 0, c.v.readError(err)
	}
	return n, nil
}

func (c *ciphertext) Read(p []byte) (int, error) {
	if c.off >= c.size {
		return 0, io.EOF
	}
	n, err := c.ReadAt(p, c.off)
	c.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (c *ciphertext) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.off
	case io.SeekEnd:
		offset += c.size
	case io.SeekStart:
	default:
		return 0, errors.New("unknown whence")
	}
	if offset < 0 {
		return 0, errors.New("negative offset")
	}
	c.off = offset
	return offset, nil
}

// Close releases nothing: no transaction is open between reads.
func (c *ciphertext) Close() error { return nil }

func newEntry(id ItemID, r itemRecord, o translog.Opening) entry {
	return entry{
		Item: Item{
			ID:     id,
			Case:   r.Case,
			Kind:   o.Kind,
			Number: r.Number,
			Day:    r.Day,
			Desks:  r.Desks,
			Size:   r.Size,
			SHA256: o.Ciphertext,
			Tag:    o.Tag,
			Seen:   r.Seen,
		},
		header: r.Header,
		blob:   r.Blob,
	}
}
