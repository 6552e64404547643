package main

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// delete signs the deletion of a whole case, first or second.
func (p *program) delete(ctx context.Context, args []string) error {
	f := newActFlags("delete")
	yes := f.Bool("yes", false, "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	return p.onCase(ctx, f, func(a *act) error { return a.delete(ctx, *yes) })
}

func (a *act) delete(ctx context.Context, yes bool) error {
	d, err := a.deletion()
	if err != nil {
		return err
	}
	pending, err := a.pending(d)
	if err != nil {
		return err
	}
	for _, i := range a.t.items {
		if !i.Gone {
			a.Say(say.T("to delete: item %s, %s of %s, %s, SHA-256 %s", i.Number, i.Kind, i.Day, byteSize(i.Size), i.SHA256))
		}
	}
	if !yes {
		if err := a.confirmDeletion(); err != nil {
			return err
		}
	}
	signed, err := d.Sign(a.keys.Signer, pending)
	if err != nil {
		return err
	}
	deleted, err := a.client.Delete(ctx, a.t.id, signed)
	switch {
	case errors.Is(err, api.ErrFetchFirst):
		return fetchFirst(a.t.id)
	case err != nil:
		return err
	case !deleted:
		a.Say(say.T("case %s: your signature is there; it is deleted when another reviewer signs too", a.t.id))
		a.Hint(say.T("another reviewer who has fetched the case runs: resguardo delete %s", a.t.id))
		return nil
	}
	a.Say(say.T("case %s is deleted from the vault", a.t.id))
	a.Hint(say.T("copies of reviewers stay until they run resguardo forget; backups of the vault become unreadable when their time is over; the log goes on showing that something was there"))
	return nil
}

// deletion is what is signed: made of what this folder holds, never of what the
// server lists.
func (a *act) deletion() (card.Delete, error) {
	d := card.Delete{Origin: a.t.report.Origin, Case: a.t.id,
		Event: translog.NewEvent([32]byte(a.t.report.DeskLogKey), translog.DeskDelete, 0)}
	for _, i := range a.t.items {
		if i.Gone {
			continue
		}
		f, err := a.folder.Item(i.Record)
		if err != nil {
			return d, err
		}
		h, err := sum(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return d, err
		}
		if hex.EncodeToString(h[:]) != i.SHA256 {
			return d, say.Fail(say.T("%s is damaged", a.folder.Path(i.File())), say.T("fetch it again: resguardo forget, then forget -undo, then fetch"))
		}
		d.Items = append(d.Items, h)
	}
	return d, nil
}

// pending is the deletion that waits for our signature, or nil. It must be about
// exactly the same items, and signed by a reviewer whose card we know.
func (a *act) pending(d card.Delete) ([]byte, error) {
	text := []byte(a.t.state.PendingDelete)
	if len(text) == 0 {
		return nil, nil
	}
	waiting, by, err := card.ParseDelete(text)
	if err != nil {
		return nil, err
	}
	if slices.Contains(by, a.card.Fingerprint()) {
		if same(waiting, d) {
			return nil, say.Fail(say.T("you have signed this deletion already"), say.T("another reviewer of the desk must sign it too"))
		}
		return nil, nil
	}
	c, ok := a.folder.Reviewer(by[0])
	if ok {
		_, _, err = card.OpenDelete(text, c)
	}
	if !ok || err != nil {
		a.Warn(say.T("a deletion waits that no reviewer whom you know has signed: %s", by[0]), say.T("your signature will stand alone; ask the other reviewers"))
		return nil, nil
	}
	if !same(waiting, d) {
		a.Warn(say.T("a deletion waits that is about other items than the case has now; it was signed by %s", by[0]), say.T("your signature takes its place; another reviewer must sign again"))
		return nil, nil
	}
	a.Say(say.T("signed already by %s", by[0]))
	return text, nil
}

func same(a, b card.Delete) bool {
	return a.Origin == b.Origin && a.Case == b.Case && a.Event == b.Event && slices.Equal(a.Items, b.Items)
}

func (a *act) confirmDeletion() error {
	answer, err := a.question(
		say.T("Nobody can bring it back. Write the number of the case in list (%s), or its id, to delete it: ", a.t.place),
		say.T("nothing was signed: there is no terminal to ask whether you are sure"), say.T("give -yes"))
	if err != nil {
		return err
	}
	if answer != strconv.Itoa(a.t.place) && answer != a.t.id {
		return say.Fail(say.T("that is not the number of the case: nothing was signed"), say.Text{})
	}
	return nil
}

// hold stops the retention of a case, or lets it run again.
func (p *program) hold(ctx context.Context, args []string) error {
	f := newActFlags("hold")
	lift := f.Bool("lift", false, "")
	if err := f.parse(args, 1); err != nil {
		return err
	}
	return p.onCase(ctx, f, func(a *act) error { return a.hold(ctx, !*lift) })
}

func (a *act) hold(ctx context.Context, hold bool) error {
	if a.t.state.Hold == hold {
		return say.Fail(say.T("nothing to do: the case is so already"), say.Text{})
	}
	signed, err := card.Hold{Origin: a.t.report.Origin, Case: a.t.id, Hold: hold, Counter: a.t.state.Holds}.Sign(a.keys.Signer)
	if err != nil {
		return err
	}
	now, err := a.client.Hold(ctx, a.t.id, signed)
	if errors.Is(err, api.ErrFetchFirst) {
		return fetchFirst(a.t.id)
	}
	if err != nil {
		return err
	}
	if now.Hold != hold {
		return say.Fail(say.T("the vault answers that nothing has changed"), say.T("ask the operator"))
	}
	a.t.state.Hold, a.t.state.Holds, a.t.state.EndsDay = now.Hold, now.Holds, now.EndsDay
	if err := a.folder.PutCase(a.t.state); err != nil {
		return err
	}
	value := "no"
	if hold {
		value = "yes"
	}
	return a.send(ctx, short("note", encodeNote(holdNote, value)))
}
