package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/codename"
	"resguardo/onion/review"
	"resguardo/onion/site"
	"resguardo/vault"
)

// live is the state of desks and reviewers that the running server uses. A
// change is on the disk first and in force when apply returns.
type live struct {
	dir statedir.Dir
	mu  sync.Mutex // one change at a time
	now atomic.Pointer[snapshot]

	// onChange tells tor of the cards in force; nil = there is no tor. It returns
	// what is left to the operator.
	onChange func(context.Context, *statedir.State, statedir.Outcome) ([]say.Text, error)
}

// snapshot is one state in the words of the site and of the review API. It is
// never changed.
type snapshot struct {
	desks   []site.Desk
	members map[string]review.Member
}

func newLive(d statedir.Dir, s *statedir.State) *live {
	l := &live{dir: d}
	l.now.Store(newSnapshot(s))
	return l
}

func (l *live) desks() []site.Desk                { return l.now.Load().desks }
func (l *live) members() map[string]review.Member { return l.now.Load().members }

// apply makes a change and puts it in force. After an error that came once the
// files were changed, what the files say is in force too. todo is left to the
// operator.
func (l *live) apply(ctx context.Context, c statedir.Change) (o statedir.Outcome, todo []say.Text, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o, err = l.dir.Apply(c)
	s, loadErr := l.dir.Load()
	if loadErr != nil {
		return o, nil, cmp.Or(err, loadErr)
	}
	l.now.Store(newSnapshot(s))
	if l.onChange != nil && o.Fingerprint != "" {
		var torErr error
		todo, torErr = l.onChange(ctx, s, o)
		err = errors.Join(err, torErr)
	}
	return o, todo, err
}

func newSnapshot(s *statedir.State) *snapshot {
	n := &snapshot{members: map[string]review.Member{}}
	for _, r := range s.Reviewers {
		if len(r.Desks) > 0 {
			n.members[r.Card.Fingerprint()] = review.Member{Card: r.Card, Desks: r.Desks}
		}
	}
	for _, d := range s.Desks {
		desk := site.Desk{ID: d.ID, Name: d.Name.Map(), Runs: d.Runs.Map(), Regions: d.Regions, Organisation: d.Organisation,
			Government: d.Government, Languages: d.Languages, Conflict: d.Conflict}
		for _, fingerprint := range d.Reviewers {
			if r, found := s.Reviewer(fingerprint); found {
				desk.Recipients = append(desk.Recipients, r.Recipient)
			}
		}
		n.desks = append(n.desks, desk)
	}
	return n
}

// siteConfig is the configuration of the pages at the given Host values.
func siteConfig(c statedir.Config, g vault.Genesis, hosts ...string) site.Config {
	s := site.Config{
		Hosts: hosts, Params: codename.Params{Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads},
		Origin: c.Origin, Organisation: c.Organisation, Languages: c.Languages, Demo: c.Demo,
		MaxReport: int64(c.Limits.Report), MaxFiles: c.Limits.Files, MinRate: c.Limits.MinRate, MaxUploads: c.Limits.Uploads,
		RetentionDays: c.RetentionDays, Hotline: c.Hotline, LeaveTo: c.LeaveTo,
	}
	for _, w := range c.OtherWays {
		s.OtherWays = append(s.OtherWays, site.Way{Text: w.Map()})
	}
	return s
}
