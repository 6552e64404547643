package main

import (
	"context"
	"os"
	"slices"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// rewrap seals again what the source sent and what it was answered, for another
// desk or for a new colleague.
func (p *program) rewrap(ctx context.Context, args []string) error {
	f := newActFlags("rewrap")
	desk := f.String("desk", "", "")
	asked := f.Bool("source-agrees", false, "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	if !card.ValidDesk(*desk) {
		return misuse(say.T("-desk is missing, or is not the id of a desk"), say.T("-desk ID names the desk that gets the case; your own desk, for a new colleague"))
	}
	return p.onCase(ctx, f, func(a *act) error { return a.rewrap(ctx, *desk, *asked) })
}

func (a *act) rewrap(ctx context.Context, desk string, asked bool) error {
	if err := a.allowed(desk, asked); err != nil {
		return err
	}
	for _, i := range slices.Clone(a.t.items) {
		if i.Gone || !again(i) {
			continue
		}
		if err := a.rewrapItem(ctx, i, desk); err != nil {
			return err
		}
	}
	return nil
}

// again tells whether an item is sealed again: what the source sent and what it
// was answered, each once. Notes of the desk stay with the desk.
func again(i *item) bool {
	switch i.Kind {
	case "report", "followup", "reply":
		return i.manifest != nil
	}
	return false
}

// allowed refuses what the source forbade. Who runs a desk comes from the log.
func (a *act) allowed(desk string, asked bool) error {
	d, ok := a.log.Desk(desk, a.epoch())
	if !ok || len(a.served[desk]) == 0 {
		return say.Fail(say.T("the vault has no desk %s with a reviewer in force", desk), say.T("the keys page of the vault shows the desks; a desk that was added works one epoch after the log shows it"))
	}
	why := forbidden(a.t.report, d, asked)
	if why.IsZero() {
		return nil
	}
	hint := say.T("nothing was sent")
	if a.t.report.Share == "ask" && forbidden(a.t.report, d, true).IsZero() {
		hint = say.T("ask with resguardo reply; when the source has agreed, give -source-agrees")
	}
	return say.Fail(why, hint)
}

// rewrapItem seals one item again. In a desk that joined later, an item may be a
// rewrap itself.
func (a *act) rewrapItem(ctx context.Context, i *item, desk string) error {
	f, err := a.folder.Item(i.Record)
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := a.reopen(f, i)
	if err != nil {
		return err
	}
	return a.send(ctx, message{
		kind: "rewrap", desk: desk, desks: []string{desk}, to: []string{desk}, ref: tagOf(i.Item),
		write: func(w *seal.Writer) error { return w.Rewrap(report) },
	})
}

func (a *act) reopen(f *os.File, i *item) (*seal.Report, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return seal.Open(f, info.Size(), seal.Expect{Origin: a.t.report.Origin, Case: a.t.id}, a.t.identity)
}

// recuse hands the case over to the other desks that have it, and forgets it here.
func (p *program) recuse(ctx context.Context, args []string) error {
	f := newActFlags("recuse")
	desk := f.String("desk", "", "")
	yes := f.Bool("yes", false, "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	return p.onCase(ctx, f, func(a *act) error { return a.recuse(ctx, *desk, *yes) })
}

func (a *act) recuse(ctx context.Context, desk string, yes bool) error {
	own := slices.DeleteFunc(slices.Clone(a.t.desks), func(id string) bool { return !slices.Contains(a.desks, id) })
	switch {
	case desk == "" && len(own) == 1:
		desk = own[0]
	case desk == "" || !slices.Contains(own, desk):
		return misuse(say.T("which of your desks leaves the case?"), say.T("-desk ID names it"))
	}
	rest := slices.DeleteFunc(slices.Clone(a.t.desks), func(id string) bool {
		return id == desk || len(a.served[id]) == 0 || a.allowed(id, true) != nil
	})
	if len(rest) == 0 {
		return say.Fail(say.T("no other desk that may read it has case %s: nobody would read it any more", a.t.id),
			say.T("give it to another desk first: resguardo rewrap -desk ID %s", a.t.id))
	}
	if !yes {
		err := a.confirm(say.T("Desk %s leaves case %s, and its copy here is removed. Write yes: ", desk, a.t.id),
			say.T("nothing was sent: there is no terminal to ask whether you are sure"), say.T("give -yes"))
		if err != nil {
			return err
		}
	}
	m := short("recuse", "")
	m.desk, m.desks = desk, []string{desk}
	if err := a.send(ctx, m); err != nil {
		return err
	}
	for _, i := range a.t.items {
		if err := a.folder.Forget(i.Record); err != nil {
			return err
		}
	}
	a.Say(say.T("case %s is removed from this folder", a.t.id))
	return nil
}
