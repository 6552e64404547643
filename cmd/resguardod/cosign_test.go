package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
	"resguardo/vault/witness"
)

// watcher is a witness as C2SP tlog-witness wants it: it cosigns what grows out of
// what it has cosigned before, and nothing else.
type watcher struct {
	name string
	key  *torchwood.CosignatureSigner

	mu    sync.Mutex
	down  bool      // does not answer
	tree  tlog.Tree // cosigned last
	shows []byte    // a checkpoint to put into a refusal, against the specification
}

func newWatcher(t *testing.T, name string) *watcher {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &watcher{name: name, key: must(torchwood.NewCosignatureSigner(name+".example", private))}
}

func (w *watcher) line() string {
	return fmt.Sprintf("witness %s %s http://%s.example/\n", w.name, w.key.Verifier(), w.name)
}

func (w *watcher) set(change func(*watcher)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// ServeHTTP answers add-checkpoint.
func (w *watcher) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		panic(http.ErrAbortHandler)
	}
	body, _ := io.ReadAll(r.Body)
	head, checkpoint, _ := strings.Cut(string(body), "\n\n")
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	c, err := torchwood.ParseCheckpoint(text + "\n")
	lines := strings.Split(head, "\n")
	var old int64
	if _, scanErr := fmt.Sscanf(lines[0], "old %d", &old); err != nil || scanErr != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	var proof tlog.TreeProof
	for _, l := range lines[1:] {
		proof = append(proof, must(tlog.ParseHash(l)))
	}
	switch {
	case old != w.tree.N || old == c.N && w.tree.Hash != c.Hash:
		if w.shows != nil {
			rw.WriteHeader(http.StatusConflict)
			rw.Write(w.shows)
			return
		}
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", w.tree.N)
		return
	case old > 0 && old < c.N && tlog.CheckTree(proof, c.N, c.Hash, w.tree.N, w.tree.Hash) != nil:
		rw.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	w.tree = c.Tree
	signed := must(note.Sign(&note.Note{Text: text + "\n"}, w.key))
	rw.Write(signed[strings.Index(string(signed), "\n\n")+2:])
}

// watchers are reached by connections in memory, which synctest understands.
type watchers []*watcher

func (all watchers) dial(ctx context.Context, _, address string) (net.Conn, error) {
	for _, w := range all {
		if address != w.name+".example:80" {
			continue
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			for in := bufio.NewReader(theirs); ; {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				a := &recorder{header: http.Header{}, status: http.StatusOK}
				if !a.serve(w, r) {
					return
				}
				resp := http.Response{StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body.String())), ContentLength: int64(a.body.Len())}
				if resp.Write(theirs) != nil {
					return
				}
			}
		}()
		return ours, nil
	}
	return nil, errors.New("no such witness")
}

// recorder keeps an answer until it is written.
type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

// serve returns false when the handler has given up the connection.
func (r *recorder) serve(h http.Handler, request *http.Request) (ok bool) {
	defer func() { ok = recover() == nil }()
	h.ServeHTTP(r, request)
	return true
}

// watched makes a station with witnesses, k of whom must cosign.
func watched(t *testing.T, k int, all watchers) *station {
	t.Helper()
	return newStation(t, policyOf(k, all))
}

// policyOf makes a policy from its log line.
func policyOf(k int, all watchers) func(log string) string {
	return func(log string) string {
		var b strings.Builder
		b.WriteString(log + "\n")
		group := fmt.Sprintf("group all %d", k)
		for _, w := range all {
			b.WriteString(w.line())
			group += " " + w.name
		}
		return b.String() + group + "\nquorum all\n"
	}
}

// openWatched is open for a station with witnesses.
func (s *station) openWatched(all watchers) {
	s.t.Helper()
	s.check(s.open())
	s.ticker.witnesses = witness.New(s.live.policy.Policy, all.dial)
}

// published is the size of the published checkpoint, and how many have signed it.
func (s *station) published() (size int64, signatures int) {
	s.t.Helper()
	text, lines, _ := strings.Cut(string(s.vault.Published()), "\n\n")
	c, err := torchwood.ParseCheckpoint(text + "\n")
	s.check(err)
	return c.N, strings.Count(lines, "\n")
}

func TestQuorumIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north"), newWatcher(t, "south"), newWatcher(t, "west")}
		all[2].down = true
		s := watched(t, 2, all)
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		if size, n := s.published(); size != 3 || n != 3 {
			t.Errorf("first checkpoint: size %d, %d signatures", size, n)
		}
		stop := s.run()
		time.Sleep(testEpoch)
		synctest.Wait()
		if size, n := s.published(); size != 20 || n != 3 {
			t.Errorf("checkpoint: size %d, %d signatures", size, n)
		}
		if covers, published := s.vault.Witnessed(); covers != s.first || published != s.first+1 {
			t.Errorf("witnessed +%d in +%d", covers-s.first, published-s.first)
		}
		all[2].set(func(w *watcher) { w.down = false })
		time.Sleep(askAgain)
		synctest.Wait()
		if _, n := s.published(); n != 4 {
			t.Errorf("%d signatures once the third witness answers", n)
		}
		s.check(stop())
		s.wantsIncident(false)
	})
}

// wantsIncident opens the vault to see whether the log tells of an unwitnessed epoch.
func (s *station) wantsIncident(want bool) {
	s.t.Helper()
	s.check(s.open())
	defer func() { s.check(s.vault.Close()) }()
	var found []translog.Incident
	for _, n := range s.live.log().Notes {
		if i, ok := n.Body.(translog.Incident); ok {
			found = append(found, i)
		}
	}
	if want != (len(found) == 1) {
		s.t.Errorf("incidents: %+v", found)
	}
}

// TestWithoutAQuorumTheLastCosignedStays for ten minutes; then the new one is
// published, and the log says so.
func TestWithoutAQuorumTheLastCosignedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north"), newWatcher(t, "south")}
		s := watched(t, 2, all)
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop := s.run()
		time.Sleep(testEpoch)
		synctest.Wait()
		all[1].set(func(w *watcher) { w.down = true })
		time.Sleep(testEpoch + patience - time.Second)
		synctest.Wait()
		if size, n := s.published(); size != 20 || n != 3 {
			t.Errorf("before ten minutes: size %d, %d signatures", size, n)
		}
		time.Sleep(time.Second + askAgain)
		synctest.Wait()
		if size, n := s.published(); size != 36 || n != 2 {
			t.Errorf("after ten minutes: size %d, %d signatures", size, n)
		}
		if covers, _ := s.vault.Witnessed(); covers != s.first {
			t.Errorf("witnessed +%d", covers-s.first)
		}
		if !strings.Contains(s.logs.String(), `level=WARN msg="published without a quorum of witnesses"`) {
			t.Errorf("logged:\n%s", &s.logs)
		}
		all[1].set(func(w *watcher) { w.down = false })
		time.Sleep(askAgain)
		synctest.Wait()
		if size, n := s.published(); size != 36 || n != 3 {
			t.Errorf("once both answer: size %d, %d signatures", size, n)
		}
		time.Sleep(2 * testEpoch)
		synctest.Wait()
		s.wants("incident+2", "+0 +1 +2 +3")
		s.check(stop())
		s.wantsIncident(true)
	})
}

// TestShortEpochsArePublished: also when no quorum ever answers.
func TestShortEpochsArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north")}
		all[0].down = true
		s := newStationOf(t, 10*time.Second, policyOf(1, all))
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop := s.run()
		time.Sleep(10*time.Second + 9*time.Second)
		synctest.Wait()
		if size, n := s.published(); size < 20 || n != 1 {
			t.Errorf("size %d, %d signatures", size, n)
		}
		s.check(stop())
	})
}

// TestAdditionWaitsForWitnesses: it works one epoch after a cosigned checkpoint shows
// it, and a new start makes it no earlier.
func TestAdditionWaitsForWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north")}
		s := watched(t, 1, all)
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop := s.run()
		time.Sleep(testEpoch)
		s.check(stop())
		_, text := newCard(t, card.Reviewer)
		s.apply(statedir.Change{AddReviewer: &statedir.Joining{Desk: "norte", Card: text}})
		down := func(down bool) { all[0].set(func(w *watcher) { w.down = down }) }
		start := func() {
			s.openWatched(all)
			s.check(s.ticker.start(t.Context()))
			stop = s.run()
		}
		members := func(epoch, want int) {
			t.Helper()
			synctest.Wait()
			if got := len(s.live.members()); got != want {
				t.Errorf("%d members in epoch +%d, want %d", got, epoch, want)
			}
		}
		start() // in +1; the note works from +3
		down(true)
		time.Sleep(2*testEpoch + patience)
		members(3, 1) // nobody has cosigned it
		down(false)
		time.Sleep(2 * askAgain)
		members(3, 1) // now somebody has: everybody has this epoch to see it
		s.check(stop())
		start()
		members(3, 1)
		time.Sleep(testEpoch)
		members(4, 2)
		s.check(stop())
		start()
		members(4, 2)
		s.check(stop())
	})
}

func TestFirstCheckpointDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north")}
		all[0].down = true
		s := watched(t, 1, all)
		s.openWatched(all)
		begin := time.Now()
		s.check(s.ticker.start(t.Context()))
		if size, n := s.published(); size != 3 || n != 1 || time.Since(begin) > firstPatience {
			t.Errorf("size %d, %d signatures after %v", size, n, time.Since(begin))
		}
		if len(s.live.members()) != 1 {
			t.Error("nobody is in force")
		}
		all[0].set(func(w *watcher) { w.down = false })
		stop := s.run()
		time.Sleep(askAgain)
		synctest.Wait()
		if _, n := s.published(); n != 2 {
			t.Errorf("%d signatures once the witness answers", n)
		}
		time.Sleep(2 * testEpoch)
		s.check(stop())
		s.wantsIncident(false)
	})
}

// fork makes another history of the same vault, and shows it to the witness.
func (s *station) fork(w *watcher, size int64) (checkpoint []byte) {
	s.t.Helper()
	signer, err := s.dir.LogSigner(s.vault.Genesis().Origin)
	s.check(err)
	tree := tlog.Tree{N: size, Hash: tlog.Hash{1}}
	c := torchwood.Checkpoint{Origin: s.vault.Genesis().Origin, Tree: tree}
	w.set(func(w *watcher) { w.tree = tree })
	return must(note.Sign(&note.Note{Text: c.String()}, signer))
}

// TestWordOfAWitness: at a start it is enough to stop the server, in a run whose
// high-water matches it is not; a checkpoint of our own key always is, for ever.
func TestWordOfAWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north")}
		s := watched(t, 1, all)
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop := s.run()
		shown := s.fork(all[0], 1000)
		time.Sleep(testEpoch)
		synctest.Wait()
		if got := strings.Count(s.logs.String(), "level=ERROR msg=\"a witness claims to have seen more"); got != 1 {
			t.Errorf("said %d times:\n%s", got, &s.logs)
		}
		time.Sleep(patience)
		s.check(stop())

		s.openWatched(all)
		err := s.ticker.start(t.Context())
		if !errors.Is(err, vault.ErrOldCopy) || !ofLog(err) {
			t.Errorf("started: %v", err)
		}
		s.check(s.close())

		all[0].set(func(w *watcher) { w.down = true })
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop = s.run()
		all[0].set(func(w *watcher) { w.down, w.shows = false, shown })
		time.Sleep(testEpoch)
		if err := stop(); !errors.Is(err, vault.ErrOldCopy) || !ofLog(err) {
			t.Errorf("ended with %v", err)
		}
		if err := s.open(); !errors.Is(err, vault.ErrOldCopy) {
			t.Errorf("opened after that: %v", err)
		}
		s.check(s.vault.Close())
	})
}

// TestFirstSignatureWaitsForWitnesses: who cannot be reached at the start is asked
// before anything is signed.
func TestFirstSignatureWaitsForWitnesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := watchers{newWatcher(t, "north")}
		s := watched(t, 1, all)
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop := s.run()
		time.Sleep(testEpoch)
		s.check(stop())
		s.check(s.open())
		s.fork(all[0], 1000)
		s.check(s.vault.Close())

		all[0].set(func(w *watcher) { w.down = true })
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop = s.run()
		time.Sleep(testEpoch)
		synctest.Wait()
		s.wants("", "+0")
		all[0].set(func(w *watcher) { w.down = false })
		time.Sleep(probePause)
		if err := stop(); !errors.Is(err, vault.ErrOldCopy) {
			t.Errorf("ended with %v", err)
		}
		s.check(s.open())
		if log := s.live.log(); log.Last != s.first {
			t.Errorf("closed up to +%d", log.Last-s.first)
		}
		s.check(s.vault.Close())

		// A witness that stays away does not stop the log.
		all[0].set(func(w *watcher) { w.down = true })
		s.openWatched(all)
		s.check(s.ticker.start(t.Context()))
		stop = s.run()
		time.Sleep(testEpoch + probePatience + probePause)
		synctest.Wait()
		if log := s.live.log(); log.Last != s.first+2 {
			t.Errorf("closed up to +%d", log.Last-s.first)
		}
		s.check(stop())
	})
}
