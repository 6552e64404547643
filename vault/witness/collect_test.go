package witness_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"resguardo/vault/witness"
)

func collect(t *testing.T, c *witness.Client, h *history, n int64) witness.Collection {
	t.Helper()
	got, err := c.Collect(t.Context(), h.signed(t, n), h)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// signers are the names on the signature lines of a note.
func signers(signed []byte) string {
	var names []string
	for line := range strings.Lines(string(signed)) {
		if rest, ok := strings.CutPrefix(line, "— "); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func TestCollectFollowsGrowth(t *testing.T) {
	a, b := newStrict(t, "a"), newStrict(t, "b")
	p := policyOf(t, 2, "a", "b")
	h := newHistory(t, 300, 300, "")
	b.see(h, 1)
	c := newClient(t, p, network{"a": a, "b": b})
	for _, n := range []int64{2, 16, 255, 256, 257, 257} {
		got := collect(t, c, h, n)
		if !got.Satisfied || signers(got.Checkpoint) != origin+" a b" {
			t.Errorf("size %d: satisfied %v\n%s", n, got.Satisfied, got.Checkpoint)
		}
		if _, _, err := torchwood.VerifyCheckpoint(got.Checkpoint, p.Rule); err != nil {
			t.Error(err)
		}
		for _, r := range got.Results {
			if r.Err != nil || r.Time.IsZero() {
				t.Errorf("size %d: %s: %v", n, r.Witness.Name, r.Err)
			}
		}
	}
	if want := []int64{0, 2, 16, 255, 256, 257}; !slices.Equal(a.asked, want) {
		t.Errorf("a was asked with the sizes %v, want %v", a.asked, want)
	}
	if want := []int64{0, 1, 2, 16, 255, 256, 257}; !slices.Equal(b.asked, want) {
		t.Errorf("b was asked with the sizes %v, want %v", b.asked, want)
	}
}

func TestCollectAsksOnlyTheMissing(t *testing.T) {
	a, b, d := newStrict(t, "a"), newStrict(t, "b"), newStrict(t, "d")
	p := policyOf(t, 2, "a", "b", "d")
	h := newHistory(t, 20, 20, "")
	net := network{"b": b}
	c := newClient(t, p, net)
	first := collect(t, c, h, 20)
	if first.Satisfied || signers(first.Checkpoint) != origin+" b" || !errors.Is(first.Results[0].Err, witness.ErrUnreachable) {
		t.Fatalf("%+v\n%s", first, first.Checkpoint)
	}
	net["a"], net["d"] = a, d
	second, err := c.Collect(t.Context(), first.Checkpoint, h)
	if err != nil || !second.Satisfied || signers(second.Checkpoint) != origin+" a b d" {
		t.Fatalf("%v %+v\n%s", err, second, second.Checkpoint)
	}
	if len(b.asked) != 1 {
		t.Errorf("b was asked %d times", len(b.asked))
	}
	third, err := c.Probe(t.Context(), second.Checkpoint, h)
	if err != nil || !third.Satisfied || len(a.asked) != 2 || len(b.asked) != 2 || len(d.asked) != 2 {
		t.Errorf("%v: probe asked a %v, b %v, d %v", err, a.asked, b.asked, d.asked)
	}
	// Who cannot be asked has cosigned all the same.
	far := newClient(t, p, network{})
	fourth, err := far.Probe(t.Context(), third.Checkpoint, h)
	if err != nil || !fourth.Satisfied || !bytes.Equal(fourth.Checkpoint, third.Checkpoint) || !errors.Is(fourth.Results[2].Err, witness.ErrUnreachable) {
		t.Errorf("%v %+v", err, fourth)
	}
}

// Of what a checkpoint carries, only what the policy knows goes out again.
func TestCollectDropsForeignLines(t *testing.T) {
	h := newHistory(t, 7, 7, "")
	text := h.text(t, 7)
	log, _ := noteKey(t, origin, "log")
	other, _ := noteKey(t, "other", "other")
	x, err := torchwood.NewCosignatureSigner("x", newKey("x"))
	if err != nil {
		t.Fatal(err)
	}
	a := newStrict(t, "a")
	c := newClient(t, policyOf(t, 1, "a"), network{"a": a})
	got, err := c.Collect(t.Context(), sign(t, text, other, x, log), h)
	if err != nil || signers(got.Checkpoint) != origin+" a" || !got.Satisfied {
		t.Errorf("%v\n%s", err, got.Checkpoint)
	}
}

func TestQuorumNoneAsksAndIsSatisfied(t *testing.T) {
	_, vkey := noteKey(t, origin, "log")
	p, err := witness.Parse([]byte("log " + vkey + "\nwitness a " + vkeyOf(t, "a") + " http://a/w\nwitness b " + vkeyOf(t, "b") + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(t, 3, 3, "")
	got := collect(t, newClient(t, p, network{"a": newStrict(t, "a")}), h, 3)
	if !got.Satisfied || signers(got.Checkpoint) != origin+" a" {
		t.Errorf("%+v\n%s", got, got.Checkpoint)
	}
	if r := got.Results[1]; r.Err != nil || !r.Time.IsZero() {
		t.Errorf("a witness without an address: %+v", r)
	}
}

func TestWhoHasSeenMoreIsHeard(t *testing.T) {
	ours := newHistory(t, 30, 30, "")
	fork := newHistory(t, 20, 40, "fork")
	longer := newHistory(t, 30, 40, "later")
	show := func(status int, body []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write(body)
		})
	}
	seen := func(h *history, n int64) http.Handler {
		s := newStrict(t, "a")
		s.see(h, n)
		return s
	}
	for name, c := range map[string]struct {
		witness http.Handler
		want    witness.SeenError
	}{
		"longer":              {seen(longer, 31), witness.SeenError{Size: 31}},
		"longer and forked":   {seen(fork, 40), witness.SeenError{Size: 40}},
		"forked, smaller":     {seen(fork, 25), witness.SeenError{Size: 25, Fork: true}},
		"forked, same size":   {seen(fork, 30), witness.SeenError{Size: 30, Fork: true}},
		"longer, shown":       {show(409, longer.signed(t, 33)), witness.SeenError{Size: 33, Proof: longer.signed(t, 33)}},
		"forked, shown":       {show(422, fork.signed(t, 21)), witness.SeenError{Size: 21, Fork: true, Proof: fork.signed(t, 21)}},
		"same size, shown":    {show(409, fork.signed(t, 30)), witness.SeenError{Size: 30, Fork: true, Proof: fork.signed(t, 30)}},
		"shown with any code": {show(500, fork.signed(t, 30)), witness.SeenError{Size: 30, Fork: true, Proof: fork.signed(t, 30)}},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, policyOf(t, 1, "a", "b"), network{"a": c.witness, "b": newStrict(t, "b")})
			got, err := client.Probe(t.Context(), ours.signed(t, 30), ours)
			if e := (*witness.SeenError)(nil); !errors.As(err, &e) || !same(*e, c.want) {
				t.Errorf("got %+v, want %+v", err, c.want)
			}
			if signers(got.Checkpoint) != origin+" b" || !got.Satisfied {
				t.Errorf("the honest witness was lost:\n%s", got.Checkpoint)
			}
			// The next attempt of a running server hears it again.
			if s := collect(t, client, ours, 30).Seen(); s == nil || !same(*s, c.want) {
				t.Errorf("the second time: %+v", s)
			}
		})
	}
}

