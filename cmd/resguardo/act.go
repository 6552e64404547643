package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// maxTries is how many events of one kind are tried when tags are used already:
// a desk that joined later does not know how many there were.
const maxTries = 100

// actFlags is the command line of what changes a case in the vault.
type actFlags struct {
	*linkFlags
	accept bool
}

func newActFlags(name string) *actFlags {
	f := &actFlags{linkFlags: newLinkFlags(name)}
	f.BoolVar(&f.accept, "accept-keys", false, "")
	return f
}

// act is one case of the vault, whole and compared with the log, that a reviewer
// is about to change.
type act struct {
	*readers
	t *thread
}

// onCase fetches the lists, checks that the folder holds the case as the vault has
// it, and then calls do. Nothing is sent while an alarm is open.
func (p *program) onCase(ctx context.Context, f *actFlags, do func(*act) error) error {
	dir, err := folder.OpenLocked(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	records, err := p.caseRecords(dir, f.Arg(0))
	if err != nil {
		return err
	}
	ask := p.passphrase(f.passphraseFile)
	o := &opener{program: p, folder: dir}
	if err := o.load(ask); err != nil {
		return err
	}
	l, err := p.newLink(dir, f.linkFlags, ask)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.look(ctx); err != nil {
		return err
	}
	a, err := l.wholeCase(o, records[0].Case)
	if err != nil {
		return err
	}
	a.accept = f.accept
	return do(a)
}

// wholeCase makes sure that everything of the case is here and as it should be.
func (l *link) wholeCase(o *opener, id string) (*act, error) {
	missing, err := l.compare()
	if err != nil {
		return nil, err
	}
	records, err := l.caseRecords(l.folder, id)
	if err != nil {
		return nil, err
	}
	state, ok := l.cases[id]
	if !ok {
		return nil, say.Fail(say.T("the vault does not list case %s any more", id), say.T("it was deleted, its time is over, or you left the desk; resguardo forget removes a copy that is still here"))
	}
	for _, k := range records {
		if slices.ContainsFunc(missing, func(m folder.Record) bool { return m.ID == k.ID }) || k.Forgotten {
			return nil, fetchFirst(id)
		}
		if !k.Gone {
			if _, err := l.prove(k); err != nil {
				return nil, err
			}
		}
	}
	t, err := o.newThread(records)
	if err != nil {
		return nil, err
	}
	for _, what := range t.alarms {
		l.alarm(what, say.Text{})
	}
	for _, i := range t.items {
		if i.err != nil && !t.before(i) {
			l.alarms++
			l.Fail(i.err)
		}
	}
	if err := l.outcome(); err != nil {
		l.Hint(say.T("nothing was sent"))
		return nil, err
	}
	t.state = state
	return l.ready(t)
}

// ready checks that the case can be written in.
func (l *link) ready(t *thread) (*act, error) {
	if t.report == nil {
		return nil, say.Fail(say.T("the report of case %s does not open here, so nothing shows whom to answer", t.id),
			say.T("ask a colleague to run: resguardo rewrap -desk YOUR-DESK %s", t.id))
	}
	if !t.next.known {
		return nil, fetchFirst(t.id)
	}
	pins, err := l.folder.Desks()
	if err != nil {
		return nil, err
	}
	return &act{readers: &readers{link: l, pins: pins}, t: t}, nil
}

func fetchFirst(id string) error {
	return say.Fail(say.T("case %s has moved on, or is not complete here: nothing was sent", id),
		say.T("run resguardo fetch first, read what is new, then try again (after resguardo forget: resguardo forget -undo)"))
}

// message is what an item of ours says.
type message struct {
	kind  string
	write func(*seal.Writer) error // adds the entries
	desks []string                 // of the manifest; nil: those of the report
	desk  string                   // of the statement: rewrap, recuse
	to    []string                 // desks besides those that have the case
	ref   [32]byte
}

// send seals an item, sends it, and puts it into the folder and the thread.
func (a *act) send(ctx context.Context, m message) error {
	i := card.Item{Case: a.t.id, Kind: m.kind, Number: a.t.state.Next}
	draft, err := a.folder.Draft(i)
	if err != nil {
		return err
	}
	defer draft.Close()
	manifest, err := a.seal(draft, m)
	if err == nil {
		i, err = a.post(ctx, draft, m)
	}
	if err != nil {
		return errors.Join(err, a.folder.DropDraft(card.Item{Case: a.t.id, Kind: m.kind, Number: a.t.state.Next}))
	}
	if err := draft.Sync(); err != nil {
		return err
	}
	if err := a.folder.FinishDraft(i); err != nil {
		return err
	}
	k := folder.Record{Item: i, Place: a.t.place, Opened: true, Since: a.now().Unix()}
	if err := a.folder.Put(k); err != nil {
		return err
	}
	a.t.items = append(a.t.items, &item{Record: k, manifest: manifest})
	a.t.follow(&a.t.next, a.t.items[len(a.t.items)-1])
	a.t.state.Next++
	a.t.state.LastDay = i.Day
	a.t.state.Closed = a.t.state.Closed || m.kind == "close"
	if a.t.state.EndsDay != "" {
		a.t.state.EndsDay = max(a.t.state.EndsDay, i.Day)
	}
	a.Say(say.T("%s", a.folder.Path(k.File())))
	return a.folder.PutCase(a.t.state)
}

// seal writes the age file of an item. Whom it is for comes from inside the report
// and from keys that the log names and the person has accepted.
func (a *act) seal(draft io.Writer, m message) (*seal.Manifest, error) {
	to, err := a.sealTo(union(a.t.desks, m.to), a.t.report.Recipients)
	if err != nil {
		return nil, err
	}
	var thread []byte
	if m.kind == "reply" {
		source, err := seal.ParseRecipient(a.t.report.ReplyTo)
		if err != nil {
			return nil, err
		}
		to, thread = append([]seal.Recipient{source}, to...), a.t.report.ThreadKey
	}
	w, err := seal.NewWriter(draft, to...)
	if err != nil {
		return nil, err
	}
	if err := m.write(w); err != nil {
		return nil, err
	}
	manifest := a.manifest(m)
	letter := card.Letter{Origin: manifest.Origin, Case: a.t.id, Kind: m.kind, Recipient: a.t.source(),
		Sequence: a.t.next.sequence, Previous: a.t.next.previous}
	return &manifest, w.CloseSigned(manifest, func(sum [32]byte) ([]byte, error) {
		letter.Manifest = sum
		return letter.Sign(a.keys.Signer, thread)
	})
}

func (a *act) manifest(m message) seal.Manifest {
	manifest := seal.Manifest{
		Origin: a.t.report.Origin, Case: a.t.id, Thread: a.t.report.Thread, Kind: m.kind,
		Sequence: a.t.next.sequence, Day: a.now().UTC().Format(time.DateOnly),
		Desks: m.desks, Excluded: a.t.report.Excluded, Share: a.t.report.Share,
		Governance: a.log.Sequence(a.epoch()),
	}
	if manifest.Desks == nil {
		manifest.Desks = a.t.report.Desks
	}
	if a.t.next.sequence > 0 {
		manifest.Previous = hex.EncodeToString(a.t.next.previous[:])
	}
	return manifest
}

// post sends a sealed item with a statement of ours, and checks what the vault
// says it has made of it.
func (a *act) post(ctx context.Context, draft *os.File, m message) (card.Item, error) {
	c, err := measure(draft)
	if err != nil {
		return card.Item{}, err
	}
	size, err := draft.Seek(0, io.SeekEnd)
	if err != nil {
		return card.Item{}, err
	}
	s := card.Statement{Kind: m.kind, Origin: a.t.report.Origin, Case: a.t.id, Number: a.t.state.Next, Ref: m.ref, Ciphertext: c.SHA256, Desk: m.desk}
	first := a.t.count(m.kind)
	for counter := first; counter < first+maxTries; counter++ {
		s.Event = translog.NewEvent([32]byte(a.t.report.DeskLogKey), translog.Kind(m.kind), counter)
		signed, err := s.Sign(a.keys.Signer)
		if err != nil {
			return card.Item{}, err
		}
		i, err := a.client.Add(ctx, a.t.id, m.kind, signed, io.NewSectionReader(draft, 0, size), size)
		switch {
		case errors.Is(err, api.ErrTagUsed):
			continue
		case errors.Is(err, api.ErrFetchFirst):
			return i, fetchFirst(a.t.id)
		case errors.Is(err, api.ErrUnreachable):
			return i, errors.Join(err, say.Fail(say.T("nobody knows whether the vault has it"), say.T("run resguardo fetch, and look with resguardo open, before you send it again")))
		case err != nil:
			return i, err
		}
		return i, a.checkAnswer(i, s, size)
	}
	return card.Item{}, say.Fail(say.T("the vault says that every event that was tried is used already"), say.T("ask the operator and the other reviewers"))
}

// checkAnswer compares what the vault says it stored with what was sent.
func (a *act) checkAnswer(i card.Item, s card.Statement, size int64) error {
	if i.Case == s.Case && i.Kind == s.Kind && i.Number == s.Number && i.Size == size &&
		i.SHA256 == hex.EncodeToString(s.Ciphertext[:]) && i.Event == card.EncodeEvent(s.Event) {
		return nil
	}
	return say.Fail(say.T("the vault answers with another item than the one that was sent"),
		say.T("run resguardo fetch: it compares what the vault has with the log; ask the operator and the other reviewers"))
}

// sourceTag is the tag of what the source sent: first or last. It is what an
// answer refers to.
func (a *act) sourceTag(last bool) (tag [32]byte) {
	for _, i := range a.t.items {
		switch {
		case i.Kind == "report" || i.Kind == "followup":
			tag = tagOf(i.Item)
		case i.Kind == "rewrap" && tag == [32]byte{}:
			if o, err := translog.ParseOpening([]byte(i.Opening)); err == nil {
				tag = o.Ref
			}
		default:
			continue
		}
		if !last {
			return tag
		}
	}
	return tag
}
