package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

const (
	logDir         = "log"
	checkpointFile = logDir + "/checkpoint"
	policyFile     = "policy"
	maxTile        = 17 << 20
)

// Tiles keeps whole tiles of the public log. It is a publiclog.Store.
type Tiles struct{ f *Folder }

// Tiles are those of this folder.
func (f *Folder) Tiles() Tiles { return Tiles{f} }

// Tile returns a tile that KeepTile kept.
func (t Tiles) Tile(name string) ([]byte, bool) {
	b, err := t.f.read(path.Join(logDir, name), maxTile)
	return b, err == nil
}

// KeepTile keeps a tile. name is its path in the log, made of digits and fixed
// words.
func (t Tiles) KeepTile(name string, data []byte) error {
	name = path.Join(logDir, name)
	if err := t.f.mkdirs(path.Dir(name)); err != nil {
		return err
	}
	return t.f.write(name, data)
}

// DropTiles removes all tiles.
func (t Tiles) DropTiles() error { return t.f.root.RemoveAll(path.Join(logDir, "tile")) }

// Checkpoint is the newest checkpoint that was right; nil if there was none.
func (f *Folder) Checkpoint() ([]byte, error) { return f.optional(checkpointFile) }

// SetCheckpoint keeps a checkpoint that was right.
func (f *Folder) SetCheckpoint(signed []byte) error {
	if err := f.mkdirs(logDir); err != nil {
		return err
	}
	return f.write(checkpointFile, signed)
}

// KeepConflict keeps a checkpoint that contradicts the one that was right: the two
// together prove what was done. It returns the path for people.
func (f *Folder) KeepConflict(signed []byte) (string, error) {
	if err := f.mkdirs(logDir); err != nil {
		return "", err
	}
	for n := 1; n <= 100; n++ {
		name := fmt.Sprintf("%s/conflict-%d", logDir, n)
		if kept, err := f.optional(name); err != nil || kept != nil && string(kept) != string(signed) {
			continue
		}
		return f.Path(name), f.write(name, signed)
	}
	return f.Path(logDir), nil
}

// Policy is the policy that SetPolicy kept; nil if there was none.
func (f *Folder) Policy() ([]byte, error) { return f.optional(policyFile) }

// SetPolicy keeps a policy.
func (f *Folder) SetPolicy(text []byte) error { return f.write(policyFile, text) }

// EpochFile is the path in the folder of the sealed openings of an epoch.
func EpochFile(epoch int64) string { return fmt.Sprintf("epochs/%d.age", epoch) }

// HasEpoch reports whether PutEpoch stored the epoch.
func (f *Folder) HasEpoch(epoch int64) bool { return f.exists(EpochFile(epoch)) }

// PutEpoch stores the sealed openings of an epoch.
func (f *Folder) PutEpoch(epoch int64, sealed []byte) error {
	if err := f.mkdirs("epochs"); err != nil {
		return err
	}
	return f.write(EpochFile(epoch), sealed)
}

// optional reads a small file, nil if it is not there.
func (f *Folder) optional(name string) ([]byte, error) {
	b, err := f.read(name, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
