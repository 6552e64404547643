package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault"
	"resguardo/vault/translog"
)

const firstEpoch = 83115

// logKeys are the keys of one log.
type logKeys struct {
	log, operations, governance note.Signer
	genesis                     *translog.Genesis
}

func newLogKeys(t testing.TB) logKeys {
	t.Helper()
	key := func(name string) (note.Signer, string) {
		s, v, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := note.NewSigner(s)
		if err != nil {
			t.Fatal(err)
		}
		return signer, v
	}
	g := &translog.Genesis{
		Origin: genesis.Origin, Threshold: 1, Epoch: genesis.Epoch, Slots: genesis.Slots, Salt: genesis.Salt,
		Time: genesis.Time, Memory: genesis.Memory, Threads: genesis.Threads,
		Retention: translog.Retention{Days: 180, DeleteSignatures: 2},
	}
	k := logKeys{genesis: g}
	var governance string
	k.log, g.Log = key(g.Origin)
	k.operations, g.Operations = key(g.Origin + "/operations")
	k.governance, governance = key(g.Origin + "/governance")
	g.Governance = []string{governance}
	g.Policy = "log " + g.Log + "\nquorum none\n"
	return k
}

func (k logKeys) verifier(t testing.TB) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(k.genesis.Log)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign makes a governance leaf.
func (k logKeys) sign(t testing.TB, g translog.Governance) []byte {
	t.Helper()
	signer := k.operations
	if g.Kind.ByGovernance() {
		signer = k.governance
	}
	leaf, err := g.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// begin starts the log of a vault and publishes its first checkpoint.
func (k logKeys) begin(t testing.TB, v *vault.Vault) {
	t.Helper()
	leaf := k.sign(t, translog.Governance{Epoch: firstEpoch, Kind: translog.GenesisNote, Body: k.genesis})
	if err := v.BeginLog(context.Background(), [][]byte{leaf}, k.log); err != nil {
		t.Fatal(err)
	}
	publish(t, v)
}

func (k logKeys) close(v *vault.Vault, epoch int64, notes ...[]byte) error {
	return v.CloseEpoch(context.Background(), vault.Closing{Epoch: epoch, Notes: notes, Signer: k.log})
}

func (k logKeys) mustClose(t testing.TB, v *vault.Vault, epoch int64, notes ...[]byte) {
	t.Helper()
	if err := k.close(v, epoch, notes...); err != nil {
		t.Fatal(err)
	}
	publish(t, v)
}

func publish(t testing.TB, v *vault.Vault) {
	t.Helper()
	if err := v.Publish(context.Background(), v.Signed(), firstEpoch, true); err != nil {
		t.Fatal(err)
	}
}

// published reads the published tree through Tile, as a stranger would.
type published struct{ v *vault.Vault }

func (p published) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		b, err := p.v.Tile(t)
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}
func (published) SaveTiles([]tlog.Tile, [][]byte)                      {}
func (published) ReadEndpoint(context.Context, string) ([]byte, error) { return nil, os.ErrNotExist }

// verify replays the published log and returns its leaves.
func (k logKeys) verify(t testing.TB, v *vault.Vault) [][]byte {
	t.Helper()
	policy, err := torchwood.ParsePolicy([]byte(k.genesis.Policy))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := torchwood.VerifyCheckpoint(v.Published(), policy)
	if err != nil {
		t.Fatal(err)
	}
	var leaves [][]byte
	m := translog.NewMonitor(k.genesis.Log)
	err = translog.Replay(context.Background(), m, c.Tree, published{v}, func(_ int64, leaf []byte) {
		leaves = append(leaves, bytes.Clone(leaf))
	})
	if err == nil {
		err = m.Settled()
	}
	if err != nil {
		t.Fatal(err)
	}
	return leaves
}

