package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
)

// cmdDeskAdd adds a desk.
func cmdDeskAdd(p *say.Printer, args []string) error {
	var desk statedir.Desk
	c := newCommand("desk add")
	c.StringVar(&desk.ID, "id", "", "")
	c.StringVar(&desk.Name.ES, "name-es", "", "")
	c.StringVar(&desk.Name.EN, "name-en", "", "")
	c.StringVar(&desk.Runs.ES, "runs-es", "", "")
	c.StringVar(&desk.Runs.EN, "runs-en", "", "")
	c.StringVar(&desk.Organisation, "org", "", "")
	c.Var((*yesNo)(&desk.Government), "government", "")
	c.Var((*list)(&desk.Regions), "region", "")
	c.Var((*list)(&desk.Languages), "languages", "")
	c.Var((*list)(&desk.Conflict), "conflict", "")
	if err := c.read(args); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	if len(desk.Languages) == 0 {
		s, err := d.Load()
		if err != nil {
			return err
		}
		desk.Languages = s.Config.Spoken()
	}
	o, err := change(p, d, statedir.Change{AddDesk: &desk})
	if err != nil {
		return err
	}
	p.Say(say.T("added desk %s", o.Desks[0]))
	p.Hint(say.T("it can receive reports once it has a reviewer: resguardod reviewer add -dir %s -desk %s CARD-FILE", c.dir, desk.ID))
	return nil
}

// cmdDeskList shows the desks.
func cmdDeskList(p *say.Printer, args []string) error {
	var asJSON bool
	c := newCommand("desk list")
	c.BoolVar(&asJSON, "json", false, "")
	if err := c.read(args); err != nil {
		return err
	}
	dir, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	s, err := dir.Load()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(p, withReading(dir, s))
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	row(w, p.Text(say.T("DESK")), p.Text(say.T("NAME")), p.Text(say.T("REGIONS")), p.Text(say.T("ORGANISATION")), p.Text(say.T("GOVERNMENT")), p.Text(say.T("REVIEWERS")), p.Text(say.T("READING")))
	for _, d := range s.Desks {
		government := say.T("no")
		if d.Government {
			government = say.T("yes")
		}
		name := d.Name.In(p.Language)
		if name == "" {
			name = d.Name.In(s.Config.Languages[0])
		}
		row(w, d.ID, name, strings.Join(d.Regions, ","), orDash(d.Organisation), p.Text(government), fmt.Sprint(len(d.Reviewers)), orDash(readingDay(dir, s, d)))
	}
	return w.Flush()
}

// printJSON prints one JSON object a line.
func printJSON[T any](p *say.Printer, values []T) error {
	e := json.NewEncoder(p.Out)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

func row(w *tabwriter.Writer, cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
