// Package interop tests the log with tools that other people wrote: Tessera's fsck
// reads all of it over HTTP and recomputes every tile, and torchwood's litewitness
// cosigns it. It is a module of its own, so that what these tools link never
// counts as a dependency of Resguardo. Run it with
//
//	go -C vault/interop test ./...
//
// "go mod tidy" needs -e here: a test inside torchwood imports a module that the
// module proxy does not give out.
package interop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault"
	"resguardo/vault/translog"
)

const (
	origin     = "interop.example-0123abcd"
	firstEpoch = 83115
	slots      = 16
)

// tools is the folder with the built programs.
var tools string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if tools, err = os.MkdirTemp("", "interop"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(tools)
	// The versions are those of go.mod.
	stock := exec.Command("go", "build", "-o", tools,
		"github.com/transparency-dev/tessera/cmd/fsck", "filippo.io/torchwood/cmd/litewitness")
	ours := exec.Command("go", "-C", filepath.Join("..", ".."), "build", "-tags", "nomsgpack", "-o", tools, "./cmd/resguardod")
	for _, build := range []*exec.Cmd{stock, ours} {
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build the tools:", err)
			return 1
		}
	}
	return m.Run()
}

// serve serves a log under /log/ (C2SP tlog-tiles), as of each request.
func serve(checkpoint func() []byte, tile func(tlog.Tile) ([]byte, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log/checkpoint", func(w http.ResponseWriter, r *http.Request) {
		b := checkpoint()
		if b == nil {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	})
	mux.HandleFunc("GET /log/tile/{path...}", func(w http.ResponseWriter, r *http.Request) {
		t, err := torchwood.ParseTilePath("tile/" + r.PathValue("path"))
		var b []byte
		if err == nil {
			b, err = tile(t)
		}
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	})
	return mux
}

// keys are those of one log.
type keys struct {
	log, operations, governance note.Signer
	genesis                     *translog.Genesis
	last                        [32]byte // digest of the newest governance note
	seq                         uint64   // of the next one
}

func generate(t *testing.T, name string) (note.Signer, string) {
	t.Helper()
	s, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(s)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

// newKeys makes keys for a log with n slots. policy is what its policy says after the log line.
func newKeys(t *testing.T, n int, policy string) *keys {
	t.Helper()
	g := &translog.Genesis{
		Origin: origin, Threshold: 1, Epoch: 6 * time.Hour, Slots: n, Salt: [16]byte{1, 2, 3},
		Time: 3, Memory: 64 << 10, Threads: 1,
		Retention: translog.Retention{Days: 180, DeleteSignatures: 2},
	}
	k := &keys{genesis: g}
	var governance string
	k.log, g.Log = generate(t, origin)
	k.operations, g.Operations = generate(t, origin+"/operations")
	k.governance, governance = generate(t, origin+"/governance")
	g.Governance = []string{governance}
	g.Policy = "log " + g.Log + "\n" + policy
	return k
}

// note makes the next governance leaf.
func (k *keys) note(t *testing.T, kind translog.GovernanceKind, body translog.Body) []byte {
	t.Helper()
	g := translog.Governance{Seq: k.seq, Prev: k.last, Epoch: firstEpoch, Kind: kind, Body: body}
	leaf, err := g.Sign(k.governance)
	if err != nil {
		t.Fatal(err)
	}
	k.seq, k.last = k.seq+1, g.Digest()
	return leaf
}

// newVault makes a vault for a log with these keys, without its first leaf.
func newVault(t *testing.T, k *keys) (v *vault.Vault, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "vault")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	g := k.genesis
	err := vault.Init(dir, vault.Genesis{Origin: g.Origin, Epoch: g.Epoch, Slots: g.Slots, Salt: g.Salt,
		Time: g.Time, Memory: g.Memory, Threads: g.Threads})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, dir), dir
}

func open(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// begin starts the log with n leaves: genesis and cards.
func (k *keys) begin(t *testing.T, v *vault.Vault, n int) {
	t.Helper()
	leaves := [][]byte{k.note(t, translog.GenesisNote, k.genesis)}
	for i := 1; i < n; i++ {
		card := sha256.Sum256(fmt.Append(nil, i))
		leaves = append(leaves, k.note(t, translog.CardNote,
			translog.Card{Fingerprint: hex.EncodeToString(card[:]), Role: "reviewer", Digest: card}))
	}
	if err := v.BeginLog(context.Background(), leaves, k.log); err != nil {
		t.Fatal(err)
	}
	publish(t, v, v.Signed())
}

// grow closes the next n epochs.
func (k *keys) grow(t *testing.T, v *vault.Vault, n int) {
	t.Helper()
	for range n {
		next := int64(firstEpoch)
		v.ReadLog(func(m *translog.Monitor) { next = m.LastEpoch() + 1 })
		if err := v.CloseEpoch(context.Background(), vault.Closing{Epoch: next, Signer: k.log}); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, v, v.Signed())
}

func publish(t *testing.T, v *vault.Vault, checkpoint []byte) {
	t.Helper()
	if err := v.Publish(context.Background(), checkpoint, firstEpoch, true); err != nil {
		t.Fatal(err)
	}
}

// size is that of the newest signed checkpoint.
func size(t *testing.T, v *vault.Vault) int64 {
	t.Helper()
	text, _, _ := strings.Cut(string(v.Signed()), "\n\n")
	c, err := torchwood.ParseCheckpoint(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return c.N
}
