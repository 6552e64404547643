package disk

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Mounted is a disk at its mount point.
type Mounted struct {
	server *fuse.Server
	dir    string
}

// Mount mounts d at dir: as root directly, else with fusermount3.
func Mount(d *Disk, dir string) (*Mounted, error) {
	server, err := fuse.NewServer(&bridge{RawFileSystem: fuse.NewDefaultRawFileSystem(), d: d}, dir, &fuse.MountOptions{
		Name:                     "cut",
		FsName:                   "cut",
		DirectMountStrict:        os.Geteuid() == 0,
		DisableXAttrs:            true,
		DisableReadDirPlus:       true,
		ExplicitDataCacheControl: true, // the page cache is the kernel's business, as on a real disk
		MaxWrite:                 1 << 20,
	})
	if err != nil {
		return nil, err
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(err, server.Unmount())
	}
	return &Mounted{server: server, dir: dir}, nil
}

// Unmount takes the disk away from its mount point. Nobody may use it any more.
func (m *Mounted) Unmount() error {
	err := m.server.Unmount()
	if err != nil { // a killed process may still hold a file
		err = syscall.Unmount(m.dir, syscall.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return nil
}

// valid is how long the kernel may believe what it knows: nobody else changes this file system.
const valid = 3600

// bridge gives the kernel's requests to the disk. Inode numbers are node ids.
type bridge struct {
	fuse.RawFileSystem
	d *Disk
}

func (b *bridge) String() string { return "cut" }

// node locks the disk and returns an inode, or nil.
func (b *bridge) node(id uint64) (n *inode, unlock func()) {
	b.d.mu.Lock()
	return b.d.inodes[id], b.d.mu.Unlock
}

func (n *inode) attr(a *fuse.Attr) {
	*a = fuse.Attr{
		Ino: n.id, Mode: n.mode, Nlink: 1, Size: uint64(n.now.size), Blocks: n.now.blocks(), Blksize: pageSize,
		Owner: fuse.Owner{Uid: n.uid, Gid: n.gid},
	}
	a.SetTimes(&n.time, &n.time, &n.time)
}

func (n *inode) entry(out *fuse.EntryOut) {
	out.NodeId, out.Generation = n.id, 1
	out.EntryValid, out.AttrValid = valid, valid
	n.attr(&out.Attr)
}

func (b *bridge) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir, unlock := b.node(h.NodeId)
	defer unlock()
	n := b.d.inodes[dir.names[name]]
	if n == nil {
		return fuse.ENOENT
	}
	n.entry(out)
	return fuse.OK
}

func (b *bridge) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, unlock := b.node(in.NodeId)
	defer unlock()
	out.AttrValid = valid
	n.attr(&out.Attr)
	return fuse.OK
}

func (b *bridge) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, unlock := b.node(in.NodeId)
	defer unlock()
	if size, ok := in.GetSize(); ok {
		if errno := b.d.truncate(n, int64(size)); errno != 0 {
			return fuse.Status(errno)
		}
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&0o7777
	}
	if uid, ok := in.GetUID(); ok {
		n.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.gid = gid
	}
	if t, ok := in.GetMTime(); ok {
		n.time = t
	}
	out.AttrValid = valid
	n.attr(&out.Attr)
	return fuse.OK
}

func (b *bridge) make(h *fuse.InHeader, name string, mode uint32, out *fuse.EntryOut) fuse.Status {
	dir, unlock := b.node(h.NodeId)
	defer unlock()
	n, errno := b.d.create(dir, name, mode, h.Uid, h.Gid)
	if errno != 0 {
		return fuse.Status(errno)
	}
	n.entry(out)
	return fuse.OK
}

func (b *bridge) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if t := in.Mode & syscall.S_IFMT; t != syscall.S_IFREG && t != syscall.S_IFSOCK {
		return fuse.EPERM
	}
	return b.make(&in.InHeader, name, in.Mode, out)
}

func (b *bridge) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.make(&in.InHeader, name, syscall.S_IFDIR|in.Mode&0o7777, out)
}

func (b *bridge) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return b.make(&in.InHeader, name, syscall.S_IFREG|in.Mode&0o7777, &out.EntryOut)
}

func (b *bridge) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	dir, unlock := b.node(in.NodeId)
	defer unlock()
	n := b.d.inodes[in.Oldnodeid]
	if errno := b.d.link(n, dir, name); errno != 0 {
		return fuse.Status(errno)
	}
	n.entry(out)
	return fuse.OK
}

func (b *bridge) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	dir, unlock := b.node(h.NodeId)
	defer unlock()
	return fuse.Status(b.d.remove(dir, name, false))
}

func (b *bridge) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	dir, unlock := b.node(h.NodeId)
	defer unlock()
	return fuse.Status(b.d.remove(dir, name, true))
}

func (b *bridge) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	const noReplace = 1
	if in.Flags&^noReplace != 0 {
		return fuse.EINVAL
	}
	oldDir, unlock := b.node(in.NodeId)
	defer unlock()
	return fuse.Status(b.d.move(oldDir, oldName, b.d.inodes[in.Newdir], newName, in.Flags&noReplace != 0))
}

func (b *bridge) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	return fuse.OK
}

func (b *bridge) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, unlock := b.node(in.NodeId)
	defer unlock()
	return fuse.ReadResultData(buf[:n.now.readAt(buf, int64(in.Offset))]), fuse.OK
}

func (b *bridge) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, unlock := b.node(in.NodeId)
	defer unlock()
	written, errno := b.d.write(n, data, int64(in.Offset))
	return uint32(written), fuse.Status(errno)
}

func (b *bridge) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (b *bridge) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const keepSize, punchHole = 1, 2
	if in.Mode != keepSize|punchHole {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	n, unlock := b.node(in.NodeId)
	defer unlock()
	return fuse.Status(b.d.punch(n, int64(in.Offset), int64(in.Length)))
}

func (b *bridge) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n, unlock := b.node(in.NodeId)
	defer unlock()
	return fuse.Status(b.d.sync(n))
}

func (b *bridge) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return b.Fsync(cancel, in)
}

func (b *bridge) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (b *bridge) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	dir, unlock := b.node(in.NodeId)
	defer unlock()
	var names []string
	for name := range dir.names {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return int(int64(dir.names[x]) - int64(dir.names[y])) })
	for _, name := range names {
		n := b.d.inodes[dir.names[name]]
		if n.id <= in.Offset { // the kernel has it; numbers stay while others are removed
			continue
		}
		if !out.AddDirEntry(fuse.DirEntry{Name: name, Ino: n.id, Mode: n.mode, Off: n.id}) {
			break
		}
	}
	return fuse.OK
}

func (b *bridge) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (b *bridge) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

// StatFs tells of a disk with 64 GiB, nearly all of it free.
func (b *bridge) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	const blocks = 64 << 30 / pageSize
	*out = fuse.StatfsOut{Blocks: blocks, Bfree: blocks - 1, Bavail: blocks - 1, Files: 1 << 20, Ffree: 1 << 20,
		Bsize: pageSize, Frsize: pageSize, NameLen: 255}
	return fuse.OK
}
