package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// A blob file holds one top-level bucket for each item, named by the 16 bytes of
// its id. In it lies one bucket for each transaction, a segment, named by its
// number (4 bytes, big-endian); appending to a bucket would rewrite the big
// values in its last leaf each time. Its keys are chunk numbers (4 bytes,
// big-endian, counted from 0 through the whole item). All segments but the last
// hold segmentChunks values, and all values but the last valueSize bytes, so
// chunk i lies in segment i / segmentChunks.
const (
	valueSize     = 256 << 10
	segmentChunks = 16
	segmentSize   = segmentChunks * valueSize // 4 MiB: one transaction
	blobSize      = 2 << 30
)

// blobOptions: 16 KiB pages and no freelist on disk. Opening for writing walks
// all pages, which is why files are rolled.
func blobOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        blobPage,
		InitialMmapSize: 64 << 30, // address space only: no remapping while the file grows
	}
}

// readOnly keeps the large map: where a damaged length points beyond the file,
// there is a page fault and not other memory.
func readOnly(o *bbolt.Options) *bbolt.Options {
	o.ReadOnly = true
	return o
}

// blobFile is one file of blobs/. Old ones are open for reading only.
type blobFile struct {
	number  uint32
	path    string
	used    atomic.Int64  // bytes in pages that hold something
	refused atomic.Uint64 // transactions that the disk had no room for

	mu       sync.RWMutex // held for reading while db is used; changing db takes it for writing
	db       *bbolt.DB    // nil: not made yet, or damaged
	writable bool
}

// blobFiles are all of them, by rising number. New items go to the last.
type blobFiles struct {
	dir  string
	roll int64

	mu    sync.Mutex
	files []*blobFile
}

func blobName(number uint32) string { return fmt.Sprintf("%08d.db", number) }

// blobNumber is the inverse of blobName.
func blobNumber(name string) (uint32, bool) {
	if len(name) != len("00000001.db") {
		return 0, false
	}
	n, err := strconv.ParseUint(name[:8], 10, 32)
	return uint32(n), err == nil && n > 0 && blobName(uint32(n)) == name
}

func (b *blobFiles) newFile(number uint32) *blobFile {
	return &blobFile{number: number, path: filepath.Join(b.dir, blobName(number))}
}

// openBlobs opens the last file for writing and the others for reading. A file
// that does not open is damage, not an error.
func openBlobs(dir string, roll int64) (*blobFiles, []Problem, error) {
	b := &blobFiles{dir: dir, roll: roll}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var found []Problem
	for _, e := range entries {
		if number, ok := blobNumber(e.Name()); ok {
			b.files = append(b.files, b.newFile(number))
		} else if filepath.Ext(e.Name()) == ".new" { // a file whose making was interrupted
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, nil, err
			}
		}
	}
	sort.Slice(b.files, func(i, j int) bool { return b.files[i].number < b.files[j].number })
	for i, f := range b.files {
		open := f.openRead
		if i == len(b.files)-1 {
			open = f.openWrite
		}
		if err := open(); err == ErrLocked {
			return nil, nil, errors.Join(err, b.close())
		} else if err != nil {
			found = append(found, f.problem(err))
		}
	}
	if n := len(b.files); n == 0 {
		b.files = []*blobFile{b.newFile(1)}
	} else if !b.files[n-1].writable { // damaged: leave it as it is
		b.files = append(b.files, b.newFile(b.files[n-1].number+1))
	}
	return b, found, nil
}

func (f *blobFile) name() string { return filepath.Join(blobsName, blobName(f.number)) }

func (f *blobFile) problem(err error) Problem {
	return Problem{Where: f.name(), What: err.Error(), Hint: "restore this file from a backup; the items in other files are not affected"}
}

func (b *blobFiles) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

func (f *blobFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db == nil {
		return nil
	}
	err := f.db.Close()
	f.db = nil
	return err
}

// all returns the files by rising number.
func (b *blobFiles) all() []*blobFile {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*blobFile(nil), b.files...)
}

