package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"filippo.io/torchwood"

	"resguardo/vault"
	"resguardo/vault/witness"
)

// How long a new checkpoint waits for a quorum of witnesses before it is published
// without one (at most half an epoch), and how often they are asked.
const (
	patience      = 10 * time.Minute
	firstPatience = 3 * time.Second // of the first checkpoint: there is nothing to serve before it
	askAgain      = time.Minute
)

// asking is the work of getting one checkpoint cosigned.
type asking struct {
	checkpoint []byte    // with the cosignatures so far
	until      time.Time // published without a quorum then
	again      time.Time // witnesses are asked again then
	busy       bool      // they are being asked
	published  bool      // as it is, without further cosignatures
	vouched    bool      // a quorum has cosigned it, or none is asked for
	done       bool      // every witness has answered
	first      bool      // it is the first checkpoint of the log
	claimed    bool      // a witness claimed to have seen more, and that was said
	cancel     context.CancelFunc
}

// answered is what witnesses said, about which asking. A nil asking is a probe.
type answered struct {
	about *asking
	all   witness.Collection
	err   error
}

func (a *asking) pause(now time.Time) time.Duration {
	pause := look
	if !a.published {
		pause = min(pause, a.until.Sub(now))
	}
	if !a.done && !a.busy {
		pause = min(pause, a.again.Sub(now))
	}
	return pause
}

