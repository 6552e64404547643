package site

import (
	"bytes"
	"io"
	"io/fs"
	"slices"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
)

// What a reply turned out to be.
type replyState string

const (
	replyChecked   replyState = "checked"   // a reviewer of a team that has the case wrote it, for this mailbox, and none is missing before it
	replyUnchecked replyState = "unchecked" // it opens, and something of that does not hold
	replyStrange   replyState = "strange"   // it opens, and belongs to another mailbox or is no reply
	replyShut      replyState = "shut"      // it does not open
)

// replyOpener opens the replies of one mailbox, in memory and for one answer. It
// reads ciphertext wherever that comes from: this file knows no storage.
type replyOpener struct {
	origin, kase string
	recipient    string // fingerprint of the source's recipient
	thread       [32]byte
	cards        []card.Card
	open         func(ciphertext io.ReaderAt, size int64) (*seal.Report, error)
}

func newReplyOpener(origin, kase string, keys codename.Keys, cards []card.Card) (*replyOpener, error) {
	identity, err := seal.IdentityFromSeed(keys.Age)
	if err != nil {
		return nil, err
	}
	return &replyOpener{
		origin:    origin,
		kase:      kase,
		recipient: card.Fingerprint(identity.Recipient().String()),
		thread:    keys.Thread,
		cards:     cards,
		open: func(ciphertext io.ReaderAt, size int64) (*seal.Report, error) {
			return seal.Open(ciphertext, size, seal.Expect{}, identity)
		},
	}, nil
}

// replyPlace is what the case knows about a reply: where it stands in the desk's
// chain, and who may have written it.
type replyPlace struct {
	ciphertext io.ReaderAt
	size       int64
	sequence   uint64
	previous   [32]byte
	writers    map[string]string // name of the team by fingerprint
}

// reply is a reply opened.
type reply struct {
	state  replyState
	writer string      // fingerprint of who signed it; only if checked
	team   string      // whose reviewer that is; only if checked
	text   string      // message.txt
	long   bool        // the text is longer than maxMessage, and not in text
	files  []seal.File // without those of our own
	report *seal.Report
}

// read opens a reply, its text and no file.
func (o *replyOpener) read(p replyPlace) reply {
	r, err := o.open(p.ciphertext, p.size)
	if err != nil {
		return reply{state: replyShut}
	}
	if m := r.Manifest; m.Origin != o.origin || m.Case != o.kase || m.Kind != "reply" {
		return reply{state: replyStrange}
	}
	got := reply{state: replyUnchecked, report: r}
	for _, f := range r.Manifest.Files {
		switch {
		case f.Entry != "message.txt":
			got.files = append(got.files, f)
		case f.Size > maxMessage:
			got.long = true
		default:
			text, err := fs.ReadFile(r, f.Entry)
			if err != nil {
				return reply{state: replyShut}
			}
			got.text = plainText(text)
		}
	}
	if writer, ok := o.verify(r, p); ok {
		got.state, got.writer, got.team = replyChecked, writer, p.writers[writer]
	}
	return got
}

// verify tells who wrote r, if all of this holds: the signature is that of a card
// in force, of a reviewer of a team that has the case; it was made under the key
// of this thread, for this source; and r stands in the chain where the case has it.
func (o *replyOpener) verify(r *seal.Report, p replyPlace) (writer string, ok bool) {
	_, writer, err := card.ParseLetter(r.Letter())
	if err != nil {
		return "", false
	}
	i := slices.IndexFunc(o.cards, func(c card.Card) bool { return c.Role == card.Reviewer && c.Fingerprint() == writer })
	if _, known := p.writers[writer]; i < 0 || !known {
		return "", false
	}
	l, err := r.VerifyLetter(o.cards[i], o.recipient, o.thread[:])
	if err != nil || l.Sequence != p.sequence || !bytes.Equal(l.Previous[:], p.previous[:]) {
		return "", false
	}
	return writer, true
}

// file opens the entry of a checked reply that a form names. What is read from
// it ends in an error if it differs from what was signed.
func (r reply) file(entry string) (f fs.File, name string, size int64, ok bool) {
	if r.state != replyChecked {
		return nil, "", 0, false
	}
	files := r.report.Manifest.Files
	i := slices.IndexFunc(files, func(f seal.File) bool { return f.Entry == entry })
	if i < 0 {
		return nil, "", 0, false
	}
	f, err := r.report.Open(entry)
	if err != nil {
		return nil, "", 0, false
	}
	if name = files[i].Name; name == "" {
		name = files[i].Entry
	}
	return f, name, files[i].Size, true
}
