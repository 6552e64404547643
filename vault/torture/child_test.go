package torture_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// What runs on a disk that fails is this test program again, as a child, with
// what to do in its environment.
const childEnv = "TORTURE_CHILD"

// Exit codes of a child.
const (
	exitStopped = 7 // the vault stopped with ErrUnknown, as it should
	exitRefused = 9 // Init, Probe or Open returned an error
	exitWrong   = 10
)

func child(args []string) int {
	switch what, dir := args[0], args[1]; what {
	case "init":
		return initVault(dir)
	case "write":
		return write(dir, numbers(args[2:]))
	case "live":
		return live(dir, numbers(args[2:]))
	case "cheap":
		return cheap(dir)
	case "drain":
		return drain(dir)
	case "verify":
		return verify(dir, numbers(args[2:]))
	}
	return exitWrong
}

func numbers(args []string) (n []int64) {
	for _, a := range args {
		i, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			panic(err)
		}
		n = append(n, i)
	}
	return n
}

func complain(err error) { fmt.Fprintln(os.Stderr, err) }

const origin = "torture-0123abcd"

var genesis = vault.Genesis{Origin: origin, Epoch: time.Hour, Slots: 4, Salt: [16]byte{1}, Time: 3, Memory: 64 << 10, Threads: 1}

// initVault makes a vault in dir, which it makes too, as an operator does after
// a first attempt that the power ended: what is left of that is removed, unless
// the vault is whole.
func initVault(dir string) int {
	if _, err := os.Stat(dir + "/vault.db"); err == nil {
		fmt.Println("there already")
		return 0
	}
	err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
	if err == nil {
		err = vault.Init(dir, genesis)
	}
	if err == nil {
		err = syncDir(dir + "/..")
	}
	if err != nil {
		complain(err)
		return exitRefused
	}
	fmt.Println("made")
	return 0
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// key is a signer whose secret is the hash of its name.
func key(name string) (note.Signer, string) {
	seed := sha256.Sum256([]byte(name))
	private := ed25519.NewKeyFromSeed(seed[:])
	public, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		panic(err)
	}
	return signer{verifier, private}, public
}

type signer struct {
	note.Verifier
	private ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

// firstNote is the genesis leaf.
func firstNote() ([]byte, error) {
	_, log := key(origin)
	_, operations := key(origin + "/operations")
	signer, governance := key(origin + "/governance")
	g := translog.Governance{Epoch: 1, Kind: translog.GenesisNote, Body: &translog.Genesis{
		Origin: origin, Log: log, Operations: operations, Governance: []string{governance}, Threshold: 1,
		Epoch: genesis.Epoch, Slots: genesis.Slots, Salt: genesis.Salt, Time: genesis.Time, Memory: genesis.Memory,
		Threads: genesis.Threads, Policy: "log " + log + "\nquorum none\n",
		Retention: translog.Retention{Days: 180, DeleteSignatures: 1},
	}}
	return g.Sign(signer)
}

// writer commits reports and closes epochs. It prints what it promises.
type writer struct {
	v     *vault.Vault
	seed  uint64
	left  atomic.Int64 // commits
	small bool         // empty reports only
	wrong atomic.Bool
	next  chan struct{} // a commit was acknowledged
}

// write commits from several goroutines and closes an epoch after each few
// commits, until the disk fails or enough is done. args: clients, reports, blob
// size in bytes, 1 for small reports only, seed.
func write(dir string, args []int64) int {
	v, err := vault.Open(dir, vault.Options{BlobSize: args[2]})
	if err != nil {
		complain(err)
		return exitRefused
	}
	w := &writer{v: v, seed: uint64(args[4]), small: args[3] == 1, next: make(chan struct{}, args[1])}
	w.left.Store(args[1])
	if err := w.begin(); err != nil {
		return w.end(err)
	}
	w.with(args[0], func(_ int64, r *mrand.Rand) { w.send(r) })
	return w.end(nil)
}

// with runs clients, each with its number and chance, while epochs are closed.
func (w *writer) with(clients int64, run func(int64, *mrand.Rand)) {
	var all, closer sync.WaitGroup
	closer.Go(w.closeEpochs)
	for c := range clients {
		all.Go(func() { run(c, mrand.New(mrand.NewPCG(w.seed, uint64(c)))) })
	}
	all.Wait()
	close(w.next)
	closer.Wait()
}

func (w *writer) end(err error) int {
	w.ok(err)
	select {
	case <-w.v.Failed():
		return exitStopped
	default:
	}
	if w.ok(w.v.Close()); w.wrong.Load() {
		return exitWrong
	}
	return 0
}

// ok tells whether to go on. A vault that has stopped or is full is not wrong.
func (w *writer) ok(err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, vault.ErrFull):
		fmt.Println("full")
		return true
	case errors.Is(err, vault.ErrUnknown):
		return false
	}
	complain(err)
	w.wrong.Store(true)
	return false
}

func (w *writer) begin() error {
	if w.v.Signed() != nil {
		return w.v.OldCopy()
	}
	first, err := firstNote()
	if err != nil {
		return err
	}
	signer, _ := key(origin)
	if err := w.v.BeginLog(context.Background(), [][]byte{first}, signer); err != nil {
		return err
	}
	return w.publish()
}

