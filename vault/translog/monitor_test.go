package translog_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"resguardo/vault/translog"
)

// TestMonitorFollows follows a log with an overflow, a gap and late notes.
func TestMonitorFollows(t *testing.T) {
	w := newWriter()
	w.begin()
	w.epoch(firstEpoch, slots)
	w.epoch(firstEpoch+1, 4*slots)
	w.note(firstEpoch+9, translog.Gap{From: firstEpoch + 2, To: firstEpoch + 8})
	w.note(firstEpoch+9, translog.Restore{From: 5, To: 7})
	w.note(firstEpoch+3, card("new", "reviewer"))
	late := w.compose(firstEpoch+9, translog.Retention{Days: 30, DeleteSignatures: 2})
	late.Effective = firstEpoch + 20
	w.leaves = append(w.leaves, w.sign(late))
	w.note(firstEpoch+9, translog.Desk{ID: "sur"})
	w.epoch(firstEpoch+9, slots)
	m := w.mustMonitor(t)

	if m.LastEpoch() != firstEpoch+9 || m.Size() != int64(len(w.leaves)) || m.Genesis().Origin != origin {
		t.Errorf("last epoch %d, %d leaves", m.LastEpoch(), m.Size())
	}
	if want := serve(w.leaves).Tree; m.Tree() != want {
		t.Errorf("tree %v, want %v", m.Tree(), want)
	}
	for i, want := range []struct {
		kind        translog.GovernanceKind
		place, from int64
	}{
		{translog.GenesisNote, firstEpoch, firstEpoch},
		{translog.CardNote, firstEpoch, firstEpoch},
		{translog.CardNote, firstEpoch, firstEpoch},
		{translog.DeskNote, firstEpoch, firstEpoch},
		{translog.AssetsNote, firstEpoch, firstEpoch},
		{translog.GapNote, firstEpoch + 9, firstEpoch + 9},
		{translog.RestoreNote, firstEpoch + 9, firstEpoch + 9},
		{translog.CardNote, firstEpoch + 9, firstEpoch + 11},
		{translog.RetentionNote, firstEpoch + 9, firstEpoch + 20},
		{translog.DeskNote, firstEpoch + 9, firstEpoch + 11},
	} {
		n := m.Notes()[i]
		if n.Kind != want.kind || n.Place != want.place || n.From != want.from || !bytes.HasPrefix(w.leaves[n.Leaf], n.Text()) {
			t.Errorf("note %d: %s in place %d from %d, want %+v", i, n.Kind, n.Place, n.From, want)
		}
	}
	for epoch, want := range map[int64]uint64{0: 0, firstEpoch: 3, firstEpoch + 10: 3, firstEpoch + 11: 6, firstEpoch + 30: 6} {
		if got := m.Sequence(epoch); got != want {
			t.Errorf("sequence in epoch %d: %d, want %d", epoch, got, want)
		}
	}
	for _, by := range []bool{true, false} {
		newest := w.chains[by]
		if seq, prev := m.Next(newest.Kind); seq != newest.Seq+1 || prev != newest.Digest() {
			t.Errorf("after %s %d: next %d, %x", newest.Kind, newest.Seq, seq, prev)
		}
	}
	l, err := translog.ParseLeaf(w.leaves[len(w.leaves)-1])
	if err != nil || !m.Has(l.Tag) || m.Has(l.Commitment) {
		t.Error("the tags of the log are not those of its leaves")
	}
}

