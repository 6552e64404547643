package translog

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// bundlesAtOnce are read together, with their tiles. A bundle of event leaves has
// about 31,500 bytes; the worst one that the format allows has 16 MiB.
const bundlesAtOnce = 32

// Replay reads all leaves of tree that m has not taken yet, adds them to m,
// and proves that leaves, every tile and the root fit together, and that the tree
// begins with what m has taken before. onLeaf, if not nil, is called for each leaf
// that m has taken; the slice must not be kept.
//
// It reads each entry bundle once and each hash tile about once, whole ones and
// those at the right edge of this tree, 64 at a time and in order. A rule that a
// leaf breaks is named only if the tree does commit to that leaf.
//
// An error that is no *Violation comes from tiles or ctx. After an error m has
// taken the leaves before it.
func Replay(ctx context.Context, m *Monitor, tree tlog.Tree, tiles torchwood.TileReader, onLeaf func(index int64, leaf []byte)) error {
	if tree.N < 0 || tree.N > MaxLeaves {
		return &Violation{Fault: TooManyLeaves, Leaf: -1, What: fmt.Sprintf("a tree of %d leaves", tree.N)}
	}
	if onLeaf == nil {
		onLeaf = func(int64, []byte) {}
	}
	r := &replay{ctx: ctx, m: m, tree: tree, tiles: &tileReader{TileReader: tiles}, onLeaf: onLeaf}
	if err := r.grows(); err != nil {
		return err
	}
	for m.Size() < tree.N {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.batch(); err != nil {
			return err
		}
	}
	if root := m.Tree().Hash; root != tree.Hash {
		return &Violation{Fault: WrongRoot, Leaf: -1, What: fmt.Sprintf("%v instead of %v", root, tree.Hash)}
	}
	return m.Settled()
}

type replay struct {
	ctx    context.Context
	m      *Monitor
	tree   tlog.Tree
	tiles  *tileReader
	onLeaf func(int64, []byte)
	data   map[tlog.Tile][]byte // of this batch
}

// tileReader tells an error in reading from one in what was read.
type tileReader struct {
	torchwood.TileReader
	err error
}

func (r *tileReader) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data, err := r.TileReader.ReadTiles(ctx, tiles)
	if err == nil && len(data) != len(tiles) {
		err = fmt.Errorf("read %d tiles instead of %d", len(data), len(tiles))
	}
	r.err = errors.Join(r.err, err)
	return data, err
}

// hashes are those of the tree, each proven to lead to the root.
func (r *replay) hashes() tlog.HashReader {
	return torchwood.TileHashReaderWithContext(r.ctx, r.tree, r.tiles)
}

// unproven is what an error of hashes means.
func (r *replay) unproven(leaf int64, err error) error {
	if r.tiles.err != nil {
		return r.tiles.err
	}
	return &Violation{Fault: WrongTile, Leaf: leaf, What: "the hash tiles do not lead to the root: " + err.Error()}
}

// grows proves that the tree begins with the leaves taken before.
func (r *replay) grows() error {
	had := r.m.Tree()
	switch {
	case r.tree.N < had.N:
		return &Violation{Fault: RolledBack, Leaf: -1, What: fmt.Sprintf("%d leaves, %d before", r.tree.N, had.N)}
	case had.N == 0:
		return nil
	case r.tree.N > had.N:
		proof, err := tlog.ProveTree(r.tree.N, had.N, r.hashes())
		if err != nil {
			return r.unproven(-1, err)
		}
		if tlog.CheckTree(proof, r.tree.N, r.tree.Hash, had.N, had.Hash) == nil {
			return nil
		}
	case r.tree.Hash == had.Hash:
		return nil
	}
	return &Violation{Fault: Forked, Leaf: -1, What: fmt.Sprintf("the tree of %d leaves does not begin with those %d seen before", r.tree.N, had.N)}
}

// batch reads and takes the next bundles.
func (r *replay) batch() error {
	first := r.m.Size() / torchwood.TileWidth
	end := min((first+bundlesAtOnce)*torchwood.TileWidth, r.tree.N)
	if err := r.read(first, end); err != nil {
		return err
	}
	for n := first; r.m.Size() < end; n++ {
		if err := r.bundle(n); err != nil {
			return err
		}
	}
	if end < r.tree.N {
		return nil
	}
	for _, t := range rightEdge(r.tree.N) {
		if err := r.compare(t); err != nil {
			return err
		}
	}
	return nil
}

