// Package publiclog reads the public log of a vault and proves it: the log's
// signature, the policy if there is one, every leaf and every tile, and that the
// log has not lost or changed what was seen of it before.
//
// Nothing is taken from the server's word but, at the first meeting and without a
// policy, which key the log has.
package publiclog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"resguardo/vault/translog"
)

// Limits of what a server can make the program read and hold.
const (
	maxCheckpoint = 64 << 10
	maxLeaves     = 1 << 22 // 180 years of 64 leaves a day
	bytesAnyway   = 64 << 20
	bytesPerLeaf  = 1 << 10 // an event leaf costs 155, hashes included
	atOnce        = 4       // files
)

// ErrNoLog: the server has no checkpoint.
var ErrNoLog = errors.New("the vault serves no log")

// Broken is a log that is not what it must be.
type Broken struct {
	Fault translog.Fault
	What  string // more, for experts; in English
	Text  []byte // of the checkpoint
}

func (b *Broken) Error() string { return fmt.Sprintf("log: %s: %s", b.Fault, b.What) }

// Faults of a checkpoint, beside those of translog.
const (
	BadCheckpoint translog.Fault = "bad-checkpoint" // malformed, or not signed by the key of the log
	WrongGenesis  translog.Fault = "wrong-genesis"  // the first leaf is not that of this vault and key
)

// Store keeps what was read of a log for the next time. What it returns is
// proven again.
type Store interface {
	Tile(path string) (data []byte, ok bool)
	KeepTile(path string, data []byte) error
	DropTiles() error
}

// Known is what is known of a log from elsewhere.
type Known struct {
	Origin string
	Key    string // verifier key of the log; empty: take the one in genesis
	Policy []byte // C2SP tlog-policy; empty: the key's signature is enough
	Last   []byte // checkpoint that was right before; empty: none
}

// Event is an event leaf of the log.
type Event struct {
	Leaf       int64
	Epoch      int64
	Commitment [32]byte
}

// Log is a log that was proven.
type Log struct {
	*translog.Monitor
	Key        string             // verifier key
	Checkpoint []byte             // signed
	Witnessed  bool               // the policy is satisfied; true without a policy
	Events     map[[32]byte]Event // those that were wanted, by tag
}

// Read reads and proves the log. file reads one file of it, by its path below the
// log, of at most max bytes; it may be called by several goroutines. wanted are
// tags to find. The error is ErrNoLog, a *Broken, or that of file or store.
func Read(ctx context.Context, k Known, file func(ctx context.Context, path string, max int64) ([]byte, error), missing error, store Store, wanted map[[32]byte]bool) (*Log, error) {
	text, err := file(ctx, "checkpoint", maxCheckpoint)
	if errors.Is(err, missing) {
		return nil, ErrNoLog
	}
	if err != nil {
		return nil, err
	}
	l, err := read(ctx, k, &reader{file: file, store: store}, text, wanted)
	var broken *Broken
	if !errors.As(err, &broken) {
		return l, err
	}
	// The tiles that we kept may be what is damaged: without them, once more.
	if err := store.DropTiles(); err != nil {
		return nil, err
	}
	l, err = read(ctx, k, &reader{file: file, store: store}, text, wanted)
	if errors.As(err, &broken) {
		err = errors.Join(err, store.DropTiles())
	}
	return l, err
}

func read(ctx context.Context, k Known, r *reader, text []byte, wanted map[[32]byte]bool) (*Log, error) {
	l := &Log{Key: k.Key, Checkpoint: text, Events: make(map[[32]byte]Event)}
	broken := func(f translog.Fault, err error) error { return &Broken{f, err.Error(), text} }
	if l.Key == "" {
		var err error
		if l.Key, err = r.firstKey(ctx, text, k.Origin); err != nil {
			return nil, wrap(err, text)
		}
	}
	c, err := verify(text, k.Origin, l.Key)
	if err != nil {
		return nil, broken(BadCheckpoint, err)
	}
	if c.N > maxLeaves {
		return nil, broken(translog.TooManyLeaves, fmt.Errorf("%d", c.N))
	}
	l.Witnessed = k.Policy == nil
	if k.Policy != nil {
		policy, err := ParsePolicy(k.Policy)
		if err != nil {
			return nil, err
		}
		_, _, err = torchwood.VerifyCheckpoint(text, policy)
		l.Witnessed = err == nil
	}
	before, err := k.before(l.Key, c)
	if err != nil {
		return nil, wrap(err, text)
	}
	r.left = bytesAnyway + c.N*bytesPerLeaf
	if err := l.replay(ctx, c.Tree, before, r, wanted); err != nil {
		return nil, wrap(err, text)
	}
	if l.Genesis() == nil || l.Genesis().Origin != k.Origin || l.Genesis().Log != l.Key {
		return nil, broken(WrongGenesis, errors.New("the first leaf is of another log"))
	}
	return l, nil
}

// wrap makes a *Broken of a violation and leaves other errors as they are.
func wrap(err error, text []byte) error {
	var v *translog.Violation
	if errors.As(err, &v) {
		return &Broken{v.Fault, v.Error(), text}
	}
	return err
}

