package main

import (
	"context"
	"net/http"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault/translog"
)

// epochTime is an epoch and when it begins. Zero = not known.
type epochTime struct {
	Epoch int64     `json:"epoch"`
	At    time.Time `json:"at"`
}

// at tells when an epoch begins.
func (l *live) at(epoch int64) epochTime {
	return epochTime{epoch, translog.EpochStart(epoch, l.genesis.Epoch)}
}

// text is an epoch in words.
func (e epochTime) text() say.Text {
	return say.T("epoch %s (%s UTC)", e.Epoch, e.At.UTC().Format("2006-01-02 15:04"))
}

// change carries out a change: through the running server, or else on the files. If
// the governance key lies in DIR.keys, it signs what the change needs; the running
// server cannot, because it cannot read that key.
func change(p *say.Printer, d statedir.Dir, c statedir.Change) (statedir.Outcome, error) {
	var o statedir.Outcome
	err := throughServer(d,
		func() error {
			var a answer
			ctx, cancel := context.WithTimeout(context.Background(), changeLimit+10*time.Second)
			defer cancel()
			err := ask(ctx, p, d, http.MethodPost, "/v1/change", c, &a)
			if o = a.Outcome; err != nil {
				return err
			}
			for _, todo := range a.Todo {
				p.Hint(say.T("%s", todo))
			}
			return signChange(ctx, p, d, a, c)
		},
		func() (err error) {
			if o, err = d.Apply(c); err == nil && adds(c, o) {
				tellStart(p, d)
			}
			return err
		})
	return o, err
}

// adds tells whether a change brings somebody in.
func adds(c statedir.Change, o statedir.Outcome) bool {
	return c.AddReviewer != nil && len(o.Desks) > 0 || c.AddAuditor != nil && o.Auditors
}

// tellStart says from when an addition works that is made while no server runs.
func tellStart(p *say.Printer, d statedir.Dir) {
	if !d.LogBegun() {
		p.Hint(say.T("it works from the first start of serve on"))
		return
	}
	p.Hint(say.T("it works two epochs after the next start of serve"))
}

// signChange signs the notes that wait, if the key is here, and says from when the
// change works.
func signChange(ctx context.Context, p *say.Printer, d statedir.Dir, a answer, c statedir.Change) error {
	s, err := d.Load()
	if err != nil {
		return err
	}
	key, err := d.GovernanceSigner(s.Config.Origin)
	if err != nil {
		return err
	}
	waiting := a.Requests
	if key != nil && len(waiting) > 0 {
		var signed signing
		for _, text := range waiting {
			leaf, err := translog.AddSignature([]byte(text), key)
			if err != nil {
				return err
			}
			signed.Notes = append(signed.Notes, string(leaf))
		}
		var rest answer
		if err := ask(ctx, p, d, http.MethodPost, "/v1/sign", signed, &rest); err != nil {
			return err
		}
		waiting = rest.Requests
	}
	if len(waiting) > 0 {
		p.Hint(say.T("%s notes wait for the governance key", len(waiting)))
		p.Hint(signLine(d))
	}
	switch {
	case !adds(c, a.Outcome):
	case len(waiting) == 0:
		p.Hint(say.T("it works from %s on", a.From.text()))
	default:
		p.Hint(say.T("it works from %s on if the signed notes are back before the present epoch ends, and as much later as they are", a.From.text()))
	}
	return nil
}
