package translog_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

const (
	origin     = "example.org-0a1b2c3d"
	firstEpoch = 83115
	slots      = 4
)

// key is the key pair whose Ed25519 seed is SHA-256(seed), so that all bytes of a
// test are the same in every run.
func key(name, seed string) (note.Signer, string) {
	sum := sha256.Sum256([]byte(seed))
	return seeded(name, sum[:])
}

func seeded(name string, seed []byte) (note.Signer, string) {
	private := ed25519.NewKeyFromSeed(seed)
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		panic(err)
	}
	return signer{verifier, private}, vkey
}

type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// office are the keys of a log.
type office struct {
	log, operations, governance, second note.Signer
	logKey                              string
	genesis                             translog.Genesis
}

func newOffice() *office {
	o := new(office)
	var operationsKey, governanceKey, secondKey string
	o.log, o.logKey = key(origin, "log")
	o.operations, operationsKey = key(origin+"/operations", "operations")
	o.governance, governanceKey = key(origin+"/governance", "governance")
	o.second, secondKey = key(origin+"/governance-2", "second")
	o.genesis = translog.Genesis{
		Origin: origin, Log: o.logKey, Operations: operationsKey,
		Governance: []string{governanceKey, secondKey}, Threshold: 1,
		Epoch: 6 * time.Hour, Slots: slots,
		Time: 3, Memory: 64 << 10, Threads: 1,
		Policy:    "log " + o.logKey + "\nquorum none\n",
		Retention: translog.Retention{Days: 180, DeleteSignatures: 1},
	}
	for i := range o.genesis.Salt {
		o.genesis.Salt[i] = byte(i)
	}
	slices.Sort(o.genesis.Governance)
	return o
}

// writer makes a log that keeps every rule, unless told otherwise.
type writer struct {
	*office
	leaves  [][]byte
	chains  map[bool]translog.Governance // newest note, by ByGovernance
	next    map[bool]uint64
	counter uint64
}

func newWriter() *writer {
	return &writer{office: newOffice(), chains: make(map[bool]translog.Governance), next: make(map[bool]uint64)}
}

// compose is the next note with that body.
func (w *writer) compose(epoch int64, body translog.Body) translog.Governance {
	g := translog.Governance{Epoch: epoch, Kind: translog.KindOf(body), Body: body}
	by := g.Kind.ByGovernance()
	if g.Seq = w.next[by]; g.Seq > 0 {
		g.Prev = w.chains[by].Digest()
	}
	return g
}

func (w *writer) signer(g translog.Governance) note.Signer {
	if g.Kind.ByGovernance() {
		return w.governance
	}
	return w.operations
}

// sign signs a note and takes it into its chain; it does not append it.
func (w *writer) sign(g translog.Governance) []byte {
	leaf, err := g.Sign(w.signer(g))
	if err != nil {
		panic(err)
	}
	by := g.Kind.ByGovernance()
	w.chains[by], w.next[by] = g, g.Seq+1
	return leaf
}

func (w *writer) note(epoch int64, body translog.Body) {
	w.leaves = append(w.leaves, w.sign(w.compose(epoch, body)))
}

// events are n leaves of an epoch, sorted.
func (w *writer) events(epoch int64, n int) [][]byte {
	tags := make([][32]byte, n)
	for i := range tags {
		tags[i] = sha256.Sum256(fmt.Append(nil, w.counter))
		w.counter++
	}
	slices.SortFunc(tags, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	leaves := make([][]byte, n)
	for i, tag := range tags {
		leaves[i] = translog.Leaf{Epoch: epoch, Tag: tag, Commitment: sha256.Sum256(tag[:])}.Marshal()
	}
	return leaves
}

func (w *writer) epoch(epoch int64, n int) { w.leaves = append(w.leaves, w.events(epoch, n)...) }

// begin writes genesis and what an operator adds before the first epoch.
func (w *writer) begin() {
	w.note(firstEpoch, &w.genesis)
	w.note(firstEpoch, card("reviewer", "reviewer"))
	w.note(firstEpoch, card("auditor", "auditor"))
	w.note(firstEpoch, translog.Desk{ID: "sur", Reviewers: []string{fingerprint("reviewer")}})
	w.note(firstEpoch, translog.Assets{Build: "v1.0.0", Files: []translog.Asset{{Path: "static/style.css"}}})
}

func fingerprint(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }

func card(name, role string) translog.Card {
	return translog.Card{Fingerprint: fingerprint(name), Role: role, Digest: sha256.Sum256([]byte("card of " + name))}
}

// monitor takes all leaves.
func (w *writer) monitor() (*translog.Monitor, error) {
	m := translog.NewMonitor(w.logKey)
	for _, leaf := range w.leaves {
		if err := m.Add(leaf); err != nil {
			return m, err
		}
	}
	return m, m.Settled()
}

// mustMonitor takes all leaves of a log that keeps the rules.
func (w *writer) mustMonitor(t testing.TB) *translog.Monitor {
	t.Helper()
	m, err := w.monitor()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// served is a log as its files: tiles and bundles by path.
type served struct {
	tlog.Tree
	files map[string][]byte
}

// serve makes the tiles of a log with x/mod alone.
func serve(leaves [][]byte) *served {
	s := &served{files: make(map[string][]byte)}
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			hashes[i] = stored[x]
		}
		return hashes, nil
	})
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			panic(err)
		}
		stored = append(stored, hashes...)
	}
	n := int64(len(leaves))
	root, err := tlog.TreeHash(n, read)
	if err != nil {
		panic(err)
	}
	s.Tree = tlog.Tree{N: n, Hash: root}
	for _, tile := range tlog.NewTiles(torchwood.TileHeight, 0, n) {
		data, err := tlog.ReadTileData(tile, read)
		if err != nil {
			panic(err)
		}
		s.files[torchwood.TilePath(tile)] = data
		if tile.L != 0 {
			continue
		}
		var bundle []byte
		for i := range tile.W {
			if bundle, err = torchwood.AppendTileEntry(bundle, leaves[tile.N*torchwood.TileWidth+int64(i)]); err != nil {
				panic(err)
			}
		}
		tile.L = -1
		s.files[torchwood.TilePath(tile)] = bundle
	}
	return s
}

var errNoFile = errors.New("no such file")

func (s *served) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if data[i], err = s.ReadEndpoint(ctx, torchwood.TilePath(tile)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (s *served) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *served) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	if data, ok := s.files[path]; ok {
		return data, ctx.Err()
	}
	return nil, fmt.Errorf("%s: %w", path, errNoFile)
}

// fault is the name of a violation, or "" for none.
func fault(t testing.TB, err error) translog.Fault {
	t.Helper()
	var v *translog.Violation
	if err != nil && !errors.As(err, &v) {
		t.Errorf("not a violation: %v", err)
	}
	if v == nil {
		return ""
	}
	return v.Fault
}
