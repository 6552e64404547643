package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"

	"resguardo/vault/translog"
)

// Problem is one finding of Check.
type Problem struct {
	Where string // file, item or row
	What  string
	Hint  string
	Log   bool // the public log is inconsistent, or nothing may be signed
}

// Damage returns what Open found damaged, a part of what Check would say.
func (v *Vault) Damage() []Problem { return slices.Clone(v.found) }

// Check proves the vault: bbolt's own check of every file, every row opened, every
// ciphertext hashed against its row, every leaf and tile of the log, high-water, every
// item's event queued or in the log, every slot and payload owned by a row, no
// missing or foreign file, no file that others may read.
//
// The vault stays in use. While bbolt's check of a file runs (seconds for a full
// blob file) writing waits; hashing holds nobody up. The error is that of ctx, or
// ErrUnknown or ErrClosed; damage is no error.
func (v *Vault) Check(ctx context.Context) ([]Problem, error) {
	c := newChecker(ctx, v)
	c.found = slices.Clone(v.found)
	return c.run(c.files, c.pages, c.log, c.items, c.headers, c.caseRows, c.queued, c.leftovers, c.payloads)
}

func newChecker(ctx context.Context, v *Vault) *checker {
	return &checker{v: v, ctx: ctx, cases: make(map[ItemID]CaseID), bad: make(map[*blobFile]bool), commitments: make(map[[32]byte]*[32]byte)}
}

func (c *checker) run(steps ...func() error) ([]Problem, error) {
	for _, step := range steps {
		if err := errors.Join(c.ctx.Err(), c.v.usable()); err != nil {
			return c.found, err
		}
		if err := step(); err != nil {
			return c.found, err
		}
	}
	return c.found, nil
}

type checker struct {
	v     *Vault
	ctx   context.Context
	found []Problem
	cases map[ItemID]CaseID  // of items that no case has listed yet
	bad   map[*blobFile]bool // files whose pages are damaged

	commitments map[[32]byte]*[32]byte // by tag, of the leaves in the log
}

const (
	hintBackup = "restore it from a backup"
	hintMode   = "take away the rights of group and others: chmod go= "
	hintLog    = "sign nothing and change nothing: an auditor would see this; restore from a backup, then resguardod recover"
	hintSweep  = "restart the server: what a crash left is swept at the start"
)

// problem notes a finding, once.
func (c *checker) problem(where, what, hint string) {
	if !slices.ContainsFunc(c.found, func(p Problem) bool { return p.Where == where && p.What == what }) {
		c.found = append(c.found, Problem{Where: where, What: what, Hint: hint})
	}
}

// files checks names and permissions, while no file is being made.
func (c *checker) files() error { return c.alone(c.listFiles) }

func (c *checker) listFiles() {
	names := []string{".", metaName, slotsName, blobsName}
	entries, err := os.ReadDir(filepath.Join(c.v.dir, blobsName))
	if err != nil {
		c.problem(blobsName, err.Error(), hintBackup)
	}
	for _, e := range entries {
		name := filepath.Join(blobsName, e.Name())
		names = append(names, name)
		if n, ok := blobNumber(e.Name()); !ok || c.v.blobs.file(n) == nil {
			c.problem(name, "not a file of this vault", "move it away")
		}
	}
	for _, name := range names {
		path := filepath.Join(c.v.dir, name)
		info, err := os.Lstat(path)
		switch {
		case err != nil:
			c.problem(name, err.Error(), hintBackup)
		case info.Mode().Perm()&0o077 != 0:
			c.problem(name, fmt.Sprintf("others may use it (mode %04o)", info.Mode().Perm()), hintMode+path)
		}
	}
}

// pages runs bbolt's check of all files. A file is walked before, where damage
// is only an error: bbolt's check can panic in goroutines of its own.
func (c *checker) pages() error {
	if err := c.whole(metaName, func() *bbolt.DB { return c.v.meta }, walkMeta); err != nil {
		return err
	}
	for _, f := range c.v.blobs.all() {
		if !f.exists() {
			continue
		}
		before := len(c.found)
		err := c.whole(f.name(), func() *bbolt.DB { return f.db }, func(tx *bbolt.Tx) error { return c.sizes(tx, f) })
		if err != nil {
			return err
		}
		c.bad[f] = slices.ContainsFunc(c.found[before:], func(p Problem) bool { return p.Where == f.name() })
	}
	return nil
}

// sizes compares the payloads of a file with what the rows say. Nothing is written
// meanwhile: an item that is being stored has no row yet.
func (c *checker) sizes(tx *bbolt.Tx, f *blobFile) error {
	sizes := make(map[string]int64)
	if err := walk(tx, func(item []byte, _ uint32, size int) { sizes[string(item)] += int64(size) }); err != nil {
		return err
	}
	for id, size := range sizes {
		if e, ok := c.v.index.item(itemID([]byte(id))); ok && size != e.Size-int64(e.header) {
			c.problem("item "+string(e.ID), fmt.Sprintf("its payload is %d bytes long in %s, its row says %d", size, f.name(), e.Size-int64(e.header)), hintBackup)
		}
	}
	return nil
}

