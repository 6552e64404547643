package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"resguardo/cmd/internal/say"
)

// begin opens what an audit needs. done must be called at the end.
func (p *program) begin(o *options) (a *audit, done func(), err error) {
	rules, err := readPolicy(o.policy)
	if err != nil {
		return nil, nil, err
	}
	at, leave, err := openPlace(o.url, o.socks)
	if err != nil {
		return nil, nil, err
	}
	a = &audit{policy: rules, reader: newReader(at), now: p.now(), most: o.maxLeaves}
	if o.state != "" {
		if a.memory, err = openMemory(o.state, rules); err != nil {
			leave()
			return nil, nil, err
		}
	}
	return a, func() { a.memory.close(); leave() }, nil
}

// readPolicy reads the file that -policy names.
func readPolicy(path string) (*policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &say.Error{Path: path, What: say.T("cannot be read: %s", say.Bare(err)), Hint: say.T("-policy names the file with the log's key and its witnesses")}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicy+1))
	if err != nil {
		return nil, &say.Error{Path: path, What: say.T("cannot be read: %s", say.Bare(err))}
	}
	rules, err := parsePolicy(text)
	if err != nil {
		return nil, &say.Error{Path: path, What: say.T("this is no policy that can be used: %s", err),
			Hint: say.T("a policy has exactly one line log KEY, a line witness NAME KEY for each witness, and a line quorum; get the file again")}
	}
	return rules, nil
}

func (p *program) verify(ctx context.Context, args []string) (int, error) {
	o := newOptions("verify")
	if err := o.read(args); err != nil {
		return 0, err
	}
	a, done, err := p.begin(o)
	if err != nil {
		return 0, err
	}
	defer done()
	err = a.run(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	code := p.tell(o, a, err)
	if a.whole {
		p.summarise(o, a, code)
	}
	return code, nil
}

// tell prints what an audit has found and returns the exit code. err is what
// audit.run returned.
func (p *program) tell(o *options, a *audit, err error) int {
	code := exitOK
	all := a.findings
	if f := (*finding)(nil); errors.As(err, &f) {
		all = append(all, f)
	} else if err != nil {
		code = exitFailure
		for _, l := range p.Lines(err) {
			p.line(o, event{Event: "finding", Level: "error", Fault: "unreadable", Line: l})
		}
	}
	for _, f := range all {
		code = max(code, p.finding(o, f))
	}
	return code
}

// finding prints one and returns its exit code.
func (p *program) finding(o *options, f *finding) int {
	e := event{Event: "finding", Level: "error", Fault: string(f.fault), Epoch: f.epoch, To: f.to, Line: say.Line{What: p.Text(f.text()), Hint: p.Text(f.hint())}}
	if f.leaf >= 0 {
		e.Leaf = &f.leaf
	}
	if f.exit() == exitOK {
		e.Level = "warning"
	}
	p.line(o, e)
	return f.exit()
}

// event is one line of -json.
type event struct {
	Event string `json:"event"`
	Level string `json:"level"`
	Fault string `json:"fault"`
	Leaf  *int64 `json:"leaf,omitempty"`
	Epoch int64  `json:"epoch,omitempty"`
	To    int64  `json:"to,omitempty"`
	say.Line
}

// line prints a finding, for people or for programs.
func (p *program) line(o *options, e event) {
	if o.json {
		p.object(e)
		return
	}
	p.Line(e.Level, e.Line)
}

// object prints one line of JSON.
func (p *program) object(v any) {
	_ = json.NewEncoder(p.Out).Encode(v) // a closed pipe has no reader to tell
}

func (p *program) follow(ctx context.Context, args []string) (int, error) {
	o := newOptions("follow")
	if err := o.read(args); err != nil {
		return 0, err
	}
	if o.state == "" {
		return 0, misuse(say.T("-state is missing"), say.T("name the folder in which follow remembers the log: -state DIR"))
	}
	a, done, err := p.begin(o)
	if err != nil {
		return 0, err
	}
	defer done()
	err = a.run(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if o.json {
		code := p.tell(o, a, err)
		if a.whole {
			p.summarise(o, a, code)
		}
		return code, nil
	}
	p.Say(p.headline(a, err))
	if a.exit() == exitOK && err == nil {
		return exitOK, nil // warnings stand in the line
	}
	return p.tell(o, a, err), nil
}

// headline is the outcome of an audit in one line.
func (p *program) headline(a *audit, err error) say.Text {
	origin := a.policy.log.Name()
	if f := (*finding)(nil); errors.As(err, &f) && f.exit() == exitInconsistent {
		return say.T("WRONG: %s: %s", origin, f.text())
	} else if err != nil {
		return say.T("not checked: %s: %s", origin, p.Lines(err)[0].What)
	}
	last := a.monitor.LastEpoch()
	line := say.T("%s, %s leaves to epoch %s, %s", origin, a.checkpoint.N, last, a.signatures())
	var more []string
	for _, f := range a.findings {
		if f.fault != noQuorum { // signatures says so
			more = append(more, p.Text(f.text()))
		}
	}
	switch {
	case a.exit() != exitOK:
		return say.T("attention: %s: %s", line, strings.Join(more, "; "))
	case len(more) > 0:
		return say.T("ok: %s; warning: %s", line, strings.Join(more, "; "))
	}
	return say.T("ok: %s", line)
}

// signatures tells who has signed the checkpoint.
func (a *audit) signatures() say.Text {
	if len(a.policy.witnesses) == 0 {
		return say.T("no witness is asked for")
	}
	if !a.policy.quorum {
		return say.T("%s of %s witnesses, none is asked for", len(a.checkpoint.cosigned), len(a.policy.witnesses))
	}
	return say.T("%s of %s witnesses", len(a.checkpoint.cosigned), len(a.policy.witnesses))
}
