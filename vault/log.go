package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"filippo.io/torchwood"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

var (
	// ErrOldCopy: somebody has seen more of the log than this copy of the vault
	// holds, or another history. Nothing is signed. See Vault.Recover.
	ErrOldCopy = errors.New("this is an old copy of the vault")
	// ErrNoHighWater: the file high-water is missing, as after a restore, so that
	// nobody can say whether this is an old copy. Nothing is signed. See Vault.TrustCopy.
	ErrNoHighWater = errors.New("high-water is missing")
	// ErrNoLog: BeginLog has not been called yet.
	ErrNoLog = errors.New("the log has not begun")
)

// highWaterName is the file with the newest checkpoint that was signed; Init makes
// it empty. It belongs into no backup: it is what tells an old copy from the vault.
const highWaterName = "high-water"

// Keys of the bucket vault that belong to the log.
var (
	signedKey    = []byte("signed")    // newest checkpoint, signed by our key alone
	publishedKey = []byte("published") // checkpoint that others see, with cosignatures
	witnessedKey = []byte("witnessed") // epoch that a witnessed checkpoint covers, epoch in which it was published; 8 bytes each
)

// publicLog is the log in RAM. Only the writer changes it.
type publicLog struct {
	mu        sync.RWMutex
	monitor   *translog.Monitor // nil before BeginLog, and when stop is set because of damage
	tree      tlog.Tree
	signed    []byte
	published []byte
	size      int64 // leaves that the published checkpoint covers
	covers    int64 // last epoch that a witnessed checkpoint covers
	witnessed int64 // epoch in which that one was published
	stop      error // why nothing may be signed

	mark tlog.Tree // of high-water, as Open found it
}

