package logtiles_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/onion/logtiles"
	"resguardo/onion/logtiles/logtest"
	"resguardo/vault"
)

func newVault(t testing.TB) *vault.Vault {
	t.Helper()
	dir := t.TempDir()
	g := vault.Genesis{Origin: "test-0a1b2c3d", Epoch: 6 * time.Hour, Slots: 16, Time: 1, Memory: 8, Threads: 1}
	if err := vault.Init(dir, g); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// read asks for an address of the log.
func read(v *vault.Vault, address string) (logtiles.Resource, error) {
	u, err := url.ParseRequestURI(address)
	if err != nil {
		return logtiles.Resource{}, err
	}
	return logtiles.Read(v, u)
}

// stranger is a torchwood.TileReader that reads everything by its path, as an
// auditor does over the network.
type stranger struct{ v *vault.Vault }

func (s stranger) ReadTiles(_ context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		r, err := read(s.v, logtiles.Prefix+torchwood.TilePath(t))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", torchwood.TilePath(t), err)
		}
		data[i] = r.Body
	}
	return data, nil
}

func (stranger) SaveTiles([]tlog.Tile, [][]byte) {}

func (s stranger) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	r, err := read(s.v, logtiles.Prefix+path)
	return r.Body, err
}

// verify reads the whole published log through torchwood's client, which proves
// entries and tiles against the checkpoint, and returns the entries.
func (s stranger) verify(ctx context.Context, policy torchwood.Policy) (torchwood.Checkpoint, [][]byte, error) {
	signed, err := s.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return torchwood.Checkpoint{}, nil, err
	}
	c, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		return torchwood.Checkpoint{}, nil, err
	}
	client, err := torchwood.NewClient(s)
	if err != nil {
		return torchwood.Checkpoint{}, nil, err
	}
	var entries [][]byte
	for _, entry := range client.AllEntries(ctx, c.Tree, 0) {
		entries = append(entries, bytes.Clone(entry))
	}
	if err := client.Err(); err != nil {
		return torchwood.Checkpoint{}, nil, err
	}
	if int64(len(entries)) != c.N {
		return torchwood.Checkpoint{}, nil, fmt.Errorf("%d entries of %d", len(entries), c.N)
	}
	return c, entries, nil
}

