package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"unsafe"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Shards is into how many parts Rehash divides the items, by the first byte of their ids, which are random.
const Shards = 256

// Reread is what one call of Rehash has read.
type Reread struct {
	Items   int
	Bytes   int64     // of ciphertext
	Damaged []Problem // by item
}

// Rehash reads the ciphertexts of one shard (0 to Shards-1) again, each byte from the
// disk and not from memory, and compares it with its row, and the row with its event:
// what checks the log then proves the rest (see Check). It calls pause after every
// part of at most 256 KiB with the bytes read; pause may take its time, because
// nothing is held meanwhile. What pause returns ends it.
//
// OpenItem refuses an item that was found damaged, until it is found whole again.
func (v *Vault) Rehash(ctx context.Context, shard int, pause func(n int) error) (r Reread, err error) {
	for _, id := range v.shard(shard) {
		n, err := v.prove(ctx, id, true, pause)
		r.Bytes += n
		switch {
		case errors.Is(err, ErrNotFound): // deleted meanwhile
			continue
		case errors.Is(err, ErrDamaged):
			r.Damaged = append(r.Damaged, itemProblem(id, err))
		case err != nil:
			return r, err
		}
		r.Items++
	}
	return r, nil
}

// shard lists the items whose id begins with this byte.
func (v *Vault) shard(n int) (ids []ItemID) {
	prefix := fmt.Sprintf("%02x", n)
	v.index.mu.RLock()
	defer v.index.mu.RUnlock()
	for id := range v.index.items {
		if string(id[:2]) == prefix {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// CheckRows is the part of Check that reads vault.db alone: every row opened, every
// leaf and tile of the log, every item's event queued or in the log. It holds
// nobody up.
func (v *Vault) CheckRows(ctx context.Context) ([]Problem, error) {
	c := newChecker(ctx, v)
	return c.run(c.log, c.items, c.headers, c.caseRows, c.queued)
}

// Whole tells what is wrong with an item: nil, ErrNotFound, an error that wraps ErrDamaged, or one that says nothing about it.
func (v *Vault) Whole(ctx context.Context, id ItemID) error {
	_, err := v.prove(ctx, id, true, func(int) error { return nil })
	return err
}

func itemProblem(id ItemID, err error) Problem {
	return Problem{Where: "item " + string(id), What: err.Error(), Hint: hintBackup}
}

// prove reads an item's ciphertext and compares it with its row and the row with its
// event. With fresh the payload comes from the disk. It returns the bytes read, and
// ErrNotFound when the item goes meanwhile.
func (v *Vault) prove(ctx context.Context, id ItemID, fresh bool, pause func(n int) error) (read int64, err error) {
	read, err = v.hash(ctx, id, fresh, pause)
	if err == nil || errors.Is(err, ErrDamaged) {
		if _, ok := v.index.item(id); !ok {
			err = ErrNotFound
		}
		v.spoiled.set(id, errors.Is(err, errOtherHash))
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = v.readError(err)
	}
	return read, err
}

func (v *Vault) hash(ctx context.Context, id ItemID, fresh bool, pause func(n int) error) (read int64, err error) {
	if err := v.proveRow(id); err != nil {
		return 0, err
	}
	c, err := v.openItem(id)
	if err != nil {
		return 0, err
	}
	c.uncached = fresh
	h, b := sha256.New(), make([]byte, valueSize)
	for {
		if err := ctx.Err(); err != nil {
			return read, err
		}
		n, err := c.next(b)
		if err == io.EOF {
			break
		}
		if err != nil {
			return read, err
		}
		h.Write(b[:n])
		read += int64(n)
		if err := pause(n); err != nil {
			return read, err
		}
	}
	if e, ok := v.index.item(id); ok && [32]byte(h.Sum(nil)) != e.SHA256 {
		return read, errOtherHash
	}
	return read, nil
}

var errOtherHash = fmt.Errorf("%w: its ciphertext has another hash than its row says", ErrDamaged)

// next reads up to the end of a chunk.
func (c *ciphertext) next(b []byte) (int, error) {
	if c.off >= c.size {
		return 0, io.EOF
	}
	if past := c.off - int64(len(c.header)); past >= 0 {
		b = b[:valueSize-past%valueSize]
	}
	n, err := c.part(b, c.off)
	c.off += int64(n)
	return n, err
}

// proveRow opens the row of an item again and compares it with what RAM says of it,
// and with its event.
func (v *Vault) proveRow(id ItemID) error {
	e, ok := v.index.item(id)
	if !ok {
		return ErrNotFound
	}
	key, _ := id.bytes()
	return guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			row := tx.Bucket([]byte(itemsBucket)).Get(key[:])
			if isDeleting(row) {
				return ErrNotFound
			}
			r, o, err := v.slots.openItem(key[:], row)
			switch {
			case err != nil:
				return err
			case o.Ciphertext != e.SHA256 || r.Size != e.Size || r.Header != e.header || r.Blob != e.blob:
				return fmt.Errorf("%w: its row has changed", ErrDamaged)
			case o.Tag != eventTag(r, o):
				return fmt.Errorf("%w: its tag is not that of its event", ErrDamaged)
			case tx.Bucket([]byte(queueBucket)).Get(o.Tag[:]) == nil && !v.Logged(o.Tag) && v.logKnown():
				return fmt.Errorf("%w: its event is neither queued nor in the log", ErrDamaged)
			}
			return nil
		})
	})
}

