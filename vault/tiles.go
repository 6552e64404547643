package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"filippo.io/torchwood"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// tileKey is the key of a tile in its bucket: the level (ff for an entry bundle), then the index, big-endian.
// The value is the widest tile so far: narrower ones are prefixes of it.
func tileKey(t tlog.Tile) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(t.L)}, uint64(t.N))
}

// treeReader reads hashes from tiles, and from those of leaves that are not stored yet.
type treeReader struct {
	tiles *bbolt.Bucket
	fresh map[int64]tlog.Hash // by stored hash index; may be nil
}

// ReadHashes implements tlog.HashReader.
func (r treeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := r.fresh[index]
		if !ok {
			t := tlog.TileForIndex(torchwood.TileHeight, index)
			var err error
			if h, err = tlog.HashFromTile(t, r.tiles.Get(tileKey(t)), index); err != nil {
				return nil, fmt.Errorf("%w: hash %d of the log: %v", ErrDamaged, index, err)
			}
		}
		hashes[i] = h
	}
	return hashes, nil
}

// growth is what appended leaves make of the tree, before it is stored.
type growth struct {
	tree  tlog.Tree
	tiles map[string][]byte // by tileKey
}

// grow computes the tiles and the root after leaves are appended to a tree of size leaves.
func grow(tx *bbolt.Tx, size int64, leaves [][]byte) (growth, error) {
	r := treeReader{tiles: tx.Bucket([]byte(tilesBucket)), fresh: make(map[int64]tlog.Hash)}
	g := growth{tree: tlog.Tree{N: size + int64(len(leaves))}, tiles: make(map[string][]byte)}
	for i, leaf := range leaves {
		n := size + int64(i)
		hashes, err := tlog.StoredHashes(n, leaf, r)
		if err != nil {
			return growth{}, err
		}
		for j, h := range hashes {
			r.fresh[tlog.StoredHashCount(n)+int64(j)] = h
		}
		if err := g.bundle(r.tiles, n, leaf); err != nil {
			return growth{}, err
		}
	}
	for _, t := range tlog.NewTiles(torchwood.TileHeight, size, g.tree.N) {
		data, err := tlog.ReadTileData(t, r)
		if err != nil {
			return growth{}, err
		}
		g.tiles[string(tileKey(t))] = data
	}
	var err error
	g.tree.Hash, err = tlog.TreeHash(g.tree.N, r)
	return g, err
}

// bundle adds leaf n to its entry bundle.
func (g *growth) bundle(tiles *bbolt.Bucket, n int64, leaf []byte) error {
	key := tileKey(tlog.Tile{L: -1, N: n / torchwood.TileWidth})
	data, ok := g.tiles[string(key)]
	if !ok && n%torchwood.TileWidth != 0 {
		stored := tiles.Get(key)
		data = append(make([]byte, 0, len(stored)+16<<10), stored...)
	}
	data, err := torchwood.AppendTileEntry(data, leaf)
	g.tiles[string(key)] = data
	return err
}

// put stores the tiles.
func (g growth) put(tx *bbolt.Tx) error {
	b := tx.Bucket([]byte(tilesBucket))
	for key, data := range g.tiles {
		if err := b.Put([]byte(key), data); err != nil {
			return err
		}
	}
	return nil
}

// tile reads a tile of the tree with size leaves, or ErrNotFound.
func (v *Vault) tile(t tlog.Tile, size int64) (data []byte, err error) {
	width := size
	for range t.L {
		width /= torchwood.TileWidth
	}
	if t.H != torchwood.TileHeight || t.L < -1 || t.L > 7 || t.W < 1 || t.W > torchwood.TileWidth ||
		t.N < 0 || t.N > math.MaxInt64/torchwood.TileWidth-1 || t.N*torchwood.TileWidth+int64(t.W) > width {
		return nil, ErrNotFound
	}
	err = guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			data, err = cutTile(t, tx.Bucket([]byte(tilesBucket)).Get(tileKey(t)))
			return err
		})
	})
	if err != nil {
		return nil, v.readError(err)
	}
	return data, nil
}

// cutTile copies the part of width t.W out of a stored tile.
func cutTile(t tlog.Tile, stored []byte) ([]byte, error) {
	n := t.W * tlog.HashSize
	if t.L == -1 {
		rest := stored
		for range t.W {
			var err error
			if _, rest, err = torchwood.ReadTileEntry(rest); err != nil {
				return nil, fmt.Errorf("%w: entry bundle %d: %v", ErrDamaged, t.N, err)
			}
		}
		n = len(stored) - len(rest)
	}
	if n > len(stored) {
		return nil, fmt.Errorf("%w: tile %d of level %d is too short", ErrDamaged, t.N, t.L)
	}
	return append([]byte(nil), stored[:n]...), nil
}

// ownTiles is the vault's signed tree as a torchwood.TileReader.
type ownTiles struct {
	v    *Vault
	size int64
}

func (o ownTiles) ReadTiles(_ context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = o.v.tile(t, o.size); err != nil {
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("%w: tile %s is missing", ErrDamaged, torchwood.TilePath(t))
			}
			return nil, err
		}
	}
	return data, nil
}

func (o ownTiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (o ownTiles) ReadEndpoint(context.Context, string) ([]byte, error) { return nil, ErrNotFound }