// whole walks a database and, when that found nothing, runs bbolt's check, while nothing is written.
// The writer may exchange a file's database, so it is asked for only then.
func (c *checker) whole(name string, db func() *bbolt.DB, walk func(*bbolt.Tx) error) error {
	return c.alone(func() {
		if err := guard(name, func() error { return db().View(walk) }); err != nil {
			c.problem(name, err.Error(), hintBackup)
			return
		}
		for _, what := range checkPages(db()) {
			c.problem(name, what, hintBackup)
		}
	})
}

// alone runs fn in the writer's place.
func (c *checker) alone(fn func()) error {
	return <-c.v.jobs.submit(&job{priority: bulk, run: fn})
}

func walkMeta(tx *bbolt.Tx) error {
	return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
}

// rowBatch is how many rows are read in one transaction.
const rowBatch = 256

// each calls row for every row of a bucket, a batch in a transaction, and notes its errors.
//
// A transaction shows the rows of one moment, but slots change under it: the key of a
// row that is deleted meanwhile is gone. So a batch with errors is read again, and what
// is refused twice counts.
func (c *checker) each(bucket string, row func(tx *bbolt.Tx, key, value []byte) error) error {
	var next []byte
	for more := true; more; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		found, after, err := c.batch(bucket, next, row)
		if len(found) > 0 && err == nil {
			first := found
			found, after, err = c.batch(bucket, next, row)
			found = slices.DeleteFunc(found, func(p Problem) bool { return !slices.Contains(first, p) })
		}
		if errors.Is(err, ErrDamaged) {
			c.problem(metaName, fmt.Sprintf("rows of %s: %v", bucket, err), hintBackup)
			return nil
		}
		if err != nil {
			return c.v.readError(err)
		}
		for _, p := range found {
			c.problem(p.Where, p.What, p.Hint)
		}
		next, more = after, after != nil
	}
	return nil
}

// batch calls row for the rows from this key on, in one transaction. It returns the
// key after them, nil at the end.
func (c *checker) batch(bucket string, from []byte, row func(tx *bbolt.Tx, key, value []byte) error) (found []Problem, after []byte, err error) {
	err = guard(metaName, func() error {
		return c.v.view(func(tx *bbolt.Tx) error {
			cur := tx.Bucket([]byte(bucket)).Cursor()
			key, value := cur.Seek(from)
			for range rowBatch {
				if key == nil {
					break
				}
				if err := row(tx, key, value); err != nil {
					found = append(found, Problem{Where: rowName(bucket, key), What: err.Error(), Hint: hintRow})
				}
				key, value = cur.Next()
			}
			after = bytes.Clone(key)
			return nil
		})
	})
	return found, after, err
}

// log proves the log as an auditor does.
func (c *checker) log() error {
	inconsistent := func(err error) {
		if p := (Problem{Where: "log", What: err.Error(), Hint: hintLog, Log: true}); !slices.Contains(c.found, p) {
			c.found = append(c.found, p)
		}
	}
	if err := c.v.OldCopy(); err != nil {
		inconsistent(err)
	}
	if c.v.Signed() == nil {
		return nil
	}
	_, err := c.v.replay(c.ctx, func(_ int64, text []byte) {
		if leaf, err := translog.ParseLeaf(text); err == nil {
			c.commitments[leaf.Tag] = &leaf.Commitment
		}
	})
	if state := errors.Join(c.ctx.Err(), c.v.usable()); state != nil {
		return state
	}
	if err != nil {
		inconsistent(err)
	}
	return nil
}

func (c *checker) items() error {
	return c.each(itemsBucket, func(tx *bbolt.Tx, key, value []byte) error {
		if isDeleting(value) {
			return nil // just now: Open completes what a crash has left
		}
		r, o, err := c.v.slots.openItem(key, value)
		if err != nil {
			return err
		}
		c.cases[itemID(key)] = r.Case
		if o.Tag != eventTag(r, o) {
			return fmt.Errorf("%w: its tag is not that of its event", ErrDamaged)
		}
		waits, logged := tx.Bucket([]byte(queueBucket)).Get(o.Tag[:]) != nil, c.commitments[o.Tag]
		switch want := translog.Event(r.Event).Commit(r.Opening); {
		case !waits && logged == nil && !c.v.Logged(o.Tag): // it may have been logged just now
			return fmt.Errorf("%w: its event is neither queued nor in the log", ErrDamaged)
		case waits && logged != nil:
			return fmt.Errorf("%w: its event is queued and in the log", ErrDamaged)
		case logged != nil && *logged != want:
			return fmt.Errorf("%w: its leaf in the log commits to something else", ErrDamaged)
		}
		if tx.Bucket([]byte(headersBucket)).Get(key) == nil {
			return fmt.Errorf("%w: its header is missing", ErrDamaged)
		}
		return nil
	})
}

