package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// Bounds of what a log may cost us. A hostile one must neither hang nor exhaust us.
const (
	parallel      = 4 // requests at a time
	attempts      = 3 // of one request
	maxCheckpoint = 64 << 10
	maxEntry      = 65535   // bytes of a leaf; two more hold its length (c2sp.org/tlog-tiles)
	defaultLeaves = 1 << 22 // -max-leaves: 180 years of 16 leaves four times a day
	bytesAnyway   = 64 << 20
	bytesPerLeaf  = 1 << 10 // an event leaf costs 155, hashes included
	requestTime   = 2 * time.Minute
	timeAnyway    = 10 * time.Minute
	timePerLeaf   = 20 * time.Millisecond // 155 bytes at 8 KiB/s
)

// reader reads the files of a log, within bounds. It is a torchwood.TileReader.
//
// It keeps the hash tiles that it has read, so that nothing needs to be asked
// twice: what is asked later could tell what is being looked for.
type reader struct {
	at      place
	request time.Duration // for one attempt

	mu   sync.Mutex
	left int64 // bytes that may be read before more leaves are
	kept map[tlog.Tile][]byte
}

func newReader(at place) *reader {
	return &reader{at: at, request: requestTime, left: bytesAnyway, kept: make(map[tlog.Tile][]byte)}
}

// patience is how long a log of n leaves may take as a whole.
func patience(n int64) time.Duration { return timeAnyway + time.Duration(n)*timePerLeaf }

// read returns a file of at most limit bytes. The error is errMissing, a *finding,
// or a *say.Error.
func (r *reader) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	var err error
	for range attempts {
		var data []byte
		data, err = r.attempt(ctx, path, limit)
		if found := (*finding)(nil); err == nil || errors.Is(err, errMissing) || errors.As(err, &found) {
			return data, err
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
			break
		}
	}
	hint := say.T("the server, the mirror or Tor may be down: try again later; if it stays so, ask the operator and read a mirror")
	if told := (*say.Error)(nil); errors.As(err, &told) && !told.Hint.IsZero() {
		hint = told.Hint
	}
	return nil, &say.Error{What: say.T("%s cannot be read: %s", path, err), Hint: hint, Err: err}
}

func (r *reader) attempt(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.request,
		say.Fail(say.T("no whole answer within %s", r.request.String()), say.Text{}))
	defer cancel()
	body, err := r.at(ctx, path)
	if err == nil {
		defer body.Close()
		var data []byte
		data, err = io.ReadAll(io.LimitReader(body, limit+1))
		switch {
		case err != nil:
		case int64(len(data)) > limit:
			return nil, found(tooLong, path)
		case !r.spend(int64(len(data))):
			return nil, found(tooManyBytes, path)
		default:
			return data, nil
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, err
}

// spend counts bytes that were read, and reports whether that many were allowed.
func (r *reader) spend(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left -= n
	return r.left >= 0
}

// earn allows the bytes of n more leaves. What is saved does not grow without
// bound: however large a log is, a part of it must fit into memory.
func (r *reader) earn(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = min(r.left+int64(n)*bytesPerLeaf, bytesAnyway)
}

// ReadTiles reads some tiles at a time. Nothing about them is proven but that they
// are not too long.
func (r *reader) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, t := range tiles {
		group.Go(func() (err error) {
			data[i], err = r.tile(ctx, t)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, t := range tiles {
		if t.L >= 0 {
			r.kept[t] = data[i]
		}
	}
	return data, nil
}

// tile reads one tile. A partial one may have gone since the checkpoint was read,
// because the log has grown; then the whole one begins with it.
func (r *reader) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	if t.L < 0 {
		r.earn(t.W)
	}
	path := torchwood.TilePath(t)
	data, err := r.read(ctx, path, maxTile(t))
	if errors.Is(err, errMissing) && t.W < torchwood.TileWidth {
		whole := t
		whole.W = torchwood.TileWidth
		if data, err = r.read(ctx, torchwood.TilePath(whole), maxTile(whole)); err == nil {
			data, err = cut(data, t)
		}
	}
	if errors.Is(err, errMissing) {
		return nil, &say.Error{
			What: say.T("%s is missing, although the checkpoint covers it", path),
			Hint: say.T("a mirror may be in the middle of a change: try again in some minutes; if it stays so, somebody withholds a part of the log: tell the others"),
			Err:  err,
		}
	}
	return data, err
}

// maxTile is the most bytes that a tile can have.
func maxTile(t tlog.Tile) int64 {
	if t.L < 0 {
		return int64(t.W) * (2 + translog.MaxLeaf) // the length of an entry takes two bytes (c2sp.org/tlog-tiles)
	}
	return int64(t.W) * tlog.HashSize
}

// cut takes the first t.W hashes or entries of a whole tile.
func cut(whole []byte, t tlog.Tile) ([]byte, error) {
	if t.L >= 0 {
		return whole[:min(len(whole), t.W*tlog.HashSize)], nil
	}
	rest := whole
	for range t.W {
		var err error
		if _, rest, err = torchwood.ReadTileEntry(rest); err != nil {
			return nil, found(translog.BadBundle, torchwood.TilePath(t))
		}
	}
	return whole[:len(whole)-len(rest)], nil
}

// SaveTiles does nothing.
func (r *reader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadEndpoint reads a small file.
func (r *reader) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return r.read(ctx, path, maxCheckpoint)
}

// hashes reads hashes of a tree from the tiles that are kept. Every hash is
// proven to be in the tree by x/mod's tlog.
func (r *reader) hashes(tree tlog.Tree) tlog.HashReader {
	return tlog.TileHashReader(tree, keptTiles{r})
}

// keptTiles is a tlog.TileReader of the tiles that a reader has read.
type keptTiles struct{ r *reader }

func (k keptTiles) Height() int                     { return torchwood.TileHeight }
func (k keptTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (k keptTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var ok bool
		if data[i], ok = k.r.kept[t]; !ok {
			return nil, fmt.Errorf("tile %s was not read", torchwood.TilePath(t))
		}
	}
	return data, nil
}
