package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// permissions checks every file of the directory: whose it is, who may use it,
// and whether it belongs here.
func (c *checker) permissions() {
	var newest time.Time
	err := filepath.WalkDir(c.dir.Path(), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running server may replace files
		}
		if err != nil {
			return err
		}
		c.permission(path, info)
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		if rel, _ := filepath.Rel(c.dir.Path(), path); !statedir.Known(rel, info.IsDir()) {
			c.print.Warn(say.T("%s does not belong here", path), say.T("move it elsewhere; no secret key of a reviewer may ever be in this directory"))
			if info.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	if err != nil {
		c.fail(say.Fail(say.T("the directory cannot be read: %s", say.Bare(err)), say.T("run the command as the owner of the directory")))
	}
	c.clock(newest)
}

func (c *checker) permission(path string, info fs.FileInfo) {
	want := fs.FileMode(0o600)
	switch kind := info.Mode().Type(); kind {
	case 0:
	case fs.ModeSocket:
		if name := filepath.Base(path); name == statedir.SourceSocket || name == statedir.ReviewersSocket {
			want |= info.Mode().Perm() & 0o060 // for the group of the system's tor
		}
	case fs.ModeDir:
		want = 0o700
	default:
		c.fail(&say.Error{Path: path, What: say.T("neither a file nor a directory, but %s", kind), Hint: say.T("put the file itself here")})
		return
	}
	if got := info.Mode().Perm(); got != want {
		c.fail(&say.Error{Path: path, What: say.T("has mode %s instead of %s", fmt.Sprintf("%04o", got), fmt.Sprintf("%04o", want)),
			Hint: say.T("correct it: chmod %s %s", fmt.Sprintf("%04o", want), path)})
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() != 0 && int(s.Uid) != os.Geteuid() {
		c.fail(&say.Error{Path: path, What: say.T("belongs to another account"), Hint: say.T("give it to the account that serves: chown %s %s", os.Geteuid(), path)})
	}
}

// clock warns when the clock cannot be right. Days are written into reports.
func (c *checker) clock(newest time.Time) {
	now := time.Now()
	if now.Year() < 2026 || newest.Sub(now) > time.Hour {
		c.print.Warn(say.T("the clock says %s, but files here are of %s", now.UTC().Format(time.DateTime), newest.UTC().Format(time.DateTime)),
			say.T("set the clock: the day stands in every report, and tor needs it"))
	}
}

// machine checks what the directory lies on.
func (c *checker) machine() {
	var s unix.Statfs_t
	if err := unix.Statfs(c.dir.Path(), &s); err != nil {
		c.fail(say.Fail(say.T("the file system cannot be read: %s", say.Bare(err)), say.Text{}))
		return
	}
	size, free := s.Blocks*uint64(s.Bsize), s.Bavail*uint64(s.Bsize)
	if free < reserve(size) {
		c.print.Warn(say.T("the disk has only %s MiB left: no report is taken", free>>20), say.T("make room; %s MiB must stay free", reserve(size)>>20))
	}
	if name, ok := moving[int64(s.Type)]; ok {
		c.print.Warn(say.T("the file system is %s: a deleted report may leave traces, because files are not overwritten in place", name),
			say.T("use ext4 or xfs on an encrypted disk"))
	}
	if s.Type == unix.TMPFS_MAGIC {
		c.print.Warn(say.T("the directory is in memory only: reports are lost when the machine stops"), say.T("use ext4 or xfs on an encrypted disk"))
	}
	if swapOn() {
		c.print.Warn(say.T("swap is on: what a source sends may be written to disk"), say.T("switch it off: swapoff -a; and take it out of /etc/fstab"))
	}
}

// reserve is the free space below which the vault takes nothing: 5 % of the
// disk, at least 32 MiB and at most 1 GiB.
func reserve(size uint64) uint64 { return min(max(size/20, 32<<20), 1<<30) }

// moving are file systems that write changed blocks elsewhere.
var moving = map[int64]string{
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.NILFS_SUPER_MAGIC:     "nilfs",
	0x2fc12fc1:                 "zfs", // OpenZFS, include/sys/fs/zfs.h
	0xca451a4e:                 "bcachefs",
}

// outside looks at DIR.keys, which should not be on this machine.
func (c *checker) outside() {
	for _, name := range []string{statedir.GovernanceKey, statedir.GovernanceSealedKey} {
		path := filepath.Join(c.dir.KeysDir(), name)
		if info, err := os.Lstat(path); err == nil {
			c.print.Warn(say.T("the governance key is still on this machine: %s", path), say.T("keep it on two other media, then remove it here: it decides who may read reports"))
			c.permission(path, info)
		}
	}
}
