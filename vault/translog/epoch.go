package translog

import "time"

// MaxEpoch is the largest number of an epoch: some 35,000 years, in epochs of one
// second.
const MaxEpoch = 1 << 40

// EpochAt is the number of the epoch that t falls into: floor(unix seconds / length).
// The length is whole seconds, at least one.
func EpochAt(t time.Time, length time.Duration) int64 {
	seconds := int64(length / time.Second)
	n := t.Unix() / seconds
	if t.Unix() < n*seconds { // before 1970
		n--
	}
	return n
}

// EpochStart is the first moment of an epoch, UTC.
func EpochStart(epoch int64, length time.Duration) time.Time {
	return time.Unix(epoch*int64(length/time.Second), 0).UTC()
}

// EpochLeaves is the number of event leaves of an epoch: the smallest 2^k·slots
// that takes all late events, at least slots.
func EpochLeaves(slots, late int) int {
	n := slots
	for n < late {
		n *= 2
	}
	return n
}

// wholeEpoch tells whether an epoch may have n event leaves: 2^k·slots.
func wholeEpoch(n, slots int64) bool {
	for n > slots && n%2 == 0 {
		n /= 2
	}
	return n == slots
}
