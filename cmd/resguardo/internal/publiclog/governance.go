package publiclog

import (
	"crypto/sha256"
	"slices"

	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// Desk is what the newest note of a desk that works in epoch says. A desk without
// a note, or without reviewers, is none.
func (l *Log) Desk(id string, epoch int64) (d translog.Desk, ok bool) {
	for _, n := range l.Notes() {
		if body, is := n.Body.(translog.Desk); is && body.ID == id && n.From <= epoch {
			d, ok = body, len(body.Reviewers) > 0
		}
	}
	return d, ok
}

// Names tells whether the log names this card, with this file, as one of the desk
// in epoch.
func (l *Log) Names(c card.Card, file []byte, desk string, epoch int64) bool {
	d, ok := l.Desk(desk, epoch)
	f := c.Fingerprint()
	if !ok || !slices.Contains(d.Reviewers, f) {
		return false
	}
	for _, n := range l.Notes() {
		if body, is := n.Body.(translog.Card); is && body.Fingerprint == f {
			return body.Digest == sha256.Sum256(file) && body.Role == string(card.Reviewer)
		}
	}
	return false
}
