package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"resguardo/cmd/internal/say"
	"resguardo/vault/translog"
)

// account checks the log and holds it against the openings and the items.
func (p *program) account(ctx context.Context, args []string) (int, error) {
	o := newOptions("account")
	openings, dir := o.String("openings", "", ""), o.String("items", "", "")
	if err := o.read(args); err != nil {
		return 0, err
	}
	switch {
	case *openings == "":
		return 0, misuse(say.T("-openings is missing"), howToDecrypt())
	case *dir == "":
		return 0, misuse(say.T("-items is missing"), say.T("name the folder in which resguardo fetch keeps what an auditor's card may have: -items DIR"))
	}
	stream, err := p.openOpenings(*openings)
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	items, err := openFolder(*dir)
	if err != nil {
		return 0, err
	}
	defer items.root.Close()
	a, done, err := p.begin(o)
	if err != nil {
		return 0, err
	}
	defer done()
	l := newLedger()
	a.onLeaf = l.add
	err = a.run(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	code := p.tell(o, a, err)
	if !a.whole {
		return code, nil // nothing can be held against a log that is wrong
	}
	all := &account{ledger: l, length: a.monitor.Genesis().Epoch, now: a.now, restores: restores(a.monitor)}
	if all.findings, err = l.read(stream); err != nil {
		return 0, err
	}
	if err := items.read(ctx); err != nil {
		return 0, err
	}
	all.items, all.findings = items.items, append(all.findings, items.findings...)
	all.judge()
	code = max(code, p.findings(o, all.findings))
	p.accountOf(o, a, all, code)
	return code, nil
}

// openOpenings opens the file that -openings names; - is standard input.
func (p *program) openOpenings(name string) (io.ReadCloser, error) {
	if name == "-" {
		if f, ok := p.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return nil, misuse(say.T("nothing is piped to standard input"), howToDecrypt())
		}
		return io.NopCloser(p.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &say.Error{Path: name, What: say.T("cannot be read: %s", say.Bare(err)), Hint: howToDecrypt()}
	}
	return f, nil
}

func restores(m *translog.Monitor) (all []translog.Restore) {
	for _, n := range m.Notes() {
		if r, ok := n.Body.(translog.Restore); ok {
			all = append(all, r)
		}
	}
	return all
}

// maxAlike is how many findings of one kind are printed. A hostile vault can make
// as many as it likes.
const maxAlike = 20

// findings prints the worst first and returns the exit code.
func (p *program) findings(o *options, all []*finding) int {
	slices.SortStableFunc(all, func(x, y *finding) int {
		if d := y.exit() - x.exit(); d != 0 {
			return d
		}
		return strings.Compare(string(x.fault), string(y.fault))
	})
	code, alike := exitOK, 0
	for n, f := range all {
		code = max(code, f.exit())
		if n == 0 || all[n-1].fault != f.fault {
			alike = 0
		}
		if alike++; alike <= maxAlike {
			p.finding(o, f)
		}
		if last := n+1 == len(all) || all[n+1].fault != f.fault; last && alike > maxAlike {
			p.Hint(say.T("%s more like the last one (%s)", alike-maxAlike, string(f.fault)))
		}
	}
	return code
}

// result is an account as one JSON object.
type result struct {
	Event    string                 `json:"event"`
	Exit     int                    `json:"exit"`
	Origin   string                 `json:"origin"`
	Epochs   int                    `json:"epochs"` // that have leaves
	Opened   int                    `json:"epochs_accounted"`
	First    int64                  `json:"first_accounted,omitempty"`
	Last     int64                  `json:"last_accounted,omitempty"`
	Records  int                    `json:"records"`
	Fillers  int                    `json:"fillers"`
	Events   map[translog.Kind]int  `json:"events"`
	Findings map[translog.Fault]int `json:"findings"` // how many of each
	figures
}

func (a *account) result(origin string, code int) result {
	r := result{Event: "account", Exit: code, Origin: origin, Epochs: len(a.epochs), Events: a.kinds, Findings: map[translog.Fault]int{}, figures: a.figures}
	for _, e := range a.epochs {
		if e.records == 0 {
			continue
		}
		r.Opened++
		if r.First == 0 {
			r.First = e.epoch
		}
		r.Last = e.epoch
		r.Records += e.records
		r.Fillers += e.fillers
	}
	for _, f := range a.findings {
		r.Findings[f.fault]++
	}
	return r
}

// accountOf prints what an account has counted, for people or for programs.
func (p *program) accountOf(o *options, a *audit, all *account, code int) {
	r := all.result(a.checkpoint.Origin, code)
	if o.json {
		p.object(r)
		return
	}
	p.Say(say.T("log: %s", r.Origin))
	p.Say(say.T("size: %s leaves, %s of them events or fillers", a.checkpoint.N, len(all.leaves)))
	p.Say(say.T("accounted for: %s of %s epochs, from %s to %s", r.Opened, r.Epochs, r.First, r.Last))
	for _, f := range all.findings {
		if f.fault == notAccounted || f.fault == openingsMissing {
			p.Say(say.T("not accounted for: %s", f.epochs()))
		}
	}
	p.Say(say.T("records: %s, of them fillers: %s", r.Records, r.Fillers))
	for _, kind := range []translog.Kind{translog.Report, translog.Followup, translog.Ack, translog.Reply, translog.Note, translog.Close,
		translog.Rewrap, translog.Recuse, translog.SourceDelete, translog.DeskDelete, translog.Expire} {
		if n := r.Events[kind]; n > 0 {
			p.Say(say.T("%s: %s", plural(kind), n))
		}
	}
	p.Say(say.T("reports acknowledged after more than %s days: %s; not at all: %s", ackDays, r.Late, r.Never))
	p.Say(say.T("ciphertexts compared: %s; waiting for the log: %s", r.Compared, r.Waiting))
	if r.Kept > 0 {
		p.Say(say.T("deleted, but still in your folder: %s (resguardo forget removes them)", r.Kept))
	}
	if r.Removed > 0 {
		p.Say(say.T("not compared, because you removed them: %s", r.Removed))
	}
	if r.Lost > 0 {
		p.Say(say.T("lost when an old copy of the vault was put back, as a note in the log says: %s", r.Lost))
	}
	switch code {
	case exitOK:
		p.Say(say.T("result: log, openings and items fit together"))
	case exitFailure:
		p.Say(say.T("result: nothing contradicts the log, but the account is not complete; see above"))
	default:
		p.Say(say.T("result: log, openings and items do NOT fit together; see above"))
	}
}

// epochs is the range that a finding is about.
func (f *finding) epochs() say.Text {
	if f.to > f.epoch {
		return say.T("epochs %s to %s", f.epoch, f.to)
	}
	return say.T("epoch %s", f.epoch)
}

// plural names the events of a kind.
func plural(k translog.Kind) say.Text {
	switch k {
	case translog.Report:
		return say.T("reports")
	case translog.Followup:
		return say.T("follow-ups")
	case translog.Ack:
		return say.T("acknowledgements")
	case translog.Reply:
		return say.T("replies")
	case translog.Note:
		return say.T("notes among reviewers")
	case translog.Close:
		return say.T("closed")
	case translog.Rewrap:
		return say.T("passed to other readers")
	case translog.Recuse:
		return say.T("reviewers who stepped back")
	case translog.SourceDelete:
		return say.T("deletions by sources")
	case translog.DeskDelete:
		return say.T("deletions by reviewers")
	}
	return say.T("deletions because the time was over")
}
