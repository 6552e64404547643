package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The floor keeps room for replies, deletion and the log when the disk fills up,
// unless Options.Floor says otherwise.
const (
	floorShare = 20
	floorMin   = 32 << 20
	floorMax   = 1 << 30
)

// rowsRoom is how many bytes must be free outside the blob files.
const rowsRoom = 16 << 20

// What reviewers add to a case may use this share of the floor's room less one: with 4, all but a quarter.
const replyShare = 4

// The reserve is a file that holds room for deletions and the log when others have
// filled the disk: it is given up when less than reserveLow is free.
const (
	reserveName = "reserve"
	reserveSize = 8 << 20
	reserveLow  = 4 << 20
)

// Room returns ErrFull when Create would refuse: less than the floor is free on
// the file system, or the files have reached Options.MaxBytes. What drafts left
// free inside the current blob file counts as room.
func (v *Vault) Room() error { return v.room(1) }

// room is Room with a floor of this part of the floor, and as much more of MaxBytes.
func (v *Vault) room(share int64) error {
	if err := v.usable(); err != nil {
		return err
	}
	current := v.blobs.current()
	allocated, err := allocatedBytes(current.path)
	if err != nil {
		return err
	}
	reusable := max(0, allocated-current.used.Load())
	free, floor, err := v.free()
	if err != nil {
		return err
	}
	// The rows of what goes into free pages of the blob file need room of their own.
	if free+reusable < floor/share || free < rowsRoom/share {
		return ErrFull
	}
	if v.options.MaxBytes == 0 {
		return nil
	}
	stored, err := v.stored()
	if err != nil {
		return err
	}
	if stored-reusable >= v.options.MaxBytes+floor-floor/share {
		return ErrFull
	}
	return nil
}

// free returns the bytes that this account may still write, and the floor.
func (v *Vault) free() (free, floor int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(v.dir, &s); err != nil {
		return 0, 0, err
	}
	floor = v.options.Floor
	if floor == 0 {
		floor = min(max(int64(s.Blocks)*s.Frsize/floorShare, floorMin), floorMax)
	}
	return int64(s.Bavail) * s.Frsize, floor, nil
}

// keepReserve makes the reserve when there is room for it: at times that tell nothing
// about reports. Without one, as on a file system that cannot allocate, a full disk
// can stop the vault.
func (v *Vault) keepReserve() {
	path := filepath.Join(v.dir, reserveName)
	if n, err := allocatedBytes(path); err != nil || n >= reserveSize {
		_ = os.Chtimes(path, time.Time{}, time.Now()) // see blobFiles.touch
		return
	}
	if free, _, err := v.free(); err != nil || free < rowsRoom+reserveSize {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	if err := errors.Join(unix.Fallocate(int(f.Fd()), 0, 0, reserveSize), f.Close()); err != nil {
		os.Remove(path)
	}
}

// ease gives the reserve up when the disk is all but full, before something is written.
func (v *Vault) ease() {
	if free, _, err := v.free(); err == nil && free < reserveLow {
		os.Remove(filepath.Join(v.dir, reserveName)) // what cannot be helped shows at the write
	}
}

// stored is the number of bytes that the vault's files take up on disk.
func (v *Vault) stored() (int64, error) {
	paths := []string{filepath.Join(v.dir, metaName), filepath.Join(v.dir, slotsName)}
	for _, f := range v.blobs.all() {
		paths = append(paths, f.path)
	}
	var sum int64
	for _, path := range paths {
		n, err := allocatedBytes(path)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// allocatedBytes is what a file takes up on disk: bbolt's files are sparse at the end. A missing file takes up nothing.
func allocatedBytes(path string) (int64, error) {
	var s unix.Stat_t
	err := unix.Stat(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return s.Blocks * 512, err
}
