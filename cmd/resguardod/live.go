package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/onion/review"
	"resguardo/onion/site"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// live is the state of desks and cards that the running server uses. A change is
// on the disk first. Who leaves is out when apply returns; who comes in waits for
// the public log.
type live struct {
	dir     statedir.Dir
	vault   *vault.Vault
	genesis *translog.Genesis // with which the log begins
	policy  statedir.Policy
	now     func() time.Time

	mu      sync.Mutex // one change, or one epoch's end, at a time; guards the next two
	state   *statedir.State
	seen    int64 // last epoch that a checkpoint covers which everybody could see before this epoch
	current atomic.Pointer[snapshot]

	// onChange tells tor of the cards in the files; nil = there is no tor. It returns
	// what is left to the operator.
	onChange func(context.Context, *statedir.State, statedir.Outcome) ([]say.Text, error)
}

// snapshot is who may do what in one epoch, in the words of the site and of the
// review API. It is never changed.
type snapshot struct {
	desks    []site.Desk
	members  map[string]review.Member
	auditors []age.Recipient
	cards    []card.Card // of the members that are in a desk
	sequence uint64      // of the governance note that works
	policy   string      // that works in the log

	retention governance.Retention // that works in the log
}

// newLive reads what the vault's log says. Nobody is in force before the log has begun.
func newLive(d statedir.Dir, s *statedir.State, v *vault.Vault) (*live, error) {
	policy, err := d.Policy()
	if err != nil {
		return nil, err
	}
	keys, err := d.Verifiers()
	if err != nil {
		return nil, err
	}
	l := &live{dir: d, vault: v, genesis: genesisNote(v.Genesis(), keys), policy: policy, now: time.Now, state: s}
	return l, l.recall()
}

// genesisNote is what never changes in the log. What files can change is filled in later.
func genesisNote(g vault.Genesis, keys statedir.Verifiers) *translog.Genesis {
	return &translog.Genesis{
		Origin: g.Origin, Log: keys.Log, Operations: keys.Operations, Governance: keys.Governance, Threshold: 1,
		Epoch: g.Epoch, Slots: g.Slots, Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads,
	}
}

func (l *live) desks() []site.Desk                { return believable(l.current.Load().desks, l.now()) }
func (l *live) members() map[string]review.Member { return l.current.Load().members }
func (l *live) cards() []card.Card                { return l.current.Load().cards }
func (l *live) sequence() uint64                  { return l.current.Load().sequence }
func (l *live) deleteSignatures() int             { return l.current.Load().retention.DeleteSignatures }

// retention is how long cases last.
func (l *live) retention() vault.Retention {
	return vault.Retention{Days: l.current.Load().retention.Days, Extra: extraDays}
}

// extraDays is how much longer a case lasts that holds something nobody has seen.
const extraDays = 90

// log copies what the public log says.
func (l *live) log() (log governance.Log) {
	l.vault.ReadLog(func(m *translog.Monitor) { log = governance.Of(m) })
	return log
}

func (l *live) files() governance.Files {
	return governance.FilesOf(l.state, l.genesis, l.policy.Text)
}

// epoch is the current one. After the clock went back it is the one after the
// newest that is closed.
func (l *live) epoch(log governance.Log) int64 {
	return max(translog.EpochAt(l.now(), l.genesis.Epoch), log.Last+1)
}

// recall puts in force what worked when the server stopped. Of a checkpoint that was
// published in this very epoch, nothing works yet: the file seen tells what was
// public before it.
func (l *live) recall() error {
	log := l.log()
	epoch := l.epoch(log)
	noted, seen, found, err := l.dir.Seen()
	if err != nil {
		return err
	}
	if found && noted == epoch {
		l.seen = seen
	}
	l.look(log, epoch)
	return nil
}

// turn puts in force what works in a new epoch, before its checkpoint is published.
// The caller holds mu.
func (l *live) turn(log governance.Log, epoch int64) error {
	l.look(log, epoch)
	return l.dir.SetSeen(epoch, l.seen)
}

// look takes what was published before an epoch for seen.
func (l *live) look(log governance.Log, epoch int64) {
	if covers, published := l.vault.Witnessed(); published < epoch {
		l.seen = max(l.seen, covers)
	}
	l.refresh(log, epoch)
}

