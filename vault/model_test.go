package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"resguardo/vault"
)

// TestVaultMatchesModel drives a vault and a model of it, which is a map, with
// random drafts, reads, checks and restarts. Blob files roll after 1 MiB.
func TestVaultMatchesModel(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := vault.Init(dir, genesis); err != nil {
			r.Fatal(err)
		}
		m := &model{dir: dir, stored: make(map[vault.ItemID]*draft)}
		m.open(r)
		defer func() { m.v.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"create":  m.create,
			"write":   m.write,
			"commit":  m.commit,
			"again":   m.commitAgain,
			"discard": m.discard,
			"reopen":  m.reopen,
			"read":    m.read,
			"check":   m.check,
			"":        m.invariant,
		})
		m.reopen(r)
		m.check(r)
		for id, d := range m.stored {
			if sum, err := hash(m.v, id); err != nil || sum != sha256.Sum256(d.text()) {
				r.Fatalf("item of %d bytes: %v", d.size, err)
			}
		}
	})
}

// draft is one item of the model. Its text follows from seed and size.
type draft struct {
	*vault.Draft
	seed    uint64
	size    int // bytes of payload
	written int // bytes of text
	sub     vault.Submission
}

func (d *draft) text() []byte {
	b := make([]byte, d.size)
	rand.NewChaCha8([32]byte{byte(d.seed), byte(d.seed >> 8), byte(d.seed >> 16)}).Read(b)
	return append([]byte(header), b...)
}

type model struct {
	dir    string
	v      *vault.Vault
	drafts []*draft
	stored map[vault.ItemID]*draft
}

func (m *model) open(r *rapid.T) {
	v, err := vault.Open(m.dir, vault.Options{BlobSize: 1 << 20})
	if err != nil {
		r.Fatal(err)
	}
	m.v = v
}

// sizes of payloads are close to where something changes: one age chunk, one
// value, one segment, two segments.
func drawSize(r *rapid.T) int {
	const kib = 1 << 10
	base := rapid.SampledFrom([]int{32, 1000, 64*kib + 32, 72 * kib, 128 * kib, 256 * kib, 512 * kib, 4096 * kib, 4096*kib + 256*kib, 8192 * kib}).Draw(r, "base")
	return max(0, base+rapid.IntRange(-33, 33).Draw(r, "more"))
}

// isPayload tells whether some plaintext encrypts to an age payload of this size.
func isPayload(size int) bool {
	for chunks := 1; ; chunks++ {
		n := size - 16 - 16*chunks
		switch {
		case n < 0 || n == 0 && chunks > 1 || n <= (chunks-1)<<16 && chunks > 1:
			return false
		case n <= chunks<<16:
			return true
		}
	}
}

