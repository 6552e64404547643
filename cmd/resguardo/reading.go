package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
)

// readingSoon is after how many days without a note fetch and list remind of it.
const readingSoon = 25

// reading tells the vault that the card's desks read what they get.
func (p *program) reading(ctx context.Context, args []string) error {
	f := newLinkFlags("reading")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	dir, err := folder.OpenLocked(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	l, err := p.newLink(dir, f, p.passphrase(f.passphraseFile))
	if err != nil {
		return err
	}
	defer l.close()
	if l.card.Role != card.Reviewer {
		return say.Fail(say.T("this is an auditor's card: only reviewers say that they are reading"), say.Text{})
	}
	if err := l.way.open(ctx); err != nil {
		return err
	}
	if err := l.login(ctx); err != nil {
		return err
	}
	return l.sendReadings(ctx)
}

// sendReadings signs and sends a note of today for each desk of the card.
func (r *link) sendReadings(ctx context.Context) error {
	if len(r.desks) == 0 {
		return say.Fail(say.T("your card is in no desk"), say.T("ask the operator"))
	}
	server, err := r.folder.Server()
	if err != nil {
		return err
	}
	pins, err := r.folder.Desks()
	if err != nil {
		return err
	}
	today := r.now().UTC().Format(time.DateOnly)
	for _, id := range r.desks {
		note, err := card.Reading{Origin: server.Origin, Desk: id, Day: today}.Sign(r.keys.Signer)
		if err != nil {
			return err
		}
		day, err := r.client.Reading(ctx, id, note)
		if err != nil {
			return err
		}
		if day == "" {
			return say.Fail(say.T("the vault has taken the note of desk %s and does not count it", id), say.T("tell the operator: the vault's clock may be wrong"))
		}
		r.Say(say.T("desk %s reads: noted, %s", id, day))
		if pin, known := pins[id]; known {
			pin.Own, pin.Reading = true, day
			pins[id] = pin
		}
	}
	return r.folder.SetDesks(pins)
}

// remindReading tells which of the card's desks are silent, or soon will be.
func (p *program) remindReading(dir *folder.Folder) error {
	pins, err := dir.Desks()
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(pins)) {
		if !pins[id].Own {
			continue
		}
		const silent = int(card.SilentAfter / (24 * time.Hour))
		hint := say.T("if your desk reads what it gets, say so: resguardo reading -dir %s", dir.Path(""))
		switch days, ok := daysBetween(pins[id].Reading, p.now()); {
		case !ok:
			p.Warn(say.T("the vault knows no day on which desk %s said that it reads: it is not proposed to sources", id), hint)
		case days > silent:
			p.Warn(say.T("desk %s has not said for %s days that it reads: it is not proposed to sources", id, days), hint)
		case days > readingSoon:
			p.Warn(say.T("desk %s said %s days ago that it reads: after %s days it is not proposed to sources any more", id, days, silent), hint)
		}
	}
	return nil
}
