package vault

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// keys.slots is an array of 512-byte slots, one disk sector each, written in
// place and never renamed. A free slot is all zeros. A used one is
//
//	 0  16  "resguardo/slot/1"
//	16  16  class: 'C' case, 'I' item, 'Q' queue, then zeros
//	32  32  owner: row key of the case; item id, then zeros; zeros
//	64  32  key
//	96  32  SHA-256 of the slot's number (8 bytes, big-endian) and bytes 0 to 95
//	128 384 zeros
const (
	slotSize  = 512
	slotMagic = "resguardo/slot/1"
	slotStep  = 512 // slots by which the file grows: 256 KiB
)

type slotClass byte

const (
	caseSlot  slotClass = 'C'
	itemSlot  slotClass = 'I'
	queueSlot slotClass = 'Q'
)

// slot is one used slot.
type slot struct {
	class slotClass
	owner [32]byte
	key   [32]byte
}

// slotRef is a key and the number of the slot that holds it. The zero value is no slot.
type slotRef struct {
	number uint64
	key    [32]byte
	used   bool
}

var (
	errSlotFree    = fmt.Errorf("%w: its key slot is empty", ErrDamaged)
	errSlotDamaged = fmt.Errorf("%w: its key slot does not verify", ErrDamaged)
	errSlotForeign = fmt.Errorf("%w: its key slot belongs to something else", ErrDamaged)
)

func newKey() (key [32]byte) {
	rand.Read(key[:])
	return key
}

func (s slot) encode(number uint64) []byte {
	b := make([]byte, slotSize)
	copy(b, slotMagic)
	b[16] = byte(s.class)
	copy(b[32:], s.owner[:])
	copy(b[64:], s.key[:])
	sum := slotSum(b, number)
	copy(b[96:], sum[:])
	return b
}

func slotSum(b []byte, number uint64) [32]byte {
	return sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, number), b[:96]...))
}

// decodeSlot returns errSlotFree for zeros and errSlotDamaged for anything that
// encode would not write at this number.
func decodeSlot(b []byte, number uint64) (slot, error) {
	if isZero(b) {
		return slot{}, errSlotFree
	}
	s := slot{class: slotClass(b[16]), owner: [32]byte(b[32:64]), key: [32]byte(b[64:96])}
	if !bytes.Equal(b, s.encode(number)) {
		return slot{}, errSlotDamaged
	}
	return s, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// slotFile is keys.slots. Numbers are reserved and released by anyone; only the
// writer (and Open, before it) writes.
type slotFile struct {
	file *os.File
	size uint64 // slots in the file, all written and synced; only the writer changes it

	mu   sync.Mutex
	next uint64   // numbers below it are in the file, in use or in free
	free []uint64 // numbers that nobody has reserved
}

// createSlots writes the first step of a new file with one used slot, number 0, and syncs it.
func createSlots(path string, first slot) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	b := make([]byte, slotStep*slotSize)
	copy(b, first.encode(0))
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), syncDir(filepath.Dir(path)))
}

func openSlots(path string) (*slotFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	n := uint64(info.Size() / slotSize) // a torn end is overwritten by the next growth
	return &slotFile{file: f, size: n, next: n}, nil
}

func (f *slotFile) close() error { return f.file.Close() }

// reserve returns a free number. It is drawn at random: neighbouring numbers
// would tie a case to its item, and rising ones would tell the order of arrival.
func (f *slotFile) reserve() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.free) == 0 {
		for range slotStep {
			f.free = append(f.free, f.next)
			f.next++
		}
	}
	i, last := draw(len(f.free)), len(f.free)-1
	n := f.free[i]
	f.free[i] = f.free[last]
	f.free = f.free[:last]
	return n
}

// draw is a random number below n, from crypto/rand.
func draw(n int) int {
	drawn, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic("vault: " + err.Error()) // crypto/rand.Reader never fails
	}
	return int(drawn.Int64())
}

// release gives back a number whose slot was never written or is zeros again.
func (f *slotFile) release(n uint64) {
	f.mu.Lock()
	f.free = append(f.free, n)
	f.mu.Unlock()
}

// grow makes room for slot n: it writes zeros (so that a later write in place
// needs no new block) and syncs them.
func (f *slotFile) grow(n uint64) error {
	for n >= f.size {
		if _, err := f.file.WriteAt(make([]byte, slotStep*slotSize), int64(f.size*slotSize)); err != nil {
			return err
		}
		if err := f.file.Sync(); err != nil {
			return err
		}
		f.size += slotStep
	}
	return nil
}

// put writes a slot in place. It is durable after sync.
func (f *slotFile) put(n uint64, s slot) error {
	_, err := f.file.WriteAt(s.encode(n), int64(n*slotSize))
	return err
}

// wipe overwrites a slot with zeros. It is durable after sync.
func (f *slotFile) wipe(n uint64) error {
	_, err := f.file.WriteAt(make([]byte, slotSize), int64(n*slotSize))
	return err
}

func (f *slotFile) sync() error { return unix.Fdatasync(int(f.file.Fd())) }

// key returns the key in slot n, which must belong to this owner.
func (f *slotFile) key(n uint64, class slotClass, owner []byte) ([32]byte, error) {
	b := make([]byte, slotSize)
	if n > 1<<40 {
		return [32]byte{}, errSlotForeign
	}
	if _, err := f.file.ReadAt(b, int64(n*slotSize)); err != nil {
		return [32]byte{}, fmt.Errorf("%w: read key slot %d: %v", ErrDamaged, n, err)
	}
	s, err := decodeSlot(b, n)
	if err != nil {
		return [32]byte{}, err
	}
	if s.class != class || s.owner != padOwner(owner) {
		return [32]byte{}, errSlotForeign
	}
	return s.key, nil
}

func padOwner(owner []byte) (b [32]byte) {
	copy(b[:], owner)
	return b
}

// scan calls used for each slot that is not zeros, with its error when it does not verify.
func (f *slotFile) scan(used func(n uint64, s slot, err error)) error {
	b := make([]byte, 128*slotSize)
	for n := uint64(0); n < f.size; {
		want := min(uint64(len(b)), (f.size-n)*slotSize)
		if _, err := f.file.ReadAt(b[:want], int64(n*slotSize)); err != nil && err != io.EOF {
			return fmt.Errorf("read %s: %w", slotsName, err)
		}
		for i := uint64(0); i < want; i += slotSize {
			if s, err := decodeSlot(b[i:i+slotSize], n); err != errSlotFree {
				used(n, s, err)
			}
			n++
		}
	}
	return nil
}

// syncDir makes names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
