package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// fsck runs Tessera's fsck over a log, and returns what it printed.
//
// Its exit code says nothing: with --ui=false it is 0 after a failure too. With one
// or two workers it can wait for ever for a bad tile.
func fsck(t *testing.T, url, vkey string) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "log.vkey")
	if err := os.WriteFile(key, []byte(vkey), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(tools, "fsck"), "--storage_url="+url, "--public_key="+key, "--ui=false", "--N=16")
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Sprintf("fsck did not end in time\n%s", out)
	}
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return string(out)
}

// verified tells whether fsck has verified a log of that size: no other sign is reliable.
func verified(out string, size int64) bool {
	return strings.Contains(out, fmt.Sprintf("Successfully fsck'd log with size %d and root ", size))
}

func serveLog(t *testing.T, checkpoint func() []byte, tile func(tlog.Tile) ([]byte, error)) string {
	t.Helper()
	s := httptest.NewServer(serve(checkpoint, tile))
	t.Cleanup(s.Close)
	return s.URL + "/log/"
}

// Sizes around a full tile, each reached at once and by growth.
func TestFsckVerifiesTheVault(t *testing.T) {
	for _, c := range []struct{ notes, epochs, more int }{
		{1, 0, 1},   // 1, then 17
		{15, 15, 1}, // 255, then 271
		{16, 15, 1}, // 256, then 272
		{17, 15, 0}, // 257
		{1, 16, 16}, // 257, then 513: a tile is filled by growth
	} {
		want := int64(c.notes + slots*c.epochs)
		t.Run(fmt.Sprintf("%d notes, %d epochs", c.notes, c.epochs), func(t *testing.T) {
			k := newKeys(t, slots, "quorum none\n")
			v, _ := newVault(t, k)
			url := serveLog(t, v.Published, v.Tile)
			k.begin(t, v, c.notes)
			k.grow(t, v, c.epochs)
			if out := fsck(t, url, k.genesis.Log); !verified(out, want) {
				t.Fatalf("size %d: %s", want, out)
			}
			k.grow(t, v, c.more)
			want += int64(slots * c.more)
			if out := fsck(t, url, k.genesis.Log); !verified(out, want) {
				t.Errorf("grown to %d: %s", want, out)
			}
		})
	}
}

// A log with tiles of three levels.
func TestFsckVerifiesALargeVault(t *testing.T) {
	if testing.Short() {
		t.Skip("65,537 leaves")
	}
	k := newKeys(t, 4096, "quorum none\n")
	v, _ := newVault(t, k)
	url := serveLog(t, v.Published, v.Tile)
	k.begin(t, v, 1)
	k.grow(t, v, 16)
	if out := fsck(t, url, k.genesis.Log); !verified(out, 65537) {
		t.Errorf("%s", out)
	}
}

// Before genesis a vault has no checkpoint, not one of size 0: there is nothing to verify.
func TestVaultBeforeGenesisServesNothing(t *testing.T) {
	k := newKeys(t, slots, "quorum none\n")
	v, _ := newVault(t, k)
	if out := fsck(t, serveLog(t, v.Published, v.Tile), k.genesis.Log); verified(out, 0) || !strings.Contains(out, "fsck failed") {
		t.Errorf("%s", out)
	}
}

// plain is a log of x/mod and torchwood alone. It shows what fsck makes of sizes
// that a vault cannot have, and of damage.
type plain struct {
	leaves     [][]byte
	hashes     []tlog.Hash
	checkpoint []byte
	damage     func(t tlog.Tile, data []byte) []byte // may be nil
}

func newPlain(t *testing.T, n int, says string, log note.Signer) *plain {
	t.Helper()
	p := new(plain)
	reader := tlog.HashReaderFunc(p.readHashes)
	for i := range n {
		leaf := fmt.Appendf(nil, "%s %d\n", says, i)
		hashes, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		p.leaves, p.hashes = append(p.leaves, leaf), append(p.hashes, hashes...)
	}
	root, err := tlog.TreeHash(int64(n), reader)
	if err != nil {
		t.Fatal(err)
	}
	text := torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: int64(n), Hash: root}}.String()
	if p.checkpoint, err = note.Sign(&note.Note{Text: text}, log); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *plain) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if n >= int64(len(p.hashes)) {
			return nil, errors.New("beyond the tree")
		}
		out[i] = p.hashes[n]
	}
	return out, nil
}

func (p *plain) tile(t tlog.Tile) (data []byte, err error) {
	if t.L >= 0 {
		data, err = tlog.ReadTileData(t, tlog.HashReaderFunc(p.readHashes))
	} else {
		start := t.N * torchwood.TileWidth
		if start+int64(t.W) > int64(len(p.leaves)) {
			return nil, errors.New("beyond the tree")
		}
		for _, leaf := range p.leaves[start : start+int64(t.W)] {
			if data, err = torchwood.AppendTileEntry(data, leaf); err != nil {
				return nil, err
			}
		}
	}
	if err == nil && p.damage != nil {
		data = p.damage(t, data)
	}
	return data, err
}

func (p *plain) url(t *testing.T) string {
	return serveLog(t, func() []byte { return p.checkpoint }, p.tile)
}

func TestFsckOnPlainLogs(t *testing.T) {
	log, vkey := generate(t, origin)
	for _, n := range []int{0, 1, 255, 256, 257, 600} {
		if out := fsck(t, newPlain(t, n, "leaf", log).url(t), vkey); !verified(out, int64(n)) {
			t.Errorf("size %d: %s", n, out)
		}
	}
}

// What fsck says is worth something only if it refuses what is wrong.
func TestFsckRefusesDamage(t *testing.T) {
	log, vkey := generate(t, origin)
	stranger, _ := generate(t, origin)
	flip := func(level int) func(tlog.Tile, []byte) []byte {
		return func(t tlog.Tile, data []byte) []byte {
			if t.L == level && t.N == 0 {
				data = bytes.Clone(data)
				data[len(data)-1] ^= 1
			}
			return data
		}
	}
	for name, doctor := range map[string]func(p *plain){
		"an entry":         func(p *plain) { p.damage = flip(-1) },
		"a tile":           func(p *plain) { p.damage = flip(0) },
		"a tile higher up": func(p *plain) { p.damage = flip(1) },
		"a short bundle": func(p *plain) {
			p.damage = func(t tlog.Tile, data []byte) []byte {
				if t.L == -1 && t.N == 1 {
					return data[:len(data)-9]
				}
				return data
			}
		},
		"another root":       func(p *plain) { p.checkpoint = newPlain(t, 600, "other", log).checkpoint },
		"another log's key":  func(p *plain) { p.checkpoint = newPlain(t, 600, "leaf", stranger).checkpoint },
		"larger than served": func(p *plain) { p.checkpoint = newPlain(t, 601, "leaf", log).checkpoint },
	} {
		p := newPlain(t, 600, "leaf", log)
		doctor(p)
		out := fsck(t, p.url(t), vkey)
		if verified(out, 600) || verified(out, 601) {
			t.Errorf("%s: %s", name, out)
		}
	}
}
