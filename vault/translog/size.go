package translog

// PlaintextSize is the number of plaintext bytes in an age payload of so many
// bytes: a nonce of 16 bytes, then chunks of 64 KiB, each with a tag of 16 bytes, the
// last one shorter or full (https://c2sp.org/age#payload). It is the size class of
// an opening. ok is false if no payload has that length.
func PlaintextSize(payload int64) (size uint64, ok bool) {
	const nonce, chunk, tag = 16, 64 << 10, 16
	n := payload - nonce
	if n < tag {
		return 0, false
	}
	full, last := n/(chunk+tag), n%(chunk+tag)
	if last == 0 {
		return uint64(full * chunk), true
	}
	if last < tag || last == tag && full > 0 { // only an empty file has an empty chunk
		return 0, false
	}
	return uint64(full*chunk + last - tag), true
}
