package translog_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

// singles is a log of n leaves: genesis, and an epoch for each other leaf.
func singles(n int) *writer {
	w := newWriter()
	w.genesis.Slots = 1
	w.note(firstEpoch, &w.genesis)
	for epoch := int64(firstEpoch); len(w.leaves) < n; epoch++ {
		w.epoch(epoch, 1)
	}
	return w
}

// TestReplayOfEverySize replays logs from their first leaf, and lets one monitor
// follow their growth.
func TestReplayOfEverySize(t *testing.T) {
	w := singles(65536 + 256 + 2)
	sizes := []int{1, 2, 3, 255, 256, 257, 258, 511, 512, 513, 8191, 8192, 8193, 8448, 65535, 65536, 65537, 65792, 65793}
	following := translog.NewMonitor(w.logKey)
	for _, n := range sizes {
		s := serve(w.leaves[:n])
		if err := translog.Replay(t.Context(), following, s.Tree, s, nil); err != nil {
			t.Fatalf("grow to %d: %v", n, err)
		}
		var read [][]byte
		m := translog.NewMonitor(w.logKey)
		err := translog.Replay(t.Context(), m, s.Tree, s, func(i int64, leaf []byte) {
			if i != int64(len(read)) {
				t.Errorf("leaf %d after %d leaves", i, len(read))
			}
			read = append(read, bytes.Clone(leaf))
		})
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		if !slices.EqualFunc(read, w.leaves[:n], bytes.Equal) || m.Tree() != s.Tree || following.Tree() != s.Tree {
			t.Errorf("size %d: other leaves, or another tree", n)
		}
	}
}

func TestReplayOfNothing(t *testing.T) {
	s := serve(nil)
	if err := translog.Replay(t.Context(), translog.NewMonitor("x"), s.Tree, s, nil); err != nil {
		t.Error(err)
	}
	s.Hash[0] ^= 1
	if got := fault(t, translog.Replay(t.Context(), translog.NewMonitor("x"), s.Tree, s, nil)); got != translog.WrongRoot {
		t.Errorf("%q", got)
	}
}

type treeBreaker struct {
	want  translog.Fault
	spoil func(s *served)
}

// flip changes one bit of a file.
func flip(path string, at int) func(s *served) {
	return func(s *served) {
		s.files[path] = bytes.Clone(s.files[path])
		s.files[path][at] ^= 1
	}
}

// entryAndHash serves an entry that breaks a rule, and the tile that goes with it,
// but not the tiles above.
func entryAndHash(s *served) {
	w := singles(600)
	w.leaves[300] = []byte("hello\n")
	other := serve(w.leaves)
	for _, path := range []string{"tile/entries/001", "tile/0/001"} {
		s.files[path] = other.files[path]
	}
}

// treeBreakers spoil what is served of a log of 600 leaves.
var treeBreakers = map[string]treeBreaker{
	"a tag changed":            {translog.WrongEntry, flip("tile/entries/001", 60)},
	"genesis changed":          {translog.WrongEntry, flip("tile/entries/000", 100)},
	"an entry longer":          {translog.WrongEntry, flip("tile/entries/001", 1)},
	"a bundle cut off":         {translog.BadBundle, func(s *served) { s.files["tile/entries/001"] = s.files["tile/entries/001"][:5000] }},
	"a bundle too long":        {translog.BadBundle, func(s *served) { s.files["tile/entries/001"] = append(bytes.Clone(s.files["tile/entries/001"]), 0) }},
	"an empty bundle":          {translog.BadBundle, func(s *served) { s.files["tile/entries/001"] = nil }},
	"the last bundle too long": {translog.BadBundle, func(s *served) { s.files["tile/entries/002.p/88"] = append(s.files["tile/entries/002.p/88"], 0, 0) }},
	"a hash changed":           {translog.WrongTile, flip("tile/0/001", 40)},
	"a partial tile changed":   {translog.WrongTile, flip("tile/0/002.p/88", 32*87)},
	"an upper tile changed":    {translog.WrongTile, flip("tile/1/000.p/2", 33)},
	"a tile cut off":           {translog.WrongTile, func(s *served) { s.files["tile/0/001"] = s.files["tile/0/001"][:8191] }},
	"a tile too long":          {translog.WrongTile, func(s *served) { s.files["tile/1/000.p/2"] = append(s.files["tile/1/000.p/2"], 0) }},
	"an entry and its hash":    {translog.WrongTile, entryAndHash},
	"another root":             {translog.WrongRoot, func(s *served) { s.Hash[31] ^= 1 }},
}

