//go:build unix

// Package disk does with files what systems do in different ways.
package disk

import (
	"io/fs"
	"os"
	"syscall"
)

// Lock takes the file for this program alone, without waiting, until it is
// closed. It fails if another program has it.
func Lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// SyncFolder makes the names in an open folder durable.
func SyncFolder(f *os.File) error { return f.Sync() }

// Private reports whether only the file's owner can use it.
func Private(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }
