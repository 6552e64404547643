package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

// Figures of the logs that tests make.
const (
	testOrigin = "reportes.example.org-0a1b2c3d"
	testSlots  = 16
	testLength = 6 * time.Hour
	testEpoch  = 83115 // of genesis
)

// key is an Ed25519 key made of a seed, so that a test makes the same bytes in
// every run.
type key struct {
	note.Verifier
	private ed25519.PrivateKey
	vkey    string
}

func newKey(name, seed string) key {
	sum := sha256.Sum256([]byte(seed))
	private := ed25519.NewKeyFromSeed(sum[:])
	vkey := must(note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey)))
	return key{must(note.NewVerifier(vkey)), private, vkey}
}

func (k key) Sign(text []byte) ([]byte, error) { return ed25519.Sign(k.private, text), nil }

// testWitness signs checkpoints at a time of its own (c2sp.org/tlog-cosignature).
type testWitness struct {
	*torchwood.CosignatureVerifier
	private ed25519.PrivateKey
}

func newWitness(name string) testWitness {
	k := newKey(name, "witness "+name)
	s := must(torchwood.NewCosignatureSigner(name, k.private))
	return testWitness{s.Verifier(), k.private}
}

// at is a signer for that time.
func (w testWitness) at(t time.Time) note.Signer { return cosigner{w, t} }

type cosigner struct {
	testWitness
	time time.Time
}

func (c cosigner) Sign(text []byte) ([]byte, error) {
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", c.time.Unix(), text)
	return append(binary.BigEndian.AppendUint64(nil, uint64(c.time.Unix())), ed25519.Sign(c.private, []byte(message))...), nil
}

// forge makes logs: right ones, unless a test does something wrong with it.
type forge struct {
	log, operations, governance, second key
	witnesses                           []testWitness

	genesis translog.Genesis
	origin  string // of the checkpoint
	leaves  [][]byte
	last    map[bool]translog.Governance // newest note of each chain, by ByGovernance
	counter int                          // of tags
	next    int64                        // epoch

	signers []note.Signer                      // of the checkpoint, besides the log
	edit    func(path string, b []byte) []byte // changes a file before it is written; nil: none
}

func newForge() *forge {
	f := &forge{
		log: newKey(testOrigin, "log"), operations: newKey(testOrigin+"/operations", "operations"),
		governance: newKey(testOrigin+"/governance", "governance"), second: newKey(testOrigin+"/governance-2", "second"),
		witnesses: []testWitness{newWitness("norte"), newWitness("sur"), newWitness("este")},
		origin:    testOrigin, last: make(map[bool]translog.Governance), next: testEpoch,
	}
	f.genesis = translog.Genesis{
		Origin: testOrigin, Log: f.log.vkey, Operations: f.operations.vkey,
		Governance: []string{f.governance.vkey, f.second.vkey}, Threshold: 1,
		Epoch: testLength, Slots: testSlots, Salt: [16]byte{1, 2, 3},
		Time: 1, Memory: 8, Threads: 1, Policy: f.policy(2),
		Retention: translog.Retention{Days: 180, DeleteSignatures: 1},
	}
	slices.Sort(f.genesis.Governance)
	return f
}

// policy asks for signatures of k of the witnesses; 0: quorum none.
func (f *forge) policy(k int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log %s\n", f.log.vkey)
	names := make([]string, len(f.witnesses))
	for i, w := range f.witnesses {
		names[i] = w.Name()
		fmt.Fprintf(&b, "witness %s %s http://%s.onion/\n", w.Name(), w, w.Name())
	}
	if k == 0 {
		return b.String() + "quorum none\n"
	}
	fmt.Fprintf(&b, "group all-of-them %d %s\nquorum all-of-them\n", k, strings.Join(names, " "))
	return b.String()
}

// compose is the next note with that body.
func (f *forge) compose(body translog.Body) translog.Governance {
	kinds := map[string]translog.GovernanceKind{
		"*translog.Genesis": translog.GenesisNote, "translog.Desk": translog.DeskNote, "translog.Card": translog.CardNote,
		"translog.Policy": translog.PolicyNote, "translog.Retention": translog.RetentionNote, "translog.Assets": translog.AssetsNote,
		"translog.Gap": translog.GapNote, "translog.Restore": translog.RestoreNote, "translog.Incident": translog.IncidentNote,
	}
	g := translog.Governance{Epoch: f.next, Kind: kinds[fmt.Sprintf("%T", body)], Body: body}
	if before, ok := f.last[g.Kind.ByGovernance()]; ok {
		g.Seq, g.Prev = before.Seq+1, before.Digest()
	}
	return g
}

// add signs a note and appends it; without signers, with the right key.
func (f *forge) add(g translog.Governance, signers ...note.Signer) {
	if len(signers) == 0 {
		signers = []note.Signer{f.operations}
		if g.Kind.ByGovernance() {
			signers = []note.Signer{f.governance}
		}
	}
	f.last[g.Kind.ByGovernance()] = g
	// Not by Sign, which refuses what is wrong.
	f.append(must(note.Sign(&note.Note{Text: string(g.Text())}, signers...)))
}

