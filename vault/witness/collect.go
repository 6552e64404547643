package witness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Collection is what the witnesses said about a checkpoint.
type Collection struct {
	// Checkpoint is the signed checkpoint with the log's signature and every
	// cosignature that verified, those it came with included, in the policy's order.
	Checkpoint []byte
	Satisfied  bool     // the policy is; with the quorum none, always
	Results    []Result // of every witness, in the policy's order
}

// Result is what became of one witness. Without a Time or an Err it was not asked: it has no URL.
type Result struct {
	Witness Witness
	Time    time.Time // of its cosignature in Checkpoint; zero = there is none
	Err     error     // why it did not cosign: *SeenError, or as of Cosign
}

// Seen is the gravest *SeenError among the results, one with a proof before all
// others, a fork before a longer log; nil if there is none.
func (c Collection) Seen() *SeenError {
	var worst *SeenError
	for _, r := range c.Results {
		if e := (*SeenError)(nil); errors.As(r.Err, &e) && e.graver(worst) {
			worst = e
		}
	}
	return worst
}

func (e *SeenError) graver(than *SeenError) bool {
	switch {
	case than == nil:
		return true
	case (e.Proof != nil) != (than.Proof != nil):
		return e.Proof != nil
	case e.Fork != than.Fork:
		return e.Fork
	}
	return e.Size > than.Size
}

// Collect asks all witnesses at once to cosign a signed checkpoint, but those whose
// cosignature it carries already. It waits for each of them at most a minute, or
// until ctx is done, and returns what it has by then.
//
// hashes reads the tree of the checkpoint, for proofs of at most 1+log2(n) hashes.
// It is read by one goroutine at a time. Collect returns an error, and sends
// nothing, if the checkpoint is not signed by the policy's log or is not of that tree.
func (c *Client) Collect(ctx context.Context, signed []byte, hashes tlog.HashReader) (Collection, error) {
	h, err := c.open(signed, hashes)
	if err != nil {
		return Collection{}, err
	}
	return c.collect(ctx, h, func(r Result) bool { return r.Time.IsZero() })
}

// Probe asks all witnesses, those too whose cosignature the checkpoint carries,
// whether they have seen more of the log than this copy holds. It is for the start of a
// server, before anything is signed.
//
// signed must be the newest checkpoint that this copy has signed long ago: one made
// to ask would itself fork the log if the copy is old. The error is a *SeenError, or as
// of Collect. Without an error nobody who answered has seen more; Results tells who did.
func (c *Client) Probe(ctx context.Context, signed []byte, hashes tlog.HashReader) (Collection, error) {
	h, err := c.open(signed, hashes)
	if err != nil {
		return Collection{}, err
	}
	all, err := c.collect(ctx, h, func(Result) bool { return true })
	if err != nil {
		return Collection{}, err
	}
	if seen := all.Seen(); seen != nil {
		return all, seen
	}
	return all, nil
}

// head is a checkpoint of our own that witnesses are asked about.
type head struct {
	tree   tlog.Tree
	note   note.Note     // text and the log's signature
	signed []byte        // the same as bytes: what witnesses get
	held   []Cosignature // that it came with, by witness; zero = none

	mu     sync.Mutex
	hashes tlog.HashReader
}

func (c *Client) open(signed []byte, hashes tlog.HashReader) (*head, error) {
	checkpoint, n, err := torchwood.VerifyCheckpoint(signed, c.own)
	if err != nil {
		return nil, fmt.Errorf("our own checkpoint: %w", err)
	}
	root, err := tlog.TreeHash(checkpoint.N, hashes)
	if err != nil {
		return nil, err
	}
	if root != checkpoint.Hash {
		return nil, errors.New("our own checkpoint is not of our own tree")
	}
	h := &head{tree: checkpoint.Tree, note: note.Note{Text: n.Text, Sigs: n.Sigs}, hashes: hashes}
	if h.signed, err = note.Sign(&h.note); err != nil {
		return nil, err
	}
	h.held = make([]Cosignature, len(c.policy.Witnesses))
	_, lines, _ := cut(signed)
	for i, w := range c.policy.Witnesses {
		if s, err := openCosignature(w, n.Text, lines, time.Now()); err == nil {
			h.held[i] = s
		}
	}
	return h, nil
}