// loadLog reads the log and proves it: every leaf, every tile, the root of the
// signed checkpoint, and that high-water is a part of it. What is wrong stops
// the signing, and nothing else.
func (v *Vault) loadLog() error {
	l := &v.log
	err := v.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(vaultBucket))
		l.signed = append(l.signed, b.Get(signedKey)...)
		l.published = append(l.published, b.Get(publishedKey)...)
		if w := b.Get(witnessedKey); len(w) == 16 {
			l.covers, l.witnessed = int64(binary.BigEndian.Uint64(w)), int64(binary.BigEndian.Uint64(w[8:]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.stop = v.proveLog()
	return nil
}

func (v *Vault) proveLog() error {
	l := &v.log
	if l.signed == nil {
		return v.compareHighWater()
	}
	signed, err := parseCheckpoint(l.signed)
	if err != nil {
		return fmt.Errorf("%w: the signed checkpoint: %v", ErrDamaged, err)
	}
	l.tree = signed.Tree
	if published, err := parseCheckpoint(l.published); err == nil {
		l.size = published.N
	}
	if l.monitor, err = v.replay(context.Background(), nil); err != nil {
		return err
	}
	g := l.monitor.Genesis()
	if signed.Origin != g.Origin || !v.genesis.matches(g) {
		return fmt.Errorf("%w: the log's genesis is not that of this vault", ErrDamaged)
	}
	key, err := note.NewVerifier(g.Log)
	if err != nil {
		return fmt.Errorf("%w: the log's key: %v", ErrDamaged, err)
	}
	if _, err := verifiedBy(l.signed, key); err != nil {
		return fmt.Errorf("%w: the signed checkpoint: %v", ErrDamaged, err)
	}
	if err := v.provePublished(key); err != nil {
		return fmt.Errorf("%w: the published checkpoint: %v", ErrDamaged, err)
	}
	return v.compareHighWater()
}

// provePublished proves that what others see is signed, and a part of the log.
func (v *Vault) provePublished(key note.Verifier) error {
	l := &v.log
	if l.published == nil {
		return nil
	}
	published, err := verifiedBy(l.published, key)
	if err != nil {
		return err
	}
	if published.N > l.tree.N {
		return errors.New("it covers more than was signed")
	}
	root, err := tlog.TreeHash(published.N, v.Hashes())
	if err == nil && root != published.Hash {
		err = errors.New("it is of another history")
	}
	return err
}

// replay makes a monitor of the stored log and calls onLeaf, if not nil, for each leaf.
func (v *Vault) replay(ctx context.Context, onLeaf func(int64, []byte)) (*translog.Monitor, error) {
	tree := v.signedTree()
	bundle, err := v.tile(tlog.Tile{H: torchwood.TileHeight, L: -1, W: 1}, tree.N)
	if err != nil {
		return nil, fmt.Errorf("%w: the first leaf: %v", ErrDamaged, err)
	}
	first, _, err := torchwood.ReadTileEntry(bundle)
	if err != nil {
		return nil, fmt.Errorf("%w: the first leaf: %v", ErrDamaged, err)
	}
	m, err := beginMonitor(first)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if err := translog.Replay(ctx, m, tree, ownTiles{v, tree.N}, onLeaf); err != nil {
		return nil, fmt.Errorf("%w: the log: %w", ErrDamaged, err)
	}
	return m, nil
}

// beginMonitor takes the log key from the genesis note: the vault follows its own log.
func beginMonitor(genesis []byte) (*translog.Monitor, error) {
	n, err := translog.ParseGovernance(genesis)
	if err != nil {
		return nil, err
	}
	g, ok := n.Body.(*translog.Genesis)
	if !ok {
		return nil, errors.New("the first leaf is not genesis")
	}
	return translog.NewMonitor(g.Log), nil
}

// matches tells whether a log began with what Init fixed.
func (g Genesis) matches(l *translog.Genesis) bool {
	return g.Origin == l.Origin && g.Epoch == l.Epoch && g.Slots == l.Slots && g.Salt == l.Salt &&
		g.Time == l.Time && g.Memory == l.Memory && g.Threads == l.Threads
}

// compareHighWater proves that the newest checkpoint ever signed here is a part of the log.
func (v *Vault) compareHighWater() error {
	l := &v.log
	text, err := os.ReadFile(filepath.Join(v.dir, highWaterName))
	switch {
	case errors.Is(err, os.ErrNotExist) && l.signed == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return ErrNoHighWater
	case err != nil:
		return err
	case len(text) == 0 && l.signed == nil:
		return nil
	case len(text) == 0 && l.published == nil: // BeginLog was cut short: nobody has seen its checkpoint
		return v.writeHighWater()
	}
	mark, err := parseCheckpoint(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %v", ErrDamaged, highWaterName, err)
	}
	if l.monitor != nil {
		key, err := note.NewVerifier(l.monitor.Genesis().Log)
		if err == nil {
			_, err = verifiedBy(text, key)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %v", ErrDamaged, highWaterName, err)
		}
	}
	l.mark = mark.Tree
	if mark.N > l.tree.N {
		return fmt.Errorf("%w: it has %d leaves, %d were signed", ErrOldCopy, l.tree.N, mark.N)
	}
	root, err := tlog.TreeHash(mark.N, v.Hashes())
	if err != nil {
		return err
	}
	if root != mark.Hash {
		return fmt.Errorf("%w: another history of %d leaves was signed", ErrOldCopy, mark.N)
	}
	return nil
}

// writeHighWater makes the newest signed checkpoint durable outside the database.
func (v *Vault) writeHighWater() error {
	path := filepath.Join(v.dir, highWaterName)
	// A cut rename can leave both names on one file: never write into what is there.
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(v.log.signed)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(v.dir)
}

func parseCheckpoint(text []byte) (torchwood.Checkpoint, error) {
	body, _, ok := cutNote(text)
	if !ok {
		return torchwood.Checkpoint{}, errors.New("not a signed note")
	}
	return torchwood.ParseCheckpoint(body)
}

// Signed is the newest checkpoint that our key has signed (a C2SP signed note, no
// cosignatures); nil before BeginLog. It must not be modified.
func (v *Vault) Signed() []byte {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.signed
}

// Published is the checkpoint that others see; nil before the first Publish. It
// must not be modified.
func (v *Vault) Published() []byte {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.published
}

// Witnessed is the last epoch that a witnessed (without witnesses: a published)
// checkpoint covers, and the epoch in which it was published: additions that it
// covers work one epoch later. Zeros before the first.
func (v *Vault) Witnessed() (covers, published int64) {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.covers, v.log.witnessed
}

// ReadLog calls f with what the log says, while nothing is appended; with nil
// before BeginLog and when the log is damaged. f must be short, keep nothing and
// change nothing.
func (v *Vault) ReadLog(f func(*translog.Monitor)) {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	f(v.log.monitor)
}

// OldCopy tells why nothing may be signed: an error that wraps ErrOldCopy,
// ErrNoHighWater or, when the stored log does not verify, ErrDamaged. Nil means
// that nothing speaks against this copy.
func (v *Vault) OldCopy() error {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.stop
}

// TrustCopy takes this copy for the newest one although high-water is missing:
// witnesses said so, or a person who knows.
func (v *Vault) TrustCopy(ctx context.Context) error {
	return v.exclusive(ctx, func() error {
		if !errors.Is(v.log.stop, ErrNoHighWater) {
			return v.log.stop
		}
		if err := v.writeHighWater(); err != nil {
			return v.fail(err)
		}
		v.log.mu.Lock()
		v.log.stop = nil
		v.log.mu.Unlock()
		return nil
	})
}

// Tile returns a tile of the published tree (L -1: an entry bundle), whole or
// partial, or ErrNotFound.
func (v *Vault) Tile(t tlog.Tile) ([]byte, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	v.log.mu.RLock()
	size := v.log.size
	v.log.mu.RUnlock()
	return v.tile(t, size)
}

func (v *Vault) signedTree() tlog.Tree {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.tree
}

// Hashes reads hashes of the signed tree, for proofs.
func (v *Vault) Hashes() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) (hashes []tlog.Hash, err error) {
		err = guard(metaName, func() error {
			return v.view(func(tx *bbolt.Tx) error {
				hashes, err = treeReader{tiles: tx.Bucket([]byte(tilesBucket))}.ReadHashes(indexes)
				return err
			})
		})
		if err != nil {
			return nil, v.readError(err)
		}
		return hashes, nil
	})
}

