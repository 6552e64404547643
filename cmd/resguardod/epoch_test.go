package main

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/vault"
	"resguardo/vault/translog"
)

const testEpoch = 6 * time.Hour

// station is a vault in a bubble of synctest, whose server is a ticker alone.
type station struct {
	t    *testing.T
	dir  statedir.Dir
	logs safeBuffer
	back atomic.Int64 // how far the clock of the wall is behind, in nanoseconds

	vault  *vault.Vault
	live   *live
	ticker *ticker
	first  int64 // epoch of genesis
}

// newStation makes a vault with one desk and one reviewer; policy makes the file
// policy from its log line.
func newStation(t *testing.T, policy func(log string) string) *station {
	t.Helper()
	return newStationOf(t, testEpoch, policy)
}

// newStationOf makes one with epochs of that length.
func newStationOf(t *testing.T, epoch time.Duration, policy func(log string) string) *station {
	t.Helper()
	s := &station{t: t}
	d, _, err := statedir.Create(filepath.Join(t.TempDir(), "vault"),
		statedir.Settings{Name: "x", Epoch: epoch, Slots: 16, Languages: []string{"es", "en"}, Demo: epoch < time.Minute},
		func(dir, origin string) error {
			return vault.Init(dir, vault.Genesis{Origin: origin, Epoch: epoch, Slots: 16, Time: 3, Memory: 65536, Threads: 1})
		})
	s.check(err)
	s.dir = d
	if policy != nil {
		text, err := os.ReadFile(d.Path(statedir.PolicyFile))
		s.check(err)
		log, _, _ := strings.Cut(string(text), "\n")
		s.check(os.WriteFile(d.Path(statedir.PolicyFile), []byte(policy(log)), 0o600))
	}
	s.apply(statedir.Change{AddDesk: &statedir.Desk{ID: "norte", Name: statedir.Words{ES: "N", EN: "N"}, Regions: []string{"N"}, Languages: []string{"es"}}})
	_, text := newCard(t, card.Reviewer)
	s.apply(statedir.Change{AddReviewer: &statedir.Joining{Desk: "norte", Card: text}})
	return s
}

func (s *station) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) apply(c statedir.Change) {
	s.t.Helper()
	_, err := s.dir.Apply(c)
	s.check(err)
}

// newCard makes a card and its identity.
func newCard(t *testing.T, role card.Role) (*age.HybridIdentity, []byte) {
	t.Helper()
	id := must(age.GenerateHybridIdentity())
	private := must(ecdh.X25519().GenerateKey(rand.Reader))
	c := card.Card{Role: role, Recipient: id.Recipient().String(), Client: card.EncodeClient(private.PublicKey().Bytes())}
	skey, vkey, err := note.GenerateKey(rand.Reader, card.KeyName(c.Recipient))
	if err != nil {
		t.Fatal(err)
	}
	c.Verifier = vkey
	return id, must(card.Sign(c, must(note.NewSigner(skey))))
}

// open opens the vault and begins the log, as serve does before its doors open.
func (s *station) open() error {
	s.t.Helper()
	v, err := vault.Open(s.dir.Path(), vault.Options{})
	s.check(err)
	s.vault = v
	state, err := s.dir.Load()
	s.check(err)
	s.live, err = newLive(s.dir, state, v)
	s.check(err)
	s.live.now = func() time.Time { return time.Now().Add(-time.Duration(s.back.Load())) }
	s.check(s.live.recall())
	if err := beginLog(s.t.Context(), say.English(), s.live); err != nil {
		return err
	}
	s.first = s.live.log().Notes[0].Place
	keys, err := readSigners(s.dir, state.Config.Origin)
	s.check(err)
	s.ticker = newTicker(s.live, slog.New(slog.NewTextHandler(&s.logs, nil)), keys, translog.Assets{Build: "test"})
	return nil
}

// serve opens and runs until stop, which returns why the ticker has ended.
func (s *station) serve() (stop func() error) {
	s.t.Helper()
	s.check(s.open())
	s.check(s.ticker.start(s.t.Context()))
	return s.run()
}

func (s *station) run() (stop func() error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.ticker.run(ctx) }()
	return func() error {
		synctest.Wait()
		cancel()
		err := <-ended
		return errors.Join(err, s.close())
	}
}

