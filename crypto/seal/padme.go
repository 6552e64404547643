package seal

import "math/bits"

// minPadded is the size of the smallest report, in bytes.
const minPadded = 64 << 10

// PaddedSize is the [Padmé] size of n bytes with a floor of 64 KiB: n rounded up
// so that its binary form has no more significant digits than its exponent
// (the floor of log2 n) has. Above the floor it adds at most 1/32 (3.2 %), and
// the size of a report of 64 KiB to 4 GiB is one of about 500.
//
// PaddedSize is monotone and idempotent. n must be at most 2^62.
//
// [Padmé]: https://petsymposium.org/popets/2019/popets-2019-0056.php
func PaddedSize(n int64) int64 {
	if n <= minPadded {
		return minPadded
	}
	if n > 1<<62 {
		panic("seal: no padded size beyond 2^62 bytes")
	}
	exponent := bits.Len64(uint64(n)) - 1
	free := exponent - bits.Len(uint(exponent)) // low bits that must be zero
	mask := int64(1)<<free - 1
	return (n + mask) &^ mask
}
