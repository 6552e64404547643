package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/vault"
	"resguardo/vault/translog"
	"resguardo/vault/witness"
)

// maxOwed is how many epochs a server that is late closes one by one. Those before
// them, and those that ended while it was off, become a gap.
const maxOwed = 8

// look is the longest pause between two looks at the clock of the wall, which may jump.
const look = time.Minute

// ticker closes the epochs of the public log and publishes its checkpoints. One
// goroutine owns it.
type ticker struct {
	live      *live
	log       *slog.Logger
	keys      signers
	assets    translog.Assets
	witnesses *witness.Client      // nil: the policy names none
	skew      func() time.Duration // our clock less that of the Tor network, once tor complains

	next      int64     // epoch that is closed next
	again     time.Time // no earlier
	behind    bool      // the clock is behind what is closed, and that was said
	failing   bool      // an epoch could not be closed, and that was said
	asking    *asking   // about the newest checkpoint; nil before there is one
	answers   chan answered
	probed    probing
	unvouched int64 // first epoch that was published without a quorum and is not yet in the log; 0 = none
}

// newTicker begins in the current epoch: those that ended while the server was off
// are a gap.
func newTicker(l *live, log *slog.Logger, keys signers, assets translog.Assets) *ticker {
	t := &ticker{live: l, log: log, keys: keys, assets: assets, skew: func() time.Duration { return 0 }, answers: make(chan answered)}
	now := l.log()
	t.next = l.epoch(now)
	if covers, _ := l.vault.Witnessed(); covers < now.Last && sameText(l.vault.Published(), l.vault.Signed()) {
		t.unvouched = covers + 1
	}
	return t
}

// run works until ctx ends, or until nothing may be signed any more.
func (t *ticker) run(ctx context.Context) error {
	defer t.stopAsking()
	for {
		if err := t.tick(ctx); err != nil {
			return err
		}
		pause := time.NewTimer(t.pause())
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case a := <-t.answers:
			if err := t.hear(ctx, a); err != nil {
				return err
			}
		case <-pause.C:
		}
		pause.Stop()
	}
}

// pause is how long nothing has to be done.
func (t *ticker) pause() time.Duration {
	now := t.live.now()
	due := translog.EpochStart(t.next+1, t.live.genesis.Epoch)
	if due.Before(t.again) {
		due = t.again
	}
	pause := min(look, due.Sub(now))
	if t.asking != nil {
		pause = min(pause, t.asking.pause(now))
	}
	return max(pause, 0)
}

// tick does what is due.
func (t *ticker) tick(ctx context.Context) error {
	now := t.live.now()
	current := translog.EpochAt(now, t.live.genesis.Epoch)
	if behind := current < t.next; behind != t.behind {
		if t.behind = behind; behind {
			t.log.Warn("the clock went back; no epoch is closed until it has caught up", "closed", t.next-1)
		}
	}
	if t.next >= current || now.Before(t.again) || !t.probe(ctx, now) {
		return t.publishInTime(ctx, now)
	}
	t.next = max(t.next, current-maxOwed)
	for t.next < current {
		closed, err := t.close(ctx, current)
		if err != nil {
			return err
		}
		if !closed {
			t.again = now.Add(look)
			break
		}
		t.next++
		t.publish(ctx)
	}
	return t.publishInTime(ctx, now)
}

// close closes the epoch t.next, in the epoch current. It returns false when that must be tried again.
func (t *ticker) close(ctx context.Context, current int64) (closed bool, err error) {
	l := t.live
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log()
	if err := gapError(l.dir, log.Last, t.next, l.genesis.Epoch, t.skew()); err != nil {
		return false, err
	}
	plan, err := l.plan(log, nil)
	if err != nil {
		t.say("epoch not closed", err)
		return false, nil
	}
	c := vault.Closing{Epoch: t.next, Signer: t.keys.log, Seal: sealTo(l.current.Load().auditors)}
	first, rest, err := t.operations(log)
	if err != nil {
		t.say("epoch not closed", err)
		return false, nil
	}
	// A note that the log refuses must not stop the log.
	for _, notes := range [][][]byte{join(first, governance.Ready(plan), rest), join(first, rest), first} {
		c.Notes = notes
		err = l.vault.CloseEpoch(ctx, c)
		if wrong := (*translog.Violation)(nil); !errors.As(err, &wrong) {
			break
		}
		t.say("a note was refused", err)
	}
	switch {
	case errors.Is(err, vault.ErrOldCopy), errors.Is(err, vault.ErrNoHighWater), errors.Is(err, vault.ErrDamaged):
		return false, copyError(l.dir, err)
	case stopped(ctx, err):
		return false, nil
	case err != nil:
		t.say("epoch not closed", err)
		return false, nil
	}
	t.failing = false
	t.closed(current)
	return true, nil
}

// stopped tells whether err is no fault: the server was told to end. What was not
// done is done at the next start.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// say logs a failure of closing once, until one succeeds.
func (t *ticker) say(what string, err error) {
	if !t.failing {
		t.failing = true
		t.log.Error(what, "epoch", t.next, "reason", err)
	}
}

// operations are the notes of the operations key: a gap note, and the others. The
// caller holds live.mu.
func (t *ticker) operations(log governance.Log) (gap, rest [][]byte, err error) {
	r := governance.Report{Epoch: t.next, Revoked: log.Removals(t.live.files()), Unwitnessed: t.unvouched, Assets: t.assets}
	from, to, found, err := t.live.dir.Restored()
	if err != nil {
		return nil, nil, err
	}
	if found {
		r.Restored = translog.Restore{From: from, To: to}
	}
	for _, g := range log.Operations(r) {
		leaf, err := g.Sign(t.keys.operations)
		if err != nil {
			return nil, nil, err
		}
		if g.Kind == translog.GapNote {
			gap = append(gap, leaf)
		} else {
			rest = append(rest, leaf)
		}
	}
	return gap, rest, nil
}

func join(lists ...[][]byte) (all [][]byte) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// closed takes up what the log says now. The caller holds live.mu.
func (t *ticker) closed(current int64) {
	l := t.live
	log := l.log()
	seenErr := l.turn(log, current)
	t.log.Info("epoch closed", "epoch", t.next, "size", log.Size)
	if t.asking == nil || t.asking.vouched {
		t.unvouched = 0 // what was said of it is in the log
	}
	_, err := l.plan(log, nil)
	if err = errors.Join(err, seenErr, l.dir.ForgetMarks()); err != nil {
		t.log.Error("the directory is not up to date", "reason", err)
	}
	t.expire(log.Last)
}

// expire destroys the cases whose time is over, by the day on which the newest epoch
// ended: the log refuses to jump with a clock, so a wrong one deletes nothing.
// Their tombstones stand in the next epoch.
func (t *ticker) expire(epoch int64) {
	l := t.live
	today := translog.EpochStart(epoch+1, l.genesis.Epoch).Format(time.DateOnly)
	for _, id := range l.vault.Due(today, l.retention()) {
		err := l.vault.Expire(context.Background(), id, l.sequence())
		if err != nil && !errors.Is(err, vault.ErrNotFound) && !errors.Is(err, vault.ErrExists) {
			t.log.Error("a mailbox whose time is over was not deleted", "reason", err)
		}
	}
}

// logError puts an error of the ticker into our words.
func logError(err error) error {
	if told := (*say.Error)(nil); err == nil || errors.As(err, &told) {
		return err
	}
	return say.Fail(say.T("the public log cannot go on: %s", err), say.Text{})
}
