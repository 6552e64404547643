package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"resguardo/cmd/internal/disk"
	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// Files of -state. Both are checkpoints as they were read; they are verified
// again when they are used. A checkpoint that contradicts the first is kept as
// conflict-SIZE-HASH: the two together prove what was done.
const (
	lastFile      = "checkpoint" // the newest one that was right
	witnessedFile = "witnessed"  // the newest of those that the policy's quorum had signed
)

// memory is what is remembered between runs. A nil memory remembers nothing.
type memory struct {
	root   *os.Root
	path   string
	unlock func()

	last      *checkpoint // nil: none yet
	witnessed *checkpoint // nil: none yet
	epoch     int64       // last epoch that witnessed covers; 0 = not known
	ended     int64       // last epoch that last covers
	grown     *finding    // that epoch has grown since
}

// openMemory opens or makes the folder and keeps other runs out of it.
func openMemory(dir string, p *policy) (*memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unusable(dir, err)
	}
	m := &memory{root: root, path: dir}
	if err := m.open(p); err != nil {
		root.Close()
		return nil, err
	}
	return m, nil
}

func unusable(path string, err error) error {
	return &say.Error{Path: path, What: say.T("cannot be used: %s", say.Bare(err)), Hint: say.T("give -state another folder"), Err: err}
}

func (m *memory) open(p *policy) error {
	lock, err := m.root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return unusable(m.path, err)
	}
	if err := disk.Lock(lock); err != nil {
		lock.Close()
		return say.Fail(say.T("another resguardo-audit works in %s", m.path), say.T("wait until it ends, or end it"))
	}
	m.unlock = func() { lock.Close() }
	if m.last, err = m.load(lastFile, p); err == nil {
		m.witnessed, err = m.load(witnessedFile, p)
	}
	if err != nil {
		m.unlock()
		return err
	}
	if m.witnessed != nil && !(p.quorum && m.witnessed.met) {
		m.witnessed = nil // the policy was another one then
	}
	return nil
}

func (m *memory) close() {
	if m != nil {
		m.unlock()
		m.root.Close()
	}
}

// load reads a checkpoint; nil if there is none.
func (m *memory) load(name string, p *policy) (*checkpoint, error) {
	f, err := m.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(filepath.Join(m.path, name), err)
	}
	defer f.Close()
	signed, err := io.ReadAll(io.LimitReader(f, maxCheckpoint+1))
	if err != nil {
		return nil, unusable(filepath.Join(m.path, name), err)
	}
	c, err := p.openCheckpoint(signed)
	if wrong := (*finding)(nil); errors.As(err, &wrong) {
		return nil, &say.Error{Path: filepath.Join(m.path, name), What: say.T("this is no checkpoint of the policy's log: %s", wrong.text()),
			Hint: say.T("each log needs its own -state folder; if the file is damaged, take it from a backup"), Err: err}
	}
	return c, err
}

// compare finds a log that is smaller than it was, or another of the same size.
func (m *memory) compare(c *checkpoint) error {
	if m == nil || m.last == nil {
		return nil
	}
	switch {
	case c.N < m.last.N:
		return m.conflict(translog.RolledBack, c, fmt.Sprintf("%d < %d", c.N, m.last.N))
	case c.N == m.last.N && c.Hash != m.last.Hash:
		return m.conflict(translog.Forked, c, decimal(c.N))
	}
	return nil
}

// consistent proves that the log, which has been read, begins with what is
// remembered.
func (m *memory) consistent(c *checkpoint, r *reader) error {
	if m == nil {
		return nil
	}
	for _, known := range []*checkpoint{m.last, m.witnessed} {
		if known == nil || known.N == 0 {
			continue
		}
		root, err := treeAt(known.N, c.Tree, r)
		if err != nil {
			return err
		}
		if root != known.Hash {
			return m.conflict(translog.Forked, c, decimal(known.N))
		}
	}
	if m.grown != nil {
		return m.grown
	}
	return nil
}

// conflict keeps a checkpoint that contradicts what is remembered, and names the
// fault.
func (m *memory) conflict(f translog.Fault, c *checkpoint, more string) error {
	name := fmt.Sprintf("conflict-%d-%x", c.N, c.Hash[:4])
	if err := m.write(name, c.signed); err != nil {
		return err
	}
	return found(f, more+"; "+filepath.Join(m.path, name))
}

// pass is told how many leaves have been taken. A checkpoint is signed when an
// epoch is over: nothing may be added to that epoch afterwards.
func (m *memory) pass(n int64, leaf []byte, monitor *translog.Monitor) {
	if m == nil {
		return
	}
	if m.witnessed != nil && n == m.witnessed.N {
		m.epoch = monitor.LastEpoch()
	}
	switch {
	case m.last == nil:
	case n == m.last.N:
		m.ended = monitor.LastEpoch()
	case n == m.last.N+1:
		if l, err := translog.ParseLeaf(leaf); err == nil && l.Epoch <= m.ended {
			m.grown = &finding{fault: translog.EpochRepeated, leaf: n - 1, epoch: l.Epoch}
		}
	}
}

// witnessedEpoch is the last epoch that was known to be witnessed; 0 if none.
func (m *memory) witnessedEpoch() int64 {
	if m == nil {
		return 0
	}
	return m.epoch
}

// keep remembers a checkpoint that is right, durably.
func (m *memory) keep(c *checkpoint) error {
	if m == nil {
		return nil
	}
	if c.met {
		if err := m.write(witnessedFile, c.signed); err != nil {
			return err
		}
	}
	return m.write(lastFile, c.signed)
}

// write puts data under name, all of it or nothing, and makes it durable.
func (m *memory) write(name string, data []byte) error {
	temp := name + ".new"
	// A cut rename can leave both names on one file: never write into what is there.
	if err := m.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable(filepath.Join(m.path, temp), err)
	}
	f, err := m.root.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return unusable(filepath.Join(m.path, temp), err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = m.root.Rename(temp, name)
	}
	if err == nil {
		err = m.sync()
	}
	if err != nil {
		return unusable(filepath.Join(m.path, name), err)
	}
	return nil
}

func (m *memory) sync() error {
	dir, err := m.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(disk.SyncFolder(dir), dir.Close())
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