// publish tells what checkpoint a witness has seen, then what everybody sees.
func (w *writer) publish() error {
	signed := w.v.Signed()
	c, err := checkpoint(signed)
	if err != nil {
		return err
	}
	fmt.Printf("signed %d %s\n", c.N, c.Hash)
	if err := w.v.Publish(context.Background(), signed, w.epoch(), true); err != nil {
		return err
	}
	fmt.Printf("published %d %s\n", c.N, c.Hash)
	return nil
}

func checkpoint(signed []byte) (torchwood.Checkpoint, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	return torchwood.ParseCheckpoint(text + "\n")
}

// epoch is the next one.
func (w *writer) epoch() (n int64) {
	w.v.ReadLog(func(m *translog.Monitor) { n = m.LastEpoch() + 1 })
	return max(n, 1)
}

func (w *writer) closeEpochs() {
	signer, _ := key(origin)
	n := 0
	for range w.next {
		if n++; n%7 != 0 {
			continue
		}
		if !w.ok(w.closeEpoch(signer)) {
			return
		}
	}
}

func (w *writer) closeEpoch(signer note.Signer) error {
	err := w.v.CloseEpoch(context.Background(), vault.Closing{Epoch: w.epoch(), Signer: signer,
		Seal: func(records []byte) ([]byte, error) { return make([]byte, len(records)), nil }})
	if err != nil {
		return err
	}
	return w.publish()
}

// send commits reports, one after the other.
func (w *writer) send(r *mrand.Rand) {
	for w.left.Add(-1) >= 0 {
		err := w.store(report(r, w.small), func(d *vault.Draft) error { return d.Commit(context.Background(), submission()) })
		if !w.ok(err) {
			return
		}
	}
}

// store makes an item of a text. A line "try" stands before the attempt, "ack"
// follows when it is acknowledged.
func (w *writer) store(text []byte, enter func(*vault.Draft) error) error {
	d, err := w.v.Create(context.Background())
	if err != nil {
		return err
	}
	defer d.Discard()
	sum := base64.StdEncoding.EncodeToString(hash(text))
	fmt.Printf("try %s %s\n", d.ID(), sum)
	if _, err = d.Write(text); err == nil {
		err = enter(d)
	}
	if err == nil {
		fmt.Printf("ack %s %s\n", d.ID(), sum)
		w.next <- struct{}{}
	}
	return err
}

func hash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

const header = "age-encryption.org/v1\n-> mlkem768x25519 CANARY\nSTANZA\n--- 0123456789012345678901234567890123456789012\n"

// report looks like an age file: mostly as small as they get, sometimes longer
// than a value, or than a segment.
func report(r *mrand.Rand, small bool) []byte {
	n := 64 << 10
	switch i := r.IntN(24); {
	case small:
		n = 0
	case i == 0:
		n = 5 << 20
	case i < 4:
		n = 300 << 10
	}
	b := make([]byte, 16+n+16*max(1, (n+64<<10-1)/(64<<10)))
	rand.Read(b)
	return append([]byte(header), b...)
}

func submission() vault.Submission {
	s := vault.Submission{Case: vault.NewCaseID(), Recipient: "age1pq1recipient", Desks: []string{"north"}, Day: "2026-11-21", Recipients: 1}
	for _, b := range [][]byte{s.Mailbox[:], s.Thread[:], s.Event[:], s.Expire[:], s.Tombstones[0][:], s.Tombstones[1][:]} {
		rand.Read(b)
	}
	return s
}

// verify opens the vault as the server does, prints what is there, and what is
// wrong. Standard input has what to ask: see answer. args: blob size.
func verify(dir string, args []int64) int {
	if err := vault.Probe(dir); err != nil {
		complain(err)
		return exitRefused
	}
	v, err := vault.Open(dir, vault.Options{BlobSize: args[0]})
	if err != nil {
		complain(err)
		return exitRefused
	}
	if err := v.OldCopy(); err != nil {
		fmt.Printf("wrong: signing stopped: %v\n", err)
	}
	found, err := v.Check(context.Background())
	if err != nil {
		complain(err)
		return exitWrong
	}
	for _, p := range found {
		fmt.Printf("wrong: check: %s: %s\n", p.Where, p.What)
	}
	for _, i := range v.Items("north") {
		fmt.Printf("item %s %s\n", i.ID, read(v, i.ID))
	}
	if c, err := checkpoint(v.Published()); err == nil {
		fmt.Printf("published %d %s\n", c.N, c.Hash)
	}
	printCases(v)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer(v, strings.Fields(lines.Text()))
	}
	if err := v.Close(); err != nil {
		complain(err)
		return exitWrong
	}
	return 0
}

func read(v *vault.Vault, id vault.ItemID) string {
	c, err := v.OpenItem(id)
	if err != nil {
		return "unreadable"
	}
	defer c.Close()
	h := sha256.New()
	if _, err := io.Copy(h, c); err != nil {
		return "unreadable"
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// compare proves that a checkpoint that somebody has seen is one of this tree.
func compare(v *vault.Vault, number, want string) {
	var size int64
	if c, err := checkpoint(v.Signed()); err == nil {
		size = c.N
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > size {
		fmt.Printf("wrong: somebody has seen %s leaves, the tree has %d\n", number, size)
	} else if root, err := tlog.TreeHash(n, v.Hashes()); err != nil || root.String() != want {
		fmt.Printf("wrong: another history of %d leaves was seen: %v\n", n, err)
	}
}
