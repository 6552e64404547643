package main

import (
	"context"
	"errors"
	"net/http"

	"resguardo/cmd/internal/say"
	"resguardo/onion"
	"resguardo/onion/tor"
)

// tor tells how the running server's tor is; without a server, or with another
// tor, only whether the program is good enough.
func (c *checker) tor() {
	var s status
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	if err := ask(ctx, c.print, c.dir, http.MethodGet, "/v1/status", nil, &s); err == nil && s.Onion != nil {
		c.health(*s.Onion)
		return
	}
	if s.Tor == "off" {
		c.print.Warn(say.T("the server runs with -tor off: sources cannot reach it"), say.T("start it with -tor managed or -tor system"))
	}
	_, err := tor.Look(ctx, "")
	c.program(err)
}

// program judges the tor program by the error of tor.Look.
func (c *checker) program(err error) {
	switch {
	case errors.Is(err, tor.ErrNotFound):
		c.print.Warn(say.T("tor is not installed"), say.T("install it before sources use this vault: apt-get install tor"))
	case errors.Is(err, tor.ErrOld):
		c.print.Warn(say.T("tor is too old, others can pose as this vault: %s", err), say.T("install tor %s or later", oldestTor))
	case err != nil:
		c.print.Warn(say.T("the version of tor is unknown: %s", err), say.T("see what this says: tor --version"))
	}
}

// oldestTor is the first version in which a rendezvous point cannot impersonate
// the service (tor bug 41297).
const oldestTor = "0.4.9.11"

// health tells how a managed tor is.
func (c *checker) health(h onion.Health) {
	c.print.Say(say.T("tor %s: %s percent of the way to the Tor network, started again %s times", h.Version, h.Bootstrap, h.Restarts))
	c.service(say.T("pages"), h.Source)
	if h.Reviewers.Address != "" {
		c.service(say.T("reviewers' door"), h.Reviewers)
	}
	if v, err := tor.ParseVersion("Tor version " + h.Version); err == nil && v.Before(tor.Version{0, 4, 9, 11}) {
		c.print.Warn(say.T("tor %s is too old: others can pose as this vault", h.Version), say.T("install tor %s or later", oldestTor))
	}
	if !h.Running || h.Bootstrap < 100 {
		c.print.Warn(say.T("the Tor network is not reached: sources cannot reach this vault"),
			say.T("tor keeps trying; look at the network, a firewall, or censorship (bridges: -tor-include)"))
	}
	if h.Skew != 0 {
		c.print.Warn(say.T("the clock differs from the Tor network's by %s", h.Skew), say.T("set the clock: the day stands in every report, and tor needs it"))
	}
	if h.Warning != "" {
		c.print.Warn(say.T("tor's last warning: %s", h.Warning), say.Text{})
	}
}

func (c *checker) service(name say.Text, s onion.Service) {
	state := say.T("not yet published")
	if s.Published {
		state = say.T("published")
	}
	c.print.Say(say.T("%s: http://%s (%s)", name, s.Address, state))
}