func (c *checker) headers() error {
	return c.each(headersBucket, func(tx *bbolt.Tx, key, value []byte) error {
		item := tx.Bucket([]byte(itemsBucket)).Get(key)
		if item == nil {
			return fmt.Errorf("%w: a header without an item", ErrDamaged)
		}
		if isDeleting(item) {
			return nil
		}
		_, err := c.v.slots.openHeader(key, value)
		return err
	})
}

func (c *checker) caseRows() error {
	err := c.each(casesBucket, func(tx *bbolt.Tx, key, value []byte) error {
		if isDeleting(value) {
			return nil
		}
		r, err := c.v.slots.openCase(key, value)
		if err != nil {
			return err
		}
		for _, id := range r.Items {
			row, ok := id.bytes()
			if !ok || tx.Bucket([]byte(itemsBucket)).Get(row[:]) == nil {
				return fmt.Errorf("%w: it lists item %s: its row is missing", ErrDamaged, id)
			}
			if c.cases[id] == r.Case {
				delete(c.cases, id)
			}
		}
		return nil
	})
	for id := range c.cases {
		if _, ok := c.v.index.item(id); !ok {
			continue // deleted meanwhile
		}
		c.problem("item "+string(id), "no case that can be read lists it", hintRow)
	}
	return err
}

func (c *checker) queued() error {
	return c.each(queueBucket, func(_ *bbolt.Tx, key, value []byte) error {
		_, _, err := c.v.slots.openQueued(key, value)
		return err
	})
}

// leftovers compares slots and payloads with the rows, while nothing is written.
func (c *checker) leftovers() error {
	return c.alone(func() {
		err := guard("leftovers", c.compare)
		if err != nil {
			c.problem(c.v.dir, err.Error(), hintBackup)
		}
	})
}

func (c *checker) compare() error {
	rows := map[uint64]bool{c.v.queue.number: true}
	if c.v.late.used {
		rows[c.v.late.number] = true
	}
	items := make(map[string]bool)
	err := c.v.view(func(tx *bbolt.Tx) error {
		for _, bucket := range []string{casesBucket, itemsBucket, headersBucket, queueBucket} {
			err := tx.Bucket([]byte(bucket)).ForEach(func(key, value []byte) error {
				if n, ok := rowSlot(value); ok {
					rows[n] = true
				}
				if bucket == itemsBucket {
					items[string(key)] = true
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// While this may be an old copy, what looks left over may be what came later.
	old := c.v.OldCopy() != nil
	c.v.draftMu.Lock()
	defer c.v.draftMu.Unlock()
	for _, f := range c.v.blobs.all() {
		if !f.exists() || c.bad[f] {
			continue
		}
		names, err := f.names()
		if err != nil {
			c.problem(f.name(), err.Error(), hintBackup)
		}
		for _, name := range names {
			if !old && !items[name] && !c.v.drafts[itemID([]byte(name))] {
				c.problem(f.name(), "a payload without an item: "+string(itemID([]byte(name))), hintSweep)
			}
		}
	}
	return c.v.slots.scan(func(n uint64, s slot, err error) {
		where := fmt.Sprintf("%s, slot %d", slotsName, n)
		switch {
		case err != nil:
			c.problem(where, err.Error(), hintBackup)
		case !old && !rows[n] && !(s.class == itemSlot && c.v.drafts[itemID(s.owner[:16])]):
			c.problem(where, "a key without a row", hintSweep)
		}
	})
}

// payloads hashes all ciphertext.
func (c *checker) payloads() error {
	c.v.index.mu.RLock()
	items := make([]entry, 0, len(c.v.index.items))
	for _, e := range c.v.index.items {
		items = append(items, e)
	}
	c.v.index.mu.RUnlock()
	missing := make(map[string]int)
	for _, e := range items {
		if f := c.v.blobs.file(e.blob); f == nil || !f.exists() {
			missing[filepath.Join(blobsName, blobName(e.blob))]++
			continue
		}
		switch _, err := c.v.prove(c.ctx, e.ID, false, func(int) error { return nil }); {
		case errors.Is(err, ErrDamaged):
			c.problem("item "+string(e.ID), err.Error(), hintBackup)
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
	}
	for name, n := range missing {
		c.problem(name, fmt.Sprintf("missing or unreadable, with the payloads of %d items", n), hintBackup)
	}
	return nil
}
