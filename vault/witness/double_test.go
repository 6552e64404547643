package witness_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/witness"
)

const origin = "example.org-0123abcd"

func newKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// noteKey is a pair of keys of signed notes.
func noteKey(t testing.TB, name, seed string) (note.Signer, string) {
	t.Helper()
	private := newKey(seed)
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	hash := vkey[len(name)+1:][:8]
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, hash,
		base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))))
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

// history is a log that only grows.
type history []tlog.Hash

// grow appends leaves until there are n. What they say depends on the branch.
func (h *history) grow(t testing.TB, from, n int64, branch string) {
	t.Helper()
	for i := from; i < n; i++ {
		hashes, err := tlog.StoredHashes(i, fmt.Appendf(nil, "%s %d", branch, i), h)
		if err != nil {
			t.Fatal(err)
		}
		*h = append(*h, hashes...)
	}
}

// newHistory makes a log of n leaves, of which those after common are the branch's own.
func newHistory(t testing.TB, common, n int64, branch string) *history {
	h := new(history)
	h.grow(t, 0, min(common, n), "trunk")
	h.grow(t, common, n, branch)
	return h
}

func (h *history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if n >= int64(len(*h)) {
			return nil, fmt.Errorf("no hash %d", n)
		}
		out[i] = (*h)[n]
	}
	return out, nil
}

func (h *history) text(t testing.TB, n int64) string {
	t.Helper()
	root, err := tlog.TreeHash(n, h)
	if err != nil {
		t.Fatal(err)
	}
	return torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: n, Hash: root}}.String()
}

// signed is the checkpoint at size n, with the log's signature.
func (h *history) signed(t testing.TB, n int64) []byte {
	t.Helper()
	s, _ := noteKey(t, origin, "log")
	return sign(t, h.text(t, n), s)
}

func sign(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// strict is a witness that keeps to C2SP tlog-witness, and fails the test if a
// client does not.
type strict struct {
	t      testing.TB
	signer *torchwood.CosignatureSigner
	logs   map[string]note.Verifier // by origin

	mu    sync.Mutex
	last  map[string]tlog.Tree // latest cosigned, by origin
	asked []int64              // old sizes, one for each request
}

// newStrict makes a witness that knows our log.
func newStrict(t testing.TB, name string) *strict {
	t.Helper()
	signer, err := torchwood.NewCosignatureSigner(name, newKey(name))
	if err != nil {
		t.Fatal(err)
	}
	_, vkey := noteKey(t, origin, "log")
	log, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &strict{t: t, signer: signer, logs: map[string]note.Verifier{origin: log}, last: map[string]tlog.Tree{}}
}

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodPost || r.URL.Path != "/w/add-checkpoint" {
		s.t.Errorf("%s %s", r.Method, r.URL)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	status, answer := s.answer(string(body))
	if status == http.StatusConflict {
		w.Header().Set("Content-Type", "text/x.tlog.size")
	}
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

func (s *strict) answer(body string) (int, string) {
	old, proof, signed, err := readRequest(body)
	if err != nil {
		s.t.Errorf("%v: %q", err, body)
		return http.StatusBadRequest, ""
	}
	s.asked = append(s.asked, old)
	name, _, _ := strings.Cut(signed, "\n")
	log, ok := s.logs[name]
	if !ok {
		return http.StatusNotFound, ""
	}
	checkpoint, n, err := torchwood.VerifyCheckpoint([]byte(signed),
		torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(name), torchwood.SingleVerifierPolicy(log)))
	if err != nil {
		return http.StatusForbidden, ""
	}
	if old > checkpoint.N {
		return http.StatusBadRequest, ""
	}
	last := s.last[name]
	if old != last.N || old == checkpoint.N && old != 0 && last.Hash != checkpoint.Hash {
		return http.StatusConflict, fmt.Sprintln(last.N)
	}
	if old == 0 && len(proof) != 0 || old == checkpoint.N && len(proof) != 0 {
		s.t.Errorf("a proof from %d to %d has %d hashes", old, checkpoint.N, len(proof))
	}
	if old != 0 && tlog.CheckTree(proof, checkpoint.N, checkpoint.Hash, old, last.Hash) != nil {
		return http.StatusUnprocessableEntity, ""
	}
	s.last[name] = checkpoint.Tree
	cosigned := string(sign(s.t, n.Text, s.signer))
	return http.StatusOK, cosigned[len(n.Text)+1:]
}

// readRequest reads the body of an add-checkpoint request to the letter.
func readRequest(body string) (old int64, proof tlog.TreeProof, signed string, err error) {
	top, signed, ok := strings.Cut(body, "\n\n")
	lines := strings.Split(top, "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	old, err = strconv.ParseInt(size, 10, 64)
	if !ok || !isOld || err != nil || old < 0 || strconv.FormatInt(old, 10) != size {
		return 0, nil, "", errors.New("malformed request")
	}
	if len(lines)-1 > 63 {
		return 0, nil, "", errors.New("more than 63 hashes")
	}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return 0, nil, "", errors.New("malformed hash")
		}
		proof = append(proof, h)
	}
	return old, proof, signed, nil
}

// see makes the witness cosign size n of a history, as if it had been asked before.
func (s *strict) see(h *history, n int64) {
	root, err := tlog.TreeHash(n, h)
	if err != nil {
		s.t.Fatal(err)
	}
	s.last[origin] = tlog.Tree{N: n, Hash: root}
}

// cosignAt makes the line of a cosignature with any time (C2SP tlog-cosignature, "Format").
func cosignAt(name, text string, at time.Time) string {
	private := newKey(name)
	public := private.Public().(ed25519.PublicKey)
	id := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	b := binary.BigEndian.AppendUint64(bytes.Clone(id[:4]), uint64(at.Unix()))
	b = append(b, ed25519.Sign(private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text))...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(b) + "\n"
}

// network connects to handlers by host name, in memory, so that a test can run in
// a bubble of synctest.
type network map[string]http.Handler

func (n network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	h, ok := n[host]
	if !ok {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	l := &once{conn: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conn <- theirs
	s := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			l.Close()
		}
	}}
	go s.Serve(l)
	return ours, nil
}

// once is a listener with one connection.
type once struct {
	conn  chan net.Conn
	close sync.Once
	done  chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *once) Close() error   { l.close.Do(func() { close(l.done) }); return nil }
func (l *once) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// vkeyOf is the key of the witness of that name.
func vkeyOf(t testing.TB, name string) string {
	t.Helper()
	s, err := torchwood.NewCosignatureSigner(name, newKey(name))
	if err != nil {
		t.Fatal(err)
	}
	return s.Verifier().String()
}

// policyOf is a policy with these witnesses, of which k must cosign.
func policyOf(t testing.TB, k int, names ...string) *witness.Policy {
	t.Helper()
	_, vkey := noteKey(t, origin, "log")
	text := "log " + vkey + "\n"
	for _, name := range names {
		text += fmt.Sprintf("witness %s %s http://%s/w/\n", name, vkeyOf(t, name), name)
	}
	text += fmt.Sprintf("group g %d %s\nquorum g\n", k, strings.Join(names, " "))
	p, err := witness.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newClient(t testing.TB, p *witness.Policy, n network) *witness.Client {
	c := witness.New(p, n.dial)
	t.Cleanup(c.Close)
	return c
}

func timeOf(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return t
}
