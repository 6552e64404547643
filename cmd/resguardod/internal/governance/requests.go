package governance

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault/translog"
)

// Request is a note of the governance keys that is not yet in the log.
type Request struct {
	translog.Governance
	Note   []byte // text, with what signatures there are
	Signed bool   // it has as many as genesis demands
}

// File is the request as it lies in requests/.
func (r Request) File() statedir.Request {
	return statedir.Request{Name: fmt.Sprintf("%06d-%s-%s.note", r.Seq, r.Kind, id(r.Body)), Note: r.Note}
}

// Plan says which notes must follow those of the log so that it says what the
// files say, each continuing the one before. Of the files in requests/ it keeps
// those that still fit, with their signatures; the others are superseded. epoch is
// the current one.
func (l Log) Plan(f Files, have []statedir.Request, epoch int64) []Request {
	said, next, keys := l.said(), l.governance, l.keys(f)
	var plan []Request
	take := func(r Request) {
		plan = append(plan, r)
		said.hear(r.Body)
		next = chain{r.Seq + 1, r.Digest()}
	}
	// What begins the log stands in the epoch of genesis, whenever it was written.
	written := func() int64 {
		if l.Genesis == nil && len(plan) > 0 {
			return plan[0].Epoch
		}
		return epoch
	}
	for _, file := range have {
		if r, fits := next.fits(file.Note, said.missing(f), written()); fits {
			r.Signed = keys.signed(r.Note)
			take(r)
		}
	}
	for missing := said.missing(f); len(missing) > 0; missing = said.missing(f) {
		g := translog.Governance{Seq: next.seq, Prev: next.prev, Epoch: written(), Kind: translog.KindOf(missing[0]), Body: missing[0]}
		take(Request{Governance: g, Note: g.Text()})
	}
	return plan
}

// fits tells whether a file is the next note, and says something that is missing.
func (c chain) fits(file []byte, missing []translog.Body, epoch int64) (Request, bool) {
	g, err := translog.ParseGovernance(file)
	if err != nil || g.Seq != c.seq || g.Prev != c.prev || g.Effective != 0 || g.Epoch > epoch {
		return Request{}, false
	}
	for _, b := range missing {
		if same(b, g.Body) {
			return Request{Governance: g, Note: bytes.Clone(file)}, true
		}
	}
	return Request{}, false
}

// Ready are the leading requests that are signed: those that the log can take.
func Ready(plan []Request) (leaves [][]byte) {
	for _, r := range plan {
		if !r.Signed {
			break
		}
		leaves = append(leaves, r.Note)
	}
	return leaves
}

// Unsigned are the requests that somebody has to sign.
func Unsigned(plan []Request) (waiting []Request) {
	for _, r := range plan {
		if !r.Signed {
			waiting = append(waiting, r)
		}
	}
	return waiting
}

// FileAll gives the requests as they should lie in requests/.
func FileAll(plan []Request) (files []statedir.Request) {
	for _, r := range plan {
		files = append(files, r.File())
	}
	return files
}

// keys are the governance keys.
type keys struct {
	verifiers note.Verifiers
	threshold int
}

// keys are those of the log's genesis, or, before it, those of the files.
func (l Log) keys(f Files) keys {
	g := l.Genesis
	if g == nil {
		g = f.Genesis
	}
	var list []note.Verifier
	for _, vkey := range g.Governance {
		if v, err := note.NewVerifier(vkey); err == nil {
			list = append(list, v)
		}
	}
	return keys{note.VerifierList(list...), g.Threshold}
}

// signed tells whether a note has enough signatures, all of them good and by
// governance keys: the log takes no other.
func (k keys) signed(text []byte) bool {
	n, err := note.Open(text, k.verifiers)
	return err == nil && len(n.UnverifiedSigs) == 0 && len(n.Sigs) >= k.threshold
}
