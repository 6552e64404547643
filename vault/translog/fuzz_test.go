package translog_test

import (
	"bytes"
	"testing"

	"resguardo/vault/translog"
)

func FuzzParseGovernance(f *testing.F) {
	w := newWriter()
	for _, body := range everyBody() {
		g := w.compose(firstEpoch, body)
		f.Add(g.Text())
		leaf, err := g.Sign(w.signer(g))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := translog.ParseGovernance(text)
		if err != nil {
			return
		}
		if rest, ok := bytes.CutPrefix(text, g.Text()); !ok || len(rest) > 0 && rest[0] != '\n' {
			t.Errorf("%q is not what Text writes", text)
		}
		signed, err := translog.AddSignature(text, w.second)
		if err != nil {
			return // full
		}
		if again, err := translog.AddSignature(signed, w.second); err != nil || !bytes.Equal(again, signed) {
			t.Errorf("signed %q, and again %q", signed, again)
		}
	})
}

func FuzzPolicyLog(f *testing.F) {
	f.Add(newOffice().genesis.Policy)
	f.Add("log x\ngroup a all b\nquorum a\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := translog.PolicyLog(text); err != nil {
			return
		}
		g := translog.Governance{Epoch: 1, Kind: translog.PolicyNote, Body: translog.Policy{Text: text}}
		if again, err := translog.ParseGovernance(g.Text()); err != nil || again.Body != g.Body {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzMonitorAdd: whatever the next leaf is, it is taken as it is, or it is refused
// and nothing has changed.
func FuzzMonitorAdd(f *testing.F) {
	w := newWriter()
	w.begin()
	w.epoch(firstEpoch, slots)
	started := len(w.leaves)
	next := w.compose(firstEpoch+1, card("x", "auditor"))
	leaf, err := next.Sign(w.governance)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(leaf)
	f.Add(next.Text())
	f.Add(w.events(firstEpoch+1, 1)[0])
	f.Add(w.leaves[0])
	f.Fuzz(func(t *testing.T, leaf []byte) {
		m := translog.NewMonitor(w.logKey)
		if err := m.Append(w.leaves[:started]...); err != nil {
			t.Fatal(err)
		}
		before := m.Tree()
		if fault(t, m.Add(leaf)) != "" && m.Tree() != before {
			t.Error("a refused leaf was taken")
		}
		if m.Tree() != before && m.Size() != before.N+1 {
			t.Error("more than a leaf was taken")
		}
	})
}

// FuzzReplayBundle: no other bytes than those of the log pass for its entries.
func FuzzReplayBundle(f *testing.F) {
	w := newWriter()
	w.note(firstEpoch, &w.genesis)
	w.epoch(firstEpoch, slots)
	s := serve(w.leaves)
	const path = "tile/entries/000.p/5"
	good := s.files[path]
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, bundle []byte) {
		spoiled := &served{Tree: s.Tree, files: map[string][]byte{path: bundle, "tile/0/000.p/5": s.files["tile/0/000.p/5"]}}
		if fault(t, translogReplay(t, w, spoiled)) == "" && !bytes.Equal(bundle, good) {
			t.Errorf("%q passes", bundle)
		}
	})
}

func translogReplay(t *testing.T, w *writer, s *served) error {
	return translog.Replay(t.Context(), translog.NewMonitor(w.logKey), s.Tree, s, nil)
}
