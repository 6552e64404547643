package site

import (
	"context"
	"runtime/debug"

	"resguardo/crypto/codename"
)

const (
	kdfSlots = 2  // derivations at once, of 64 MiB each
	kdfQueue = 16 // more that may wait
)

// kdf bounds the memory and the waiting of the codename's key derivation.
type kdf struct {
	params codename.Params
	places chan struct{} // running and waiting
	slots  chan struct{} // running
}

func newKDF(p codename.Params) *kdf {
	return &kdf{
		params: p,
		places: make(chan struct{}, kdfSlots+kdfQueue),
		slots:  make(chan struct{}, kdfSlots),
	}
}

// busy reports whether derive would refuse now.
func (k *kdf) busy() bool { return len(k.places) == cap(k.places) }

// derive derives the keys of a codename, about 125 ms when nobody waits. It
// returns errBusy if the queue is full, and ctx's error.
func (k *kdf) derive(ctx context.Context, c codename.Codename) (codename.Keys, error) {
	select {
	case k.places <- struct{}{}:
		defer func() { <-k.places }()
	default:
		return codename.Keys{}, errBusy
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return codename.Keys{}, ctx.Err()
	}
	keys := c.Derive(k.params)
	debug.FreeOSMemory() // still in the slot, so that a third block never lives beside two
	return keys, nil
}