func same(a, b witness.SeenError) bool {
	return a.Size == b.Size && a.Fork == b.Fork && bytes.Equal(a.Proof, b.Proof)
}

// A checkpoint that we have published, or that somebody else has signed, is no evidence.
func TestShownCheckpointMustContradict(t *testing.T) {
	ours := newHistory(t, 30, 30, "")
	fork := newHistory(t, 20, 40, "fork")
	stranger, _ := noteKey(t, origin, "stranger")
	for name, body := range map[string][]byte{
		"ours":          ours.signed(t, 30),
		"ours, earlier": ours.signed(t, 12),
		"ours, empty":   ours.signed(t, 0),
		"a stranger's":  sign(t, fork.text(t, 40), stranger),
	} {
		c := newClient(t, policyOf(t, 1, "a"), network{"a": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			w.Write(body)
		})})
		if got, err := c.Probe(t.Context(), ours.signed(t, 30), ours); err != nil || !errors.Is(got.Results[0].Err, witness.ErrForbidden) {
			t.Errorf("%s: %v %v", name, err, got.Results[0].Err)
		}
	}
}

func TestGravestIsTold(t *testing.T) {
	proof := []byte("x")
	order := []*witness.SeenError{ // from harmless to grave
		{Size: 5}, {Size: 6}, {Size: 4, Fork: true}, {Size: 3, Proof: proof}, {Size: 2, Fork: true, Proof: proof},
	}
	for i, worse := range order {
		for _, less := range order[:i] {
			for _, pair := range [][]*witness.SeenError{{worse, less}, {less, worse}} {
				c := witness.Collection{Results: []witness.Result{{Err: witness.ErrForbidden}, {Err: pair[0]}, {Err: pair[1]}}}
				if c.Seen() != worse {
					t.Errorf("%+v was told instead of %+v", c.Seen(), worse)
				}
			}
		}
	}
	if (witness.Collection{}).Seen() != nil {
		t.Error("nobody was asked, and somebody has seen more")
	}
}

