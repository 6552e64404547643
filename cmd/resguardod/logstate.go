package main

import (
	"context"
	"net/http"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
	"resguardo/vault/witness"
)

// logState is what commands need to know of the log.
type logState struct {
	Begun     bool                  `json:"begun"`
	Now       epochTime             `json:"now"` // the current epoch
	Length    time.Duration         `json:"length"`
	Last      int64                 `json:"last"`      // newest epoch that is closed
	Size      int64                 `json:"size"`      // leaves
	Witnessed int64                 `json:"witnessed"` // last epoch that a checkpoint with a quorum covers
	Standings []governance.Standing `json:"standings"`
	Waiting   []string              `json:"waiting"`  // files in requests/ that lack signatures
	Unnoted   []string              `json:"unnoted"`  // fingerprints of cards whose file is not the one in the log
	Auditors  int                   `json:"auditors"` // in force
	Quorum    bool                  `json:"quorum"`   // the policy asks for witnesses
	Signs     map[string]time.Time  `json:"signs"`    // when each desk with keys gave its last sign that it is read
}

// logState reads it all without changing anything.
func (l *live) logState() (logState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log()
	have, err := l.dir.Requests()
	if err != nil {
		return logState{}, err
	}
	epoch := l.epoch(log)
	plan := log.Plan(l.files(), have, epoch)
	covers, _ := l.vault.Witnessed()
	force := log.In(l.state, epoch, l.seen)
	s := logState{
		Begun: log.Genesis != nil, Now: l.at(epoch), Length: l.genesis.Epoch, Last: log.Last, Size: log.Size, Witnessed: covers,
		Standings: log.Standings(l.state, plan, epoch, l.seen), Unnoted: log.Unnoted(l.state),
		Auditors: len(l.current.Load().auditors), Quorum: l.policy.Quorum != witness.None,
		Signs: l.signs(log.Since(force), force),
	}
	for _, r := range governance.Unsigned(plan) {
		s.Waiting = append(s.Waiting, r.File().Name)
	}
	return s, nil
}

// askLog asks the running server, or else opens the vault.
func askLog(p *say.Printer, d statedir.Dir) (s logState, err error) {
	err = throughServer(d,
		func() error {
			ctx, cancel := context.WithTimeout(context.Background(), lockWait)
			defer cancel()
			return ask(ctx, p, d, http.MethodGet, "/v1/log", nil, &s)
		},
		func() error {
			return withVault(p, d, func(state *statedir.State, v *vault.Vault) error {
				l, err := newLive(d, state, v)
				if err != nil {
					return err
				}
				s, err = l.logState()
				return err
			})
		})
	return s, err
}

// at tells when an epoch begins.
func (s logState) at(epoch int64) epochTime {
	return epochTime{epoch, s.Now.At.Add(time.Duration(epoch-s.Now.Epoch) * s.Length)}
}

// standing says from when a card works: in a desk, or, without one, as an auditor.
func (s logState) standing(fingerprint, desk string) say.Text {
	for _, st := range s.Standings {
		if st.Fingerprint != fingerprint || st.Desk != desk {
			continue
		}
		switch {
		case !s.Begun:
			return say.T("from the first start on")
		case st.Unsigned:
			return say.T("waits for a signature")
		case st.From == 0:
			return say.T("waits for the next start")
		case st.Works:
			return say.T("now")
		case st.From <= s.Now.Epoch:
			return say.T("waits for witnesses")
		}
		return s.at(st.From).text()
	}
	return say.T("-")
}
