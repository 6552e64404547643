package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestDivide(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		available, uploads, limit int64 // MiB, uploads wanted, MiB
		atOnce, derivations       int
	}{
		{8192, 8, 280, 8, 2},
		{320, 8, 280, 8, 2},
		{256, 8, 216, 8, 1},
		{200, 8, 171, 3, 1},
		{64, 8, 153, 1, 1}, // too little for anything
		{8192, 32, 496, 32, 2},
		{512, 32, 442, 26, 2},
		{256, 32, 216, 8, 1},
		{8192, 1000, 7165, 773, 2},
	} {
		m := divide(tt.available*mib, int(tt.uploads), 64*mib)
		if m.limit != tt.limit*mib || m.uploads != tt.atOnce || m.derivations != tt.derivations {
			t.Errorf("%d MiB: %d MiB, %d uploads, %d derivations; want %+v", tt.available, m.limit/mib, m.uploads, m.derivations, tt)
		}
	}
}

// TestLeastOf reads limits as the kernel writes them, from a group up to the root.
func TestLeastOf(t *testing.T) {
	root := t.TempDir()
	put := func(dir, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "memory.max"), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "1000")
	put("a/b", "max")
	put("a/b/c", "5000")
	for path, want := range map[string]int64{"/a/b/c": 1000, "/a": 1000, "/": math.MaxInt64, "/none": math.MaxInt64, "/../../a": 1000} {
		if got := leastOf(root, path, "memory.max"); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
