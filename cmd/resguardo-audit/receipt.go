package main

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/codename"
	"resguardo/vault/translog"
)

// counters is how many events of each kind are looked for.
const counters = 256

// maxWords is the most bytes of what is typed or piped as a codename.
const maxWords = 4 << 10

// placed is an event leaf and its index in the log.
type placed struct {
	index int64
	leaf  translog.Leaf
}

// hit is an event of the codename that is in the log.
type hit struct {
	Kind    translog.Kind `json:"kind"`
	Counter int           `json:"counter"`
	Epoch   int64         `json:"epoch"`
	Leaf    int64         `json:"leaf"`
	at      placed
}

func (p *program) receipt(ctx context.Context, args []string) (int, error) {
	o := newOptions("receipt")
	proof := o.String("proof", "", "")
	if err := o.read(args); err != nil {
		return 0, err
	}
	if _, err := os.Lstat(*proof); *proof != "" && err == nil {
		return 0, misuse(say.T("%s exists already", *proof), say.T("name a new file: nothing is overwritten"))
	}
	a, done, err := p.begin(o)
	if err != nil {
		return 0, err
	}
	defer done()
	var events []placed
	a.onLeaf = func(index int64, text []byte) {
		if leaf, err := translog.ParseLeaf(text); err == nil {
			events = append(events, placed{index, leaf})
		}
	}
	err = a.run(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	code := p.tell(o, a, err)
	if !a.whole {
		return code, nil // words are not typed for a log that is wrong
	}
	name, err := p.readCodename(ctx)
	if err != nil {
		return 0, err
	}
	own, desk := keysOf(name, a.monitor.Genesis())
	hits := find(events, own, desk)
	report, ok := reportOf(hits)
	if !ok {
		code = max(code, exitFailure)
	}
	p.receiptOf(o, a, hits)
	if *proof == "" || !ok {
		return code, nil
	}
	return code, p.writeProof(*proof, a, report.at)
}

// keysOf derives the keys of the log from a codename: K, and the desk log key.
func keysOf(name codename.Codename, g *translog.Genesis) (own, desk [32]byte) {
	keys := name.Derive(codename.Params{Salt: g.Salt, Time: g.Time, Memory: g.Memory, Threads: g.Threads})
	return keys.Log, keys.DeskLog()
}

// find returns the events of a codename, in the order of the log: the counters
// from 0 on of each kind. Nothing but the whole log is looked through.
func find(events []placed, own, desk [32]byte) []hit {
	sought := make(map[[32]byte]hit)
	for e := range translog.Events(own, desk, counters) {
		sought[e.Tag] = hit{Kind: e.Kind, Counter: int(e.Counter)}
	}
	var hits []hit
	for _, e := range events {
		if h, ok := sought[e.leaf.Tag]; ok {
			h.Epoch, h.Leaf, h.at = e.leaf.Epoch, e.index, e
			hits = append(hits, h)
		}
	}
	return hits
}

// reportOf returns the first report.
func reportOf(hits []hit) (hit, bool) {
	for _, h := range hits {
		if h.Kind == translog.Report && h.Counter == 0 {
			return h, true
		}
	}
	return hit{}, false
}

// readCodename reads eight words: from a terminal without showing them, else from
// what is piped in.
func (p *program) readCodename(ctx context.Context) (codename.Codename, error) {
	if f, ok := p.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return p.askCodename(ctx, int(f.Fd()))
	}
	text, err := io.ReadAll(io.LimitReader(p.in, maxWords))
	if err != nil {
		return codename.Codename{}, err
	}
	name, err := codename.Parse(string(text), p.Language)
	if wrong := (*codename.WordsError)(nil); errors.As(err, &wrong) {
		// The words are not repeated: this output may end in a file.
		return name, say.Fail(say.T("standard input holds no codename: words: %s, of them unknown: %s", wrong.Count, len(wrong.Unknown)),
			say.T("a codename is eight words of one list, in one line; without a pipe the program asks for them on the terminal"))
	}
	return name, err
}

