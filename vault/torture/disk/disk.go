package disk

import (
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"
)

// rootID is the inode of the root directory.
const rootID = 1

// inode is a file, a directory or a socket.
type inode struct {
	id       uint64
	mode     uint32 // type and permissions, as in stat
	uid, gid uint32
	time     time.Time
	path     string // by which it was made or renamed last

	now, safe content // what the disk shows, and what is durable
	pending   []change

	names, safeNames map[string]uint64 // of a directory
}

func (n *inode) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// rename is one volatile change of names: the link oldName in oldDir goes (0 =
// there is none), newName in newDir comes.
type rename struct {
	id             uint64
	oldDir, newDir uint64
	oldName        string
	newName        string
}

// Chance decides what a fault and a cut leave: a *rand.Rand of math/rand/v2, whose
// seed makes a run repeatable. Nobody else may use it.
type Chance interface {
	IntN(n int) int
}

// Disk is a file system whose power can be cut. Methods may be called from many goroutines.
type Disk struct {
	mu      sync.Mutex
	chance  Chance
	inodes  map[uint64]*inode
	last    uint64
	renames []rename // volatile, in order

	steps  int // changes and syncs so far
	cutAt  int // the step that no longer happens; 0 = none
	atSync bool
	cut    bool
	dark   chan struct{} // closed when the power is cut
	liar   bool
	faults []*Fault
}

// New returns an empty disk, whose root belongs to this process's account.
func New(c Chance) *Disk {
	d := &Disk{chance: c, inodes: make(map[uint64]*inode), last: rootID, dark: make(chan struct{})}
	d.inodes[rootID] = &inode{id: rootID, mode: syscall.S_IFDIR | 0o700, uid: uint32(os.Getuid()), gid: uint32(os.Getgid()), time: time.Now(),
		path: "/", names: make(map[string]uint64), safeNames: make(map[string]uint64)}
	return d
}

// Copy returns a disk with what is durable on this one, for another run. It has no faults.
func (d *Disk) Copy(c Chance) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	other := New(c)
	other.last = d.last
	for id, n := range d.inodes {
		m := *n
		m.safe = n.safe.clone()
		m.now, m.pending = m.safe.clone(), nil
		m.safeNames, m.names = maps.Clone(n.safeNames), maps.Clone(n.safeNames)
		other.inodes[id] = &m
	}
	other.drop()
	return other
}

// CutAt cuts the power at the nth change or sync from now on: that one does not happen
// any more, and everything fails with EIO from then on.
func (d *Disk) CutAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt, d.atSync = d.steps+n, false
}

// CutAtSync is CutAt for the first sync from the nth step on: most is volatile then.
func (d *Disk) CutAtSync(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutAt, d.atSync = d.steps+n, true
}

// Dark is closed when the power has been cut.
func (d *Disk) Dark() <-chan struct{} { return d.dark }

// Lie makes syncs return at once and change nothing, as a disk does that ignores
// flushes or a program that does not sync.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.liar = true
}

// Steps is the number of changes and syncs so far.
func (d *Disk) Steps() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.steps
}

// Off cuts the power now, if it is not cut yet.
func (d *Disk) Off() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off()
}

func (d *Disk) off() {
	if !d.cut {
		d.cut = true
		close(d.dark)
	}
}

// step counts a change or a sync and says whether it happens. d.mu must be held.
func (d *Disk) step(op Op, n *inode) syscall.Errno {
	if d.cut {
		return syscall.EIO
	}
	d.steps++
	if d.cutAt > 0 && d.steps >= d.cutAt && (op == Sync || !d.atSync) {
		d.off()
		return syscall.EIO
	}
	return d.fault(op, n.path)
}

// change applies a change that is volatile.
func (n *inode) change(ch change) {
	n.now.apply(ch)
	n.time = time.Now()
	n.pending = append(n.pending, ch)
}

// write is what pwrite does. On a fault a part of it may have been written.
func (d *Disk) write(n *inode, p []byte, off int64) (int, syscall.Errno) {
	errno := d.step(Write, n)
	if errno == syscall.ENOSPC || errno == syscall.EDQUOT {
		if pages := d.chance.IntN(len(p)/pageSize + 1); pages > 0 {
			d.put(n, p[:pages*pageSize], off)
		}
	}
	if errno != 0 {
		return 0, errno
	}
	d.put(n, p, off)
	return len(p), 0
}

func (d *Disk) put(n *inode, p []byte, off int64) {
	end := off + int64(len(p))
	n.change(change{off: off, end: end, data: slices.Clone(p), size: max(n.now.size, end)})
}

func (d *Disk) truncate(n *inode, size int64) syscall.Errno {
	if errno := d.step(Truncate, n); errno != 0 {
		return errno
	}
	n.change(change{off: size, end: max(size, n.now.size), size: size})
	return 0
}

