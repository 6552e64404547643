package site

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

type circuitKey struct{}

func testCircuit(ctx context.Context) (uint32, bool) {
	id, ok := ctx.Value(circuitKey{}).(uint32)
	return id, ok
}

func on(t *testing.T, circuit uint32) context.Context {
	return context.WithValue(t.Context(), circuitKey{}, circuit)
}

func TestCircuitGetsItsShare(t *testing.T) {
	for size, share := range map[int]int{1: 1, 3: 1, 4: 1, 8: 2, 18: 4} {
		p := newPlaces(1, size-1, size/4, testCircuit)
		var leave []func()
		for {
			l, ok := p.take(on(t, 1))
			if !ok {
				break
			}
			leave = append(leave, l)
		}
		if len(leave) != share {
			t.Errorf("one circuit got %d of %d places, want %d", len(leave), size, share)
		}
		for i := share; i < size; i++ {
			l, ok := p.take(on(t, uint32(10+i)))
			if !ok {
				t.Fatalf("another circuit got none of the %d places left of %d", size-i, size)
			}
			leave = append(leave, l)
		}
		if _, ok := p.take(on(t, 2)); ok || !p.full() {
			t.Errorf("more than %d places", size)
		}
		for _, l := range leave {
			l()
		}
		if p.taken != 0 || len(p.held) != 0 {
			t.Errorf("after everybody left: %d places taken, circuits %v remembered", p.taken, p.held)
		}
	}
}

func TestWithoutCircuitsThereIsNoShare(t *testing.T) {
	for name, p := range map[string]*places{"no function": newPlaces(4, 4, 2, nil), "unknown": newPlaces(4, 4, 2, testCircuit)} {
		for i := range 8 {
			if _, ok := p.take(t.Context()); !ok {
				t.Errorf("%s: place %d was refused", name, i)
			}
		}
		if len(p.held) != 0 {
			t.Errorf("%s: a circuit is remembered", name)
		}
	}
}

// TestPatienceEnds: who waits for a slot gets it when one is free, and is told
// "busy" after a minute.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1, 2, 3, nil)
		leave, err := p.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := p.enter(t.Context()); err != errBusy || time.Since(begin) != patience {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		time.AfterFunc(patience/2, leave)
		leave, err = p.enter(t.Context())
		if err != nil || time.Since(begin) != patience+patience/2 {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if leave(); p.taken != 0 {
			t.Error("a place is lost")
		}
	})
}
