package main

import (
	"errors"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// checkpoint is a checkpoint of the policy's log: its own signature is right.
type checkpoint struct {
	torchwood.Checkpoint
	signed   []byte // as it was read
	met      bool   // the policy is satisfied: its quorum has signed, or it asks for none
	cosigned []cosignature
}

// cosignature is one that verifies, of a witness that the policy names.
type cosignature struct {
	witness string
	at      time.Time
}

// openCheckpoint verifies a checkpoint (c2sp.org/tlog-checkpoint) against the
// policy. A quorum that is missing is no error. The error is a *finding.
func (p *policy) openCheckpoint(signed []byte) (*checkpoint, error) {
	if err := p.openOwn(signed); err != nil {
		return nil, err
	}
	// From here on the log's key has signed the text, for its own origin.
	c, n, err := torchwood.VerifyCheckpoint(signed, p)
	result := &checkpoint{Checkpoint: c, signed: signed, met: err == nil}
	var short *note.UnverifiedNoteError
	var wrong *note.InvalidSignatureError
	switch {
	case errors.As(err, &short):
		n = short.Note
		if result.Checkpoint, err = torchwood.ParseCheckpoint(n.Text); err != nil {
			return nil, found(checkpointMalformed, err.Error())
		}
	case errors.As(err, &wrong):
		return nil, found(cosignatureWrong, wrong.Name)
	case err != nil:
		return nil, found(checkpointMalformed, err.Error())
	}
	for _, sig := range n.Sigs {
		w := p.witnessOf(sig.Name, sig.Hash)
		if w == nil {
			continue // the log's own: it carries no time
		}
		seconds, err := torchwood.CosignatureTimestamp(sig)
		if err != nil {
			return nil, found(cosignatureWrong, w.name)
		}
		result.cosigned = append(result.cosigned, cosignature{w.name, time.Unix(seconds, 0).UTC()})
	}
	return result, nil
}

// openOwn verifies the log's own signature and the origin, and names what is
// wrong as exactly as it can be told.
func (p *policy) openOwn(signed []byte) error {
	n, err := note.Open(signed, note.VerifierList(p.log))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		if origin, _, _ := strings.Cut(unverified.Note.Text, "\n"); origin != p.log.Name() {
			return found(wrongOrigin, origin)
		}
		return found(wrongKey, "")
	}
	if wrong := (*note.InvalidSignatureError)(nil); errors.As(err, &wrong) {
		return found(checkpointChanged, "")
	}
	if err != nil {
		return found(checkpointMalformed, err.Error())
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	switch {
	case err != nil:
		return found(checkpointMalformed, err.Error())
	case c.String() != n.Text:
		return found(checkpointMalformed, "not canonical")
	case c.Origin != p.log.Name():
		return found(wrongOrigin, c.Origin)
	}
	return nil
}

// newest is the time of the newest cosignature; zero if there is none.
func (c *checkpoint) newest() time.Time {
	var newest time.Time
	for _, s := range c.cosigned {
		if s.at.After(newest) {
			newest = s.at
		}
	}
	return newest
}