// file returns the file with this number, or nil.
func (b *blobFiles) file(number uint32) *blobFile {
	for _, f := range b.all() {
		if f.number == number {
			return f
		}
	}
	return nil
}

// current returns the file for a new item; a full one is followed by the next. An
// item stays in its file, so a file can end larger than roll by what was being
// written when it filled up.
func (b *blobFiles) current() *blobFile {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.files[len(b.files)-1]
	if last.used.Load() >= b.roll {
		last = b.newFile(last.number + 1)
		b.files = append(b.files, last)
	}
	return last
}

func (f *blobFile) openRead() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reopen(readOnly(blobOptions()))
}

// openWrite opens an existing file for writing, after a walk through all its
// pages: bbolt would panic in a goroutine of its own on a damaged one. After an
// error the file is open for reading, if that is possible.
func (f *blobFile) openWrite() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.reopen(readOnly(blobOptions()))
	if err != nil {
		return err
	}
	if err := checkMetaPages(f.path, blobPage); err != nil {
		return err
	}
	if err := f.db.View(func(tx *bbolt.Tx) error { return walk(tx, nil) }); err != nil {
		return err
	}
	if err := f.reopen(blobOptions()); err != nil {
		return errors.Join(err, f.reopen(readOnly(blobOptions())))
	}
	f.db.AllocSize = 64 << 20
	return f.measure()
}

// reopen replaces f.db. f.mu must be held.
func (f *blobFile) reopen(o *bbolt.Options) error {
	if f.db != nil {
		err := f.db.Close()
		f.db = nil
		if err != nil {
			return err
		}
	}
	db, err := openBolt(f.path, o)
	if err != nil {
		return err
	}
	f.db, f.writable = db, !o.ReadOnly
	return nil
}

// ready makes the file if there is none yet and opens it for writing. Only the writer calls it.
func (f *blobFile) ready() error {
	if f.db != nil && f.writable {
		return nil
	}
	if _, err := os.Lstat(f.path); errors.Is(err, fs.ErrNotExist) {
		if err := createBolt(f.path, blobOptions(), func(*bbolt.Tx) error { return nil }); err != nil {
			return err
		}
	}
	return f.openWrite()
}

// measure notes how much of the file is in use. f.db must be open.
func (f *blobFile) measure() error {
	return f.db.View(func(tx *bbolt.Tx) error {
		s := f.db.Stats()
		f.used.Store(tx.Size() - int64(s.FreePageN+s.PendingPageN)*blobPage)
		return nil
	})
}

