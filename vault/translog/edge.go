package translog

import (
	"fmt"
	"slices"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// edge keeps the newest hashes of each level of a growing tree, as many as a tile
// holds: enough to let it grow, for its root, and for its right-most tiles. It is
// a tlog.HashReader of these.
type edge struct {
	n      int64 // leaves
	levels [][torchwood.TileWidth]tlog.Hash
}

func (e *edge) add(record tlog.Hash) {
	hashes, err := tlog.StoredHashesForRecordHash(e.n, record, e)
	if err != nil {
		panic("translog: " + err.Error())
	}
	for level, h := range hashes {
		if level == len(e.levels) {
			e.levels = append(e.levels, [torchwood.TileWidth]tlog.Hash{})
		}
		e.levels[level][e.n>>level%torchwood.TileWidth] = h
	}
	e.n++
}

// ReadHashes implements tlog.HashReader.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if have := e.n >> level; n >= have || n < have-torchwood.TileWidth {
			return nil, fmt.Errorf("hash %d of level %d is not at the edge of %d leaves", n, level, e.n)
		}
		hashes[i] = e.levels[level][n%torchwood.TileWidth]
	}
	return hashes, nil
}

// tree is the tree so far.
func (e *edge) tree() tlog.Tree {
	root, err := tlog.TreeHash(e.n, e)
	if err != nil {
		panic("translog: " + err.Error())
	}
	return tlog.Tree{N: e.n, Hash: root}
}

func (e *edge) clone() edge { return edge{n: e.n, levels: slices.Clone(e.levels)} }
