// Package disk does with files what systems do in different ways.
package disk

import (
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// Lock takes the file for this program alone, without waiting, until it is
// closed. It fails if another program has it.
func Lock(f *os.File) error {
	const exclusive = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), exclusive, 0, 1, 0, new(windows.Overlapped))
}

// SyncFolder does nothing: Windows refuses to flush a folder, and NTFS writes
// names to its journal.
func SyncFolder(*os.File) error { return nil }

// Private reports true: on Windows a mode says nothing about other accounts, the
// rights of the folder above decide.
func Private(fs.FileInfo) bool { return true }
