package vault

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
)

// ErrCopying: another Backup is running.
var ErrCopying = errors.New("another backup is running")

// Part is one file of a copy of the vault.
type Part struct {
	Name string // in the vault's directory: keys.slots, vault.db, blobs/00000001.db
	Size int64  // bytes

	// Version of a blob file, 64 hex digits; empty for the others. Where it is the
	// same in two copies of one vault, also if that was restored in between, both
	// hold the same items. It says nothing else: it is a hash of their random ids.
	Version string
}

// Backup hands out the vault as it is at one moment: keys.slots, vault.db, then the
// blob files by rising number. take is called for each and returns where its bytes
// go, or nil when they are not wanted. Part.Size bytes are written before the next
// call; if Backup returns an error, the last part may be short.
//
// Every item of this vault.db has its key and its payload in the other files. What
// came later can be in the blob files without an item; Open sweeps it. high-water is
// no part: a vault that is put back must not sign before it knows what others saw.
//
// The vault stays in use. Writing waits while keys.slots is read, and no longer.
// Deletions overwrite keys as ever; payloads and free pages, which must not change
// under the copy, go when Backup ends. Until then vault.db and the newest blob file
// do not use their free pages again.
//
// missing names the blob files that are damaged and not in the copy. The error is
// that of ctx or take, ErrNoLog before BeginLog, ErrCopying, ErrClosed, or that of
// a file that cannot be read.
func (v *Vault) Backup(ctx context.Context, take func(Part) (io.Writer, error)) (missing []Problem, err error) {
	if err := v.reclaims.hold(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.letReclaim()) }()
	var m moment
	if err := v.exclusive(ctx, func() (err error) { m, err = v.moment(); return err }); err != nil {
		return nil, err
	}
	c := copier{ctx: ctx, v: v, take: take}
	err = c.part(Part{Name: slotsName, Size: int64(m.slots.size * slotSize)}, m.slots.writeTo)
	clear(m.slots.used)
	if err == nil {
		err = c.part(Part{Name: metaName, Size: m.rows.Size()}, m.rows.WriteTo)
	}
	if err := errors.Join(err, m.rows.Rollback()); err != nil {
		return nil, err
	}
	for _, f := range m.blobs {
		switch err := c.blob(f); {
		case errors.Is(err, ErrDamaged):
			m.missing = append(m.missing, f.problem(err))
		case err != nil:
			return nil, err
		}
	}
	return m.missing, nil
}

// moment is what Backup takes in the writer's place.
type moment struct {
	slots   slotCopy
	rows    *bbolt.Tx // for reading, of vault.db; without metaMu, because punch is put off
	blobs   []*blobFile
	missing []Problem
}

func (v *Vault) moment() (m moment, err error) {
	if v.log.signed == nil {
		return m, ErrNoLog
	}
	for _, f := range v.blobs.all() {
		if f.exists() {
			m.blobs = append(m.blobs, f)
		} else if _, err := os.Lstat(f.path); !errors.Is(err, fs.ErrNotExist) {
			m.missing = append(m.missing, v.damageOf(f))
		}
	}
	if m.slots, err = v.slots.copy(); err != nil {
		return m, err
	}
	m.rows, err = v.meta.Begin(false)
	return m, err
}

// damageOf is what Open found wrong with a blob file that it could not open.
func (v *Vault) damageOf(f *blobFile) Problem {
	i := slices.IndexFunc(v.found, func(p Problem) bool { return p.Where == f.name() })
	if i < 0 {
		return f.problem(fmt.Errorf("%w: it does not open", ErrDamaged))
	}
	return v.found[i]
}

// slotCopy is keys.slots in RAM: the first 128 bytes of every used slot, which are
// all that is not zero in one that verifies.
type slotCopy struct {
	size uint64 // slots
	used []usedSlot
}

type usedSlot struct {
	number uint64
	head   [128]byte
}

// copy reads the file. Only the writer may call it.
func (f *slotFile) copy() (slotCopy, error) {
	c := slotCopy{size: f.size}
	b := make([]byte, 128*slotSize)
	for n := uint64(0); n < f.size; {
		part := b[:min(uint64(len(b)), (f.size-n)*slotSize)]
		if _, err := f.file.ReadAt(part, int64(n*slotSize)); err != nil {
			return slotCopy{}, fmt.Errorf("read %s: %w", slotsName, err)
		}
		for ; len(part) > 0; part = part[slotSize:] {
			if !isZero(part[:slotSize]) {
				c.used = append(c.used, usedSlot{n, [128]byte(part)})
			}
			n++
		}
	}
	clear(b)
	return c, nil
}