// TestEpochsLookAlike: what is published in an epoch has one length and one shape,
// whether nothing, one report or a full epoch of reports came in.
func TestEpochsLookAlike(t *testing.T) {
	v, k := open(t, newDir(t), vault.Options{}), newLogKeys(t)
	k.begin(t, v)
	size := func() int64 {
		var sum int64
		for _, leaf := range k.verify(t, v) {
			sum += int64(len(leaf)) + 2
		}
		return sum
	}
	before := size()
	var grown []int64
	for i, reports := range []int{0, 1, 16} {
		for range reports {
			mustSend(t, v, 100, submission("north"))
		}
		k.mustClose(t, v, firstEpoch+int64(i))
		grown = append(grown, size()-before)
		before = size()
	}
	if grown[0] != grown[1] || grown[1] != grown[2] {
		t.Errorf("the published log grew by %v bytes with 0, 1 and 16 reports", grown)
	}
	leaves := k.verify(t, v)
	if len(leaves) != 1+3*16 {
		t.Fatalf("%d leaves", len(leaves))
	}
	for _, leaf := range leaves[1:] {
		if _, err := translog.ParseLeaf(leaf); err != nil || len(leaf) != len(leaves[1]) {
			t.Errorf("leaf %q: %v", leaf, err)
		}
	}
	clean(t, v)
}

// TestOverflowWaitsOneEpoch: what does not fit waits for one epoch, and the next
// is as large as it must be to take what has waited.
func TestOverflowWaitsOneEpoch(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	for range 16 + 20 {
		mustSend(t, v, 10, submission("north"))
	}
	k.mustClose(t, v, firstEpoch)
	v.Close()
	v = open(t, dir, vault.Options{}) // the age of what waits outlives a restart
	clean(t, v)
	mustSend(t, v, 10, submission("north"))
	k.mustClose(t, v, firstEpoch+1)
	k.mustClose(t, v, firstEpoch+2)
	if n := len(k.verify(t, v)); n != 1+16+32+16 {
		t.Errorf("%d leaves, want genesis, 16, 32 and 16", n)
	}
	clean(t, v)
}

