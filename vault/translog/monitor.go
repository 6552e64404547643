package translog

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxLeaves is the most leaves that a log may have.
const MaxLeaves = 1 << 32

// Monitor follows the leaves of a log from the first on, proves that they keep
// every rule, and knows what they say. It is not for several goroutines.
//
// It keeps the tags (about 70 bytes a leaf), the notes, and the right edge of the
// tree, so that growth can be proven.
type Monitor struct {
	log string // verifier key
	state
	edge  edge
	tags  map[[32]byte]struct{}
	cards map[string]Card
	desks map[string]int // reviewers of each desk
}

// state is the part of a Monitor that can be put back by assignment.
type state struct {
	genesis *Genesis
	start   int64 // epoch of genesis
	keys    verifiers
	chains  [2]chain // governance, operations
	notes   []Logged

	next   int64    // epoch of the next event leaf, unless one of epoch is possible
	epoch  int64    // that the newest leaf belongs to, if count > 0
	count  int64    // event leaves of epoch; 0 after a note
	last   [32]byte // newest tag of epoch
	events bool     // there is an event leaf
	batch  int      // notes since the newest event leaf
	gap    Gap      // in this batch; zeros: none
}

// chain is what the next note of a signer must continue.
type chain struct {
	seq  uint64
	prev [32]byte
}

// Logged is a note and the epoch of its place in the log.
type Logged struct {
	Governance
	Leaf  int64
	Place int64 // epoch before whose events it stands
	From  int64 // epoch from which it works
}

// NewMonitor begins with an empty log of the log key with this verifier key.
func NewMonitor(logVerifier string) *Monitor {
	return &Monitor{log: logVerifier, tags: make(map[[32]byte]struct{}), cards: make(map[string]Card), desks: make(map[string]int)}
}

// Add takes the next leaf. Its error is a *Violation; the leaf is not taken then,
// and nothing changes.
func (m *Monitor) Add(leaf []byte) error { return m.add(leaf, tlog.RecordHash(leaf)) }

// Append takes leaves that bring the log to its next whole epoch, or all that
// stand before its first. It takes all, or on an error, which is a *Violation, none.
func (m *Monitor) Append(leaves ...[]byte) error {
	before, edge := m.state, m.edge.clone()
	for i, leaf := range leaves {
		if err := m.Add(leaf); err != nil {
			m.undo(before, edge, leaves[:i])
			return err
		}
	}
	if err := m.Settled(); err != nil {
		m.undo(before, edge, leaves)
		return err
	}
	return nil
}

// undo puts back what it was before the leaves were taken.
func (m *Monitor) undo(before state, edge edge, taken [][]byte) {
	m.state, m.edge = before, edge
	for _, leaf := range taken {
		if l, err := ParseLeaf(leaf); err == nil {
			delete(m.tags, l.Tag)
		}
	}
	clear(m.cards)
	clear(m.desks)
	for _, n := range m.notes {
		m.learn(n.Body)
	}
}

func (m *Monitor) add(leaf []byte, hash tlog.Hash) error {
	var v *Violation
	switch {
	case m.edge.n >= MaxLeaves:
		v = &Violation{Fault: TooManyLeaves, What: fmt.Sprintf("more than %d", int64(MaxLeaves))}
	case len(leaf) > MaxLeaf:
		v = &Violation{Fault: TooLong, What: fmt.Sprintf("%d bytes", len(leaf))}
	case bytes.HasPrefix(leaf, []byte(leafLine+"\n")):
		v = m.addEvent(leaf)
	case IsGovernance(leaf):
		v = m.addNote(leaf)
	case m.genesis == nil:
		v = &Violation{Fault: NoGenesis, What: "the first leaf is of an unknown format"}
	default:
		v = &Violation{Fault: UnknownLeaf, What: fmt.Sprintf("first line %.60q", firstLine(leaf))}
	}
	if v != nil {
		v.Leaf = m.edge.n
		return v
	}
	m.edge.add(hash)
	return nil
}

func firstLine(leaf []byte) []byte {
	line, _, _ := bytes.Cut(leaf, []byte("\n"))
	return line
}

func (m *Monitor) addEvent(leaf []byte) *Violation {
	l, err := ParseLeaf(leaf)
	if err != nil {
		return &Violation{Fault: NotCanonical, What: err.Error()}
	}
	if m.genesis == nil {
		return &Violation{Fault: NoGenesis, Epoch: l.Epoch, What: "the first leaf is an event"}
	}
	inside := m.count > 0 && l.Epoch == m.epoch
	if !inside {
		if v := m.checkEpoch(l.Epoch); v != nil {
			return v
		}
	}
	if _, ok := m.tags[l.Tag]; ok {
		return &Violation{Fault: RepeatedTag, Epoch: l.Epoch, What: fmt.Sprintf("tag %x", l.Tag)}
	}
	if inside && bytes.Compare(m.last[:], l.Tag[:]) >= 0 {
		return &Violation{Fault: Unsorted, Epoch: l.Epoch, What: fmt.Sprintf("tag %x after %x", l.Tag, m.last)}
	}
	m.tags[l.Tag] = struct{}{}
	if !inside {
		m.next, m.epoch, m.count = l.Epoch, l.Epoch, 0
	}
	m.count++
	m.last, m.events, m.batch, m.gap = l.Tag, true, 0, Gap{}
	return nil
}

