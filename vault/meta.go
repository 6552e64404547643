package vault

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// Keys of the bucket vault.
var (
	formatKey  = []byte("format")  // decimal
	genesisKey = []byte("genesis") // JSON of Genesis
	queueKey   = []byte("queue")   // slot of the queue, 8 bytes, big-endian
	lateKey    = []byte("late")    // slot of events that wait for a second epoch, if any
)

// lockTimeout is how long Open waits for a process that is just ending.
const lockTimeout = 200 * time.Millisecond

// Bytes in a page of vault.db and of a blob file.
const (
	metaPage = 4 << 10
	blobPage = 16 << 10
)

// metaOptions: a small file with 4 KiB pages and a freelist on disk, so that it opens at once.
func metaOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bbolt.FreelistMapType,
		PageSize:        metaPage,
		InitialMmapSize: 1 << 30, // address space only: growth need not wait for readers
	}
}

func createMeta(dir string, g Genesis) error {
	genesis, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return createBolt(filepath.Join(dir, metaName), metaOptions(), func(tx *bbolt.Tx) error {
		for _, name := range []string{casesBucket, itemsBucket, headersBucket, queueBucket, tilesBucket, recordsBucket, vaultBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		b := tx.Bucket([]byte(vaultBucket))
		return errors.Join(
			b.Put(formatKey, strconv.AppendInt(nil, FormatVersion, 10)),
			b.Put(genesisKey, genesis),
			b.Put(queueKey, binary.BigEndian.AppendUint64(nil, 0)))
	})
}

// createBolt makes a database beside its place, fills and syncs it, and renames
// it: a power cut while bbolt initialises a file can leave one that never opens.
func createBolt(path string, o *bbolt.Options, fill func(*bbolt.Tx) error) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(temp, 0o600, o)
	if err != nil {
		os.Remove(temp)
		return err
	}
	err = errors.Join(db.Update(fill), db.Sync(), db.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// openBolt opens a database that exists. A panic of bbolt in this goroutine (it
// has some for damaged pages) becomes ErrDamaged.
func openBolt(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a file that was cut short
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%s: %w: %v", filepath.Base(path), ErrDamaged, r)
		}
	}()
	o.OpenFile = func(name string, flag int, mode fs.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || info.Size() == 0 {
			return nil, errors.Join(err, f.Close(), fmt.Errorf("%s: %w: empty file", filepath.Base(path), ErrDamaged)) // bbolt would initialise it
		}
		return f, nil
	}
	db, err = bbolt.Open(path, 0o600, o)
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s: %w: %v", filepath.Base(path), ErrDamaged, err)
	default:
		return nil, err
	}
}

// checkMetaPages verifies both meta pages of a closed or idle database. bbolt goes
// on with one, the older one if the newer is damaged: the last transaction is
// then gone without a word. (The layout is that of bbolt's file format 2: a page
// header of 16 bytes, 56 bytes, FNV-1a of them, in the machine's byte order.)
func checkMetaPages(path string, pageSize int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for page := range int64(2) {
		b := make([]byte, 16+56+8)
		if _, err := f.ReadAt(b, page*pageSize); err != nil {
			return fmt.Errorf("%w: meta page %d: %v", ErrDamaged, page, err)
		}
		sum := fnv.New64a()
		sum.Write(b[16:72])
		if sum.Sum64() != binary.NativeEndian.Uint64(b[72:]) {
			return fmt.Errorf("%w: meta page %d does not verify, so the last transaction may be lost", ErrDamaged, page)
		}
	}
	return nil
}

// stored is what the bucket vault holds, less the log.
type stored struct {
	genesis Genesis
	queue   uint64   // slot
	late    []uint64 // slot of late events: one or none
}

// readVault reads what Init stored, and where the queue's keys are.
func readVault(db *bbolt.DB) (s stored, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(vaultBucket))
		if b == nil {
			return fmt.Errorf("%w: %s has no format number", ErrDamaged, metaName)
		}
		format, err := strconv.Atoi(string(b.Get(formatKey)))
		if err != nil || format < 1 {
			return fmt.Errorf("%w: %s has no format number", ErrDamaged, metaName)
		}
		if format != FormatVersion {
			return fmt.Errorf("%w: %d, this program knows %d", ErrFormat, format, FormatVersion)
		}
		for _, name := range []string{casesBucket, itemsBucket, headersBucket, queueBucket, tilesBucket, recordsBucket} {
			if tx.Bucket([]byte(name)) == nil {
				return fmt.Errorf("%w: %s has no bucket %s", ErrDamaged, metaName, name)
			}
		}
		if q := b.Get(queueKey); len(q) == 8 {
			s.queue = binary.BigEndian.Uint64(q)
		} else {
			return fmt.Errorf("%w: %s names no queue slot", ErrDamaged, metaName)
		}
		if late := b.Get(lateKey); len(late) == 8 {
			s.late = append(s.late, binary.BigEndian.Uint64(late))
		}
		if err := json.Unmarshal(b.Get(genesisKey), &s.genesis); err != nil {
			return fmt.Errorf("%w: genesis: %v", ErrDamaged, err)
		}
		return nil
	})
	return s, err
}

// view runs fn in a short read transaction of vault.db.
func (v *Vault) view(fn func(*bbolt.Tx) error) error {
	v.metaMu.RLock()
	defer v.metaMu.RUnlock()
	return v.meta.View(fn)
}

// isFull tells whether a write (not a sync, where the outcome is unknown) met a full disk or a quota.
func isFull(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "write" &&
		(errors.Is(path.Err, syscall.ENOSPC) || errors.Is(path.Err, syscall.EDQUOT) || errors.Is(path.Err, syscall.EFBIG))
}