// TestRecordsAreInLeafOrder: the auditors' file of an epoch opens every leaf of it.
func TestRecordsAreInLeafOrder(t *testing.T) {
	v, k := open(t, newDir(t), vault.Options{}), newLogKeys(t)
	k.begin(t, v)
	m := mustSend(t, v, 100, submission("north"))
	c := vault.Closing{Epoch: firstEpoch, Signer: k.log, Seal: func(records []byte) ([]byte, error) {
		return append([]byte("sealed "), records...), nil
	}}
	if err := v.CloseEpoch(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	publish(t, v)
	sealed, err := v.Records(firstEpoch)
	if err != nil {
		t.Fatal(err)
	}
	records, _ := bytes.CutPrefix(sealed, []byte("sealed "))
	kinds := map[translog.Kind]int{}
	for i, text := range k.verify(t, v)[1:] {
		leaf, err := translog.ParseLeaf(text)
		if err != nil {
			t.Fatal(err)
		}
		e, o, err := translog.ParseRecord(records[i*translog.RecordSize : (i+1)*translog.RecordSize])
		if err != nil || e.Tag(o.Kind) != leaf.Tag || e.Commit(o.Marshal()) != leaf.Commitment {
			t.Errorf("record %d does not open its leaf: %v", i, err)
		}
		if kinds[o.Kind]++; o.Kind == translog.Report && o.Ciphertext != m.sum {
			t.Error("the opening names another ciphertext")
		}
	}
	if kinds[translog.Report] != 1 || kinds[translog.Filler] != 15 {
		t.Errorf("kinds %v", kinds)
	}
	if _, err := v.Records(firstEpoch + 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("records of an epoch to come: %v", err)
	}
}

// TestRefusedEpochChangesNothing: no epoch is skipped, closed twice or signed by
// another key, and after a refusal the log goes on as before.
func TestRefusedEpochChangesNothing(t *testing.T) {
	v, k := open(t, newDir(t), vault.Options{}), newLogKeys(t)
	if err := k.close(v, firstEpoch); !errors.Is(err, vault.ErrNoLog) {
		t.Errorf("without genesis: %v", err)
	}
	k.begin(t, v)
	mustSend(t, v, 10, submission("north"))
	signed := v.Signed()
	for name, close := range map[string]func() error{
		"skipped epoch":   func() error { return k.close(v, firstEpoch+1) },
		"earlier epoch":   func() error { return k.close(v, firstEpoch-1) },
		"foreign note":    func() error { return k.close(v, firstEpoch, []byte("resguardo/gov/v1\n")) },
		"foreign log key": func() error { return newLogKeys(t).close(v, firstEpoch) },
		"no seal": func() error {
			return v.CloseEpoch(context.Background(), vault.Closing{Epoch: firstEpoch, Signer: k.log,
				Seal: func([]byte) ([]byte, error) { return nil, errors.New("no") }})
		},
		"second genesis": func() error {
			return v.BeginLog(context.Background(), [][]byte{k.sign(t, translog.Governance{Epoch: firstEpoch, Kind: translog.GenesisNote, Body: k.genesis})}, k.log)
		},
	} {
		if err := close(); err == nil || errors.Is(err, vault.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(v.Signed(), signed) {
			t.Fatalf("%s: the log has changed", name)
		}
	}
	clean(t, v)
	k.mustClose(t, v, firstEpoch)
	if n := len(k.verify(t, v)); n != 17 {
		t.Errorf("%d leaves", n)
	}
	clean(t, v)
}

// TestGapCoversMissedEpochs: epochs without leaves need a note that says so.
func TestGapCoversMissedEpochs(t *testing.T) {
	v, k := open(t, newDir(t), vault.Options{}), newLogKeys(t)
	k.begin(t, v)
	k.mustClose(t, v, firstEpoch)
	gap := k.sign(t, translog.Governance{Epoch: firstEpoch + 9, Kind: translog.GapNote, Body: translog.Gap{From: firstEpoch + 1, To: firstEpoch + 8}})
	k.mustClose(t, v, firstEpoch+9, gap)
	k.verify(t, v)
}

// copyFiles is a backup: every file of the vault but high-water.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(to, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(from, "blobs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(names, filepath.Join(from, "vault.db"), filepath.Join(from, "keys.slots")) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(from, name)
		if err := os.WriteFile(filepath.Join(to, rel), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOldCopyRefusesToSign: put back, an old copy signs nothing until the leaves
// that it lacks have come from a mirror; then it goes on without a fork, and what
// was queued in it and logged before is not logged twice.
func TestOldCopyRefusesToSign(t *testing.T) {
	dir, k, backup := newDir(t), newLogKeys(t), t.TempDir()
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	k.mustClose(t, v, firstEpoch)
	mustSend(t, v, 10, submission("north")) // queued in the backup
	v.Close()
	copyFiles(t, dir, backup)
	v = open(t, dir, vault.Options{})
	mustSend(t, v, 10, submission("north")) // lost
	k.mustClose(t, v, firstEpoch+1)
	leaves := k.verify(t, v)
	mirror := exported(t, v)
	v.Close()

	copyFiles(t, backup, dir)
	v = open(t, dir, vault.Options{})
	if err := k.close(v, firstEpoch+1); !errors.Is(err, vault.ErrOldCopy) || !errors.Is(v.OldCopy(), vault.ErrOldCopy) {
		t.Fatalf("an old copy signs: %v", err)
	}
	if found, err := v.Check(context.Background()); err != nil || len(found) != 1 || !found[0].Log {
		t.Errorf("check: %+v, %v", found, err)
	}
	older := mirror.checkpoint
	from, to, err := v.Recover(context.Background(), older, mirror, k.verifier(t))
	if err != nil || from != 17 || to != 33 {
		t.Fatalf("recovered %d to %d: %v", from, to, err)
	}
	publish(t, v)
	if got := k.verify(t, v); fmt.Sprint(got) != fmt.Sprint(leaves) {
		t.Error("the recovered log differs")
	}
	clean(t, v)
	restore := k.sign(t, translog.Governance{Epoch: firstEpoch + 2, Kind: translog.RestoreNote, Body: translog.Restore{From: from, To: to}})
	k.mustClose(t, v, firstEpoch+2, restore)
	k.verify(t, v)
	v.Close()
	clean(t, open(t, dir, vault.Options{}))
}

// TestRecoverRefusesAnotherHistory: a mirror that our key has not signed, that is
// older than what was signed here, or whose history is another, changes nothing.
func TestRecoverRefusesAnotherHistory(t *testing.T) {
	dir, k, backup := newDir(t), newLogKeys(t), t.TempDir()
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	v.Close()
	copyFiles(t, dir, backup)
	v = open(t, dir, vault.Options{})
	k.mustClose(t, v, firstEpoch)
	old := exported(t, v)
	k.mustClose(t, v, firstEpoch+1)
	v.Close()

	// The same key signs another second epoch.
	fork := filepath.Join(t.TempDir(), "fork")
	copyFiles(t, backup, fork)
	f := open(t, fork, vault.Options{})
	if err := f.TrustCopy(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		k.mustClose(t, f, firstEpoch+i)
	}
	forked := exported(t, f)

	copyFiles(t, backup, dir)
	v = open(t, dir, vault.Options{})
	signed := v.Signed()
	stranger, _ := note.NewVerifier(newLogKeys(t).genesis.Log)
	for name, m := range map[string]mirror{"older": old, "fork": forked} {
		if _, _, err := v.Recover(context.Background(), m.checkpoint, m, k.verifier(t)); !errors.Is(err, vault.ErrOldCopy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := v.Recover(context.Background(), forked.checkpoint, forked, stranger); err == nil {
		t.Error("a checkpoint of another key is taken")
	}
	if !bytes.Equal(v.Signed(), signed) || !errors.Is(v.OldCopy(), vault.ErrOldCopy) {
		t.Error("a refused mirror has changed something")
	}
}

// TestMissingHighWaterSignsNothing: after a restore without high-water nothing is
// signed until somebody says that this is no old copy.
func TestMissingHighWaterSignsNothing(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	v.Close()
	if err := os.Remove(filepath.Join(dir, "high-water")); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, vault.Options{})
	if err := k.close(v, firstEpoch); !errors.Is(err, vault.ErrNoHighWater) {
		t.Fatalf("closed: %v", err)
	}
	if err := v.TrustCopy(context.Background()); err != nil {
		t.Fatal(err)
	}
	k.mustClose(t, v, firstEpoch)
	v.Close()
	if err := open(t, dir, vault.Options{}).OldCopy(); err != nil {
		t.Error(err)
	}
}

// mirror is an exported log in memory.
type mirror struct {
	checkpoint []byte
	tiles      map[string][]byte
}

func (m mirror) ReadTiles(_ context.Context, tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		b, ok := m.tiles[torchwood.TilePath(t)]
		if !ok {
			return nil, fmt.Errorf("%s: %w", torchwood.TilePath(t), os.ErrNotExist)
		}
		data = append(data, b)
	}
	return data, nil
}
func (mirror) SaveTiles([]tlog.Tile, [][]byte)                      {}
func (mirror) ReadEndpoint(context.Context, string) ([]byte, error) { return nil, os.ErrNotExist }

// exported copies the published log: full tiles, and the partial ones at the right edge.
func exported(t *testing.T, v *vault.Vault) mirror {
	t.Helper()
	m := mirror{checkpoint: v.Published(), tiles: map[string][]byte{}}
	c, err := torchwood.ParseCheckpoint(string(m.checkpoint[:strings.LastIndex(string(m.checkpoint), "\n\n")+1]))
	if err != nil {
		t.Fatal(err)
	}
	n := c.N
	for level := -1; n > 0; level++ {
		for i := int64(0); i*256 < n; i++ {
			tile := tlog.Tile{H: 8, L: level, N: i, W: int(min(256, n-i*256))}
			if m.tiles[torchwood.TilePath(tile)], err = v.Tile(tile); err != nil {
				t.Fatal(err)
			}
		}
		if level >= 0 {
			n /= 256
		}
	}
	return m
}

// TestOnlyThePublishedTreeIsServed: every partial tile of every size up to the
// published one, and nothing of what is signed but not published.
func TestOnlyThePublishedTreeIsServed(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	if _, err := v.Tile(tlog.Tile{H: 8, L: 0, W: 2}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("beyond the tree: %v", err)
	}
	for i := range int64(17) { // 1 + 17*16 = 273 leaves
		k.mustClose(t, v, firstEpoch+i)
	}
	if err := k.close(v, firstEpoch+17); err != nil {
		t.Fatal(err)
	}
	for restart := range 2 {
		for _, tile := range []tlog.Tile{{L: 0, W: 256}, {L: 0, W: 1}, {L: 0, W: 255}, {L: 0, N: 1, W: 17}, {L: 0, N: 1, W: 3}, {L: 1, W: 1}, {L: -1, N: 1, W: 17}, {L: -1, W: 100}} {
			tile.H = 8
			b, err := v.Tile(tile)
			if err != nil || tile.L >= 0 && len(b) != 32*tile.W {
				t.Errorf("%v: %d bytes, %v", tile, len(b), err)
			}
		}
		for _, tile := range []tlog.Tile{{L: 0, N: 1, W: 18}, {L: 1, W: 2}, {L: 2, W: 1}, {L: -1, N: 1, W: 18}, {L: -1, N: 2, W: 1},
			{L: -2, W: 1}, {L: 0, N: -1, W: 1}, {L: 0, W: 0}, {L: 0, W: 257}, {L: 63, W: 1}, {L: 0, N: 1 << 62, W: 1}} {
			tile.H = 8
			if _, err := v.Tile(tile); !errors.Is(err, vault.ErrNotFound) {
				t.Errorf("%v: %v", tile, err)
			}
		}
		if restart == 0 {
			v.Close()
			v = open(t, dir, vault.Options{})
		}
	}
	k.verify(t, v)
}

// TestReportsWhileEpochsClose: acknowledged items = queued + logged, at every moment.
func TestReportsWhileEpochsClose(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 20 {
				if _, err := send(v, 100, submission("north")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { senders.Wait(); close(done) }()
	epoch := int64(firstEpoch)
	for running := true; running; epoch++ {
		k.mustClose(t, v, epoch)
		select {
		case <-done:
			running = false
		default:
		}
	}
	clean(t, v)
	for range 3 { // the last ones, and what they pushed out
		k.mustClose(t, v, epoch)
		epoch++
	}
	tags := make(map[[32]byte]bool)
	for _, text := range k.verify(t, v) {
		if leaf, err := translog.ParseLeaf(text); err == nil {
			tags[leaf.Tag] = true
		}
	}
	items := v.Items("north")
	if len(items) != 160 {
		t.Fatalf("%d items", len(items))
	}
	v.Close()
	clean(t, open(t, dir, vault.Options{}))
}

// TestQueueKeysAreOverwritten: once an epoch is closed, no key on the disk opens
// a row that was in the queue, in whatever old page it remains.
func TestQueueKeysAreOverwritten(t *testing.T) {
	dir, k := newDir(t), newLogKeys(t)
	v := open(t, dir, vault.Options{})
	k.begin(t, v)
	mustSend(t, v, 10, submission("north"))
	before := queueKeys(t, dir)
	if len(before) != 1 {
		t.Fatalf("%d keys of queues", len(before))
	}
	k.mustClose(t, v, firstEpoch)
	for range 17 {
		mustSend(t, v, 10, submission("north"))
	}
	k.mustClose(t, v, firstEpoch+1) // one event is late
	during := queueKeys(t, dir)
	k.mustClose(t, v, firstEpoch+2)
	after := queueKeys(t, dir)
	if len(during) != 2 || len(after) != 1 {
		t.Errorf("%d keys while an event is late, %d after it", len(during), len(after))
	}
	slots, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range append(before, during...) {
		if bytes.Contains(slots, key) {
			t.Error("a key of an old queue is still in keys.slots")
		}
	}
}

// queueKeys reads the keys of queue slots from the file.
func queueKeys(t *testing.T, dir string) (keys [][]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) >= 512; b = b[512:] {
		if b[16] == 'Q' {
			keys = append(keys, bytes.Clone(b[64:96]))
		}
	}
	return keys
}