// verify opens a checkpoint that the log has signed.
func verify(text []byte, origin, key string) (torchwood.Checkpoint, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return torchwood.Checkpoint{}, err
	}
	c, _, err := torchwood.VerifyCheckpoint(text, torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(v)))
	return c, err
}

// before is the tree seen last; the zero tree if none was.
func (k Known) before(key string, now torchwood.Checkpoint) (tlog.Tree, error) {
	if k.Last == nil {
		return tlog.Tree{}, nil
	}
	c, err := verify(k.Last, k.Origin, key)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	violation := &translog.Violation{Leaf: -1, What: fmt.Sprintf("%d leaves, %d before", now.N, c.N)}
	switch {
	case now.N < c.N:
		violation.Fault = translog.RolledBack
		return tlog.Tree{}, violation
	case now.N == c.N && now.Hash != c.Hash:
		violation.Fault = translog.Forked
		return tlog.Tree{}, violation
	}
	return c.Tree, nil
}

// ErrDamaged: what was kept is no checkpoint of this log.
var ErrDamaged = errors.New("the checkpoint that was kept is damaged")

// replay proves every leaf and finds the wanted ones.
func (l *Log) replay(ctx context.Context, tree, before tlog.Tree, r *reader, wanted map[[32]byte]bool) error {
	l.Monitor = translog.NewMonitor(l.Key)
	forked := false
	err := translog.Replay(ctx, l.Monitor, tree, r, func(index int64, leaf []byte) {
		if index+1 == before.N {
			forked = l.Tree().Hash != before.Hash
		}
		if e, err := translog.ParseLeaf(leaf); err == nil && wanted[e.Tag] {
			l.Events[e.Tag] = Event{index, e.Epoch, e.Commitment}
		}
	})
	if forked {
		return &translog.Violation{Fault: translog.Forked, Leaf: -1,
			What: fmt.Sprintf("the tree of %d leaves does not begin with those %d seen before", tree.N, before.N)}
	}
	if errors.Is(err, errTooMuch) {
		return &translog.Violation{Fault: translog.TooLong, Leaf: -1, What: err.Error()}
	}
	return err
}

// ParsePolicy reads a C2SP tlog-policy of one log.
func ParsePolicy(text []byte) (torchwood.Policy, error) {
	if _, err := PolicyKey(text); err != nil {
		return nil, err
	}
	return torchwood.ParsePolicy(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
}

// reader reads the files of a log, within bounds. It is a torchwood.TileReader.
type reader struct {
	file  func(ctx context.Context, path string, max int64) ([]byte, error)
	store Store

	mu   sync.Mutex
	left int64 // bytes that may still be read
}

var errTooMuch = errors.New("more bytes than a log of its size has")

// firstKey takes the key of the log from the first leaf of the tree that text
// claims. Nothing is verified.
func (r *reader) firstKey(ctx context.Context, text []byte, origin string) (string, error) {
	_, err := note.Open(text, nil)
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return "", &Broken{BadCheckpoint, "not a signed note", text}
	}
	c, err := torchwood.ParseCheckpoint(unverified.Note.Text)
	if err != nil || c.N < 1 {
		return "", &Broken{BadCheckpoint, "not a checkpoint", text}
	}
	t := tlog.Tile{H: torchwood.TileHeight, L: -1, W: int(min(c.N, torchwood.TileWidth))}
	bundle, err := r.file(ctx, torchwood.TilePath(t), maxTile(t))
	if err != nil {
		return "", err
	}
	first, _, err := torchwood.ReadTileEntry(bundle)
	if err != nil {
		return "", &Broken{translog.BadBundle, err.Error(), text}
	}
	g, err := translog.ParseGovernance(first)
	if err != nil {
		return "", &Broken{translog.NoGenesis, err.Error(), text}
	}
	genesis, ok := g.Body.(*translog.Genesis)
	if !ok || genesis.Origin != origin {
		return "", &Broken{WrongGenesis, "the first leaf is of another log", text}
	}
	return genesis.Log, nil
}

// ReadTiles reads some tiles at a time. Nothing about them is proven but that they
// are not too long.
func (r *reader) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, t := range tiles {
		group.Go(func() (err error) {
			data[i], err = r.tile(ctx, t)
			return err
		})
	}
	return data, group.Wait()
}

// tile reads a tile: a whole one from the store if it is there.
func (r *reader) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	path := torchwood.TilePath(t)
	whole := t.W == torchwood.TileWidth
	if whole {
		if data, ok := r.store.Tile(path); ok && int64(len(data)) <= maxTile(t) {
			return data, nil
		}
	}
	data, err := r.file(ctx, path, maxTile(t))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.left -= int64(len(data))
	over := r.left < 0
	r.mu.Unlock()
	if over {
		return nil, errTooMuch
	}
	if whole {
		return data, r.store.KeepTile(path, data)
	}
	return data, nil
}

// maxTile is the most bytes that a tile can have.
func maxTile(t tlog.Tile) int64 {
	if t.L < 0 {
		return int64(t.W) * (2 + translog.MaxLeaf) // the length of an entry takes two bytes (c2sp.org/tlog-tiles)
	}
	return int64(t.W) * tlog.HashSize
}

// SaveTiles does nothing: tile keeps what it reads.
func (r *reader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadEndpoint reads a small file.
func (r *reader) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return r.file(ctx, path, maxCheckpoint)
}
