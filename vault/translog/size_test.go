package translog

import (
	"testing"

	"pgregory.net/rapid"
)

// TestPlaintextSize computes both ways.
func TestPlaintextSize(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 1<<33), rapid.Custom(func(r *rapid.T) int64 {
			return max(0, rapid.Int64Range(0, 70).Draw(r, "chunks")<<16+rapid.Int64Range(-20, 20).Draw(r, "more"))
		})).Draw(r, "size")
		payload := 16 + n + 16*max(1, (n+65535)/65536)
		if got, ok := PlaintextSize(payload); !ok || got != uint64(n) {
			r.Fatalf("payload of %d bytes: %d, %v, want %d", payload, got, ok, n)
		}
	})
	for _, payload := range []int64{-1, 0, 16, 31, 16 + 65552 + 1, 16 + 65552 + 15, 16 + 65552 + 16, 16 + 3*65552 + 16} {
		if n, ok := PlaintextSize(payload); ok {
			t.Errorf("payload of %d bytes: %d", payload, n)
		}
	}
}
