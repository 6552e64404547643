package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// publicLog tells what of the files does not work in the log yet, and who could see
// if the log were rewritten. That the log itself verifies is checked with the vault.
func (c *checker) publicLog(state *statedir.State) {
	s, err := askLog(c.print, c.dir)
	if err != nil {
		c.fail(err)
		return
	}
	if !s.Begun {
		c.print.Warn(say.T("the public log has not begun"), say.T("it begins with the first start of serve"))
	} else {
		c.print.Say(say.T("the public log: %s leaves, up to epoch %s", s.Size, s.Last))
	}
	c.watchers(s)
	c.readings(state, s.Signs, time.Now())
	if len(s.Waiting) > 0 && s.Begun {
		c.print.Warn(say.T("%s notes wait for the governance key: %s", len(s.Waiting), strings.Join(s.Waiting, ", ")), signLine(c.dir))
	}
	for _, fingerprint := range s.Unnoted {
		c.fail(&say.Error{Path: c.dir.Path(statedir.CardsDir, fingerprint+".card"),
			What: say.T("this is not the card that the public log names: it is not in force"), Hint: say.T("put the file back from a backup")})
	}
	for _, st := range s.Standings {
		if s.Begun && !st.Works {
			c.print.Warn(say.T("%s does not work yet in: %s", st.Fingerprint, orDash(st.Desk)), say.T("from when: %s", s.standing(st.Fingerprint, st.Desk)))
		}
	}
}

// watchers tells who could prove that the log was rewritten.
func (c *checker) watchers(s logState) {
	switch {
	case s.Auditors == 0 && !s.Quorum:
		c.print.Warn(say.T("no auditor and no witness is configured: nobody else can prove that no report was buried"),
			say.T("add auditors with: resguardod auditor add; witnesses stand in %s", c.dir.Path(statedir.PolicyFile)))
	case s.Auditors == 0:
		c.print.Warn(say.T("no auditor is in force: nobody can open the leaves of the public log"), say.T("add one with: resguardod auditor add"))
	case !s.Quorum:
		c.print.Warn(say.T("no witness is asked for: only those who watch the log would see that it was rewritten"),
			say.T("witnesses stand in %s", c.dir.Path(statedir.PolicyFile)))
	}
	if s.Begun && s.Quorum && s.Witnessed < s.Last {
		c.print.Warn(say.T("not witnessed since epoch %s", s.Witnessed), say.T("look at the witnesses' addresses in %s", c.dir.Path(statedir.PolicyFile)))
	}
}

// accept notes what a person takes responsibility for, while no server runs.
func accept(p *say.Printer, d statedir.Dir, gap, newest bool) error {
	return throughServer(d,
		func() error {
			if err := ask(context.Background(), p, d, http.MethodGet, "/v1/status", nil, new(status)); err != nil {
				return err
			}
			return say.Fail(say.T("the server is running"), say.T("stop it first"))
		},
		func() error {
			return withVault(p, d, func(s *statedir.State, v *vault.Vault) error {
				if newest {
					return acceptCopy(p, v)
				}
				return acceptGap(p, d, s, v)
			})
		})
}

// acceptCopy takes this copy of the vault for the newest one.
func acceptCopy(p *say.Printer, v *vault.Vault) error {
	if !errors.Is(v.OldCopy(), vault.ErrNoHighWater) {
		p.Say(say.T("nothing to accept: the vault knows whether it is an old copy"))
		return nil
	}
	if err := v.TrustCopy(context.Background()); err != nil {
		return vaultError(err)
	}
	p.Say(say.T("accepted: this copy is taken for the newest one"))
	return nil
}

// acceptGap lets the log go on after a long gap, or with this clock, once.
func acceptGap(p *say.Printer, d statedir.Dir, s *statedir.State, v *vault.Vault) error {
	l, err := newLive(d, s, v)
	if err != nil {
		return err
	}
	log := l.log()
	if log.Genesis == nil {
		return say.Fail(say.T("the public log has not begun"), say.T("it begins with the first start of serve"))
	}
	if err := d.AcceptGap(log.Last); err != nil {
		return err
	}
	p.Say(say.T("accepted: the public log may go on after %s, once", l.at(log.Last).text()))
	return nil
}
