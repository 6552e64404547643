package browser

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/crypto/codename"
	"resguardo/crypto/seal"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// reviewer is somebody of a desk, whose card is in force.
type reviewer struct {
	recipient seal.Recipient
	card      card.Card
	signer    note.Signer
}

func newReviewer(t testing.TB) reviewer {
	t.Helper()
	recipient := recipients(t, 1)[0]
	secret, verifier, err := note.GenerateKey(rand.Reader, card.KeyName(recipient.String()))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return reviewer{recipient, card.Card{Role: card.Reviewer, Recipient: recipient.String(), Verifier: verifier}, signer}
}

func recipients(t testing.TB, n int) []seal.Recipient {
	t.Helper()
	var rs []seal.Recipient
	for range n {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		r, err := seal.ParseRecipient(id.Recipient().String())
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// thread is a case whose codename the test knows, and the desk that answers it.
type thread struct {
	*stage
	words string
	keys  codename.Keys
	to    seal.Recipient // the source's
	id    vault.CaseID
	sent  int      // by the desk
	last  [32]byte // hash of the desk's item before
}

// day is the day so many days ago.
func day(ago int) string { return time.Now().UTC().AddDate(0, 0, -ago).Format(time.DateOnly) }

// report stores a report to norte in the vault, as the site would have so many days ago.
func (s *stage) report(ago int) *thread {
	s.t.Helper()
	list, err := codename.ForLanguage(base(s.lang))
	if err != nil {
		s.t.Fatal(err)
	}
	var seed [32]byte
	rand.Read(seed[:])
	words := list.Draw(seed)
	h := &thread{stage: s, words: words.String(), keys: words.Derive(s.params), id: vault.NewCaseID()}
	identity, err := seal.IdentityFromSeed(h.keys.Age)
	if err != nil {
		s.t.Fatal(err)
	}
	if h.to, err = seal.ParseRecipient(identity.Recipient().String()); err != nil {
		s.t.Fatal(err)
	}
	var number [16]byte
	rand.Read(number[:])
	deskLog := h.keys.DeskLog()
	sealed := sealedTo(s.t, nil, "Lo vi en la garita.", seal.Manifest{
		Origin: origin, Case: string(h.id), Thread: hex.EncodeToString(number[:]), Kind: string(translog.Report), Day: day(ago),
		Desks: []string{"norte"}, Share: "ask", ReplyTo: h.to.String(), ThreadKey: h.keys.Thread[:], DeskLogKey: deskLog[:],
	}, nil, s.norte.recipient)
	d := s.draft(sealed)
	err = d.Commit(s.t.Context(), vault.Submission{
		Mailbox: sha256.Sum256(h.keys.Mailbox[:]), Case: h.id, Thread: number,
		Event:  translog.NewEvent(h.keys.Log, translog.Report, 0),
		Expire: translog.NewEvent(h.keys.Log, translog.Expire, 0),
		Tombstones: [2][32]byte{
			translog.NewEvent(h.keys.Log, translog.SourceDelete, 0).Tag(translog.SourceDelete),
			translog.NewEvent(deskLog, translog.DeskDelete, 0).Tag(translog.DeskDelete),
		},
		Recipient: h.to.String(), Desks: []string{"norte"}, Day: day(ago), Recipients: 1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// item is what the desk adds to a case.
type item struct {
	kind   translog.Kind
	text   string
	ago    int
	files  map[string]string
	joins  string // a desk that gets the case as well
	leaves string // a desk that gives it up

	// What makes a reply one that nobody should trust.
	stranger bool // signed by somebody of another desk
	astray   bool // written for another case
	shut     bool // sealed to somebody else
}

// add adds an item of the desk to the case.
func (h *thread) add(i item) {
	h.t.Helper()
	c, err := h.vault.Case(h.id)
	if err != nil {
		h.t.Fatal(err)
	}
	m := seal.Manifest{
		Origin: origin, Case: string(h.id), Thread: hex.EncodeToString(c.Thread[:]), Kind: string(i.kind),
		Sequence: uint64(h.sent), Day: day(i.ago), Desks: []string{"norte"}, Share: "ask",
	}
	if h.sent > 0 {
		m.Previous = hex.EncodeToString(h.last[:])
	}
	if i.astray {
		m.Case = string(vault.NewCaseID())
	}
	source, to, key := h.to, []seal.Recipient{h.norte.recipient}, []byte(nil)
	if i.shut {
		source = h.sur.recipient
	}
	if i.kind == translog.Reply {
		to, key = append(to, source), h.keys.Thread[:]
	}
	by := h.norte
	if i.stranger {
		by = h.sur
	}
	sealed := sealedTo(h.t, i.files, i.text, m, func(sum [32]byte) ([]byte, error) {
		l := card.Letter{Origin: m.Origin, Case: m.Case, Kind: m.Kind, Recipient: source.Fingerprint(), Sequence: m.Sequence, Previous: h.last, Manifest: sum}
		return l.Sign(by.signer, key)
	}, to...)
	var event translog.Event
	rand.Read(event[:])
	_, err = h.draft(sealed).Append(h.t.Context(), vault.Addition{
		Case: h.id, Number: -1, Kind: i.kind, Event: event, Day: day(i.ago), Desks: []string{"norte"},
		Joins: i.joins, Leaves: i.leaves, Recipients: len(to),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.sent, h.last = h.sent+1, sha256.Sum256(sealed)
}

// sealedTo is an age file; with a signature if sign is not nil.
func sealedTo(t testing.TB, files map[string]string, text string, m seal.Manifest, sign func([32]byte) ([]byte, error), to ...seal.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, to...)
	if err == nil {
		err = w.WriteMessage([]byte(text))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err == nil {
			err = w.WriteFile(name, "application/pdf", strings.NewReader(files[name]))
		}
	}
	switch {
	case err != nil:
	case sign != nil:
		err = w.CloseSigned(m, sign)
	default:
		err = w.Close(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (s *stage) draft(sealed []byte) *vault.Draft {
	s.t.Helper()
	d, err := s.vault.Create(s.t.Context())
	if err == nil {
		_, err = d.Write(sealed)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}