// start asks, before anything is signed, whether somebody has seen more, as far as
// witnesses answer at once, and publishes what is not yet published: the first
// checkpoint of a log before anybody can send a report.
func (t *ticker) start(ctx context.Context) error {
	l := t.live
	log := l.log()
	first := l.vault.Published() == nil
	t.probed.done = first // nobody can have seen what was never shown
	if t.witnesses != nil && !first {
		if err := t.startProbe(ctx); err != nil {
			return err
		}
	}
	if err := copyError(l.dir, l.vault.OldCopy()); err != nil {
		return err
	}
	if err := gapError(l.dir, log.Last, t.next, l.genesis.Epoch, 0); err != nil {
		return err
	}
	t.publish(ctx)
	if t.asking.done || !first {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	all, err := t.witnesses.Collect(ctx, t.asking.checkpoint, l.vault.Hashes())
	if err := t.hear(ctx, answered{t.asking, all, err}); err != nil {
		return err
	}
	if !t.asking.published {
		t.release(ctx, t.asking, false)
	}
	return nil
}

// startProbe is a probe that does not wait for witnesses behind a tor that is not up.
func (t *ticker) startProbe(ctx context.Context) error {
	l := t.live
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	all, err := t.witnesses.Probe(ctx, l.vault.Signed(), l.vault.Hashes())
	if err := t.hearProbe(answered{nil, all, err}); err != nil {
		return err
	}
	if errors.Is(l.vault.OldCopy(), vault.ErrNoHighWater) && all.Satisfied && l.policy.Quorum != witness.None {
		return l.vault.TrustCopy(ctx)
	}
	return nil
}

// publish begins to publish the newest checkpoint.
func (t *ticker) publish(ctx context.Context) {
	t.stopAsking()
	v, now, log := t.live.vault, t.live.now(), t.live.log()
	a := &asking{checkpoint: v.Signed(), until: now.Add(min(patience, t.live.genesis.Epoch/2)), again: now,
		done: t.witnesses == nil, first: log.Last < log.Notes[0].Place}
	t.asking = a
	if published := v.Published(); sameText(published, a.checkpoint) {
		covers, _ := v.Witnessed()
		a.checkpoint, a.published, a.vouched = published, true, covers == log.Last
		return
	}
	if a.done || t.live.policy.Quorum == witness.None {
		t.release(ctx, a, t.worksFor(a.checkpoint))
	}
}

func (t *ticker) stopAsking() {
	if t.asking != nil && t.asking.cancel != nil {
		t.asking.cancel()
	}
	t.asking = nil
}

// publishInTime asks witnesses when it is time, and does not wait for them for ever.
func (t *ticker) publishInTime(ctx context.Context, now time.Time) error {
	a := t.asking
	if a == nil {
		return nil
	}
	if !a.done && !a.busy && !now.Before(a.again) {
		t.ask(ctx, a)
	}
	if !a.published && !now.Before(a.until) {
		t.release(ctx, a, false)
	}
	return nil
}

// ask sends the checkpoint to the witnesses that have not cosigned it.
func (t *ticker) ask(ctx context.Context, a *asking) {
	ctx, a.cancel = context.WithCancel(ctx)
	a.busy = true
	signed := a.checkpoint
	go func() {
		all, err := t.witnesses.Collect(ctx, signed, t.live.vault.Hashes())
		select {
		case t.answers <- answered{a, all, err}:
		case <-ctx.Done():
		}
	}()
}

// hear takes what witnesses said.
func (t *ticker) hear(ctx context.Context, r answered) error {
	if r.about == nil {
		return t.hearProbe(r)
	}
	a := r.about
	if a != t.asking {
		return nil // a newer checkpoint is out
	}
	a.busy, a.again = false, t.live.now().Add(askAgain)
	if a.cancel != nil {
		a.cancel()
	}
	if r.err != nil {
		if !stopped(ctx, r.err) {
			t.log.Error("witnesses were not asked", "reason", r.err)
		}
		return nil
	}
	if err := t.seen(a, r.all); err != nil {
		return err
	}
	a.done = true
	for _, w := range r.all.Results {
		a.done = a.done && !w.Time.IsZero()
	}
	more := !bytes.Equal(r.all.Checkpoint, a.checkpoint)
	a.checkpoint = r.all.Checkpoint
	if vouched := r.all.Satisfied && t.worksFor(a.checkpoint); vouched && (more || !a.vouched) || a.published && more {
		t.release(ctx, a, vouched)
	}
	return nil
}

// worksFor tells whether a checkpoint satisfies the policy that works in the log
// too, which may be another one than the file's for a while.
func (t *ticker) worksFor(checkpoint []byte) bool {
	p, err := witness.Parse([]byte(t.live.current.Load().policy))
	if err != nil {
		return false
	}
	_, _, err = torchwood.VerifyCheckpoint(checkpoint, p.Rule)
	return err == nil
}

// sameText tells whether two signed notes are about the same text.
func sameText(a, b []byte) bool {
	textA, _, okA := bytes.Cut(a, []byte("\n\n"))
	textB, _, okB := bytes.Cut(b, []byte("\n\n"))
	return okA && okB && bytes.Equal(textA, textB)
}

// seen stops the server when a witness shows a checkpoint that our own key has
// signed and our log does not lead to. A witness's word alone is not enough: our
// high-water says that this is the newest copy.
func (t *ticker) seen(a *asking, all witness.Collection) error {
	s := all.Seen()
	if s == nil || s.Proof == nil && a.claimed {
		return nil
	}
	if s.Proof == nil {
		a.claimed = true
		t.log.Error("a witness claims to have seen more of the log, or another log; without a proof the server goes on", "claim", s.Error())
		return nil
	}
	if err := t.live.dir.RaiseHighWater(s.Proof); err != nil {
		t.log.Error("the checkpoint that a witness has shown was not kept", "reason", err)
	}
	return copyError(t.live.dir, errors.Join(vault.ErrOldCopy, s))
}

// release publishes a checkpoint.
func (t *ticker) release(ctx context.Context, a *asking, vouched bool) {
	l := t.live
	log := l.log()
	// What is closed is shown, also by a server that is told to end: else a mirror made
	// now would know less than the vault.
	if err := l.vault.Publish(context.WithoutCancel(ctx), a.checkpoint, l.epoch(log), vouched); err != nil {
		if !stopped(ctx, err) {
			t.log.Error("checkpoint not published", "reason", err)
		}
		a.until = l.now().Add(askAgain)
		return
	}
	a.published, a.vouched = true, a.vouched || vouched
	switch {
	case !vouched && t.unvouched == 0:
		t.unvouched = max(log.Last, log.Notes[0].Place)
		if !a.first {
			t.log.Warn("published without a quorum of witnesses", "epoch", log.Last)
		}
	case vouched && a.first:
		t.unvouched = 0
	}
}

// probing is the question, before anything is signed, whether somebody has seen more.
type probing struct {
	done  bool
	busy  bool
	since time.Time // when the first epoch was due
}

// probePatience is how long the first epoch waits for witnesses that are not yet
// reached: tor takes a minute to come up.
const (
	probePatience = 2 * time.Minute
	probePause    = 10 * time.Second
)

// probe tells whether all witnesses have been asked, or long enough.
func (t *ticker) probe(ctx context.Context, now time.Time) bool {
	p := &t.probed
	if p.done || t.witnesses == nil {
		return true
	}
	if p.since.IsZero() {
		p.since = now
	}
	t.again = now.Add(probePause)
	if now.Sub(p.since) >= probePatience {
		p.done = true
		t.log.Warn("not every witness could be asked whether this is the newest copy")
		return true
	}
	if !p.busy {
		p.busy = true
		go func() {
			ctx, cancel := context.WithTimeout(ctx, askAgain)
			defer cancel()
			all, err := t.witnesses.Probe(ctx, t.live.vault.Signed(), t.live.vault.Hashes())
			select {
			case t.answers <- answered{nil, all, err}:
			case <-ctx.Done():
			}
		}()
	}
	return false
}

func (t *ticker) hearProbe(r answered) error {
	t.probed.busy = false
	if seen := (*witness.SeenError)(nil); errors.As(r.err, &seen) {
		return copyError(t.live.dir, errors.Join(vault.ErrOldCopy, seen))
	}
	if r.err == nil {
		if t.probed.done = allAnswered(r.all); t.probed.done {
			t.again = time.Time{}
		}
	}
	return nil
}

// allAnswered tells whether every witness has answered something.
func allAnswered(all witness.Collection) bool {
	for _, r := range all.Results {
		if errors.Is(r.Err, witness.ErrUnreachable) {
			return false
		}
	}
	return true
}