func (s *station) close() error {
	if s.ticker != nil && s.ticker.witnesses != nil {
		s.ticker.witnesses.Close()
	}
	return s.vault.Close()
}

// told verifies the published log as an auditor does and returns its notes but those
// of the beginning, as "kind+place", and its epochs, as "+place".
func (s *station) told() (notes, epochs []string) {
	s.t.Helper()
	origin := s.vault.Genesis().Origin
	own, err := s.dir.LogVerifier(origin)
	s.check(err)
	tree, err := ownCheckpoint(s.vault.Published(), own)
	s.check(err)
	keys, err := s.dir.Verifiers()
	s.check(err)
	m := translog.NewMonitor(keys.Log)
	events := map[int64]int{}
	s.check(translog.Replay(s.t.Context(), m, tree, fromVault(s.vault), func(_ int64, leaf []byte) {
		if l, err := translog.ParseLeaf(leaf); err == nil {
			events[l.Epoch]++
		}
	}))
	s.check(m.Settled())
	for _, n := range m.Notes()[3:] {
		if n.Kind != translog.AssetsNote {
			notes = append(notes, fmt.Sprintf("%s+%d", n.Kind, n.Place-s.first))
		}
	}
	for epoch, n := range events {
		if n != 16 {
			s.t.Errorf("epoch +%d has %d events", epoch-s.first, n)
		}
		epochs = append(epochs, fmt.Sprintf("+%d", epoch-s.first))
	}
	slices.SortFunc(epochs, func(a, b string) int { return len(a)*1000 + strings.Compare(a, b) - len(b)*1000 })
	return notes, epochs
}

func (s *station) wants(notes, epochs string) {
	s.t.Helper()
	gotNotes, gotEpochs := s.told()
	if got := strings.Join(gotNotes, " "); got != notes {
		s.t.Errorf("notes %q, want %q", got, notes)
	}
	if got := strings.Join(gotEpochs, " "); got != epochs {
		s.t.Errorf("epochs %q, want %q", got, epochs)
	}
}

func TestEachEpochIsClosedOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		s.wants("", "")
		for i := range 3 {
			time.Sleep(testEpoch - time.Second)
			synctest.Wait()
			if log := s.live.log(); log.Last != s.first+int64(i)-1 {
				t.Errorf("epoch +%d was closed before its end", log.Last-s.first)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		s.wants("", "+0 +1 +2")
		s.check(stop())
		if got := strings.Count(s.logs.String(), "epoch closed"); got != 3 || strings.Contains(s.logs.String(), "WARN") {
			t.Errorf("logged:\n%s", &s.logs)
		}
	})
}

// TestLateServerClosesWhatItOwes: the process was stopped, or the disk hung.
func TestLateServerClosesWhatItOwes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		s.check(s.open())
		s.check(s.ticker.start(t.Context()))
		time.Sleep(8 * testEpoch)
		stop := s.run()
		synctest.Wait()
		s.wants("", "+0 +1 +2 +3 +4 +5 +6 +7")
		s.check(stop())
	})
}

func TestLateServerLeavesOneGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		s.check(s.open())
		s.check(s.ticker.start(t.Context()))
		time.Sleep(11 * testEpoch)
		stop := s.run()
		synctest.Wait()
		s.wants("gap+3", "+3 +4 +5 +6 +7 +8 +9 +10")
		s.check(stop())
	})
}

func TestEpochsWhileOffAreAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(testEpoch)
		s.check(stop())
		time.Sleep(2 * testEpoch)
		stop = s.serve()
		time.Sleep(testEpoch)
		synctest.Wait()
		s.wants("gap+3", "+0 +3")
		s.check(stop())
	})
}

func TestLongGapNeedsAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(testEpoch)
		s.check(stop())
		for range 2 { // an acceptance is good once
			time.Sleep(31 * 24 * time.Hour)
			s.check(s.open())
			err := s.ticker.start(t.Context())
			if err == nil || !strings.Contains(err.Error(), "gap of 31 days") || ofLog(err) {
				t.Errorf("started after a month: %v", err)
			}
			last := s.live.log().Last
			s.check(s.close())
			s.check(s.dir.AcceptGap(last))
			stop = s.serve()
			time.Sleep(testEpoch)
			s.check(stop())
			if accepted, err := s.dir.GapAccepted(last); accepted || err != nil {
				t.Errorf("still accepted: %v", err)
			}
		}
	})
}