func TestMonitorOfAnEmptyLog(t *testing.T) {
	w := newWriter()
	m := translog.NewMonitor(w.logKey)
	seq, prev := m.Next(translog.GenesisNote)
	if m.Settled() != nil || m.LastEpoch() != 0 || m.Genesis() != nil || seq != 0 || prev != [32]byte{} {
		t.Error("an empty log is not empty")
	}
	w.begin()
	for _, leaf := range w.leaves {
		if err := m.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Settled(); err != nil || m.LastEpoch() != firstEpoch-1 {
		t.Errorf("after genesis: %v, last epoch %d", err, m.LastEpoch())
	}
}

// ruleBreakers are logs that break one rule each, in their last leaf or at their end.
func ruleBreakers() map[string]breaker {
	all := make(map[string]breaker)
	maps.Copy(all, leafBreakers)
	maps.Copy(all, epochBreakers)
	maps.Copy(all, signatureBreakers)
	maps.Copy(all, noteBreakers)
	return all
}

type breaker struct {
	want  translog.Fault
	write func(w *writer)
}

// started has genesis and one epoch behind it.
func started(then func(w *writer)) func(w *writer) {
	return func(w *writer) {
		w.begin()
		w.epoch(firstEpoch, slots)
		then(w)
	}
}

func (w *writer) raw(leaf string) { w.leaves = append(w.leaves, []byte(leaf)) }

var leafBreakers = map[string]breaker{
	"a leaf of another format": {translog.UnknownLeaf, started(func(w *writer) { w.raw("hello\n") })},
	"a leaf of a later version": {translog.UnknownLeaf, started(func(w *writer) {
		w.raw(strings.Replace(string(w.events(firstEpoch+1, 1)[0]), "/v1", "/v2", 1))
	})},
	"an empty leaf": {translog.UnknownLeaf, started(func(w *writer) { w.raw("") })},
	"a leading zero": {translog.NotCanonical, started(func(w *writer) {
		w.raw(strings.Replace(string(w.events(firstEpoch+1, 1)[0]), "epoch ", "epoch 0", 1))
	})},
	"a note with a leading zero": {translog.NotCanonical, started(func(w *writer) {
		text := strings.Replace(string(w.compose(firstEpoch, card("x", "reviewer")).Text()), "seq ", "seq 0", 1)
		leaf, _ := note.Sign(&note.Note{Text: text}, w.governance)
		w.leaves = append(w.leaves, leaf)
	})},
	"a signature line twice": {translog.NotCanonical, started(func(w *writer) {
		leaf := string(w.sign(w.compose(firstEpoch, card("x", "reviewer"))))
		w.raw(leaf + leaf[strings.Index(leaf, "\n\n")+2:])
	})},
	"a note of an unknown kind": {translog.BadNote, started(func(w *writer) {
		text := strings.Replace(string(w.compose(firstEpoch, card("x", "reviewer")).Text()), "kind card", "kind carp", 1)
		leaf, _ := note.Sign(&note.Note{Text: text}, w.governance)
		w.leaves = append(w.leaves, leaf)
	})},
	"a leaf of 64 KiB": {translog.TooLong, started(func(w *writer) { w.raw(strings.Repeat("a", translog.MaxLeaf+1)) })},
}

var epochBreakers = map[string]breaker{
	"one leaf too few": {translog.WrongCount, started(func(w *writer) {
		w.epoch(firstEpoch+1, slots-1)
		w.epoch(firstEpoch+2, 1)
	})},
	"one leaf too many": {translog.WrongCount, started(func(w *writer) {
		w.epoch(firstEpoch+1, slots+1)
		w.epoch(firstEpoch+2, 1)
	})},
	"three times the slots": {translog.WrongCount, started(func(w *writer) {
		w.epoch(firstEpoch+1, 3*slots)
		w.epoch(firstEpoch+2, 1)
	})},
	"half an epoch":           {translog.Unfinished, started(func(w *writer) { w.epoch(firstEpoch+1, slots/2) })},
	"a note without events":   {translog.Unfinished, started(func(w *writer) { w.note(firstEpoch, card("x", "auditor")) })},
	"a gap without events":    {translog.Unfinished, func(w *writer) { w.begin(); w.note(firstEpoch+1, translog.Gap{From: firstEpoch, To: firstEpoch}) }},
	"an epoch missing":        {translog.GapMissing, started(func(w *writer) { w.epoch(firstEpoch+2, 1) })},
	"the first epoch missing": {translog.GapMissing, func(w *writer) { w.begin(); w.epoch(firstEpoch+1, 1) }},
	"an epoch before genesis": {translog.WrongEpoch, func(w *writer) { w.begin(); w.epoch(firstEpoch-1, 1) }},
	"an epoch again": {translog.EpochRepeated, started(func(w *writer) {
		w.epoch(firstEpoch+1, slots)
		w.epoch(firstEpoch, 1)
	})},
	"a tag again": {translog.RepeatedTag, started(func(w *writer) {
		l, _ := translog.ParseLeaf(w.leaves[len(w.leaves)-1])
		l.Epoch++
		w.leaves = append(w.leaves, l.Marshal())
	})},
	"a leaf twice": {translog.RepeatedTag, started(func(w *writer) { w.leaves = append(w.leaves, w.leaves[len(w.leaves)-1]) })},
	"tags not sorted": {translog.Unsorted, started(func(w *writer) {
		two := w.events(firstEpoch+1, 2)
		w.leaves = append(w.leaves, two[1], two[0])
	})},
	"a note between leaves": {translog.NoteInsideEpoch, started(func(w *writer) {
		w.epoch(firstEpoch+1, slots/2)
		w.note(firstEpoch, card("x", "auditor"))
	})},
	"a note between the halves of an overflow": {translog.NoteInsideEpoch, started(func(w *writer) {
		w.note(firstEpoch, card("x", "auditor"))
		w.epoch(firstEpoch, 1)
	})},
	"a gap too short": {translog.WrongGap, started(func(w *writer) {
		w.note(firstEpoch+3, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 2})
		w.epoch(firstEpoch+4, 1)
	})},
	"a gap over an epoch with leaves": {translog.WrongGap, started(func(w *writer) {
		w.note(firstEpoch+3, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 2})
		w.epoch(firstEpoch+2, 1)
	})},
	"a gap that begins too late":  {translog.WrongGap, started(func(w *writer) { w.note(firstEpoch+3, translog.Gap{From: firstEpoch + 2, To: firstEpoch + 2}) })},
	"a gap that begins too early": {translog.WrongGap, started(func(w *writer) { w.note(firstEpoch+1, translog.Gap{From: firstEpoch, To: firstEpoch}) })},
	"a gap after another note": {translog.WrongGap, started(func(w *writer) {
		w.note(firstEpoch+1, card("x", "auditor"))
		w.note(firstEpoch+2, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 1})
	})},
	"two gaps before one epoch": {translog.WrongGap, started(func(w *writer) {
		w.note(firstEpoch+1, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 1})
		w.note(firstEpoch+1, translog.Gap{From: firstEpoch + 2, To: firstEpoch + 2})
	})},
}

