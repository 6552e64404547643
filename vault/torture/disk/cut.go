package disk

import (
	"fmt"
	"maps"
	"slices"
)

// Loss is what becomes of volatile changes at a cut.
type Loss int

// See the package comment.
const (
	LoseAll Loss = iota
	KeepAll
	Ordered
	Subset
	Torn
	losses
)

func (l Loss) String() string {
	return [...]string{"lose all", "keep all", "ordered", "subset", "torn"}[l]
}

// Report says what a cut met.
type Report struct {
	Step    int  // at which the power was cut
	Loss    Loss // of the names and most files
	Writes  int  // volatile changes of files
	Changed int  // files that had some
	Names   int  // volatile changes of names
	Forgot  int  // of those, how many are not there afterwards
}

func (r Report) String() string {
	return fmt.Sprintf("step %d, %v: %d un-synced writes in %d files, %d of %d un-synced names forgotten",
		r.Step, r.Loss, r.Writes, r.Changed, r.Forgot, r.Names)
}

// Cut cuts the power, if that has not happened yet, and returns the disk that is
// found afterwards: all of it is durable. How much is lost is drawn.
func (d *Disk) Cut() (*Disk, Report) {
	d.mu.Lock()
	loss := Loss(d.chance.IntN(int(losses)))
	d.mu.Unlock()
	return d.CutWith(loss)
}

// CutWith is Cut with a given Loss.
func (d *Disk) CutWith(loss Loss) (*Disk, Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off()
	r := Report{Step: d.steps, Loss: loss, Names: len(d.renames)}
	after := New(d.chance)
	after.last = d.last
	for id := uint64(rootID); id <= d.last; id++ { // in order: the map's is not reproducible
		n := d.inodes[id]
		if n == nil {
			continue
		}
		if len(n.pending) > 0 {
			r.Writes += len(n.pending)
			r.Changed++
		}
		m := *n
		m.safe = d.survivor(n, loss)
		m.now, m.pending = m.safe.clone(), nil
		m.names, m.safeNames = maps.Clone(n.safeNames), maps.Clone(n.safeNames)
		after.inodes[id] = &m
	}
	r.Forgot = d.surviveNames(after, loss)
	after.drop()
	return after, r
}

// survivor is what is found of a file.
func (d *Disk) survivor(n *inode, loss Loss) content {
	after, replay := n.safe.clone(), n.safe.clone()
	sizes := []int64{after.size}
	versions := make(map[int64]int) // of a sector, so far
	until := len(n.pending)
	switch loss {
	case LoseAll:
		until = 0
	case Ordered:
		until = d.chance.IntN(len(n.pending) + 1)
	}
	for _, ch := range n.pending[:until] {
		replay.apply(ch)
		sizes = append(sizes, ch.size)
		whole := d.chance.IntN(2) == 0
		ch.sectors(&after, func(sector int64) {
			versions[sector]++
			take := true
			switch loss {
			case Subset:
				take = whole
			case Torn:
				take = d.chance.IntN(versions[sector]+1) == 0
			}
			if take {
				after.copySector(&replay, sector)
			}
		})
	}
	size := replay.size
	if loss == Subset || loss == Torn {
		size = sizes[d.chance.IntN(len(sizes))]
	}
	after.shorten(size)
	return after
}

// surviveNames applies to after the changes of names that are found there, and
// returns how many are not.
func (d *Disk) surviveNames(after *Disk, loss Loss) (forgot int) {
	until := len(d.renames)
	switch loss {
	case LoseAll:
		until = 0
	case Ordered:
		until = d.chance.IntN(len(d.renames) + 1)
	}
	forgot = len(d.renames) - until
	for _, r := range d.renames[:until] {
		if loss == Subset || loss == Torn {
			switch d.chance.IntN(4) {
			case 0, 1:
				forgot++
				continue
			case 2:
				if r.newDir != 0 {
					r.oldDir = 0 // both names
				}
			}
		}
		after.settle(r)
	}
	for _, n := range after.inodes {
		n.names = maps.Clone(n.safeNames)
	}
	return forgot
}

// drop forgets inodes that no name leads to, and gives all others their path.
func (d *Disk) drop() {
	live := make(map[uint64]*inode)
	var visit func(id uint64, path string)
	visit = func(id uint64, path string) {
		n := d.inodes[id]
		if live[id] != nil {
			return
		}
		n.path = path
		live[id] = n
		for name, child := range n.names {
			visit(child, path+"/"+name)
		}
	}
	visit(rootID, "")
	d.inodes = live
}

// Durable calls f for each run of durable pages of each file, in order. f must
// change nothing.
func (d *Disk) Durable(f func(path string, off int64, b []byte)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.inodes {
		pages := slices.Sorted(maps.Keys(n.safe.pages))
		for i := 0; i < len(pages); {
			first := i
			var run []byte
			for ; i < len(pages) && pages[i]-pages[first] == int64(i-first); i++ {
				run = append(run, n.safe.pages[pages[i]][:]...)
			}
			f(n.path, pages[first]*pageSize, run)
		}
	}
}
