package site

import (
	"context"
	"runtime"

	"resguardo/crypto/codename"
)

const (
	kdfSlots = 2  // derivations at once, of 64 MiB each, if Config does not say
	kdfQueue = 64 // more that may wait, each with a text in memory

	worthCollecting = 8 << 10 // KiB of one derivation
)

// kdf bounds the memory and the waiting of the codename's key derivation.
type kdf struct {
	params codename.Params
	places *places
}

// newKDF makes slots for derivations at once, of 64 MiB each.
func newKDF(p codename.Params, slots int, circuit func(context.Context) (uint32, bool)) *kdf {
	return &kdf{params: p, places: newPlaces(slots, kdfQueue, (slots+kdfQueue)/4, circuit)}
}

// busy reports whether derive would refuse now.
func (k *kdf) busy() bool { return k.places.full() }

// derive derives the keys of a codename, about 125 ms when nobody waits. It
// returns what places.enter returns.
func (k *kdf) derive(ctx context.Context, c codename.Codename) (codename.Keys, error) {
	leave, err := k.places.enter(ctx)
	if err != nil {
		return codename.Keys{}, err
	}
	defer leave()
	keys := c.Derive(k.params)
	if k.params.Memory >= worthCollecting {
		runtime.GC() // or the next one takes as much more
	}
	return keys, nil
}