// replaceSigner signs the next note with other keys.
func replaceSigner(body translog.Body, keys func(w *writer) []note.Signer) func(w *writer) {
	return started(func(w *writer) {
		leaf, err := w.compose(firstEpoch, body).Sign(keys(w)...)
		if err != nil {
			panic(err)
		}
		w.leaves = append(w.leaves, leaf)
	})
}

// changed lets the next note be changed before it is signed.
func changed(body translog.Body, change func(g *translog.Governance)) func(w *writer) {
	return started(func(w *writer) {
		g := w.compose(firstEpoch+1, body)
		change(&g)
		w.leaves = append(w.leaves, w.sign(g))
	})
}

var assets = translog.Assets{Build: "v2"}

var signatureBreakers = map[string]breaker{
	"no genesis, an event":       {translog.NoGenesis, func(w *writer) { w.epoch(firstEpoch, 1) }},
	"no genesis, a note":         {translog.NoGenesis, func(w *writer) { w.note(firstEpoch, card("x", "auditor")) }},
	"no genesis, something else": {translog.NoGenesis, func(w *writer) { w.raw("hello\n") }},
	"genesis twice": {translog.SecondGenesis, started(func(w *writer) {
		leaf, _ := (translog.Governance{Epoch: firstEpoch + 1, Kind: translog.GenesisNote, Body: &w.genesis}).Sign(w.governance)
		w.leaves = append(w.leaves, leaf)
	})},
	"genesis of another origin":       {translog.WrongOrigin, func(w *writer) { _, w.logKey = key("other.example", "log"); w.note(firstEpoch, &w.genesis) }},
	"genesis of another log key":      {translog.ForeignLogKey, func(w *writer) { _, w.logKey = key(origin, "other"); w.note(firstEpoch, &w.genesis) }},
	"no signature":                    {translog.Unsigned, started(func(w *writer) { w.raw(string(w.compose(firstEpoch, card("x", "auditor")).Text())) })},
	"a signature of another text":     {translog.BadSignature, started(func(w *writer) { w.raw(spliced(w)) })},
	"governance note by operations":   {translog.WrongSigner, replaceSigner(card("x", "auditor"), func(w *writer) []note.Signer { return []note.Signer{w.operations} })},
	"operations note by governance":   {translog.WrongSigner, replaceSigner(assets, func(w *writer) []note.Signer { return []note.Signer{w.governance} })},
	"both sign a governance note":     {translog.WrongSigner, replaceSigner(card("x", "auditor"), func(w *writer) []note.Signer { return []note.Signer{w.governance, w.operations} })},
	"both sign an operations note":    {translog.WrongSigner, replaceSigner(assets, func(w *writer) []note.Signer { return []note.Signer{w.operations, w.governance} })},
	"the log key signs":               {translog.WrongSigner, replaceSigner(card("x", "auditor"), func(w *writer) []note.Signer { return []note.Signer{w.log} })},
	"a stranger signs too":            {translog.WrongSigner, replaceSigner(card("x", "auditor"), func(w *writer) []note.Signer { s, _ := key("x", "x"); return []note.Signer{w.governance, s} })},
	"one of two signatures":           {translog.TooFewSignatures, func(w *writer) { w.genesis.Threshold = 2; w.note(firstEpoch, &w.genesis) }},
	"a note missing":                  {translog.WrongSequence, changed(card("x", "auditor"), func(g *translog.Governance) { g.Seq++ })},
	"a note again":                    {translog.WrongSequence, started(func(w *writer) { w.leaves = append(w.leaves, w.leaves[2]) })},
	"an operations note after itself": {translog.WrongSequence, started(func(w *writer) { w.leaves = append(w.leaves, w.leaves[4]) })},
	"another note before":             {translog.WrongPrev, changed(card("x", "auditor"), func(g *translog.Governance) { g.Prev[0] ^= 1 })},
	"governance follows operations": {translog.WrongPrev, started(func(w *writer) {
		g := w.compose(firstEpoch, card("x", "auditor"))
		g.Prev = w.chains[false].Digest()
		w.leaves = append(w.leaves, w.sign(g))
	})},
}