func (c *Client) collect(ctx context.Context, h *head, wanted func(Result) bool) (Collection, error) {
	all := Collection{Results: make([]Result, len(h.held))}
	var asked sync.WaitGroup
	for i, w := range c.policy.Witnesses {
		r := &all.Results[i]
		*r = Result{Witness: w, Time: h.held[i].Time}
		if w.URL == "" || !wanted(*r) {
			continue
		}
		asked.Go(func() {
			var s Cosignature
			if s, r.Err = c.ask(ctx, w, h); r.Err == nil {
				h.held[i], r.Time = s, s.Time
			}
		})
	}
	asked.Wait()
	out := h.note
	for _, s := range h.held {
		if !s.Time.IsZero() {
			out.UnverifiedSigs = append(out.UnverifiedSigs, s.Signature)
		}
	}
	var err error
	if all.Checkpoint, err = note.Sign(&out); err != nil {
		return Collection{}, err
	}
	_, _, err = torchwood.VerifyCheckpoint(all.Checkpoint, c.policy.Rule)
	all.Satisfied = err == nil
	return all, nil
}

// ask gets one witness's cosignature. It tries a second time if the witness names
// another size than we knew of.
func (c *Client) ask(ctx context.Context, w Witness, h *head) (Cosignature, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	old := c.size(w)
	if old > h.tree.N {
		old = 0 // it was asked about a later checkpoint before
	}
	for range 2 {
		proof, err := h.prove(old)
		if err != nil {
			return Cosignature{}, err
		}
		a, err := c.post(ctx, w, request(old, proof, h.signed))
		if err != nil {
			return Cosignature{}, err
		}
		s, err := a.open(w, h.note.Text, time.Now())
		if err == nil {
			c.setSize(w, h.tree.N)
			return s, nil
		}
		if seen := c.evidence(a, h); seen != nil {
			return Cosignature{}, seen
		}
		conflict := (*ConflictError)(nil)
		switch {
		case errors.Is(err, ErrInconsistent):
			return Cosignature{}, &SeenError{Size: old, Fork: true}
		case !errors.As(err, &conflict):
			return Cosignature{}, err
		case conflict.Size > h.tree.N:
			return Cosignature{}, &SeenError{Size: conflict.Size}
		case conflict.Size == old && old == h.tree.N:
			// "If the old size matches the checkpoint size, the witness MUST check that
			// the root hashes are also identical. If they don't match …" 409.
			return Cosignature{}, &SeenError{Size: old, Fork: true}
		}
		old = conflict.Size
		c.setSize(w, old)
	}
	return Cosignature{}, fmt.Errorf("%w: two conflicts in a row", ErrAnswer)
}

// evidence looks for a checkpoint in a refusal. No specification asks a witness to
// show one; if it does, and our own key has signed it, it needs no trust in the witness.
func (c *Client) evidence(a answer, h *head) *SeenError {
	checkpoint, n, err := torchwood.VerifyCheckpoint(a.body, c.own)
	if err != nil {
		return nil
	}
	if checkpoint.N <= h.tree.N {
		if root, err := h.root(checkpoint.N); err != nil || root == checkpoint.Hash {
			return nil
		}
	}
	proof, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	if err != nil {
		return nil
	}
	return &SeenError{Size: checkpoint.N, Fork: checkpoint.N <= h.tree.N, Proof: proof}
}

// prove is the consistency proof from old. "The proof MUST be empty if the old size is zero."
func (h *head) prove(old int64) (tlog.TreeProof, error) {
	if old == 0 {
		return nil, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return tlog.ProveTree(h.tree.N, old, h.hashes)
}

// root is the hash of the first n leaves.
func (h *head) root(n int64) (tlog.Hash, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return tlog.TreeHash(n, h.hashes)
}

func (c *Client) size(w Witness) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sizes[w.Key]
}

func (c *Client) setSize(w Witness, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes[w.Key] = n
}
