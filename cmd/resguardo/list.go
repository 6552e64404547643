package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
)

// listed is one case as list shows it.
type listed struct {
	Place  int      `json:"place"`
	Case   string   `json:"case"`
	Day    string   `json:"day"`   // of its first item here
	Size   int64    `json:"size"`  // bytes of all items, encrypted and padded
	Kinds  []string `json:"kinds"` // of its items, in order
	Opened bool     `json:"opened"`
	Here   bool     `json:"here"` // every item is complete in the folder
	Gone   bool     `json:"gone"` // the vault does not list an item any more
}

// list prints the cases of the folder. It talks to nobody and opens nothing.
func (p *program) list(_ context.Context, args []string) error {
	f := newFlags("list")
	asJSON := f.Bool("json", false, "")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	dir, err := folder.Open(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	records, err := dir.Records()
	if err != nil {
		return err
	}
	cases := summarise(dir, records)
	if *asJSON {
		e := json.NewEncoder(p.Out)
		for _, c := range cases {
			if err := e.Encode(c); err != nil {
				return err
			}
		}
		return nil
	}
	if len(cases) == 0 {
		p.Hint(say.T("no cases here; resguardo fetch brings new ones"))
		return nil
	}
	return p.table(cases)
}

// summarise makes one line of the records of each case that was not forgotten.
func summarise(dir *folder.Folder, records []folder.Record) []listed {
	var cases []listed
	for _, r := range records {
		if r.Forgotten {
			continue
		}
		if n := len(cases); n == 0 || cases[n-1].Case != r.Case {
			cases = append(cases, listed{Place: r.Place, Case: r.Case, Day: r.Day, Opened: true, Here: true})
		}
		c := &cases[len(cases)-1]
		c.Day = min(c.Day, r.Day)
		c.Size += r.Size
		c.Kinds = append(c.Kinds, r.Kind)
		c.Opened = c.Opened && r.Opened
		c.Here = c.Here && dir.Here(r)
		c.Gone = c.Gone || r.Gone
	}
	return cases
}

func (p *program) table(cases []listed) error {
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	for _, c := range cases {
		state := say.T("new")
		switch {
		case !c.Here:
			state = say.T("not complete, fetch again")
		case c.Opened:
			state = say.T("opened")
		}
		words := p.Text(state)
		if c.Gone {
			words += ", " + p.Text(say.T("no longer in the vault"))
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", c.Place, c.Case, c.Day, byteSize(c.Size), strings.Join(c.Kinds, " "), words)
	}
	return w.Flush()
}

// byteSize is n in the largest binary unit that leaves at least 1, with one
// decimal.
func byteSize(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(n), 0
	for v >= 1024 && u < len(units)-1 {
		v /= 1024
		u++
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}