// spliced is a note with the signature of the note before it.
func spliced(w *writer) string {
	other := string(w.leaves[3])
	return string(w.compose(firstEpoch, card("x", "auditor")).Text()) + other[strings.Index(other, "\n\n")+1:]
}

var noteBreakers = map[string]breaker{
	"written later than it stands": {translog.NoteFromTheFuture, started(func(w *writer) { w.note(firstEpoch+2, card("x", "auditor")) })},
	"written after the gap it fills": {translog.NoteFromTheFuture, started(func(w *writer) {
		w.note(firstEpoch+4, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 2})
	})},
	"effective at once":        {translog.TooEarly, changed(card("x", "auditor"), func(g *translog.Governance) { g.Effective = firstEpoch + 1 })},
	"effective an epoch early": {translog.TooEarly, changed(card("x", "auditor"), func(g *translog.Governance) { g.Effective = firstEpoch + 2 })},
	"effective before genesis": {translog.TooEarly, func(w *writer) {
		w.begin()
		g := w.compose(firstEpoch, card("x", "auditor"))
		g.Effective = firstEpoch - 1
		w.leaves = append(w.leaves, w.sign(g))
	}},
	"a desk with an unknown card": {translog.CardUnknown, started(func(w *writer) { w.note(firstEpoch, translog.Desk{ID: "n", Reviewers: []string{fingerprint("x")}}) })},
	"an unknown card revoked":     {translog.CardUnknown, started(func(w *writer) { c := card("x", "auditor"); c.Revoked = true; w.note(firstEpoch, c) })},
	"a card with another file":    {translog.CardChanged, started(func(w *writer) { c := card("reviewer", "reviewer"); c.Digest[0] ^= 1; w.note(firstEpoch, c) })},
	"a card with another role":    {translog.CardChanged, started(func(w *writer) { w.note(firstEpoch, card("reviewer", "auditor")) })},
	"a desk with an auditor": {translog.WrongRole, started(func(w *writer) {
		w.note(firstEpoch, translog.Desk{ID: "n", Reviewers: []string{fingerprint("auditor")}})
	})},
	"a policy of another log": {translog.ForeignLogKey, started(func(w *writer) {
		_, k := key(origin, "x")
		w.note(firstEpoch, translog.Policy{Text: "log " + k + "\nquorum none\n"})
	})},
	"a restore of leaves to come":   {translog.WrongRestore, started(func(w *writer) { w.note(firstEpoch, translog.Restore{From: 3, To: int64(len(w.leaves)) + 1}) })},
	"one desk more than a page has": {translog.TooManyDesks, started(manyDesks)},
}

func manyDesks(w *writer) {
	for i := range translog.MaxDesks {
		id := string([]byte{'a' + byte(i/26), 'a' + byte(i%26)})
		w.note(firstEpoch, translog.Desk{ID: id, Reviewers: []string{fingerprint("reviewer")}})
	}
}

// TestMonitorNames: every broken rule is named as what it is, and only by the leaf
// that breaks it: all leaves before it are taken.
func TestMonitorNames(t *testing.T) {
	for name, b := range ruleBreakers() {
		t.Run(name, func(t *testing.T) {
			w := newWriter()
			b.write(w)
			m, err := w.monitor()
			if got := fault(t, err); got != b.want {
				t.Fatalf("%q, want %q: %v", got, b.want, err)
			}
			size := m.Size()
			if m.Settled() == nil && size != int64(len(w.leaves)-1) || m.Settled() != nil && size < int64(len(w.leaves)-1) {
				t.Errorf("took %d of %d leaves", size, len(w.leaves))
			}
			if size < int64(len(w.leaves)) && fault(t, m.Add(w.leaves[size])) != b.want {
				t.Error("a refused leaf changed the monitor")
			}
		})
	}
}

