package main

import (
	"text/tabwriter"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
)

// cmdAuditorAdd puts an auditor's card in force. Auditors read no report: at the
// end of each epoch they get what opens the leaves of the public log.
func cmdAuditorAdd(p *say.Printer, args []string) error {
	c := newCommand("auditor add")
	if err := c.read(args, "CARD-FILE"); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	j := statedir.Joining{Path: c.Arg(0)}
	if j.Card, err = statedir.ReadFile(j.Path, card.MaxSize); err != nil {
		return err
	}
	o, err := change(p, d, statedir.Change{AddAuditor: &j})
	if err != nil {
		return err
	}
	if !o.Auditors {
		p.Say(say.T("auditor %s is here already", o.Fingerprint))
		return nil
	}
	p.Say(say.T("added auditor %s", o.Fingerprint))
	p.Hint(say.T("compare the fingerprint with the auditor, by voice or in person"))
	return nil
}

// cmdAuditorRevoke takes an auditor's card out of force.
func cmdAuditorRevoke(p *say.Printer, args []string) error {
	c := newCommand("auditor revoke")
	if err := c.read(args, "FINGERPRINT"); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	o, err := change(p, d, statedir.Change{RevokeAuditor: &statedir.Revocation{Fingerprint: c.Arg(0)}})
	if err != nil {
		return err
	}
	if !o.Auditors {
		p.Say(say.T("auditor %s was revoked already", o.Fingerprint))
		return nil
	}
	p.Say(say.T("revoked auditor %s", o.Fingerprint))
	p.Hint(say.T("what was sealed to this key stays readable for whoever holds the key and a copy"))
	return nil
}

// auditing is one line of auditor list -json.
type auditing struct {
	Fingerprint string `json:"fingerprint"`
	Recipient   string `json:"recipient"`
	Verifier    string `json:"verifier"`
	Client      string `json:"client"`
	Revoked     bool   `json:"revoked"`
	From        string `json:"from"` // from when it works, in words
}

// cmdAuditorList shows the auditors, revoked ones too.
func cmdAuditorList(p *say.Printer, args []string) error {
	var asJSON bool
	c := newCommand("auditor list")
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
	log, err := askLog(p, d)
	if err != nil {
		return err
	}
	all := []auditing{}
	for _, a := range s.Auditors {
		from := say.T("(revoked)")
		if !a.Revoked {
			from = log.standing(a.Card.Fingerprint(), "")
		}
		all = append(all, auditing{a.Card.Fingerprint(), a.Card.Recipient, a.Card.Verifier, a.Card.Client, a.Revoked, p.Text(from)})
	}
	if asJSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	row(w, p.Text(say.T("FINGERPRINT")), p.Text(say.T("KEY")), p.Text(say.T("FROM")))
	for _, a := range all {
		row(w, a.Fingerprint, keyType(a.Recipient), a.From)
	}
	return w.Flush()
}