// logKnown tells whether Logged can know. A log that is damaged is named for itself.
func (v *Vault) logKnown() bool {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.monitor != nil || v.log.signed == nil
}

// spoiled are the items whose ciphertext was found damaged.
type spoiled struct {
	mu    sync.Mutex
	items map[ItemID]bool
}

func (s *spoiled) set(id ItemID, damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !damaged {
		delete(s.items, id)
		return
	}
	if s.items == nil {
		s.items = make(map[ItemID]bool)
	}
	s.items[id] = true
}

func (s *spoiled) has(id ItemID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.items[id]
}

// readUncached is read for a chunk that must come from the disk: what the kernel holds
// of it is dropped first, and again afterwards, because others need the memory more.
func (f *blobFile) readUncached(id []byte, chunk uint32, off int, p []byte) (n int, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	defer file.Close()
	err = f.view(func(tx *bbolt.Tx) error {
		item := tx.Bucket(id)
		if item == nil {
			return fmt.Errorf("%w: its payload is missing in %s", ErrDamaged, f.name())
		}
		value := chunkValue(item, chunk)
		if len(value) <= off {
			return fmt.Errorf("%w: chunk %d is missing or short", ErrDamaged, chunk)
		}
		first := unsafe.Pointer(&value[0])
		begin, size := int64(uintptr(first)-tx.DB().Info().Data), int64(len(value))
		if begin < 0 || begin+size > tx.Size() { // a copy that bbolt made
			n = copy(p, value[off:])
			return nil
		}
		data := unsafe.Add(first, -begin)
		forget(file, data, begin, size, tx.Size())
		willNeed(value)
		n = copy(p, value[off:])
		forget(file, data, begin, size, tx.Size())
		return nil
	})
	return n, err
}

// forgetStep: the kernel drops whole folios only, which are at most this long on file systems with large ones.
const forgetStep = 2 << 20

// forget makes the kernel drop what it holds of a value of size bytes that begins at
// this byte of the file and is mapped from data on. Advice only: an error changes
// nothing but where the next read comes from.
func forget(file *os.File, data unsafe.Pointer, begin, size, end int64) {
	from, to := begin&^(forgetStep-1), min((begin+size+forgetStep-1)&^(forgetStep-1), end)
	_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Add(data, from)), to-from), unix.MADV_DONTNEED)
	_ = unix.Fadvise(int(file.Fd()), from, to-from, unix.FADV_DONTNEED)
}