// punch makes zeros and leaves the size alone.
func (d *Disk) punch(n *inode, off, size int64) syscall.Errno {
	if errno := d.step(Punch, n); errno != 0 {
		return errno
	}
	n.change(change{off: off, end: off + size, size: n.now.size})
	return 0
}

// sync is fsync and fdatasync of a file, and of a directory.
func (d *Disk) sync(n *inode) syscall.Errno {
	errno := d.step(Sync, n)
	switch {
	case d.cut:
	case errno != 0 && !n.isDir():
		n.safe = d.survivor(n, Torn)
		n.safe.size = n.now.size
		n.now, n.pending = n.safe.clone(), nil
	case errno != 0 || d.liar:
	case n.isDir():
		d.syncNames(n.id)
	default:
		for _, ch := range n.pending {
			n.safe.apply(ch)
		}
		n.pending = nil
	}
	return errno
}

// syncNames makes the names in a directory durable, and what happened before to
// the files that they name.
func (d *Disk) syncNames(dir uint64) {
	touched := make([]bool, len(d.renames))
	ids := make(map[uint64]bool)
	for i, r := range slices.Backward(d.renames) {
		if r.oldDir == dir || r.newDir == dir || ids[r.id] {
			touched[i], ids[r.id] = true, true
		}
	}
	var rest []rename
	for i, r := range d.renames {
		if touched[i] {
			d.settle(r)
		} else {
			rest = append(rest, r)
		}
	}
	d.renames = rest
}

// settle makes a change of names durable.
func (d *Disk) settle(r rename) {
	if r.newDir != 0 {
		d.inodes[r.newDir].safeNames[r.newName] = r.id
	}
	if r.oldDir != 0 {
		if names := d.inodes[r.oldDir].safeNames; names[r.oldName] == r.id {
			delete(names, r.oldName)
		}
	}
}

// name changes names.
func (d *Disk) name(r rename) {
	if r.oldDir != 0 {
		delete(d.inodes[r.oldDir].names, r.oldName)
		d.inodes[r.oldDir].time = time.Now()
	}
	if r.newDir != 0 {
		dir := d.inodes[r.newDir]
		dir.names[r.newName] = r.id
		dir.time = time.Now()
		d.inodes[r.id].path = path.Join(dir.path, r.newName)
	}
	d.renames = append(d.renames, r)
}

// create makes a file, a directory or a socket.
func (d *Disk) create(dir *inode, name string, mode, uid, gid uint32) (*inode, syscall.Errno) {
	if dir.names[name] != 0 {
		return nil, syscall.EEXIST
	}
	if errno := d.step(Create, &inode{path: path.Join(dir.path, name)}); errno != 0 {
		return nil, errno
	}
	d.last++
	n := &inode{id: d.last, mode: mode, uid: uid, gid: gid, time: time.Now()}
	if n.isDir() {
		n.names, n.safeNames = make(map[string]uint64), make(map[string]uint64)
	}
	d.inodes[n.id] = n
	d.name(rename{id: n.id, newDir: dir.id, newName: name})
	return n, 0
}

// link gives a file another name.
func (d *Disk) link(n, dir *inode, name string) syscall.Errno {
	if dir.names[name] != 0 {
		return syscall.EEXIST
	}
	if errno := d.step(Create, &inode{path: path.Join(dir.path, name)}); errno != 0 {
		return errno
	}
	d.name(rename{id: n.id, newDir: dir.id, newName: name})
	return 0
}

// remove removes a name.
func (d *Disk) remove(dir *inode, name string, wantDir bool) syscall.Errno {
	n := d.inodes[dir.names[name]]
	switch {
	case n == nil:
		return syscall.ENOENT
	case wantDir && !n.isDir():
		return syscall.ENOTDIR
	case !wantDir && n.isDir():
		return syscall.EISDIR
	case len(n.names) > 0:
		return syscall.ENOTEMPTY
	}
	if errno := d.step(Remove, n); errno != 0 {
		return errno
	}
	d.name(rename{id: n.id, oldDir: dir.id, oldName: name})
	return 0
}

// move is rename(2); with keep it is RENAME_NOREPLACE.
func (d *Disk) move(oldDir *inode, oldName string, newDir *inode, newName string, keep bool) syscall.Errno {
	n, target := d.inodes[oldDir.names[oldName]], d.inodes[newDir.names[newName]]
	switch {
	case n == nil:
		return syscall.ENOENT
	case n == target:
		return 0
	case target == nil:
	case keep:
		return syscall.EEXIST
	case len(target.names) > 0:
		return syscall.ENOTEMPTY
	}
	if errno := d.step(Rename, &inode{path: path.Join(newDir.path, newName)}); errno != 0 {
		return errno
	}
	d.name(rename{id: n.id, oldDir: oldDir.id, oldName: oldName, newDir: newDir.id, newName: newName})
	return 0
}