// TestFaultsAreProvoked: no fault exists that no test provokes.
func TestFaultsAreProvoked(t *testing.T) {
	seen := make(map[translog.Fault]bool)
	for _, b := range ruleBreakers() {
		seen[b.want] = true
	}
	for _, b := range treeBreakers {
		seen[b.want] = true
	}
	seen[translog.RolledBack], seen[translog.Forked], seen[translog.TooManyLeaves] = true, true, true // TestReplayNamesHistory
	for _, f := range translog.Faults() {
		if !seen[f] {
			t.Errorf("nothing provokes %s", f)
		}
		delete(seen, f)
	}
	for f := range seen {
		t.Errorf("Faults lacks %s", f)
	}
}

// TestAppendTakesAllOrNothing: after a refused batch the good one fits.
func TestAppendTakesAllOrNothing(t *testing.T) {
	for name, b := range ruleBreakers() {
		t.Run(name, func(t *testing.T) {
			w := newWriter()
			b.write(w)
			m := translog.NewMonitor(w.logKey)
			if err := m.Append(w.leaves...); fault(t, err) != b.want {
				t.Fatalf("%v, want %s", err, b.want)
			}
			if m.Size() != 0 || m.Genesis() != nil || len(m.Notes()) != 0 {
				t.Fatal("something was taken")
			}
			good := newWriter()
			good.begin()
			good.epoch(firstEpoch, slots)
			if err := m.Append(good.leaves...); err != nil && b.want != translog.WrongOrigin && b.want != translog.ForeignLogKey {
				t.Error(err)
			}
			before := m.Tree()
			batch := slices.Concat(good.events(firstEpoch+1, slots), [][]byte{[]byte("hello\n")})
			if m.Append(batch...) == nil || m.Tree() != before {
				t.Error("a batch with a bad leaf was taken")
			}
			if m.Genesis() != nil {
				if err := m.Append(batch[:slots]...); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestCheckGovernance(t *testing.T) {
	w := newWriter()
	w.begin()
	w.epoch(firstEpoch, slots)
	m := w.mustMonitor(t)
	size := m.Size()
	g := w.compose(firstEpoch+3, card("x", "auditor"))
	leaf, err := g.Sign(w.governance)
	if err != nil {
		t.Fatal(err)
	}
	early := g
	early.Effective = firstEpoch + 4
	tooEarly, err := early.Sign(w.governance)
	if err != nil {
		t.Fatal(err)
	}
	gap, err := w.compose(firstEpoch+3, translog.Gap{From: firstEpoch + 1, To: firstEpoch + 2}).Sign(w.operations)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		leaf  []byte
		epoch int64
		want  translog.Fault
	}{
		"good":                        {leaf, firstEpoch + 3, ""},
		"too soon":                    {leaf, firstEpoch + 2, translog.NoteFromTheFuture},
		"an epoch that is over":       {leaf, firstEpoch, translog.WrongEpoch},
		"works too early":             {tooEarly, firstEpoch + 3, translog.TooEarly},
		"a request":                   {g.Text(), firstEpoch + 3, translog.Unsigned},
		"a gap":                       {gap, firstEpoch + 3, ""},
		"a gap before another epoch":  {gap, firstEpoch + 4, translog.WrongGap},
		"an event is not a note":      {w.leaves[size-1], firstEpoch + 1, translog.BadNote},
		"a note that is in the chain": {w.leaves[3], firstEpoch + 1, translog.WrongSequence},
	} {
		if got := fault(t, m.CheckGovernance(c.leaf, c.epoch)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if m.Size() != size || len(m.Notes()) != 5 {
		t.Error("a note was taken")
	}
	empty := translog.NewMonitor(w.logKey)
	if err := empty.CheckGovernance(w.leaves[0], firstEpoch); err != nil {
		t.Error(err)
	}
}

// TestThreshold: two of two keys sign, one after the other.
func TestThreshold(t *testing.T) {
	w := newWriter()
	w.genesis.Threshold = 2
	request := w.compose(firstEpoch, &w.genesis).Text()
	for _, s := range []note.Signer{w.governance, w.second, w.second} {
		m := translog.NewMonitor(w.logKey)
		if m.CheckGovernance(request, firstEpoch) == nil && s.Name() == w.governance.Name() {
			t.Error("taken with too few signatures")
		}
		var err error
		if request, err = translog.AddSignature(request, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := translog.NewMonitor(w.logKey).Add(request); err != nil {
		t.Error(err)
	}
}
