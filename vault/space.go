package vault

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The floor keeps room for replies, deletion and the log when the disk fills up:
// 5 % of the file system, at least 32 MiB, at most 1 GiB.
const (
	floorShare = 20
	floorMin   = 32 << 20
	floorMax   = 1 << 30
)

// Room returns ErrFull when Create would refuse: less than the floor is free on
// the file system, or the files have reached Options.MaxBytes. What drafts left
// free inside the current blob file counts as room.
func (v *Vault) Room() error {
	if err := v.usable(); err != nil {
		return err
	}
	current := v.blobs.current()
	allocated, err := allocatedBytes(current.path)
	if err != nil {
		return err
	}
	reusable := max(0, allocated-current.used.Load())
	var s unix.Statfs_t
	if err := unix.Statfs(v.dir, &s); err != nil {
		return err
	}
	block := s.Frsize
	floor := min(max(int64(s.Blocks)*block/floorShare, floorMin), floorMax)
	if int64(s.Bavail)*block+reusable < floor {
		return ErrFull
	}
	if v.options.MaxBytes == 0 {
		return nil
	}
	stored, err := v.stored()
	if err != nil {
		return err
	}
	if stored-reusable >= v.options.MaxBytes {
		return ErrFull
	}
	return nil
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
