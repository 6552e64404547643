package site

import (
	"context"
	"sync"
	"time"
)

// patience is how long a visitor waits for a slot before it is told "busy".
const patience = time.Minute

// circuitShare is how many uploads, or forms, one circuit may send at once, as a
// share of the slots. Its two uploads are allowed in any case.
const circuitShare = 8

// turnedForms is how many reports may be answered with their text at once although
// there was no place for them.
const turnedForms = 16

// uploadQueue is how many more uploads than MaxUploads may wait for a slot;
// nothing of their files is read meanwhile.
const uploadQueue = 64

// places bound one kind of work: slots for what runs, and places for what runs
// or waits for a slot. A circuit gets at most its share of the places, so that
// one visitor cannot keep everybody else out: a further circuit costs proof of
// work when the service is under load.
//
// A circuit's number is kept for as long as the circuit holds a place, in
// memory only.
type places struct {
	circuit func(context.Context) (uint32, bool) // nil: nobody has a circuit
	slots   chan struct{}
	size    int
	share   int // most places that one circuit may hold

	mu    sync.Mutex
	taken int
	held  map[uint32]int // by circuit; all above zero
}

// newPlaces makes slots and waiting places.
func newPlaces(slots, waiting, share int, circuit func(context.Context) (uint32, bool)) *places {
	return &places{circuit: circuit, slots: make(chan struct{}, slots), size: slots + waiting, share: max(1, share), held: map[uint32]int{}}
}

// full reports whether every place is taken.
func (p *places) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken == p.size
}

// enter takes a place for the request of ctx and waits for a slot. leave, which
// must be called once, gives both back. The error is errBusy if all places are
// taken, or after patience; errOften if the circuit's share is; or it is ctx's.
func (p *places) enter(ctx context.Context) (leave func(), err error) {
	giveUp, ok := p.take(ctx)
	if !ok {
		return nil, p.refusal(ctx)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; giveUp() }, nil
	case <-late.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	giveUp()
	return nil, err
}

// refusal is why there is no place: errOften if there are some, but the circuit has
// its share.
func (p *places) refusal(ctx context.Context) error {
	if p.circuit == nil || p.full() {
		return errBusy
	}
	if _, known := p.circuit(ctx); !known {
		return errBusy
	}
	return errOften
}

// take takes a place; leave gives it back.
func (p *places) take(ctx context.Context) (leave func(), ok bool) {
	id, known := uint32(0), false
	if p.circuit != nil {
		id, known = p.circuit(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == p.size || known && p.held[id] == p.share {
		return nil, false
	}
	p.taken++
	if !known {
		return func() { p.leave(nil) }, true
	}
	p.held[id]++
	return func() { p.leave(&id) }, true
}

func (p *places) leave(id *uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if id == nil {
		return
	}
	if p.held[*id]--; p.held[*id] == 0 {
		delete(p.held, *id)
	}
}
