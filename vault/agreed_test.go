package vault_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// TestDeleteAgreedCoversWhatWasSigned: a case goes only with exactly the items and
// the event that its desks signed; what was sent since is not deleted.
func TestDeleteAgreedCoversWhatWasSigned(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	s := submission("north")
	var event translog.Event
	rand.Read(event[:])
	s.Tombstones[1] = event.Tag(translog.DeskDelete)
	report := mustSend(t, v, 100, s)
	other := mustSend(t, v, 100, submission("north"))
	ack := mustAdd(t, v, 100, addition(s.Case, translog.Ack, "north"))
	old := vault.Agreement{Case: s.Case, Event: event, Items: [][32]byte{report.sum, ack.sum}}
	followup := mustAdd(t, v, 100, addition(s.Case, translog.Followup, "north"))
	now := old
	now.Items = [][32]byte{report.sum, ack.sum, followup.sum}
	with := func(change func(*vault.Agreement)) vault.Agreement {
		a := now
		change(&a)
		return a
	}
	for name, test := range map[string]struct {
		a    vault.Agreement
		want error
	}{
		"before the last item": {old, vault.ErrStale},
		"no items":             {with(func(a *vault.Agreement) { a.Items = nil }), vault.ErrStale},
		"another order":        {with(func(a *vault.Agreement) { a.Items = [][32]byte{ack.sum, report.sum, followup.sum} }), vault.ErrStale},
		"another case's item":  {with(func(a *vault.Agreement) { a.Items = [][32]byte{report.sum, ack.sum, other.sum} }), vault.ErrStale},
		"another event":        {with(func(a *vault.Agreement) { a.Event[0]++ }), vault.ErrEvent},
		"an unknown case":      {with(func(a *vault.Agreement) { a.Case = vault.NewCaseID() }), vault.ErrNotFound},
	} {
		if err := v.Covers(test.a); !errors.Is(err, test.want) {
			t.Errorf("%s: covers: %v", name, err)
		}
		if err := v.DeleteAgreed(t.Context(), test.a); !errors.Is(err, test.want) {
			t.Errorf("%s: delete: %v", name, err)
		}
	}
	if c, err := v.Case(s.Case); err != nil || len(c.Items) != 3 {
		t.Errorf("case %+v, %v", c, err)
	}
	clean(t, v)
	if err := errors.Join(v.Covers(now), v.DeleteAgreed(t.Context(), now)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Case(s.Case); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
	if items := v.AllItems(); len(items) != 1 || items[0].ID != other.id {
		t.Errorf("items %v", items)
	}
	clean(t, v)
}