// read reads the bundles from number first to leaf end, and the tiles that these
// leaves fill; at the end of the tree also those that they do not fill.
func (r *replay) read(first, end int64) error {
	var list []tlog.Tile
	for n := first; n*torchwood.TileWidth < end; n++ {
		list = append(list, r.tile(-1, n), r.tile(0, n))
	}
	for _, t := range tlog.NewTiles(torchwood.TileHeight, first*torchwood.TileWidth, end) {
		if t.L > 0 && t.W == torchwood.TileWidth {
			list = append(list, t)
		}
	}
	if end == r.tree.N {
		for _, t := range rightEdge(r.tree.N) {
			if t.L > 0 {
				list = append(list, t)
			}
		}
	}
	data, err := r.tiles.ReadTiles(r.ctx, list)
	if err != nil {
		return err
	}
	r.data = make(map[tlog.Tile][]byte, len(list))
	for i, t := range list {
		if t.L >= 0 && len(data[i]) != t.W*tlog.HashSize {
			return &Violation{Fault: WrongTile, Leaf: -1, What: fmt.Sprintf("%s has %d bytes", torchwood.TilePath(t), len(data[i]))}
		}
		r.data[t] = data[i]
	}
	return nil
}

// tile is tile n of level 0, or bundle n (level -1), as wide as the tree has it.
func (r *replay) tile(level int, n int64) tlog.Tile {
	w := min(torchwood.TileWidth, r.tree.N-n*torchwood.TileWidth)
	return tlog.Tile{H: torchwood.TileHeight, L: level, N: n, W: int(w)}
}

// rightEdge are the partial tiles of a tree of n leaves.
func rightEdge(n int64) []tlog.Tile {
	var tiles []tlog.Tile
	for level := 0; n > 0; level++ {
		if w := int(n % torchwood.TileWidth); w > 0 {
			tiles = append(tiles, tlog.Tile{H: torchwood.TileHeight, L: level, N: n / torchwood.TileWidth, W: w})
		}
		n /= torchwood.TileWidth
	}
	return tiles
}

// bundle takes the leaves of bundle n, and compares the tiles that they fill.
func (r *replay) bundle(n int64) error {
	t := r.tile(-1, n)
	hashes := r.data[r.tile(0, n)]
	rest := r.data[t]
	start := n * torchwood.TileWidth
	had := r.m.Size()
	for i := start; i < start+int64(t.W); i++ {
		var entry []byte
		var err error
		if entry, rest, err = torchwood.ReadTileEntry(rest); err != nil {
			return &Violation{Fault: BadBundle, Leaf: i, What: err.Error()}
		}
		hash := tlog.RecordHash(entry)
		if served := hashes[(i-start)*tlog.HashSize:]; !bytes.Equal(hash[:], served[:tlog.HashSize]) {
			return r.blame(i, hash, &Violation{Fault: WrongTile, Leaf: i, What: "the hash tile of level 0 has another hash"})
		}
		if i < had {
			continue
		}
		if err := r.m.add(entry, hash); err != nil {
			return r.blame(i, hash, err)
		}
		r.onLeaf(i, entry)
	}
	if len(rest) > 0 {
		return &Violation{Fault: BadBundle, Leaf: -1, What: fmt.Sprintf("%s has %d bytes too many", torchwood.TilePath(t), len(rest))}
	}
	for _, t := range tlog.NewTiles(torchwood.TileHeight, had, r.m.Size()) {
		if t.W == torchwood.TileWidth {
			if err := r.compare(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare proves that a served tile is the one that the leaves make.
func (r *replay) compare(t tlog.Tile) error {
	want, err := tlog.ReadTileData(t, &r.m.edge)
	if err != nil {
		panic("translog: " + err.Error())
	}
	if !bytes.Equal(r.data[t], want) {
		return &Violation{Fault: WrongTile, Leaf: -1, What: torchwood.TilePath(t) + " is not what the entries make"}
	}
	return nil
}

// blame finds out who is to blame for a violation at a leaf: the leaf, if it is the
// one that the root commits to, else whoever served it or the tiles.
func (r *replay) blame(leaf int64, hash tlog.Hash, violation error) error {
	hashes, err := r.hashes().ReadHashes([]int64{tlog.StoredHashIndex(0, leaf)})
	if err != nil {
		return r.unproven(leaf, err)
	}
	if hashes[0] != hash {
		return &Violation{Fault: WrongEntry, Leaf: leaf, What: "the entry served is not the one in the tree"}
	}
	return violation
}
