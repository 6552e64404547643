package vault

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

// Recover appends to an old copy the leaves that it lacks, from a mirror, and takes
// over the mirror's checkpoint: nothing is signed. tiles must hold that tree. own is the
// key of this log: a checkpoint that it has not signed is refused. Events that
// are queued here and logged there leave the queue.
//
// Cases whose deletion is in those leaves are destroyed before it returns.
//
// Recover returns the range of leaves that this copy did not have, to-1 the last
// one: what belonged to them is lost. After an error nothing has changed.
func (v *Vault) Recover(ctx context.Context, checkpoint []byte, tiles torchwood.TileReader, own note.Verifier) (from, to int64, err error) {
	err = v.exclusive(ctx, func() error {
		from, to, err = v.recover(ctx, checkpoint, tiles, own)
		return err
	})
	return from, to, err
}

func (v *Vault) recover(ctx context.Context, checkpoint []byte, tiles torchwood.TileReader, own note.Verifier) (from, to int64, err error) {
	l := &v.log
	mirror, err := verifiedBy(checkpoint, own)
	if err != nil {
		return 0, 0, err
	}
	switch from = l.tree.N; {
	case l.monitor == nil && l.signed != nil:
		return 0, 0, l.stop
	case mirror.N < from:
		return 0, 0, fmt.Errorf("the mirror has %d leaves, this copy %d", mirror.N, from)
	}
	if err := v.compareMark(ctx, mirror.Tree, tiles); err != nil {
		return 0, 0, err
	}
	leaves, err := readLeaves(ctx, tiles, mirror.Tree, from)
	if err != nil {
		return 0, 0, err
	}
	m := l.monitor
	if m == nil {
		if len(leaves) == 0 {
			return 0, 0, ErrNoLog
		}
		if m, err = beginMonitor(leaves[0]); err != nil {
			return 0, 0, err
		}
	}
	take := func(c torchwood.Checkpoint) ([]byte, error) {
		if c.Tree != mirror.Tree {
			return nil, fmt.Errorf("%w: the mirror's history of these %d leaves is another", ErrOldCopy, mirror.N)
		}
		return checkpoint, nil
	}
	if err := v.extend(m, leaves, take, func(tx *bbolt.Tx) error { return dequeue(tx, m) }); err != nil {
		return 0, 0, err
	}
	l.mu.Lock()
	l.stop = nil
	l.mu.Unlock()
	return from, mirror.N, v.applyTombstones(v.index.caseIDs(""))
}

// compareMark proves that what was signed here last is a part of the mirror's tree.
func (v *Vault) compareMark(ctx context.Context, mirror tlog.Tree, tiles torchwood.TileReader) error {
	mark := v.log.mark
	switch {
	case mark.N == 0:
		return nil
	case mark.N > mirror.N:
		return fmt.Errorf("%w: the mirror has %d leaves, %d were signed here: it is old too", ErrOldCopy, mirror.N, mark.N)
	}
	root, err := tlog.TreeHash(mark.N, torchwood.TileHashReaderWithContext(ctx, mirror, tiles))
	if err != nil {
		return err
	}
	if root != mark.Hash {
		return fmt.Errorf("%w: the mirror's history is not the one that was signed here", ErrOldCopy)
	}
	return nil
}

// dequeue drops events that the log has.
func dequeue(tx *bbolt.Tx, m *translog.Monitor) error {
	queue := tx.Bucket([]byte(queueBucket))
	var logged [][]byte
	err := queue.ForEach(func(tag, _ []byte) error {
		if len(tag) == 32 && m.Has([32]byte(tag)) {
			logged = append(logged, append([]byte(nil), tag...))
		}
		return nil
	})
	for _, tag := range logged {
		err = errors.Join(err, queue.Delete(tag))
	}
	return err
}

// bundlesAtOnce is how many entry bundles are read together.
const bundlesAtOnce = 16

// readLeaves reads the leaves of a tree from index from on. They are proven by the root only.
func readLeaves(ctx context.Context, tiles torchwood.TileReader, tree tlog.Tree, from int64) (leaves [][]byte, err error) {
	for n := from / torchwood.TileWidth; n*torchwood.TileWidth < tree.N; n += bundlesAtOnce {
		var want []tlog.Tile
		for i := n; i < n+bundlesAtOnce && i*torchwood.TileWidth < tree.N; i++ {
			want = append(want, tlog.Tile{H: torchwood.TileHeight, L: -1, N: i, W: int(min(torchwood.TileWidth, tree.N-i*torchwood.TileWidth))})
		}
		bundles, err := tiles.ReadTiles(ctx, want)
		if err != nil {
			return nil, err
		}
		for i, bundle := range bundles {
			for k := range want[i].W {
				var leaf []byte
				if leaf, bundle, err = torchwood.ReadTileEntry(bundle); err != nil {
					return nil, fmt.Errorf("%s: %w", torchwood.TilePath(want[i]), err)
				}
				if want[i].N*torchwood.TileWidth+int64(k) >= from {
					leaves = append(leaves, leaf)
				}
			}
		}
	}
	return leaves, nil
}