func (f *forge) append(leaves ...[]byte) { f.leaves = append(f.leaves, leaves...) }

func (f *forge) note(body translog.Body) { f.add(f.compose(body)) }

// begin writes genesis and what an operator adds before the first epoch.
func (f *forge) begin() {
	f.note(&f.genesis)
	f.note(testCard("ana", "reviewer"))
	f.note(testCard("eva", "auditor"))
	f.note(translog.Desk{ID: "norte", Reviewers: []string{testFingerprint("ana")}})
	f.note(translog.Assets{Build: "v1.0.0", Files: []translog.Asset{{Path: "static/style.css"}}})
}

func testFingerprint(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name))) }

func testCard(name, role string) translog.Card {
	return translog.Card{Fingerprint: testFingerprint(name), Role: role, Digest: sha256.Sum256([]byte("card " + name))}
}

// events makes n leaves of an epoch, sorted; the given ones are among them.
func (f *forge) events(epoch int64, n int, with ...translog.Leaf) []translog.Leaf {
	leaves := slices.Clone(with)
	for len(leaves) < n {
		tag := sha256.Sum256(fmt.Append(nil, "tag ", f.counter))
		f.counter++
		leaves = append(leaves, translog.Leaf{Tag: tag, Commitment: sha256.Sum256(tag[:])})
	}
	for i := range leaves {
		leaves[i].Epoch = epoch
	}
	slices.SortFunc(leaves, func(a, b translog.Leaf) int { return bytes.Compare(a.Tag[:], b.Tag[:]) })
	return leaves
}

func (f *forge) appendEvents(leaves []translog.Leaf) {
	for _, l := range leaves {
		f.append(l.Marshal())
	}
}

// epoch appends the next epoch: 16 leaves, the given ones among them.
func (f *forge) epoch(with ...translog.Leaf) {
	f.appendEvents(f.events(f.next, testSlots, with...))
	f.next++
}

func (f *forge) epochs(n int) {
	for range n {
		f.epoch()
	}
}

// due is when the newest checkpoint is made.
func (f *forge) due() time.Time { return translog.EpochStart(f.next, f.genesis.Epoch) }

// cosign lets the first k witnesses sign the checkpoint at that time.
func (f *forge) cosign(k int, at time.Time) {
	f.signers = nil
	for _, w := range f.witnesses[:k] {
		f.signers = append(f.signers, w.at(at))
	}
}

// tree stores all hashes of the log.
func (f *forge) tree() (tlog.Tree, tlog.HashReader) {
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			list[i] = stored[x]
		}
		return list, nil
	})
	for i, leaf := range f.leaves {
		stored = append(stored, must(tlog.StoredHashes(int64(i), leaf, hashes))...)
	}
	n := int64(len(f.leaves))
	return tlog.Tree{N: n, Hash: must(tlog.TreeHash(n, hashes))}, hashes
}

// sign makes the checkpoint of a tree.
func (f *forge) sign(tree tlog.Tree) []byte {
	text := torchwood.Checkpoint{Origin: f.origin, Tree: tree}.String()
	return must(note.Sign(&note.Note{Text: text}, append([]note.Signer{f.log}, f.signers...)...))
}

// files is the log as its public files, by path.
func (f *forge) files() map[string][]byte {
	tree, hashes := f.tree()
	files := map[string][]byte{"checkpoint": f.sign(tree)}
	for _, t := range tlog.NewTiles(torchwood.TileHeight, 0, tree.N) {
		files[torchwood.TilePath(t)] = must(tlog.ReadTileData(t, hashes))
		if t.L != 0 {
			continue
		}
		var bundle []byte
		for i := range t.W {
			bundle = must(torchwood.AppendTileEntry(bundle, f.leaves[t.N*torchwood.TileWidth+int64(i)]))
		}
		t.L = -1
		files[torchwood.TilePath(t)] = bundle
	}
	if f.edit != nil {
		for path, b := range files {
			if files[path] = f.edit(path, b); files[path] == nil {
				delete(files, path)
			}
		}
	}
	return files
}

// write replaces what is in dir by the public files.
func (f *forge) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	var errs []error
	for path, b := range f.files() {
		path = filepath.Join(dir, filepath.FromSlash(path))
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600))
	}
	return errors.Join(errs...)
}

// signatureLine is a note's signature line for a name, made of raw bytes.
func signatureLine(name string, hash uint32, sig []byte) string {
	raw := append(binary.BigEndian.AppendUint32(nil, hash), sig...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestForgeIsRight checks the forge itself: every size of tree passes.
func TestForgeIsRight(t *testing.T) {
	for _, epochs := range []int{0, 1, 15, 16, 31, 64} {
		w := newWorld(t)
		w.begin()
		w.epochs(epochs)
		w.cosign(2, w.due())
		if out := w.verify(); out.exit != exitOK || len(out.findings) != 0 {
			t.Errorf("%d epochs: exit %d, %v\n%s", epochs, out.exit, out.findings, out.stderr)
		}
	}
}
