package main

import (
	"context"
	"os"
	"reflect"
	"slices"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
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
	had := 0
	for _, i := range slices.Clone(a.t.items) {
		from := a.t.readable(i)
		if i.Gone || !again(i) || from == nil {
			continue
		}
		if a.has(desk, from) {
			had++
			continue
		}
		if err := a.rewrapItem(ctx, i, from, desk); err != nil {
			return err
		}
	}
	if had > 0 {
		a.Hint(say.T("sealed for desk %s earlier, so not again; items: %s", desk, had))
	}
	return nil
}

// again tells whether an item is sealed again: what the source sent and what it
// was answered, each once. Notes of the desk stay with the desk.
func again(i *item) bool { return i.Kind == "report" || i.Kind == "followup" || i.Kind == "reply" }

// readable is the item that has the content of i for us: i itself or, in a desk
// that joined later, a rewrap of it. nil means that there is none.
func (t *thread) readable(i *item) *item {
	if i.manifest != nil {
		return i
	}
	for _, r := range t.items {
		if r.letter == nil || r.original == nil {
			continue
		}
		if o, err := translog.ParseOpening([]byte(r.Opening)); err == nil && o.Ref == tagOf(i.Item) {
			return r
		}
	}
	return nil
}

// has tells whether the case has a rewrap with the content of from that every
// reviewer of the desk can open: an earlier run, which was cut, or a colleague
// has sent it.
func (a *act) has(desk string, from *item) bool {
	return slices.ContainsFunc(a.t.items, func(r *item) bool {
		return !r.Gone && r.letter != nil && r.original != nil && slices.Contains(r.manifest.Desks, desk) &&
			reflect.DeepEqual(r.original, from.content()) &&
			!slices.ContainsFunc(a.served[desk], func(c api.Reviewer) bool { return !slices.Contains(r.manifest.Recipients, c.Fingerprint()) })
	})
}

// content is the manifest under which the content was first sealed.
func (i *item) content() *seal.Manifest {
	if i.original != nil {
		return i.original
	}
	return i.manifest
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

// rewrapItem seals the content of i, which from has, again.
func (a *act) rewrapItem(ctx context.Context, i, from *item, desk string) error {
	f, err := a.folder.Item(from.Record)
	if err != nil {
		return err
	}
	defer f.Close()
	report, err := a.reopen(f)
	if err != nil {
		return err
	}
	return a.send(ctx, message{
		kind: "rewrap", desk: desk, desks: []string{desk}, to: []string{desk}, ref: tagOf(i.Item),
		write: func(w *seal.Writer) error { return w.Rewrap(report) },
	})
}

func (a *act) reopen(f *os.File) (*seal.Report, error) {
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