// askCodename asks until the words are a codename.
func (p *program) askCodename(ctx context.Context, terminal int) (codename.Codename, error) {
	for {
		io.WriteString(p.Err, p.Text(say.T("The eight words (they are not shown): ")))
		text, err := readHidden(ctx, terminal)
		io.WriteString(p.Err, "\n")
		if err != nil {
			return codename.Codename{}, err
		}
		name, err := codename.Parse(text, p.Language)
		wrong := (*codename.WordsError)(nil)
		switch {
		case err == nil:
			return name, nil
		case !errors.As(err, &wrong):
			return name, err
		case wrong.Count != codename.Words:
			p.Hint(say.T("a codename has eight words; these were %s", wrong.Count))
		}
		for _, w := range wrong.Unknown {
			p.Hint(say.T("this word is not in the list: %s", w))
		}
	}
}

// readHidden reads a line from a terminal that does not show it. An interrupt
// gives the terminal back as it was.
func readHidden(ctx context.Context, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return string(l.text), l.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}

// receiptOf prints which events are in the log.
func (p *program) receiptOf(o *options, a *audit, hits []hit) {
	if o.json {
		_, logged := reportOf(hits)
		if hits == nil {
			hits = []hit{}
		}
		p.object(struct {
			Event        string `json:"event"`
			Origin       string `json:"origin"`
			LastEpoch    int64  `json:"last_epoch"`
			Logged       bool   `json:"logged"`
			Acknowledged bool   `json:"acknowledged"`
			Deleted      bool   `json:"deleted"`
			Events       []hit  `json:"events"`
		}{"receipt", a.checkpoint.Origin, a.monitor.LastEpoch(), logged, acknowledged(hits), deleted(hits), hits})
		return
	}
	if _, logged := reportOf(hits); !logged {
		p.Say(say.T("report: not in the log (yet); the log ends with epoch %s (%s)", a.monitor.LastEpoch(), clock(a.ended())))
		p.Hint(say.T("check the words; a report is in the log one epoch after it was sent, at most two: if yours is older than that, somebody keeps it out of the log: tell an auditor, if that is safe for you"))
	}
	length := a.monitor.Genesis().Epoch
	for _, h := range hits {
		p.Say(say.T("%s: in the log at epoch %s (%s to %s)", named(h), h.Epoch,
			clock(translog.EpochStart(h.Epoch, length)), clock(translog.EpochStart(h.Epoch+1, length))))
	}
	if len(hits) == 0 {
		return
	}
	if !acknowledged(hits) {
		p.Say(say.T("acknowledged: not yet"))
	}
	if !deleted(hits) {
		p.Say(say.T("deleted: no"))
	}
}

func acknowledged(hits []hit) bool {
	for _, h := range hits {
		if h.Kind == translog.Ack {
			return true
		}
	}
	return false
}

// deleted tells whether the whole thread was deleted.
func deleted(hits []hit) bool {
	for _, h := range hits {
		switch h.Kind {
		case translog.SourceDelete, translog.DeskDelete, translog.Expire:
			if h.Counter == 0 {
				return true
			}
		}
	}
	return false
}

// named says what an event is.
func named(h hit) say.Text {
	n := h.Counter + 1
	switch h.Kind {
	case translog.Report:
		return say.T("report")
	case translog.Followup:
		return say.T("follow-up %s", n)
	case translog.Ack:
		return say.T("acknowledged (%s)", n)
	case translog.Reply:
		return say.T("reply %s", n)
	case translog.Note:
		return say.T("note among reviewers %s", n)
	case translog.Rewrap:
		return say.T("passed to other readers %s", n)
	case translog.Recuse:
		return say.T("a reviewer stepped back %s", n)
	case translog.Close:
		return say.T("closed (%s)", n)
	case translog.Expire:
		return say.T("deleted: its time was over")
	}
	by := say.T("the source")
	if h.Kind == translog.DeskDelete {
		by = say.T("the reviewers")
	}
	if h.Counter == 0 {
		return say.T("deleted by %s: everything", by)
	}
	return say.T("deleted by %s: one message (%s)", by, h.Counter)
}
