package site

import (
	"context"
	"runtime"

	"resguardo/crypto/codename"
)

const (
	kdfSlots = 2  // derivations at once, of 64 MiB each, if Config does not say
	kdfQueue = 64 // more of each kind that may wait, each with a text in memory

	worthCollecting = 8 << 10 // KiB of one derivation
)

// kdf bounds the memory and the waiting of the codename's key derivation. Reports
// and sign-ins have the same slots and wait for them each in places of their own, so
// that a flood of the ones does not keep out the others.
type kdf struct {
	params           codename.Params
	reports, signIns *places
}

// newKDF makes slots for derivations at once, of 64 MiB each.
func newKDF(p codename.Params, slots int, circuit func(context.Context) (uint32, bool)) *kdf {
	kind := func() *places { return newPlaces(slots, kdfQueue, (slots+kdfQueue)/4, circuit) }
	k := &kdf{params: p, reports: kind(), signIns: kind()}
	k.signIns.slots = k.reports.slots
	return k
}

// derive derives the keys of a codename in one of k's places, about 125 ms when
// nobody waits. It returns what places.enter returns.
func (k *kdf) derive(ctx context.Context, p *places, c codename.Codename) (codename.Keys, error) {
	leave, err := p.enter(ctx)
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