// writeTo writes the file as it was.
func (c slotCopy) writeTo(w io.Writer) (int64, error) {
	b := make([]byte, 128*slotSize)
	rest := c.used
	for n := uint64(0); n < c.size; {
		clear(b)
		count := min(c.size-n, 128)
		for ; len(rest) > 0 && rest[0].number < n+count; rest = rest[1:] {
			copy(b[(rest[0].number-n)*slotSize:], rest[0].head[:])
		}
		if _, err := w.Write(b[:count*slotSize]); err != nil {
			return int64(n * slotSize), err
		}
		n += count
	}
	clear(b)
	return int64(c.size * slotSize), nil
}

// copier hands out parts.
type copier struct {
	ctx  context.Context
	v    *Vault
	take func(Part) (io.Writer, error)
}

// part hands out one file that write writes.
func (c copier) part(p Part, write func(io.Writer) (int64, error)) error {
	if err := errors.Join(c.ctx.Err(), c.v.usable()); err != nil {
		return err
	}
	w, err := c.take(p)
	if err != nil || w == nil {
		return err
	}
	checked := &checkedWriter{copier: c, w: w}
	n, err := write(checked)
	switch {
	case checked.err != nil: // bbolt wraps some errors without %w
		return checked.err
	case err != nil || n != p.Size:
		return fmt.Errorf("read %s: %d of %d bytes: %w", p.Name, n, p.Size, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// blob hands out a blob file. An error that wraps ErrDamaged comes before take is called.
func (c copier) blob(f *blobFile) error {
	begun := false
	var taken error // apart from what view makes of a panic
	refused := f.refused.Load()
	err := f.view(func(tx *bbolt.Tx) error {
		version, err := blobVersion(tx)
		if err == nil {
			begun = true
			taken = c.part(Part{Name: f.name(), Size: tx.Size(), Version: version}, tx.WriteTo)
		}
		return err
	})
	if state := c.v.usable(); state != nil { // a file that Close has closed is not damaged
		return state
	}
	if begun && err != nil {
		return fmt.Errorf("read %s: %v", f.name(), err)
	}
	// Some file systems show the meta page of a write that they refused. bbolt then
	// uses pages again that this copy was reading.
	if begun && taken == nil && f.refused.Load() != refused {
		return fmt.Errorf("read %s: the disk was full meanwhile; make room and make the backup again", f.name())
	}
	return errors.Join(taken, err)
}

// blobVersion is Part.Version: SHA-256 of the transaction's number, the file's size
// and the ids of its items, in order. After a restore the same number can come
// again, with other items.
func blobVersion(tx *bbolt.Tx) (string, error) {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(tx.ID())))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(tx.Size())))
	err := tx.ForEach(func(id []byte, _ *bbolt.Bucket) error {
		if len(id) != 16 {
			return errLayout
		}
		h.Write(id)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// checkedWriter ends a copy when nobody waits for it any more, or the vault has stopped.
type checkedWriter struct {
	copier
	w   io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (n int, err error) {
	if w.err = errors.Join(w.ctx.Err(), w.v.usable()); w.err == nil {
		n, w.err = w.w.Write(p)
	}
	return n, w.err
}

// reclaims keeps payloads and free pages where they are while files are copied.
type reclaims struct {
	mu      sync.Mutex // held while space is reclaimed
	copying bool
	later   []leftover
}

// leftover is what a deletion has left in these files.
type leftover struct {
	items []ItemID
	files []*blobFile
}

// hold waits for what is being reclaimed and puts off everything after it.
func (r *reclaims) hold() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.copying {
		return ErrCopying
	}
	r.copying = true
	return nil
}

// letReclaim reclaims what was put off. After Close, the next Open does it.
func (v *Vault) letReclaim() error {
	r := &v.reclaims
	r.mu.Lock()
	defer r.mu.Unlock()
	later := r.later
	r.copying, r.later = false, nil
	for _, l := range later {
		if err := v.reclaimNow(l.items, l.files); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	}
	return nil
}
