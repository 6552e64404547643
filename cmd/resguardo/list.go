package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/cmd/resguardo/internal/screen"
	"resguardo/crypto/card"
)

// listed is one case as list shows it.
type listed struct {
	Place    int      `json:"place"`
	Case     string   `json:"case"`
	Day      string   `json:"day"`   // of its first item here
	Size     int64    `json:"size"`  // bytes of all items, encrypted and padded
	Kinds    []string `json:"kinds"` // of its items, in order
	Opened   bool     `json:"opened"`
	Here     bool     `json:"here"`     // every item is complete in the folder
	Gone     bool     `json:"gone"`     // the vault does not list an item any more
	Log      string   `json:"log"`      // the worst state of its items: replaced, missing, empty (not compared), waiting, verified
	Status   string   `json:"status"`   // of the newest note; empty without one, or if notes stay closed
	Assigned string   `json:"assigned"` // likewise
	Closed   bool     `json:"closed"`
	Hold     bool     `json:"hold"`
	Ends     string   `json:"ends"`    // day after which the vault deletes it; empty if not known, or held
	Pending  string   `json:"pending"` // fingerprint of who signed a deletion that waits; empty if nobody did

	records []folder.Record
}

// list prints the cases of the folder. It talks to nobody, and opens nothing but
// the desk's own notes.
func (p *program) list(_ context.Context, args []string) error {
	f := newFlags("list")
	f.passphraseFlag()
	asJSON := f.Bool("json", false, "")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	dir, err := folder.Open(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	records, err := p.records(dir)
	if err != nil {
		return err
	}
	cases := summarise(dir, records)
	if err := p.readNotes(dir, f.passphraseFile, cases); err != nil {
		return err
	}
	if err := p.remindReading(dir); err != nil {
		return err
	}
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
			cases = append(cases, listed{Place: r.Place, Case: r.Case, Day: r.Day, Opened: true, Here: true, Log: r.Log})
		}
		c := &cases[len(cases)-1]
		c.Day = min(c.Day, r.Day)
		c.Size += r.Size
		c.Kinds = append(c.Kinds, r.Kind)
		c.Opened = c.Opened && r.Opened
		c.Here = c.Here && (dir.Here(r) || r.Gone)
		c.Gone = c.Gone || r.Gone
		c.Log = worse(c.Log, r.Log)
		c.records = append(c.records, r)
	}
	for i := range cases {
		cases[i].take(dir)
	}
	return cases
}

// take adds what the vault said about the case.
func (c *listed) take(dir *folder.Folder) {
	state, ok := dir.Case(c.Case)
	if !ok {
		return
	}
	c.Closed, c.Hold, c.Ends = state.Closed, state.Hold, state.EndsDay
	if _, by, err := card.ParseDelete([]byte(state.PendingDelete)); err == nil {
		c.Pending = by[0]
	}
}

// worse is the worse one of two states.
func worse(a, b string) string {
	order := []publiclog.State{publiclog.Replaced, publiclog.Missing, publiclog.Unchecked, publiclog.Waiting, publiclog.Verified}
	if slices.Index(order, publiclog.State(b)) < slices.Index(order, publiclog.State(a)) {
		return b
	}
	return a
}

// readNotes opens the notes of the cases. It asks for a passphrase only if there is
// a note, and on a terminal; otherwise notes stay closed.
func (p *program) readNotes(dir *folder.Folder, passphraseFile string, cases []listed) error {
	if !slices.ContainsFunc(cases, func(c listed) bool { return slices.Contains(c.Kinds, "note") }) {
		return nil
	}
	if passphraseFile == "" && dir.Locked() && !screen.IsTerminal(p.in) {
		p.Hint(say.T("status and names are in notes that stay closed; -passphrase-file FILE opens them"))
		return nil
	}
	o := &opener{program: p, folder: dir}
	if err := o.load(p.passphrase(passphraseFile)); err != nil {
		return err
	}
	for i := range cases {
		if !slices.Contains(cases[i].Kinds, "note") {
			continue
		}
		if err := cases[i].read(o); err != nil {
			return err
		}
	}
	return nil
}

// read takes status and name from the newest notes whose writer is verified.
func (c *listed) read(o *opener) error {
	o.alarms = nil // open tells them
	t, err := o.newThread(c.records)
	if err != nil {
		return err
	}
	for _, i := range t.items {
		if i.Kind != "note" || i.letter == nil {
			continue
		}
		switch kind, value := t.readNote(i); kind {
		case statusNote:
			c.Status = value
		case assignNote:
			c.Assigned = value
		}
	}
	return nil
}

// readNote returns what a note is and says.
func (t *thread) readNote(i *item) (kind, value string) {
	report, f, err := t.openItem(i.Record)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	v := &view{opener: t.opener, report: report}
	b, err := v.read("message.txt")
	if err != nil {
		return "", ""
	}
	return decodeNote(b)
}

func (p *program) table(cases []listed) error {
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	today := p.now()
	for _, c := range cases {
		state := say.T("new")
		switch {
		case !c.Here:
			state = say.T("not complete, fetch again")
		case c.Opened:
			state = say.T("opened")
		}
		words := []string{p.Text(state)}
		for _, more := range c.more(today) {
			words = append(words, p.Text(more))
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", c.Place, c.Case, c.Day, byteSize(c.Size), strings.Join(c.Kinds, " "), strings.Join(words, ", "))
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
