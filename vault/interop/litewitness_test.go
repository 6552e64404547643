package interop

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"resguardo/vault"
	"resguardo/vault/witness"
)

const witnessName = "litewitness.example/w"

// litewitness is a running witness.
type litewitness struct {
	address string // HOST:PORT
	vkey    string
	db      string // its SQLite file
}

// startWitness starts litewitness, which has its key from an ssh agent and knows no log yet.
func startWitness(t *testing.T) litewitness {
	t.Helper()
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := torchwood.NewCosignatureSigner(witnessName, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	w := litewitness{address: freeAddress(t), vkey: signer.Verifier().String(), db: filepath.Join(dir, "witness.db")}
	c := exec.Command(filepath.Join(tools, "litewitness"), "-name", witnessName, "-db", w.db, "-listen", w.address,
		"-ssh-agent", serveAgent(t, filepath.Join(dir, "agent"), private), "-key", ssh.FingerprintSHA256(key))
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		var all strings.Builder
		_, _ = io.Copy(&all, stderr)
		said <- all.String()
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		if all := <-said; t.Failed() {
			t.Log(all)
		}
		_ = c.Wait()
	})
	awaitListener(t, w.address)
	return w
}

// serveAgent is an ssh agent with one key. It returns the path of its socket.
func serveAgent(t *testing.T, path string, key ed25519.PrivateKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(ring, conn) // ends with the witness
			}()
		}
	}()
	return path
}

// freeAddress is a loopback address where nobody listens: litewitness does not say
// which port it got.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func awaitListener(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-again.C:
		}
	}
}

// know tells the witness of our log, and addKey of a key of it, as witnessctl add-log
// and add-key do (witnessctl itself links a module that the module proxy does not
// give out).
func (w litewitness) know(t *testing.T) {
	t.Helper()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", origin, empty.String())
}

func (w litewitness) addKey(t *testing.T, vkey string) {
	t.Helper()
	w.exec(t, "INSERT INTO key (origin, key) VALUES (?, ?)", origin, vkey)
}

func (w litewitness) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	db, err := sqlite.OpenConn(w.db, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := sqlitex.Execute(db, query, &sqlitex.ExecOptions{Args: args}); err != nil {
		t.Fatal(err)
	}
}

// policy is what a policy says of this witness.
func (w litewitness) policy() string {
	return fmt.Sprintf("witness lite %s http://%s\nquorum lite\n", w.vkey, w.address)
}

func newClient(t *testing.T, k *keys) *witness.Client {
	t.Helper()
	p, err := witness.Parse([]byte(k.genesis.Policy))
	if err != nil {
		t.Fatal(err)
	}
	c := witness.New(p, new(net.Dialer).DialContext)
	t.Cleanup(c.Close)
	return c
}

// collect has the newest checkpoint cosigned and publishes it.
func collect(t *testing.T, c *witness.Client, v *vault.Vault) {
	t.Helper()
	got, err := c.Collect(t.Context(), v.Signed(), v.Hashes())
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Results[0]; r.Err != nil || !got.Satisfied || time.Since(r.Time).Abs() > time.Minute {
		t.Fatalf("size %d: %+v\n%s", size(t, v), r, got.Checkpoint)
	}
	publish(t, v, got.Checkpoint)
}

func TestLitewitnessCosignsGrowth(t *testing.T) {
	w := startWitness(t)
	k := newKeys(t, slots, w.policy())
	v, _ := newVault(t, k)
	url := serveLog(t, v.Published, v.Tile)
	k.begin(t, v, 3)
	c := newClient(t, k)
	got, err := c.Collect(t.Context(), v.Signed(), v.Hashes())
	if err != nil || got.Satisfied || !errors.Is(got.Results[0].Err, witness.ErrUnknownLog) {
		t.Fatalf("before it knows us: %v, %+v", err, got.Results)
	}
	_, foreign := generate(t, origin)
	w.know(t)
	w.addKey(t, foreign)
	if got, err = c.Collect(t.Context(), v.Signed(), v.Hashes()); err != nil || !errors.Is(got.Results[0].Err, witness.ErrForbidden) {
		t.Fatalf("while it knows another key: %v, %+v", err, got.Results)
	}
	w.addKey(t, k.genesis.Log)
	collect(t, c, v)
	for _, epochs := range []int{1, 1, 14, 3} { // 19, 35, 259, 307
		k.grow(t, v, epochs)
		collect(t, c, v)
	}
	collect(t, c, v) // nobody is asked again
	k.grow(t, v, 1)
	collect(t, newClient(t, k), v) // after a restart: 409, then the proof from 307
	if _, err := newClient(t, k).Probe(t.Context(), v.Published(), v.Hashes()); err != nil {
		t.Error(err)
	}
	// All that an outsider needs: the policy and stock tools.
	rule, err := torchwood.ParsePolicy([]byte(k.genesis.Policy))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := torchwood.VerifyCheckpoint(v.Published(), rule); err != nil {
		t.Error(err)
	}
	if out := fsck(t, url, k.genesis.Log); !verified(out, 323) {
		t.Error(out)
	}
}

// A backup put back is told by the witness that it is an old copy; if it signs all
// the same, what it signs is refused.
func TestLitewitnessStopsAnOldCopy(t *testing.T) {
	w := startWitness(t)
	k := newKeys(t, slots, w.policy())
	w.know(t)
	w.addKey(t, k.genesis.Log)
	v, dir := newVault(t, k)
	k.begin(t, v, 1)
	k.grow(t, v, 2)
	c := newClient(t, k)
	collect(t, c, v)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	old := backup(t, dir)
	v = open(t, dir)
	k.grow(t, v, 2)
	collect(t, c, v)
	last := size(t, v)

	if !errors.Is(old.OldCopy(), vault.ErrNoHighWater) {
		t.Errorf("the copy says %v", old.OldCopy())
	}
	_, err := newClient(t, k).Probe(t.Context(), old.Signed(), old.Hashes())
	if seen := (*witness.SeenError)(nil); !errors.As(err, &seen) || seen.Size != last || seen.Fork || seen.Proof != nil {
		t.Fatalf("an old copy: %v", err)
	}
	// An operator who trusts it although the witness has spoken.
	if err := old.TrustCopy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{49, 65, 81} {
		k.grow(t, old, 1)
		if size(t, old) != n {
			t.Fatalf("size %d, want %d", size(t, old), n)
		}
		got, err := newClient(t, k).Collect(t.Context(), old.Signed(), old.Hashes())
		if err != nil || got.Satisfied {
			t.Fatalf("size %d was cosigned: %v", n, err)
		}
		seen := got.Seen()
		if seen == nil || seen.Size != last || seen.Fork != (n >= last) {
			t.Errorf("size %d, the witness has %d: %v", n, last, got.Results[0].Err)
		}
	}
	// The vault itself goes on.
	k.grow(t, v, 1)
	collect(t, c, v)
}

// backup opens a copy of all files but high-water.
func backup(t *testing.T, dir string) *vault.Vault {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "high-water")); err != nil {
		t.Fatal(err)
	}
	return open(t, to)
}
