package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"time"

	"filippo.io/age"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/api"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
	"resguardo/vault/translog"
)

// epochsUntilDue are the epochs within which an item comes into the log: what
// waits when an epoch ends is in it, or, when there is too much, in the next.
const epochsUntilDue = 2

// readLog reads and proves the public log. What is wrong with it is an alarm; the
// error is of the network or the folder.
func (r *link) readLog(ctx context.Context) error {
	r.log, r.read = nil, r.now()
	server, err := r.folder.Server()
	if err != nil {
		return err
	}
	known := publiclog.Known{Origin: server.Origin, Key: server.Log, Policy: r.policy}
	if known.Key == "" && r.policy != nil {
		if known.Key, err = publiclog.PolicyKey(r.policy); err != nil {
			return err
		}
	}
	if known.Last, err = r.folder.Checkpoint(); err != nil {
		return err
	}
	wanted := map[[32]byte]bool{}
	for _, i := range r.items {
		wanted[tagOf(i)] = true
	}
	l, err := publiclog.Read(ctx, known, r.client.LogFile, api.ErrNotFound, r.folder.Tiles(), wanted)
	var broken *publiclog.Broken
	switch {
	case errors.As(err, &broken):
		return r.tellBroken(broken)
	case errors.Is(err, publiclog.ErrNoLog):
		r.alarm(say.T("the vault serves no public log, so no item can be compared with it"),
			say.T("a vault that works has one from its first minute: ask the operator and the other reviewers"))
		return nil
	case errors.Is(err, publiclog.ErrDamaged):
		r.broken = true
		r.alarm(say.T("%s is damaged", r.folder.Path("log/checkpoint")),
			say.T("take it from your backup; without it nothing shows whether the log was rewritten since you saw it last"))
		return nil
	case err != nil:
		return err
	}
	if err := r.keepLog(server, l); err != nil {
		return err
	}
	r.log = l
	return nil
}

// tagOf is the tag of an item that has passed its Check.
func tagOf(i card.Item) (tag [32]byte) {
	b, err := hex.DecodeString(i.Tag)
	if err != nil {
		panic("resguardo: tag was not checked")
	}
	copy(tag[:], b)
	return tag
}

// keepLog remembers a log that was proven, and the address at which it was read:
// only who has the log's key can move a vault.
func (r *link) keepLog(server folder.Server, l *publiclog.Log) error {
	known := server
	server.Log, server.URL = l.Key, r.client.URL()
	if server != known {
		if err := r.folder.SetServer(server); err != nil {
			return err
		}
	}
	if known.Log == "" {
		r.Hint(say.T("this folder now follows the log with the key %s; compare it with what the operator and the other reviewers have", l.Key))
	}
	if !l.Witnessed {
		r.alarm(say.T("fewer witnesses than the policy asks for have signed the log"),
			say.T("nothing shows yet that others see the same log; if it stays, ask the witnesses and the auditors"))
	}
	length := l.Genesis().Epoch
	if late := translog.EpochAt(r.read, length) - l.LastEpoch() - 1; late > epochsUntilDue {
		r.alarm(say.T("the log ends %s epochs of %s ago", late, length.String()),
			say.T("the vault was off, or withholds its log; or the clock of this computer is wrong"))
	}
	return r.folder.SetCheckpoint(l.Checkpoint)
}

// tellBroken names what is wrong with the log and keeps the proof.
func (r *link) tellBroken(b *publiclog.Broken) error {
	r.broken = true
	proof, err := r.folder.KeepConflict(b.Text)
	if err != nil {
		return err
	}
	hint := say.T("keep %s: it proves it; tell the other reviewers and the auditors before you go on, and do not answer through this vault", proof)
	switch b.Fault {
	case translog.RolledBack:
		r.alarm(say.T("the public log has shrunk since you saw it last: %s", b.What), hint)
	case translog.Forked:
		r.alarm(say.T("the public log is not the one that you saw last: somebody rewrote it, or shows you another one: %s", b.What), hint)
	case publiclog.BadCheckpoint:
		r.alarm(say.T("the checkpoint of the public log is not signed by the key of the log: %s", b.What), hint)
	default:
		r.alarm(say.T("the public log breaks its own rules (%s): %s", string(b.Fault), b.What), hint)
	}
	return nil
}

// epoch is the epoch of now.
func (r *link) epoch() int64 {
	return max(translog.EpochAt(r.now(), r.log.Genesis().Epoch), r.log.LastEpoch()+1)
}

// prove compares an item that is complete in the folder with the log, remembers
// the outcome, and raises an alarm if the two differ.
func (r *link) prove(k folder.Record) (folder.Record, error) {
	if r.log == nil || k.Log == string(publiclog.Verified) {
		return k, nil
	}
	c, err := r.copyOf(k)
	if err != nil {
		return k, err
	}
	state, leaf, why := r.log.Check(k.Item, c)
	if state == publiclog.Missing && !r.due(k) {
		state = publiclog.Waiting
	}
	path := r.folder.Path(k.File())
	switch state {
	case publiclog.Missing:
		r.alarm(say.T("%s is NOT in the public log, although it should be by now", path),
			say.T("the operator keeps it out of the log, or the vault was off: ask, and tell the auditors if it stays"))
	case publiclog.Replaced:
		r.alarm(say.T("%s is not what the public log says was stored (%s)", path, errors.New(why)),
			say.T("the server, or somebody who can open it too, has put another content under it: do not act on it; ask the other reviewers for their copy, and tell the auditors"))
	}
	k.Log, k.Leaf = string(state), max(leaf, 0)
	return k, r.folder.Put(k)
}

// due tells whether an item should be in the log that was read. Downloads may have
// taken days since.
func (r *link) due(k folder.Record) bool {
	length := r.log.Genesis().Epoch
	return translog.EpochAt(r.read, length)-translog.EpochAt(time.Unix(k.Since, 0), length) > epochsUntilDue
}

// since is when an item that is listed now must have been in the vault.
func (p *program) since(i card.Item) int64 {
	now := p.now().Unix()
	day, err := time.Parse(time.DateOnly, i.Day)
	if err != nil {
		return now
	}
	return min(now, day.AddDate(0, 0, 1).Unix())
}

// copyOf measures the age file of an item. What cannot be measured is zeros,
// which no opening has.
func (r *link) copyOf(k folder.Record) (publiclog.Copy, error) {
	f, err := r.folder.Item(k)
	if err != nil {
		return publiclog.Copy{}, err
	}
	defer f.Close()
	return measure(f)
}

func measure(f *os.File) (c publiclog.Copy, err error) {
	if c.SHA256, err = sum(f); err != nil {
		return c, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return c, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return c, err
	}
	if header, err := age.ExtractHeader(f); err == nil {
		c.SizeClass, _ = publiclog.PlaintextSize(size - int64(len(header)))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return c, err
	}
	if stanzas, err := seal.Stanzas(f); err == nil {
		c.Recipients = uint64(len(stanzas))
	}
	return c, nil
}