// TestClockAheadEndsTheServer: a clock that jumps a month ahead while the server runs.
func TestClockAheadEndsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		s.back.Store(-int64(40 * 24 * time.Hour))
		time.Sleep(look)
		if err := stop(); err == nil || !strings.Contains(err.Error(), "gap of 38 days") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestClockFarFromTorsEndsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		s.check(s.open())
		s.check(s.ticker.start(t.Context()))
		s.ticker.skew = func() time.Duration { return -25 * time.Hour }
		stop := s.run()
		time.Sleep(testEpoch)
		if err := stop(); err == nil || !strings.Contains(err.Error(), "the clock differs from the Tor network's") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestClockThatGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(2 * testEpoch)
		synctest.Wait()
		s.wants("", "+0 +1")
		s.back.Store(int64(2 * testEpoch))
		time.Sleep(2*testEpoch + time.Hour)
		synctest.Wait()
		s.wants("", "+0 +1") // the clock shows the first epoch, then the second, again
		time.Sleep(testEpoch)
		synctest.Wait()
		s.wants("", "+0 +1 +2")
		s.check(stop())
		if got := strings.Count(s.logs.String(), "the clock went back"); got != 1 {
			t.Errorf("said %d times:\n%s", got, &s.logs)
		}
	})
}

// TestAdditionWaitsTwoEpochs also for a server that is started again in between.
func TestAdditionWaitsTwoEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(testEpoch)
		synctest.Wait()
		_, text := newCard(t, card.Reviewer)
		done, err := s.live.apply(t.Context(), statedir.Change{AddReviewer: &statedir.Joining{Desk: "norte", Card: text}})
		s.check(err)
		if want := s.first + 3; done.from != want {
			t.Errorf("works from +%d, want +3", done.from-s.first)
		}
		s.check(stop())
		stop = s.serve() // signs what waits
		for epoch := range int64(4) {
			synctest.Wait()
			members := 1
			if s.first+1+epoch >= done.from {
				members = 2
			}
			if got := len(s.live.members()); got != members {
				t.Errorf("%d members in epoch +%d, want %d", got, 1+epoch, members)
			}
			s.check(stop())
			stop = s.serve()
			if got := len(s.live.members()); got != members {
				t.Errorf("%d members in epoch +%d after a new start, want %d", got, 1+epoch, members)
			}
			time.Sleep(testEpoch)
		}
		s.check(stop())
	})
}

// TestAuditorsGetTheRecords: one age file for each epoch, of one size, from when the
// auditor works.
func TestAuditorsGetTheRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		stop := s.serve()
		time.Sleep(testEpoch)
		s.check(stop())
		id, text := newCard(t, card.Auditor)
		s.apply(statedir.Change{AddAuditor: &statedir.Joining{Card: text}})
		stop = s.serve()
		time.Sleep(4 * testEpoch)
		synctest.Wait()
		for epoch := range int64(3) {
			if _, err := s.vault.Records(s.first + epoch); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("epoch +%d: %v, want no records", epoch, err)
			}
		}
		var sizes []int
		for epoch := int64(3); epoch < 5; epoch++ {
			sealed, err := s.vault.Records(s.first + epoch)
			s.check(err)
			sizes = append(sizes, len(sealed))
			r, err := age.Decrypt(bytes.NewReader(sealed), id)
			s.check(err)
			records, err := io.ReadAll(r)
			s.check(err)
			if len(records) != 16*translog.RecordSize {
				t.Errorf("epoch +%d: records of %d bytes", epoch, len(records))
			}
			for record := range slices.Chunk(records, translog.RecordSize) {
				if _, o, err := translog.ParseRecord(record); err != nil || o.Kind != translog.Filler {
					t.Errorf("record of %s: %v", o.Kind, err)
				}
			}
		}
		if sizes[0] != sizes[1] {
			t.Errorf("sizes differ: %v", sizes)
		}
		s.apply(statedir.Change{RevokeAuditor: &statedir.Revocation{Fingerprint: s.live.state.Auditors[0].Card.Fingerprint()}})
		s.check(stop())
		stop = s.serve()
		time.Sleep(testEpoch)
		synctest.Wait()
		if _, err := s.vault.Records(s.first + 5); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("sealed to a revoked auditor: %v", err)
		}
		s.check(stop())
	})
}

// safeBuffer is a buffer that one goroutine reads while another writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
