package vault

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// readAnew makes the kernel forget what it holds of the vault's files, so that
// they are read from the disk.
//
// After a failed fsync the page cache shows what the disk may lack, also to the
// next process: a restart without a reboot would go on from a transaction that is
// not there, reuse pages that the older one on the disk still needs, and lose
// everything with the next power cut.
//
// All but the blob files are then read from start to end: a start needs all of
// them, and bbolt maps its files for random access, 4 KiB for each wait.
func readAnew(dir string) error {
	blobs, err := filepath.Glob(filepath.Join(dir, blobsName, "*.db"))
	if err != nil {
		return err
	}
	for _, path := range blobs {
		if err := forgetFile(path, false); err != nil {
			return err
		}
	}
	for _, name := range []string{metaName, slotsName, highWaterName} {
		if err := forgetFile(filepath.Join(dir, name), true); err != nil {
			return err
		}
	}
	return nil
}

// forgetFile drops a file from the page cache, if there is such a file, and reads it again.
func forgetFile(path string, again bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	if again {
		io.Copy(io.Discard, f) // what cannot be read is named by who needs it
	}
	return errors.Join(err, f.Close())
}
