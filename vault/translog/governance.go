package translog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// GovernanceKind is the kind of a governance note.
type GovernanceKind string

// Notes of the governance keys.
const (
	GenesisNote   GovernanceKind = "genesis"
	DeskNote      GovernanceKind = "desk"      // the desk as it is from now on
	CardNote      GovernanceKind = "card"      // a card enters the vault, or an auditor's leaves it
	PolicyNote    GovernanceKind = "policy"    // another policy text
	RetentionNote GovernanceKind = "retention" // other days, or another number of signatures to delete
)

// Notes of the operations key.
const (
	AssetsNote   GovernanceKind = "assets"   // what the pages load, and the build
	GapNote      GovernanceKind = "gap"      // epochs in which the log did not grow
	RestoreNote  GovernanceKind = "restore"  // leaves whose bodies an old copy has lost
	IncidentNote GovernanceKind = "incident" // what the operator did before the governance signature came
)

// ByGovernance tells whether notes of this kind need the governance keys.
func (k GovernanceKind) ByGovernance() bool {
	switch k {
	case GenesisNote, DeskNote, CardNote, PolicyNote, RetentionNote:
		return true
	}
	return false
}

// Governance is the text of a governance leaf. Seq and Prev chain the notes of one
// signer: those of the governance keys, and those of the operations key.
type Governance struct {
	Seq       uint64   // from 0
	Prev      [32]byte // Digest of the signer's note before; zeros in the first
	Epoch     int64    // in which it was written; at most that of its place in the log
	Kind      GovernanceKind
	Effective int64 // epoch from which it works; 0 = as early as the rule lets it
	Body      Body
}

// Body is one of *Genesis, Desk, Card, Policy, Retention, Assets, Gap, Restore, Incident.
type Body interface {
	lines() []string
	check() error
}

// Genesis fixes what never changes. Its note is the first leaf.
type Genesis struct {
	Origin     string
	Log        string   // verifier keys (C2SP signed-note vkey)
	Operations string   //
	Governance []string //
	Threshold  int      // of governance signatures
	Epoch      time.Duration
	Slots      int
	Salt       [16]byte // of the codename's Argon2id
	Time       uint32
	Memory     uint32 // KiB
	Threads    uint8
	Policy     string // C2SP tlog-policy, several lines
	Retention  Retention
}

// Desk is who reads for a desk.
type Desk struct {
	ID           string
	Organisation string // id; may be empty
	Government   bool
	Reviewers    []string // fingerprints, sorted
}

// Card names a card by fingerprint, and its file by hash.
type Card struct {
	Fingerprint string
	Role        string   // reviewer or auditor
	Digest      [32]byte // SHA-256 of the card file
	Revoked     bool     // only of an auditor: reviewers leave their desks
}

// Policy is the text of a C2SP tlog-policy.
type Policy struct{ Text string }

// Retention is how long a mailbox lasts and how many reviewers must sign a deletion.
type Retention struct {
	Days             int
	DeleteSignatures int
}

// Assets is what the pages load, and the program that serves them.
type Assets struct {
	Build string
	Files []Asset // by path
}

// Asset is one file.
type Asset struct {
	Path   string
	Digest [32]byte // SHA-256
}

// Gap covers epochs From to To, both included, that have no leaves.
type Gap struct{ From, To int64 }

// Restore covers leaves From to To-1, whose bodies are lost.
type Restore struct{ From, To int64 }

// Incident is what the operator did alone.
type Incident struct {
	What        string // "revoked" or "unwitnessed"
	Fingerprint string // of a revoked card
	Desk        string // that it left; empty = all (an auditor's card has none)
	Epoch       int64  // unwitnessed: first epoch published without a quorum
}

const governanceLine = "resguardo/gov/v1"

// KindOf is the kind of the notes that have such a body; "" of nil.
func KindOf(b Body) GovernanceKind {
	switch b.(type) {
	case *Genesis:
		return GenesisNote
	case Desk:
		return DeskNote
	case Card:
		return CardNote
	case Policy:
		return PolicyNote
	case Retention:
		return RetentionNote
	case Assets:
		return AssetsNote
	case Gap:
		return GapNote
	case Restore:
		return RestoreNote
	case Incident:
		return IncidentNote
	}
	return ""
}

