package vault

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

var (
	// ErrFull: the free-space floor or the size limit is reached, or a blob write met a full disk. Nothing was stored.
	ErrFull = errors.New("vault is full")
	// ErrExists: the mailbox, case id or event is there already. Nothing was stored.
	ErrExists = errors.New("already stored")
	// ErrStale: the case has another number of items than the caller knows.
	ErrStale = errors.New("the case has changed")
	// ErrNotFound: no such item or case.
	ErrNotFound = errors.New("not found")
	// ErrDamaged: what is stored does not verify.
	ErrDamaged = errors.New("stored data is damaged")
	// ErrUnknown: the outcome of a write is unknown; the vault has stopped. Never acknowledge.
	ErrUnknown = errors.New("storage outcome unknown")
	// ErrClosed: Close was called. Nothing was stored.
	ErrClosed = errors.New("vault is closed")
	// ErrLocked: another process has the vault open.
	ErrLocked = errors.New("vault is in use")
	// ErrFormat: written by a version with another format.
	ErrFormat = errors.New("vault has another format")
)

// FormatVersion is the number in vault.db. It rises when the meaning of a row changes.
const FormatVersion = 2

// Names of the vault's files in its directory.
const (
	metaName  = "vault.db"
	slotsName = "keys.slots"
	blobsName = "blobs"
)

// Genesis is fixed when the vault is made.
type Genesis struct {
	Origin  string
	Demo    bool
	Epoch   time.Duration
	Slots   int      // event leaves per epoch
	Salt    [16]byte // of the codename's Argon2id
	Time    uint32
	Memory  uint32 // KiB
	Threads uint8
}

// Init makes vault.db, keys.slots, high-water and blobs/ in dir. The directory must
// exist; if one of the four does, the error is fs.ErrExist. After an error none is left.
//
// vault.db comes last and by rename: a vault that has one is complete.
func Init(dir string, g Genesis) error {
	for _, name := range []string{metaName, slotsName, blobsName, highWaterName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, name), os.ErrExist)
		}
	}
	blobs, slots, mark := filepath.Join(dir, blobsName), filepath.Join(dir, slotsName), filepath.Join(dir, highWaterName)
	if err := os.Mkdir(blobs, 0o700); err != nil {
		return err
	}
	err := os.WriteFile(mark, nil, 0o600) // its name is synced with those that follow
	if err == nil {
		err = createSlots(slots, slot{class: queueSlot, key: newKey()})
	}
	if err == nil {
		err = createMeta(dir, g)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(slots), os.RemoveAll(mark), os.Remove(blobs))
	}
	return nil
}

// Options of Open. The zero value has no size limit and rolls blob files at 2 GiB.
type Options struct {
	MaxBytes int64 // of all files together; 0 means no limit
	Floor    int64 // bytes that stay free on the file system; 0 means 5 % of it, at least 32 MiB, at most 1 GiB
	BlobSize int64 // bytes after which new items go to a new blob file; 0 means 2 GiB
}

// Vault is an open vault. Methods may be called from many goroutines.
type Vault struct {
	dir     string
	options Options
	genesis Genesis
	meta    *bbolt.DB
	metaMu  sync.RWMutex // held for reading by read transactions of meta
	slots   *slotFile
	blobs   *blobFiles
	index   *index
	queue   slotRef // the slot under which events are queued
	late    slotRef // the slot of those that have waited for an epoch already, if any
	log     publicLog
	dummy   dummy
	found   []Problem
	spoiled spoiled

	reclaims reclaims

	jobs    *jobs
	stopped chan struct{} // closed when the writer has ended

	draftMu sync.Mutex
	drafts  map[ItemID]bool // items in the making, or not yet removed

	failOnce sync.Once
	failed   chan struct{}
	cause    error // valid once failed is closed
	closing  sync.Once
	closed   chan struct{}
}

// Genesis returns what Init stored.
func (v *Vault) Genesis() Genesis { return v.genesis }

// Failed is closed when a storage error made an outcome unknown: the program must then end with exit code 1.
func (v *Vault) Failed() <-chan struct{} { return v.failed }

// Err returns what made the vault stop, wrapped in ErrUnknown, or nil while it runs.
func (v *Vault) Err() error {
	select {
	case <-v.failed:
		return fmt.Errorf("%w: %v", ErrUnknown, v.cause)
	default:
		return nil
	}
}

// fail stops the vault for good.
func (v *Vault) fail(cause error) error {
	v.failOnce.Do(func() {
		v.cause = cause
		close(v.failed)
	})
	return v.Err()
}

// usable returns ErrUnknown after a failure and ErrClosed after Close.
func (v *Vault) usable() error {
	if err := v.Err(); err != nil {
		return err
	}
	select {
	case <-v.closed:
		return ErrClosed
	default:
		return nil
	}
}

// Close stops the writer and closes the files. Drafts in progress are dropped; a Commit that runs is finished first.
func (v *Vault) Close() error {
	var err error
	v.closing.Do(func() {
		close(v.closed)
		v.jobs.close()
		<-v.stopped
		err = errors.Join(v.meta.Close(), v.blobs.close(), v.slots.close())
	})
	return err
}

// CaseID is 10 random bytes in lower-case base32 (16 characters).
type CaseID string

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewCaseID draws a case id from crypto/rand.
func NewCaseID() CaseID {
	var b [10]byte
	rand.Read(b[:])
	return CaseID(base32Lower.EncodeToString(b[:]))
}

// valid tells whether c has the form that NewCaseID gives.
func (c CaseID) valid() bool {
	b, err := base32Lower.DecodeString(string(c))
	return err == nil && len(b) == 10 && base32Lower.EncodeToString(b) == string(c)
}

// ItemID is 16 random bytes in lower-case hex.
type ItemID string

// bytes returns the 16 bytes, or false when i is not an item id.
func (i ItemID) bytes() ([16]byte, bool) {
	var b [16]byte
	if len(i) != 32 {
		return b, false
	}
	if _, err := hex.Decode(b[:], []byte(i)); err != nil {
		return b, false
	}
	return b, itemID(b[:]) == i
}

func itemID(b []byte) ItemID { return ItemID(hex.EncodeToString(b)) }