// Records is the age file with the records of an epoch, as Closing.Seal made it, or ErrNotFound.
func (v *Vault) Records(epoch int64) (sealed []byte, err error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	err = guard(metaName, func() error {
		return v.view(func(tx *bbolt.Tx) error {
			sealed = append(sealed, tx.Bucket([]byte(recordsBucket)).Get(epochKey(epoch))...)
			return nil
		})
	})
	if err == nil && sealed == nil {
		err = ErrNotFound
	}
	return sealed, err
}

func epochKey(epoch int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(epoch)) }

// Publish makes the newest signed checkpoint, with cosignatures, what others see,
// also after a restart. It refuses any other text than that of Signed. epoch is
// the current one; witnessed tells whether a quorum has cosigned it, or none is asked for.
func (v *Vault) Publish(ctx context.Context, checkpoint []byte, epoch int64, witnessed bool) error {
	return v.exclusive(ctx, func() error {
		l := &v.log
		text, _, ok := cutNote(checkpoint)
		signed, _, _ := cutNote(l.signed)
		if !ok || text != signed {
			return errors.New("this is not the checkpoint that was signed last")
		}
		covers, published := l.covers, l.witnessed
		if last := l.monitor.LastEpoch(); witnessed && last != covers {
			covers, published = last, epoch
		}
		err := v.meta.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(vaultBucket))
			return errors.Join(b.Put(publishedKey, checkpoint), b.Put(witnessedKey, append(epochKey(covers), epochKey(published)...)))
		})
		if err != nil {
			return v.fail(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.published, l.size, l.covers, l.witnessed = append([]byte(nil), checkpoint...), l.tree.N, covers, published
		return nil
	})
}

// exclusive runs fn in the writer's place, with nothing being written.
func (v *Vault) exclusive(ctx context.Context, fn func() error) error {
	if err := errors.Join(ctx.Err(), v.usable()); err != nil {
		return err
	}
	var err error
	if state := <-v.jobs.submit(&job{priority: small, run: func() { v.ease(); err = fn() }}); state != nil {
		return state
	}
	return err
}

// Logged tells whether the event with this tag is in the log. Until then it waits in the queue.
func (v *Vault) Logged(tag [32]byte) bool {
	v.log.mu.RLock()
	defer v.log.mu.RUnlock()
	return v.log.monitor != nil && v.log.monitor.Has(tag)
}