// Text is the canonical text that is signed (first line resguardo/gov/v1).
func (g Governance) Text() []byte {
	var b bytes.Buffer
	b.WriteString(governanceLine + "\n")
	b.WriteString("seq " + strconv.FormatUint(g.Seq, 10) + "\n")
	b.WriteString("prev " + base64.StdEncoding.EncodeToString(g.Prev[:]) + "\n")
	b.WriteString("epoch " + strconv.FormatInt(g.Epoch, 10) + "\n")
	b.WriteString("kind " + string(g.Kind) + "\n")
	b.WriteString("effective-epoch " + strconv.FormatInt(g.Effective, 10) + "\n")
	for _, line := range g.Body.lines() {
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}

// Digest is the SHA-256 of Text: Prev of the signer's next note.
func (g Governance) Digest() [32]byte { return sha256.Sum256(g.Text()) }

// Sign makes the leaf: a signed note (C2SP signed-note) of at most MaxLeaf bytes.
// It refuses what ParseGovernance would refuse.
func (g Governance) Sign(signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("no key to sign with")
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	leaf, err := note.Sign(&note.Note{Text: string(g.Text())}, signers...)
	if err != nil {
		return nil, err
	}
	if _, err := ParseGovernance(leaf); err != nil {
		return nil, err
	}
	return leaf, nil
}

// IsGovernance tells a governance leaf from an event leaf by its first line.
func IsGovernance(leaf []byte) bool {
	return bytes.HasPrefix(leaf, []byte(governanceLine+"\n"))
}

var (
	errTooLong      = errors.New("note is too long for a leaf")
	errNotCanonical = errors.New("note is not canonical")
)

// ParseGovernance reads the text of a note, signed or not (a text without a blank line
// and signatures is a request). It accepts exactly what Text writes and verifies
// no signature.
func ParseGovernance(leaf []byte) (Governance, error) {
	if len(leaf) > MaxLeaf {
		return Governance{}, errTooLong
	}
	if !IsGovernance(leaf) {
		return Governance{}, errors.New("not a " + governanceLine)
	}
	text := string(leaf)
	if isSigned(leaf) {
		n, err := signatures(leaf)
		if err != nil {
			return Governance{}, err
		}
		text = n.Text
	}
	p := fields{what: "note", rest: text}
	p.line()
	var g Governance
	g.Seq = p.number("seq")
	p.bytes("prev", g.Prev[:])
	g.Epoch = p.count("epoch")
	g.Kind = GovernanceKind(p.value("kind"))
	g.Effective = p.count("effective-epoch")
	if p.err == nil {
		g.Body = parseBody(g.Kind, &p)
	}
	if p.err == nil {
		p.err = g.check()
	}
	if p.err != nil {
		return Governance{}, p.err
	}
	if string(g.Text()) != text {
		return Governance{}, errNotCanonical
	}
	return g, nil
}

// check finds what is wrong with the fields of a note alone.
func (g Governance) check() error {
	if g.Body == nil || g.Kind != KindOf(g.Body) {
		return fmt.Errorf("kind %.40q with another body", g.Kind)
	}
	if g.Epoch < 1 || g.Epoch > MaxEpoch {
		return fmt.Errorf("note of epoch %d", g.Epoch)
	}
	if g.Effective < 0 || g.Effective > MaxEpoch {
		return fmt.Errorf("effective-epoch %d", g.Effective)
	}
	if g.Effective != 0 && (g.Kind == GenesisNote || !g.Kind.ByGovernance()) {
		return fmt.Errorf("effective-epoch %d of kind %s", g.Effective, g.Kind)
	}
	if first := g.Prev == [32]byte{}; first != (g.Seq == 0) {
		return errors.New("prev is zeros in the first note, and in no other")
	}
	if g.Kind == GenesisNote && g.Seq != 0 {
		return errors.New("genesis is not the first note")
	}
	return g.Body.check()
}