// refresh makes the snapshot anew.
func (l *live) refresh(log governance.Log, epoch int64) {
	force := log.In(l.state, epoch, l.seen)
	signs := l.signs(log.Since(force), force)
	n := &snapshot{members: map[string]review.Member{}, sequence: force.Sequence, policy: force.Policy, retention: force.Retention}
	for _, d := range l.state.Desks {
		desk := site.Desk{ID: d.ID, Name: d.Name.Map(), Runs: d.Runs.Map(), Regions: d.Regions, Organisation: d.Organisation,
			Government: d.Government, Languages: d.Languages, Conflict: d.Conflict, LastSign: signs[d.ID]}
		for _, fingerprint := range force.Desks[d.ID] {
			r, _ := l.state.Reviewer(fingerprint)
			desk.Recipients = append(desk.Recipients, r.Recipient)
			m := n.members[fingerprint]
			n.members[fingerprint] = review.Member{Card: r.Card, File: r.Text, Desks: append(slices.Clone(m.Desks), d.ID)}
		}
		n.desks = append(n.desks, desk)
	}
	for _, m := range n.members {
		n.cards = append(n.cards, m.Card)
	}
	for _, a := range l.state.Auditors {
		if fingerprint := a.Card.Fingerprint(); slices.Contains(force.Auditors, fingerprint) {
			n.auditors = append(n.auditors, a.Recipient)
			n.members[fingerprint] = review.Member{Card: a.Card, File: a.Text}
		}
	}
	l.current.Store(n)
}

// changed is what a change came to.
type changed struct {
	statedir.Outcome
	todo     []say.Text // left to the operator
	requests []governance.Request
	from     int64 // epoch from which additions work that are signed at once; 0 = from the first start on
}

// apply makes a change and puts it in force. After an error that came once the
// files were changed, what the files say is in force too.
func (l *live) apply(ctx context.Context, change statedir.Change) (c changed, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Outcome, err = l.dir.Apply(change)
	s, loadErr := l.dir.Load()
	if loadErr != nil {
		return c, cmp.Or(err, loadErr)
	}
	l.state = s
	log := l.log()
	l.refresh(log, l.epoch(log))
	plan, planErr := l.plan(log, nil)
	c.requests, c.from = governance.Unsigned(plan), log.FromNow(l.epoch(log))
	err = errors.Join(err, planErr)
	if l.onChange != nil && c.Fingerprint != "" {
		var torErr error
		c.todo, torErr = l.onChange(ctx, s, c.Outcome)
		err = errors.Join(err, torErr)
	}
	return c, err
}

// plan compares files and log, takes up signatures, those of more included, and
// brings requests/ up to date. The caller holds mu.
func (l *live) plan(log governance.Log, more [][]byte) ([]governance.Request, error) {
	have, err := l.dir.Requests()
	if err != nil {
		return nil, err
	}
	for _, text := range more {
		g, err := translog.ParseGovernance(text)
		if err != nil {
			return nil, say.Fail(say.T("this is not a governance note: %s", err), say.Text{})
		}
		file := governance.Request{Governance: g, Note: text}.File()
		have = slices.DeleteFunc(have, func(r statedir.Request) bool { return r.Name == file.Name })
		have = append(have, file)
	}
	slices.SortFunc(have, func(a, b statedir.Request) int { return strings.Compare(a.Name, b.Name) })
	plan := log.Plan(l.files(), have, l.epoch(log))
	return plan, l.dir.SetRequests(governance.FileAll(plan))
}

// signed takes up notes that somebody has signed.
func (l *live) signed(notes [][]byte) ([]governance.Request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	plan, err := l.plan(l.log(), notes)
	return governance.Unsigned(plan), err
}

// siteConfig is the configuration of the pages at the given Host values.
func (s *server) siteConfig(c statedir.Config, hosts ...string) site.Config {
	g := s.vault.Genesis()
	sc := site.Config{
		Hosts: hosts, Params: codename.Params{Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads},
		Origin: c.Origin, Organisation: c.Organisation, Languages: c.Languages, Added: s.languages, Questions: s.questions, Lawyer: c.Lawyer, Demo: c.Demo,
		MaxReport: int64(c.Limits.Report), MaxFiles: c.Limits.Files, MinRate: c.Limits.MinRate, MaxUploads: s.memory.uploads,
		MaxForms: s.doors.forms(), Derivations: s.memory.derivations,
		RetentionDays: s.live.retention().Days, BackupDays: c.BackupDays, ConfirmDays: c.ConfirmDays, AnswerDays: c.AnswerDays,
		Hotline: c.Hotline, LeaveTo: c.LeaveTo, Governance: s.live.sequence, Cards: s.live.cards,
	}
	for _, w := range c.OtherWays {
		sc.OtherWays = append(sc.OtherWays, site.Way{Text: w.Map()})
	}
	return sc
}

// reviewConfig is the configuration of the reviewers' API at the given Host values.
func (s *server) reviewConfig(c statedir.Config, hosts ...string) review.Config {
	return review.Config{
		Origin: s.vault.Genesis().Origin, Hosts: hosts, MaxItem: int64(c.Limits.Report), MinRate: c.Limits.MinRate,
		Retention: s.live.retention(), DeleteSignatures: s.live.deleteSignatures, Governance: s.live.sequence,
		Reading: s.live.lastSign, Keep: s.live.keep,
	}
}
