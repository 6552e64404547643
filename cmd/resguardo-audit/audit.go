package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// clockSkew is how far clocks may differ.
const clockSkew = 5 * time.Minute

// grace is how late a checkpoint may appear: the server waits that long for its
// witnesses.
const grace = 10 * time.Minute

// audit is one look at a log: everything that can be checked without a secret.
type audit struct {
	policy *policy
	reader *reader
	memory *memory // nil: nothing is remembered between runs
	now    time.Time
	most   int64 // leaves of a log that we read

	onLeaf func(index int64, leaf []byte) // may be nil

	checkpoint *checkpoint
	monitor    *translog.Monitor
	findings   []*finding // none that leads to exit 3
	witnessed  int64      // last epoch known to be covered by a quorum; 0 = none
	firstEvent int64      // index of the first event leaf; -1 = none
	whole      bool       // everything was read and is right
}

// run reads and checks the whole log. The error is a *finding if the log is wrong
// (exit 3) or not read further (exit 1), else something could not be read.
// Findings that leave the log in use are in a.findings.
func (a *audit) run(ctx context.Context) error {
	signed, err := a.reader.read(ctx, "checkpoint", maxCheckpoint)
	if errors.Is(err, errMissing) {
		return say.Fail(say.T("there is no file checkpoint in that folder"), say.T("-url is the folder that holds it, often …/log/; if it was there yesterday, ask the operator"))
	}
	if err != nil {
		return err
	}
	if a.checkpoint, err = a.policy.openCheckpoint(signed); err != nil {
		return err
	}
	c := a.checkpoint
	if err := a.memory.compare(c); err != nil {
		return err
	}
	switch {
	case c.N == 0:
		return found(emptyLog, "")
	case c.N > a.most:
		return &finding{fault: tooLarge, leaf: -1, more: decimal(c.N)}
	}
	if err := a.replay(ctx); err != nil {
		return err
	}
	if err := a.memory.consistent(c, a.reader); err != nil {
		return err
	}
	if err := a.times(); err != nil {
		return err
	}
	a.judge()
	a.whole = true
	return a.memory.keep(c)
}

// replay downloads the whole log and checks every leaf, every tile and the root.
func (a *audit) replay(ctx context.Context) error {
	n := a.checkpoint.N
	ctx, cancel := context.WithTimeoutCause(ctx, patience(n),
		say.Fail(say.T("the whole log did not arrive within %s", patience(n).String()), say.Text{}))
	defer cancel()
	a.monitor, a.firstEvent = translog.NewMonitor(a.policy.vkey), -1
	err := translog.Replay(ctx, a.monitor, a.checkpoint.Tree, a.reader, a.take)
	if v := (*translog.Violation)(nil); errors.As(err, &v) {
		return violation(v)
	}
	return err
}

// take is told each leaf that keeps the rules.
func (a *audit) take(index int64, leaf []byte) {
	if a.firstEvent < 0 && !translog.IsGovernance(leaf) {
		a.firstEvent = index
	}
	a.memory.pass(index+1, leaf, a.monitor)
	if a.onLeaf != nil {
		a.onLeaf(index, leaf)
	}
}

// times checks what clocks say. The last epoch must be over, and no witness can
// have signed before that, or in the future.
func (a *audit) times() error {
	end := a.ended()
	if end.After(a.now.Add(clockSkew)) {
		return &finding{fault: epochFuture, leaf: -1, epoch: a.monitor.LastEpoch(), more: clock(end)}
	}
	for _, s := range a.checkpoint.cosigned {
		switch {
		case s.at.After(a.now.Add(clockSkew)):
			return found(cosignatureFuture, s.witness+", "+clock(s.at))
		case s.at.Before(end.Add(-clockSkew)):
			return found(cosignatureEarly, s.witness+", "+clock(s.at))
		}
	}
	return nil
}

// ended is when the newest epoch in the log ended: its checkpoint is due then.
func (a *audit) ended() time.Time {
	return translog.EpochStart(a.monitor.LastEpoch()+1, a.monitor.Genesis().Epoch)
}

// judge finds what leaves the log usable: it is late, its witnesses are missing,
// its own policy is another.
func (a *audit) judge() {
	last := a.monitor.LastEpoch()
	a.witnessed = a.memory.witnessedEpoch()
	switch {
	case !a.policy.quorum:
		a.add(&finding{fault: noQuorum, leaf: -1})
	case a.checkpoint.met:
		a.witnessed = last
	default:
		since := last
		if a.witnessed != 0 {
			since = a.witnessed
		}
		a.add(&finding{fault: unwitnessed, leaf: -1, epoch: since})
	}
	if a.now.Sub(a.ended()) > 2*a.monitor.Genesis().Epoch+grace {
		a.add(&finding{fault: stale, leaf: -1, epoch: last, more: clock(a.ended())})
	}
	if !samePolicy(a.policy.text, a.ownPolicy()) {
		a.add(found(policyDiffers, ""))
	}
}

func (a *audit) add(f *finding) { a.findings = append(a.findings, f) }

// ownPolicy is the policy that the log itself names, of the newest note in force.
func (a *audit) ownPolicy() string {
	text := a.monitor.Genesis().Policy
	for _, n := range a.monitor.Notes() {
		if p, ok := n.Body.(translog.Policy); ok && n.From <= a.monitor.LastEpoch()+1 {
			text = p.Text
		}
	}
	return text
}

// exit is the worst exit code of what was found in a log that is in use.
func (a *audit) exit() int {
	worst := exitOK
	for _, f := range a.findings {
		worst = max(worst, f.exit())
	}
	return worst
}

// treeAt is the root of the first n leaves of tree.
func treeAt(n int64, tree tlog.Tree, r *reader) (tlog.Hash, error) {
	if n == tree.N {
		return tree.Hash, nil
	}
	return tlog.TreeHash(n, r.hashes(tree))
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