func TestNothingBeforePublication(t *testing.T) {
	v := newVault(t)
	for _, step := range []func(){func() {}, func() { logtest.Begin(t, v) }} {
		step()
		for _, path := range []string{"checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", "tile/0/000"} {
			if _, err := read(v, logtiles.Prefix+path); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// Whatever is published can be had, in every width that ever was or could have
// been, and nothing beyond it.
func TestEveryPartialOfEverySize(t *testing.T) {
	v := newVault(t)
	l := logtest.Begin(t, v)
	for range 17 { // 1 + 17·16 = 273 leaves: one full tile, a partial one, a second level
		l.Close(t)
	}
	l.Publish(t)
	l.Close(t) // signed, and not published
	const size = 273
	c, entries, err := stranger{v}.verify(t.Context(), l.Policy)
	if err != nil || c.N != size {
		t.Fatalf("checkpoint of %d leaves: %v", c.N, err)
	}
	for level, width := range map[int]int{-1: size, 0: size, 1: size / 256, 2: 0} {
		for n := range 3 {
			var bundle []byte
			for w := 1; w <= 256; w++ {
				t0 := tlog.Tile{H: torchwood.TileHeight, L: level, N: int64(n), W: w}
				r, err := read(v, logtiles.Prefix+torchwood.TilePath(t0))
				if n*256+w > width {
					if !errors.Is(err, vault.ErrNotFound) {
						t.Fatalf("%s beyond %d leaves: %v", torchwood.TilePath(t0), size, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", torchwood.TilePath(t0), err)
				}
				switch level {
				case -1:
					if bundle, err = torchwood.AppendTileEntry(bundle, entries[n*256+w-1]); err != nil {
						t.Fatal(err)
					}
				case 0:
					h := tlog.RecordHash(entries[n*256+w-1])
					bundle = append(bundle, h[:]...)
				default:
					bundle = r.Body[:w*tlog.HashSize] // proven by verify
				}
				if !bytes.Equal(r.Body, bundle) {
					t.Fatalf("%s has other bytes", torchwood.TilePath(t0))
				}
			}
		}
	}
}

func TestTypes(t *testing.T) {
	v := newVault(t)
	l := logtest.Begin(t, v)
	l.Publish(t)
	for path, want := range map[string]logtiles.Resource{
		"checkpoint":            {Type: "text/plain; charset=utf-8", Cache: "no-store"},
		"tile/0/000.p/1":        {Type: "application/octet-stream", Cache: "public, max-age=31536000, immutable"},
		"tile/entries/000.p/1":  {Type: "application/octet-stream", Cache: "public, max-age=31536000, immutable"},
		"checkpoint?from=cache": {Type: "text/plain; charset=utf-8", Cache: "no-store"},
	} {
		r, err := read(v, logtiles.Prefix+path)
		if err != nil || r.Type != want.Type || r.Cache != want.Cache || len(r.Body) == 0 {
			t.Errorf("%s: %v, %q, %q, %d bytes", path, err, r.Type, r.Cache, len(r.Body))
		}
	}
}

// badPaths have no resource, although each is near one that has.
var badPaths = []string{
	"", "/", "checkpoint/", "/checkpoint", "Checkpoint", "checkpoint.txt", "check%70oint", "tile", "tile/", "tile/0", "tile/0/",
	"tile/data/000.p/1", "tile/8/data/000.p/1", "tile/8/0/000.p/1", "tile/entries/entries/000", "tile/entries/data/000.p/1",
	"tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/000/", "tile//000", "tile/0//000.p/1", "tile/00/000.p/1", "tile/+0/000.p/1",
	"tile/-1/000.p/1", "tile/0/-00.p/1", "tile/0/x000", "tile/0/x000/000.p/1", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/+1",
	"tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/-1", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/1/", "tile/0/000.P/1",
	"tile/0/%30%30%30.p/1", "tile/0/000.p%2F1", "tile%2F0/000.p/1", "tile/0/../0/000.p/1", "./tile/0/000.p/1", "tile/0/000.p/1%00",
	"tile/64/000.p/1", "tile/99999999999999999999/000.p/1", "tile/63/000.p/1", "tile/0/x999/x999/x999/x999/x999/x999/999",
	"tile/0/x009/x223/x372/x036/x854/x775/808.p/1", "tile/0/x018/x446/x744/x073/x709/x551/616.p/1", "tile/0/001.p/1", "tile/1/000.p/1",
}

func TestOnlyCanonicalPaths(t *testing.T) {
	v := newVault(t)
	logtest.Begin(t, v).Publish(t)
	for _, path := range badPaths {
		if r, err := read(v, logtiles.Prefix+path); !errors.Is(err, vault.ErrNotFound) || r.Body != nil {
			t.Errorf("%q: %v, %d bytes", path, err, len(r.Body))
		}
	}
}

// A path has a resource only if it is the one that C2SP tlog-tiles gives it.
func FuzzRead(f *testing.F) {
	v := newVault(f)
	l := logtest.Begin(f, v)
	for range 16 {
		l.Close(f)
	}
	l.Publish(f) // 257 leaves
	canonical := map[string]bool{logtiles.Prefix + "checkpoint": true}
	for _, level := range []struct{ l, width int }{{-1, 257}, {0, 257}, {1, 1}} {
		for i := range level.width {
			n, w := int64(i/256), i%256+1
			canonical[logtiles.Prefix+torchwood.TilePath(tlog.Tile{H: 8, L: level.l, N: n, W: w})] = true
		}
	}
	for _, path := range append(badPaths, "checkpoint", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000.p/255") {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(logtiles.Prefix + path)
		if err != nil {
			return
		}
		r, err := logtiles.Read(v, u)
		// Only the query may differ.
		address, _, _ := strings.Cut(logtiles.Prefix+path, "?")
		if found := err == nil; found != canonical[address] || found != (r.Body != nil) || !found && !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%q: %v, %d bytes", path, err, len(r.Body))
		}
	})
}

// While epochs close, every checkpoint that is read covers a tree that can be
// had and proven whole, and no tree follows an older or another one.
func TestReadersWhileEpochsClose(t *testing.T) {
	v := newVault(t)
	l := logtest.Begin(t, v)
	l.Publish(t)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var last torchwood.Checkpoint
			for done := false; !done; {
				done = ctx.Err() != nil // and once more
				c, _, err := stranger{v}.verify(context.WithoutCancel(ctx), l.Policy)
				if err != nil {
					t.Error(err)
					return
				}
				if c.N < last.N {
					t.Errorf("%d leaves after %d", c.N, last.N)
				}
				if last.N > 0 {
					hashes := torchwood.TileHashReaderWithContext(context.WithoutCancel(ctx), c.Tree, stranger{v})
					if old, err := tlog.TreeHash(last.N, hashes); err != nil || old != last.Hash {
						t.Errorf("the tree of %d leaves is no part of that of %d: %v", last.N, c.N, err)
					}
				}
				last = c
			}
		})
	}
	for range 40 {
		l.Close(t)
		l.Publish(t)
	}
	stop()
	readers.Wait()
}