// TestReplayNames: what is spoiled is named as what it is.
func TestReplayNames(t *testing.T) {
	w := singles(600)
	for name, b := range treeBreakers {
		t.Run(name, func(t *testing.T) {
			s := serve(w.leaves)
			b.spoil(s)
			err := translog.Replay(t.Context(), translog.NewMonitor(w.logKey), s.Tree, s, nil)
			if got := fault(t, err); got != b.want {
				t.Errorf("%q, want %q: %v", got, b.want, err)
			}
		})
	}
}

// TestReplayNamesRules: in a log whose tree is right, Replay names the rule.
func TestReplayNamesRules(t *testing.T) {
	for name, b := range ruleBreakers() {
		if b.want == translog.TooLong {
			continue // no bundle can hold it
		}
		w := newWriter()
		b.write(w)
		s := serve(w.leaves)
		err := translog.Replay(t.Context(), translog.NewMonitor(w.logKey), s.Tree, s, nil)
		if got := fault(t, err); got != b.want {
			t.Errorf("%s: %q, want %q: %v", name, got, b.want, err)
		}
	}
}

// TestReplayNoticesEveryBit flips a bit in every byte of a small log.
func TestReplayNoticesEveryBit(t *testing.T) {
	w := newWriter()
	w.note(firstEpoch, &w.genesis)
	w.epoch(firstEpoch, slots)
	s := serve(w.leaves)
	for path, data := range maps.Clone(s.files) {
		for i := range data {
			spoiled := bytes.Clone(data)
			spoiled[i] ^= 1 << (i % 8)
			s.files[path] = spoiled
			if fault(t, translog.Replay(t.Context(), translog.NewMonitor(w.logKey), s.Tree, s, nil)) == "" {
				t.Fatalf("%s: byte %d changed unnoticed", path, i)
			}
		}
		s.files[path] = data
	}
}

// TestReplayNamesHistory: a monitor that has seen a log refuses another past of it.
func TestReplayNamesHistory(t *testing.T) {
	w := singles(600)
	other := singles(601)
	for i := 300; i < 601; i++ { // another commitment from leaf 300 on
		l, err := translog.ParseLeaf(other.leaves[i])
		if err != nil {
			t.Fatal(err)
		}
		l.Commitment[0] ^= 1
		other.leaves[i] = l.Marshal()
	}
	for name, c := range map[string]struct {
		seen int
		tree *served
		want translog.Fault
	}{
		"smaller":           {600, serve(w.leaves[:599]), translog.RolledBack},
		"same":              {600, serve(w.leaves), ""},
		"fork of this size": {600, serve(other.leaves[:600]), translog.Forked},
		"fork that grew":    {600, serve(other.leaves), translog.Forked},
		"fork ahead":        {300, serve(other.leaves), ""},
		"fork at one leaf":  {301, serve(other.leaves), translog.Forked},
		"too large":         {600, &served{Tree: tlog.Tree{N: translog.MaxLeaves + 1}}, translog.TooManyLeaves},
		"negative":          {0, &served{Tree: tlog.Tree{N: -1}}, translog.TooManyLeaves},
	} {
		m := translog.NewMonitor(w.logKey)
		for _, leaf := range w.leaves[:c.seen] {
			if err := m.Add(leaf); err != nil {
				t.Fatal(err)
			}
		}
		if got := fault(t, translog.Replay(t.Context(), m, c.tree.Tree, c.tree, nil)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestReplayTellsTroubleFromViolation: a file that cannot be read, and a context
// that ends, are no violations.
func TestReplayTellsTroubleFromViolation(t *testing.T) {
	w := singles(600)
	s := serve(w.leaves)
	var v *translog.Violation
	for path, data := range maps.Clone(s.files) {
		delete(s.files, path)
		err := translog.Replay(t.Context(), translog.NewMonitor(w.logKey), s.Tree, s, nil)
		if !errors.Is(err, errNoFile) || errors.As(err, &v) {
			t.Errorf("without %s: %v", path, err)
		}
		s.files[path] = data
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := translog.Replay(ctx, translog.NewMonitor(w.logKey), s.Tree, s, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkReplay reads and proves 10^5 leaves that lie in memory.
func BenchmarkReplay(b *testing.B) {
	w := newWriter()
	w.genesis.Slots = 16
	w.begin()
	for epoch := int64(firstEpoch); len(w.leaves) < 100_000; epoch++ {
		w.epoch(epoch, 16)
	}
	s := serve(w.leaves)
	b.ReportAllocs()
	for b.Loop() {
		m := translog.NewMonitor(w.logKey)
		if err := translog.Replay(b.Context(), m, s.Tree, s, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(w.leaves))*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}
