package seal

import (
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

// TestPaddedSizeTable is the table of docs/formats.md.
func TestPaddedSizeTable(t *testing.T) {
	for _, tt := range []struct{ n, want int64 }{
		{-1, 65536},
		{0, 65536},
		{1, 65536},
		{65535, 65536},
		{65536, 65536},
		{65537, 67584},
		{67584, 67584},
		{67585, 69632},
		{100_000, 100_352},
		{131_072, 131_072},
		{131_073, 135_168},
		{1_000_000, 1_015_808},
		{1 << 20, 1 << 20},
		{1<<20 + 1, 1_081_344},
		{5_000_000, 5_111_808},
		{100_000_000, 100_663_296},
		{1 << 30, 1 << 30},
		{1<<30 + 1, 1_107_296_256},
		{4_000_000_000, 4_026_531_840},
		{1 << 32, 1 << 32},
		{1<<32 + 1, 1<<32 + 1<<26},
		{1 << 62, 1 << 62},
	} {
		if got := PaddedSize(tt.n); got != tt.want {
			t.Errorf("PaddedSize(%d) = %d, want %d", tt.n, got, tt.want)
		}
	}
}

func TestPaddedSizeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<62).Draw(t, "n")
		if rapid.Bool().Draw(t, "of a real size") {
			n &= 1<<rapid.IntRange(16, 44).Draw(t, "bits") - 1
		}
		p := PaddedSize(n)
		if p < n || p < minPadded {
			t.Fatalf("PaddedSize(%d) = %d", n, p)
		}
		if n >= minPadded && float64(p-n) > 0.12*float64(n) {
			t.Fatalf("PaddedSize(%d) = %d adds more than 12 %%", n, p)
		}
		if n >= minPadded && (p-n) > n/32 {
			t.Fatalf("PaddedSize(%d) = %d adds more than 1/32", n, p)
		}
		if again := PaddedSize(p); again != p {
			t.Fatalf("PaddedSize(%d) = %d, of which it is %d", n, p, again)
		}
		if n < 1<<62 && PaddedSize(n+1) < p {
			t.Fatalf("PaddedSize(%d) < PaddedSize(%d)", n+1, n)
		}
		// The definition: as many significant bits as the exponent has.
		exponent := bits.Len64(uint64(p)) - 1
		if digits := exponent + 1 - bits.TrailingZeros64(uint64(p)); digits > bits.Len(uint(exponent))+1 {
			t.Fatalf("PaddedSize(%d) = %b has %d significant bits", n, p, digits)
		}
	})
}

func TestPaddedSizeRefusesOverflow(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	PaddedSize(1<<62 + 1)
}
