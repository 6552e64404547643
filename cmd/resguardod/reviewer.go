package main

import (
	"slices"
	"strings"
	"text/tabwriter"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
)

// cmdReviewerAdd adds a card to a desk.
func cmdReviewerAdd(p *say.Printer, args []string) error {
	var j statedir.Joining
	c := newCommand("reviewer add")
	c.StringVar(&j.Desk, "desk", "", "")
	if err := c.read(args, "CARD-FILE"); err != nil {
		return err
	}
	if j.Desk == "" {
		return misuse(say.T("-desk is missing"), say.T("name the desk that the reviewer joins: -desk ID"))
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	j.Path = c.Arg(0)
	if j.Card, err = statedir.ReadFile(j.Path, card.MaxSize); err != nil {
		return err
	}
	o, err := change(p, d, statedir.Change{AddReviewer: &j})
	if err != nil {
		return err
	}
	if len(o.Desks) == 0 {
		p.Say(say.T("reviewer %s is in desk %s already", o.Fingerprint, j.Desk))
		return nil
	}
	p.Say(say.T("added reviewer %s to desk %s", o.Fingerprint, j.Desk))
	p.Hint(say.T("compare the fingerprint with the reviewer, by voice or in person, before the desk takes real reports"))
	return nil
}

// cmdReviewerRevoke takes a reviewer out of its desks.
func cmdReviewerRevoke(p *say.Printer, args []string) error {
	var r statedir.Revocation
	c := newCommand("reviewer revoke")
	c.StringVar(&r.Desk, "desk", "", "")
	if err := c.read(args, "FINGERPRINT"); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	r.Fingerprint = c.Arg(0)
	o, err := change(p, d, statedir.Change{Revoke: &r})
	if err != nil {
		return err
	}
	if len(o.Desks) == 0 {
		p.Say(say.T("reviewer %s was in no such desk", o.Fingerprint))
		return nil
	}
	p.Say(say.T("revoked reviewer %s in: %s", o.Fingerprint, strings.Join(o.Desks, ", ")))
	p.Hint(say.T("reports that were sealed to this key stay readable for whoever holds the key and a copy"))
	if len(o.Empty) > 0 {
		p.Warn(say.T("no reviewer is left in: %s; these desks cannot receive reports", strings.Join(o.Empty, ", ")), say.Text{})
	}
	return nil
}

// listed is one line of reviewer list -json.
type listed struct {
	Fingerprint string   `json:"fingerprint"`
	Recipient   string   `json:"recipient"`
	Verifier    string   `json:"verifier"`
	Client      string   `json:"client"`
	Desks       []string `json:"desks"`
	Revoked     bool     `json:"revoked"`
	From        []string `json:"from"` // from when it works in each desk, in words
}

// cmdReviewerList shows the reviewers, revoked ones too.
func cmdReviewerList(p *say.Printer, args []string) error {
	var desk string
	var asJSON bool
	c := newCommand("reviewer list")
	c.StringVar(&desk, "desk", "", "")
	c.BoolVar(&asJSON, "json", false, "")
	if err := c.read(args); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	s, err := d.Load()
	if err != nil {
		return err
	}
	if _, found := s.Desk(desk); desk != "" && !found {
		return say.Fail(say.T("there is no desk %s", `"`+desk+`"`), say.T("see the desks with: resguardod desk list -dir DIR"))
	}
	log, err := askLog(p, d)
	if err != nil {
		return err
	}
	all := []listed{}
	for _, r := range s.Reviewers {
		if desk != "" && !slices.Contains(r.Desks, desk) {
			continue
		}
		l := listed{r.Card.Fingerprint(), r.Card.Recipient, r.Card.Verifier, r.Card.Client, r.Desks, len(r.Desks) == 0, []string{}}
		for _, id := range r.Desks {
			l.From = append(l.From, p.Text(log.standing(l.Fingerprint, id)))
		}
		all = append(all, l)
	}
	if asJSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	row(w, p.Text(say.T("FINGERPRINT")), p.Text(say.T("KEY")), p.Text(say.T("DESKS")), p.Text(say.T("FROM")))
	for _, r := range all {
		desks := strings.Join(r.Desks, ",")
		if r.Revoked {
			desks = p.Text(say.T("(revoked)"))
		}
		row(w, r.Fingerprint, keyType(r.Recipient), desks, orDash(strings.Join(slices.Compact(r.From), "; ")))
	}
	return w.Flush()
}

// keyType is the beginning of a recipient, which tells what kind of key it is.
func keyType(recipient string) string {
	kind, _, _ := strings.Cut(recipient, "pq1")
	return kind + "pq"
}