// checkEpoch tells whether the first event leaf of an epoch may come now.
func (m *Monitor) checkEpoch(epoch int64) *Violation {
	if m.count > 0 && !m.whole() {
		return m.unfinished(WrongCount)
	}
	next := m.LastEpoch() + 1
	if epoch == next {
		return nil
	}
	v := &Violation{Epoch: epoch, What: fmt.Sprintf("epoch %d instead of %d", epoch, next)}
	switch {
	case m.gap != Gap{} && epoch >= m.gap.From:
		v.Fault = WrongGap
	case epoch > next:
		v.Fault = GapMissing
	case epoch < m.start:
		v.Fault = WrongEpoch
	case m.events && m.batch > 0 && epoch == next-1:
		v.Fault = NoteInsideEpoch
	default:
		v.Fault = EpochRepeated
	}
	return v
}

func (m *Monitor) whole() bool { return wholeEpoch(m.count, int64(m.genesis.Slots)) }

func (m *Monitor) unfinished(f Fault) *Violation {
	return &Violation{Fault: f, Leaf: m.edge.n, Epoch: m.epoch,
		What: fmt.Sprintf("%d event leaves in epoch %d, of %d slots", m.count, m.epoch, m.genesis.Slots)}
}

// Settled returns a *Violation when the log ends in the middle of an epoch.
func (m *Monitor) Settled() error {
	switch {
	case m.count > 0 && !m.whole():
		return m.unfinished(Unfinished)
	case m.gap != Gap{}, m.events && m.batch > 0:
		return &Violation{Fault: Unfinished, Leaf: m.edge.n, Epoch: m.next, What: "notes without the events of their epoch"}
	}
	return nil
}

// Tree is the tree of the leaves taken.
func (m *Monitor) Tree() tlog.Tree { return m.edge.tree() }

// Size is the number of leaves taken.
func (m *Monitor) Size() int64 { return m.edge.n }

// LastEpoch is the newest epoch that is complete or covered by a gap; before the
// first, the one before that of genesis. 0 without genesis.
func (m *Monitor) LastEpoch() int64 {
	switch {
	case m.genesis == nil:
		return 0
	case m.count > 0 && m.whole():
		return m.epoch
	}
	return m.next - 1
}

// Genesis is nil in an empty log.
func (m *Monitor) Genesis() *Genesis { return m.genesis }

// Next returns Seq and Prev of the next note of that kind's signer.
func (m *Monitor) Next(k GovernanceKind) (seq uint64, prev [32]byte) {
	c := m.chain(k)
	return c.seq, c.prev
}

func (m *Monitor) chain(k GovernanceKind) *chain {
	if k.ByGovernance() {
		return &m.chains[0]
	}
	return &m.chains[1]
}

// Notes are all notes so far, in order. The caller must not modify them.
func (m *Monitor) Notes() []Logged { return m.notes }

// Sequence is the Seq of the newest note of the governance keys that works in epoch.
func (m *Monitor) Sequence(epoch int64) uint64 {
	var seq uint64
	for _, n := range m.notes {
		if n.Kind.ByGovernance() && n.From <= epoch {
			seq = n.Seq
		}
	}
	return seq
}

// Has tells whether a leaf with this tag is in the log.
func (m *Monitor) Has(tag [32]byte) bool {
	_, ok := m.tags[tag]
	return ok
}

// CheckGovernance tells whether a note could be the next leaf, before the events of
// epoch, without taking it; a gap note that has yet to come before it is taken for
// granted. Its error is a *Violation.
func (m *Monitor) CheckGovernance(leaf []byte, epoch int64) error {
	_, v := m.checkNote(leaf, epoch)
	if v != nil {
		v.Leaf = m.edge.n
		return v
	}
	return nil
}

func (m *Monitor) addNote(leaf []byte) *Violation {
	n, v := m.checkNote(leaf, 0)
	if v != nil {
		return v
	}
	m.next, m.count = m.LastEpoch()+1, 0
	c := m.chain(n.Kind)
	c.seq, c.prev = n.Seq+1, n.Digest()
	switch body := n.Body.(type) {
	case *Genesis:
		m.genesis, m.start, m.next = body, n.Epoch, n.Epoch
		m.keys, _ = body.verifiers()
	case Gap:
		m.gap, m.next = body, body.To+1
	}
	m.learn(n.Body)
	m.batch++
	m.notes = append(m.notes, n)
	return nil
}

// learn remembers cards and desks.
func (m *Monitor) learn(b Body) {
	switch b := b.(type) {
	case Card:
		m.cards[b.Fingerprint] = b
	case Desk:
		if m.desks[b.ID] = len(b.Reviewers); len(b.Reviewers) == 0 {
			delete(m.desks, b.ID)
		}
	}
}

// parseFault names why ParseGovernance refuses a leaf.
func parseFault(err error) Fault {
	switch {
	case errors.Is(err, errNotCanonical):
		return NotCanonical
	case errors.Is(err, errTooLong):
		return TooLong
	}
	return BadNote
}