// put stores the segments of these jobs in one transaction.
func (f *blobFile) put(jobs []*job) error {
	if err := f.ready(); err != nil {
		return err
	}
	err := f.db.Update(func(tx *bbolt.Tx) error {
		for _, j := range jobs {
			item, err := tx.CreateBucketIfNotExists(j.draft.id[:])
			if err != nil {
				return err
			}
			segment, err := item.CreateBucket(be32(j.segment.number))
			if err != nil {
				return err
			}
			for i, value := range j.segment.values {
				if err := segment.Put(be32(j.segment.number*segmentChunks+uint32(i)), value); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.count(err)
	return errors.Join(err, f.measure())
}

// count notes a transaction that the disk had no room for.
func (f *blobFile) count(err error) {
	if isFull(err) {
		f.refused.Add(1)
	}
}

// remove deletes up to n segments of an item, and the item's bucket with the
// last of them. It reports whether nothing is left.
func (f *blobFile) remove(id []byte, n int) (gone bool, err error) {
	if err := f.ready(); err != nil {
		return false, err
	}
	err = f.db.Update(func(tx *bbolt.Tx) error {
		item := tx.Bucket(id)
		if item == nil {
			gone = true
			return nil
		}
		var names [][]byte
		c := item.Cursor()
		for k, _ := c.First(); k != nil && len(names) < n; k, _ = c.Next() {
			names = append(names, append([]byte(nil), k...))
		}
		if len(names) < n {
			gone = true
			return tx.DeleteBucket(id)
		}
		for _, name := range names {
			if err := item.DeleteBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	f.count(err)
	return gone, errors.Join(err, f.measure())
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// view runs fn in a read transaction. Panics and page faults on a damaged or
// truncated file become ErrDamaged.
func (f *blobFile) view(fn func(*bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return fmt.Errorf("%w: %s is missing or does not open", ErrDamaged, f.name())
	}
	return guard(f.name(), func() error { return f.db.View(fn) })
}

func guard(where string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %s: %v", ErrDamaged, where, r)
		}
	}()
	return fn()
}

// exists tells whether the file is open: a new one is made when it is first needed.
func (f *blobFile) exists() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.db != nil
}

// names returns the top-level names.
func (f *blobFile) names() (names []string, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			names = append(names, string(name))
			return nil
		})
	})
	return names, err
}

// walk visits every bucket and key, but not the values, and calls value (if not
// nil) with the item's name and the length of each. It returns ErrDamaged when
// the layout is not that of a blob file.
func walk(tx *bbolt.Tx, value func(item []byte, chunk uint32, size int)) error {
	return guard(filepath.Base(tx.DB().Path()), func() error {
		return tx.ForEach(func(name []byte, item *bbolt.Bucket) error {
			if item == nil || len(name) != 16 {
				return errLayout
			}
			next := uint32(0)
			return item.ForEach(func(k, v []byte) error {
				segment := item.Bucket(k)
				if v != nil || segment == nil || len(k) != 4 {
					return errLayout
				}
				return segment.ForEach(func(k, v []byte) error {
					if len(k) != 4 || v == nil {
						return errLayout
					}
					if value != nil {
						value(name, next, len(v))
					}
					next++
					return nil
				})
			})
		})
	})
}

var errLayout = fmt.Errorf("%w: its buckets are not those of a blob file", ErrDamaged)

// read copies bytes of one chunk, from offset off in it, into p. With fresh it
// asks the kernel for the whole value and the next one first: bbolt maps its
// files for random access, so a cold read would fault 4 KiB at a time.
func (f *blobFile) read(id []byte, chunk uint32, off int, p []byte, fresh bool) (n int, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		item := tx.Bucket(id)
		if item == nil {
			return fmt.Errorf("%w: its payload is missing in %s", ErrDamaged, f.name())
		}
		value := chunkValue(item, chunk)
		if len(value) <= off {
			return fmt.Errorf("%w: chunk %d is missing or short", ErrDamaged, chunk)
		}
		if fresh {
			willNeed(value)
			willNeed(chunkValue(item, chunk+1))
		}
		n = copy(p, value[off:])
		return nil
	})
	return n, err
}

// holds tells whether the payload of an item is there at all.
func (f *blobFile) holds(id []byte) error {
	return f.view(func(tx *bbolt.Tx) error {
		if tx.Bucket(id) == nil {
			return fmt.Errorf("%w: its payload is missing in %s", ErrDamaged, f.name())
		}
		return nil
	})
}

func chunkValue(item *bbolt.Bucket, chunk uint32) []byte {
	segment := item.Bucket(be32(chunk / segmentChunks))
	if segment == nil {
		return nil
	}
	return segment.Get(be32(chunk))
}

// willNeed starts reading the pages of b, a value in a file mapping. A small
// value is not worth it, and may be a copy that bbolt made.
func willNeed(b []byte) {
	if len(b) < blobPage {
		return
	}
	start := unsafe.Pointer(&b[0])
	before := int(uintptr(start) % uintptr(os.Getpagesize()))
	// Advice only: an error changes nothing but the speed.
	_ = unix.Madvise(unsafe.Slice((*byte)(unsafe.Add(start, -before)), before+len(b)), unix.MADV_WILLNEED)
}

// touch sets the time of every file to now. The file system keeps when a file was
// last written: that of the newest report, or of a deletion. From the end of its
// epoch on, that time no longer stands on the disk. An error changes nothing else.
func (b *blobFiles) touch() {
	now := time.Now()
	for _, f := range b.all() {
		_ = os.Chtimes(f.path, time.Time{}, now)
	}
}
