package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dropCache makes the kernel forget what it holds of the vault's files, so that
// they are read from the disk.
//
// After a failed fsync the page cache shows what the disk may lack, also to the
// next process: a restart without a reboot would go on from a transaction that is
// not there, reuse pages that the older one on the disk still needs, and lose
// everything with the next power cut.
func dropCache(dir string) error {
	paths := []string{filepath.Join(dir, metaName), filepath.Join(dir, slotsName), filepath.Join(dir, highWaterName)}
	blobs, err := filepath.Glob(filepath.Join(dir, blobsName, "*.db"))
	if err != nil {
		return err
	}
	for _, path := range append(paths, blobs...) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