// Witnesses must never get what would convict us of a fork that is none.
func TestNothingWrongIsSent(t *testing.T) {
	h, fork := newHistory(t, 9, 9, ""), newHistory(t, 5, 9, "fork")
	stranger, _ := noteKey(t, origin, "stranger")
	elsewhere, _ := noteKey(t, "elsewhere", "log")
	log, _ := noteKey(t, origin, "log")
	c := newClient(t, policyOf(t, 1, "a"), network{"a": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("something was sent")
	})})
	for name, signed := range map[string][]byte{
		"nothing":         nil,
		"no checkpoint":   sign(t, "hello\n", log),
		"not signed":      []byte(h.text(t, 9)),
		"another's key":   sign(t, h.text(t, 9), stranger),
		"another origin":  sign(t, strings.Replace(h.text(t, 9), origin, "elsewhere", 1), elsewhere, log),
		"of another tree": fork.signed(t, 9),
	} {
		if _, err := c.Collect(t.Context(), signed, h); err == nil {
			t.Errorf("%s: collected", name)
		}
		if _, err := c.Probe(t.Context(), signed, h); err == nil {
			t.Errorf("%s: probed", name)
		}
	}
	if _, err := c.Collect(t.Context(), h.signed(t, 9), newHistory(t, 4, 4, "")); err == nil {
		t.Error("collected without hashes")
	}
}

// What a witness gets is our checkpoint with our signature, not others' cosignatures.
func TestRequestCarriesOnlyOurSignature(t *testing.T) {
	h := newHistory(t, 9, 9, "")
	var got string
	c := newClient(t, policyOf(t, 1, "a", "b"), network{
		"b": newStrict(t, "b"),
		"a": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got = string(b)
		})})
	first := collect(t, c, h, 9)
	if _, err := c.Collect(t.Context(), first.Checkpoint, h); err != nil {
		t.Fatal(err)
	}
	if want := "old 0\n\n" + string(h.signed(t, 9)); got != want {
		t.Errorf("sent:\n%s\nwant:\n%s", got, want)
	}
}

func TestWitnessErrorsAreTyped(t *testing.T) {
	h := newHistory(t, 30, 30, "")
	s := newStrict(t, "a")
	s.see(h, 10)
	c := newClient(t, policyOf(t, 1, "a"), network{"a": s})
	w := witness.Witness{Name: "a", Key: vkeyOf(t, "a"), URL: "http://a/w"}
	stranger, _ := noteKey(t, origin, "stranger")
	_, err := c.Cosign(t.Context(), w, 10, nil, sign(t, h.text(t, 30), stranger))
	if !errors.Is(err, witness.ErrForbidden) {
		t.Error(err)
	}
	_, err = c.Cosign(t.Context(), w, 10, nil, h.signed(t, 30))
	if !errors.Is(err, witness.ErrInconsistent) {
		t.Error(err)
	}
	_, err = c.Cosign(t.Context(), w, 11, nil, h.signed(t, 5))
	if !errors.Is(err, witness.ErrAnswer) { // 400
		t.Error(err)
	}
	_, err = c.Cosign(t.Context(), w, 0, nil, h.signed(t, 30))
	if e := (*witness.ConflictError)(nil); !errors.As(err, &e) || e.Size != 10 {
		t.Error(err)
	}
	clear(s.logs)
	_, err = c.Cosign(t.Context(), w, 10, nil, h.signed(t, 30))
	if !errors.Is(err, witness.ErrUnknownLog) {
		t.Error(err)
	}
	if _, err = c.Cosign(t.Context(), w, 0, nil, []byte("x")); err == nil {
		t.Error("sent something that is no checkpoint")
	}
}

func TestCosignReturnsTheLine(t *testing.T) {
	h := newHistory(t, 30, 30, "")
	s := newStrict(t, "a")
	c := newClient(t, policyOf(t, 1, "a"), network{"a": s})
	got, err := c.Cosign(t.Context(), witness.Witness{Key: vkeyOf(t, "a"), URL: "http://a/w/"}, 0, nil, h.signed(t, 30))
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: h.text(t, 30), Sigs: []note.Signature{got.Signature}})
	if err != nil {
		t.Fatal(err)
	}
	if want := cosignAt("a", h.text(t, 30), got.Time); !strings.HasSuffix(string(b), "\n\n"+want) {
		t.Errorf("%s\nwant %s", b, want)
	}
}
