package main

import (
	"context"
	"errors"
	"net/http"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// checker tells findings as they come.
type checker struct {
	print *say.Printer
	dir   statedir.Dir
	bad   bool // something is damaged, missing or unreadable
	log   bool // of these, something is wrong with the public log
}

func (c *checker) fail(err error) {
	if err != nil {
		c.bad, c.log = true, c.log || ofLog(err)
		c.print.Fail(err)
	}
}

// cmdCheck proves the directory.
func cmdCheck(p *say.Printer, args []string) error {
	var acceptGap, acceptCopy bool
	flags := newCommand("check")
	flags.BoolVar(&acceptGap, "accept-gap", false, "")
	flags.BoolVar(&acceptCopy, "accept-copy", false, "")
	if err := flags.read(args); err != nil {
		return err
	}
	d, err := statedir.Open(flags.dir)
	if err != nil {
		return err
	}
	if acceptGap || acceptCopy {
		if err := accept(p, d, acceptGap, acceptCopy); err != nil {
			return err
		}
	}
	c := &checker{print: p, dir: d}
	c.permissions()
	state, err := d.Load()
	c.fail(err)
	if err == nil {
		c.fail(d.CheckKeys(state.Config.Origin))
		_, _, err := ownTexts(d, state)
		c.fail(err)
		c.desks(state)
		c.vault(state.Config)
		c.rehash()
		c.publicLog(state)
	}
	c.machine()
	c.tor()
	c.outside()
	switch {
	case c.log:
		return errors.Join(errTold, errLog)
	case c.bad:
		return errTold
	}
	p.Say(say.T("in order: %s (desks: %s, reviewers: %s)", d.Path(), len(state.Desks), len(state.Reviewers)))
	return nil
}

// vault checks the database, through the running server if there is one.
func (c *checker) vault(config statedir.Config) {
	var problems []vault.Problem
	err := throughServer(c.dir,
		func() error {
			var a answer
			err := ask(context.Background(), c.print, c.dir, http.MethodPost, "/v1/check", nil, &a)
			problems = a.Problems
			return err
		},
		func() error {
			v, err := openVault(c.print, c.dir, config)
			if err != nil {
				return err
			}
			if problems, err = v.Check(context.Background()); err != nil {
				err = vaultError(err)
			}
			return errors.Join(err, v.Close())
		})
	c.fail(err)
	for _, p := range problems {
		c.bad, c.log = true, c.log || p.Log
		c.print.Line("error", say.Line{What: say.Escape(p.Where + ": " + p.What), Hint: say.Escape(p.Hint)})
	}
}

// desks tells which desks cannot work.
func (c *checker) desks(s *statedir.State) {
	if len(s.Desks) == 0 {
		c.print.Warn(say.T("there is no desk: no report can be received"), say.T("add one with: resguardod desk add"))
	}
	for _, d := range s.Desks {
		if len(d.Reviewers) == 0 {
			c.print.Warn(say.T("desk %s has no reviewer: it cannot receive reports", d.ID), say.T("add one with: resguardod reviewer add -desk %s CARD-FILE", d.ID))
		}
	}
	if s.Config.Demo {
		c.print.Warn(say.T("this is a demo vault: it is for tests only"), say.Text{})
	}
}
