package disk

import (
	"path"
	"syscall"
)

// Op is a kind of change or sync.
type Op int

// What a Fault can let fail.
const (
	Write    Op = iota // of data
	Truncate           // also when a file grows
	Punch              // of a hole
	Sync               // of a file or a directory
	Create             // of a file, a directory, a socket or a link
	Remove
	Rename
)

func (o Op) String() string {
	return [...]string{"write", "truncate", "punch", "sync", "create", "remove", "rename"}[o]
}

// Fault lets operations fail.
type Fault struct {
	Op    Op
	Name  string // pattern of path.Match for the last element of the path (of a rename: the new one)
	Nth   int    // counted from 1 since the fault was added
	Ever  bool   // and all later ones too
	Errno syscall.Errno

	seen int
}

// Inject adds a fault.
func (d *Disk) Inject(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, &f)
}

// Repair removes all faults.
func (d *Disk) Repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
}

func (d *Disk) fault(op Op, where string) syscall.Errno {
	for _, f := range d.faults {
		if ok, err := path.Match(f.Name, path.Base(where)); f.Op != op || !ok || err != nil {
			continue
		}
		f.seen++
		if f.seen == f.Nth || f.Ever && f.seen > f.Nth {
			return f.Errno
		}
	}
	return 0
}