func (m *model) create(r *rapid.T) {
	if len(m.drafts) == 3 {
		r.Skip()
	}
	d, err := m.v.Create(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	desks := rapid.SampledFrom([][]string{{"a"}, {"a", "b"}, {"c"}}).Draw(r, "desks")
	sub := submission(desks...)
	sub.Day = rapid.SampledFrom([]string{"2026-11-20", "2026-11-21", "2028-02-29"}).Draw(r, "day")
	m.drafts = append(m.drafts, &draft{Draft: d, seed: rapid.Uint64Max(1<<20).Draw(r, "seed"), size: drawSize(r), sub: sub})
}

// pick returns one of the drafts and its place.
func (m *model) pick(r *rapid.T) (int, *draft) {
	if len(m.drafts) == 0 {
		r.Skip()
	}
	i := rapid.IntRange(0, len(m.drafts)-1).Draw(r, "draft")
	return i, m.drafts[i]
}

func (m *model) write(r *rapid.T) {
	_, d := m.pick(r)
	m.writeUpTo(r, d, rapid.IntRange(0, len(header)+d.size).Draw(r, "up to"))
}

func (m *model) writeUpTo(r *rapid.T, d *draft, end int) {
	if end <= d.written {
		return
	}
	n, err := d.Write(d.text()[d.written:end])
	if err != nil || n != end-d.written {
		r.Fatalf("write of %d bytes: %d, %v", end-d.written, n, err)
	}
	d.written = end
}

func (m *model) commit(r *rapid.T) {
	i, d := m.pick(r)
	m.drafts = slices.Delete(m.drafts, i, i+1)
	m.writeUpTo(r, d, len(header)+d.size)
	err := d.Commit(context.Background(), d.sub)
	if isPayload(d.size) != (err == nil) {
		r.Fatalf("commit of a payload of %d bytes: %v", d.size, err)
	}
	if err == nil {
		m.stored[d.ID()] = d
	}
	if n, err := d.Write([]byte("x")); n != 0 || err == nil {
		r.Fatal("a finished draft takes bytes")
	}
	d.Discard()
}

// commitAgain tries a mailbox, a case id, or an event that is there already.
func (m *model) commitAgain(r *rapid.T) {
	i, d := m.pick(r)
	if len(m.stored) == 0 || !isPayload(d.size) {
		r.Skip()
	}
	m.drafts = slices.Delete(m.drafts, i, i+1)
	m.writeUpTo(r, d, len(header)+d.size)
	old := m.stored[m.ids()[0]].sub
	sub := submission("a")
	switch rapid.IntRange(0, 2).Draw(r, "what") {
	case 0:
		sub.Mailbox = old.Mailbox
	case 1:
		sub.Case = old.Case
	case 2:
		sub.Event = old.Event
	}
	if err := d.Commit(context.Background(), sub); !errors.Is(err, vault.ErrExists) {
		r.Fatalf("a second time: %v", err)
	}
}

func (m *model) discard(r *rapid.T) {
	i, d := m.pick(r)
	m.drafts = slices.Delete(m.drafts, i, i+1)
	d.Discard()
	d.Discard()
}

func (m *model) reopen(r *rapid.T) {
	if err := m.v.Close(); err != nil {
		r.Fatal(err)
	}
	for _, d := range m.drafts {
		if _, err := d.Write([]byte("x")); err != vault.ErrClosed {
			r.Fatalf("write to a draft of a closed vault: %v", err)
		}
		d.Discard()
	}
	m.drafts = nil
	m.open(r)
}

func (m *model) ids() []vault.ItemID {
	var ids []vault.ItemID
	for id := range m.stored {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// read compares a part of an item, through Seek and Read.
func (m *model) read(r *rapid.T) {
	if len(m.stored) == 0 {
		r.Skip()
	}
	id := rapid.SampledFrom(m.ids()).Draw(r, "item")
	text := m.stored[id].text()
	from := rapid.IntRange(0, len(text)).Draw(r, "from")
	to := rapid.IntRange(from, len(text)).Draw(r, "to")
	c, err := m.v.OpenItem(id)
	if err != nil {
		r.Fatal(err)
	}
	defer c.Close()
	got := make([]byte, to-from)
	_, seekErr := c.Seek(int64(from-len(text)), io.SeekEnd)
	_, readErr := io.ReadFull(c, got)
	if err := errors.Join(seekErr, readErr); err != nil || !bytes.Equal(got, text[from:to]) {
		r.Fatalf("bytes %d to %d of %d: %v", from, to, len(text), err)
	}
}

func (m *model) check(r *rapid.T) {
	found, err := m.v.Check(context.Background())
	if err != nil || len(found) > 0 {
		r.Fatalf("check: %v %v", found, err)
	}
	files, err := filepath.Glob(filepath.Join(m.dir, "blobs", "*"))
	if err != nil || len(files) > len(m.stored)+4 {
		r.Fatalf("%d blob files for %d items, %v", len(files), len(m.stored), err)
	}
}

// invariant compares the lists of all desks and every item's description.
func (m *model) invariant(r *rapid.T) {
	for _, desk := range []string{"a", "b", "c", "d"} {
		var want []vault.ItemID
		for id, d := range m.stored {
			if slices.Contains(d.sub.Desks, desk) {
				want = append(want, id)
			}
		}
		slices.SortFunc(want, func(a, b vault.ItemID) int {
			return bytes.Compare([]byte(m.stored[a].sub.Day+string(a)), []byte(m.stored[b].sub.Day+string(b)))
		})
		var got []vault.ItemID
		for _, i := range m.v.Items(desk) {
			got = append(got, i.ID)
		}
		if !slices.Equal(got, want) {
			r.Fatalf("desk %s has %v, want %v", desk, got, want)
		}
	}
	for id, d := range m.stored {
		i, err := m.v.Item(id)
		if err != nil || i.Case != d.sub.Case || i.Day != d.sub.Day || i.Size != int64(len(header)+d.size) || !slices.Equal(i.Desks, d.sub.Desks) {
			r.Fatalf("item %+v, %v", i, err)
		}
	}
	for _, d := range m.drafts {
		if _, err := m.v.Item(d.ID()); err != vault.ErrNotFound {
			r.Fatalf("a draft is an item: %v", err)
		}
		if _, err := m.v.OpenItem(d.ID()); err != vault.ErrNotFound {
			r.Fatalf("a draft opens: %v", err)
		}
	}
}
