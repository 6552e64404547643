package vault_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"resguardo/vault"
	"resguardo/vault/translog"
)

var genesis = vault.Genesis{
	Origin:  "example-0123abcd",
	Epoch:   6 * time.Hour,
	Slots:   16,
	Salt:    [16]byte{1, 2, 3},
	Time:    3,
	Memory:  64 << 10,
	Threads: 1,
}

// made is what one test item consists of.
type made struct {
	id  vault.ItemID
	sub vault.Submission
	sum [32]byte
}

const header = "age-encryption.org/v1\n-> mlkem768x25519 CANARYHEADERCANARYHEADERCANARYHEADER\nCANARYSTANZA\n--- 0123456789012345678901234567890123456789012\n"

// submission draws a submission for this desk.
func submission(desks ...string) vault.Submission {
	s := vault.Submission{
		Case:       vault.NewCaseID(),
		Recipient:  "age1pq1canaryrecipient",
		Desks:      desks,
		Day:        "2026-11-21",
		Recipients: 1,
	}
	for _, b := range [][]byte{s.Mailbox[:], s.Thread[:], s.Event[:], s.Expire[:]} {
		rand.Read(b)
	}
	return s
}

// payload is random bytes, as many as the age payload of n plaintext bytes.
func payload(n int) []byte {
	chunks := max(1, (n+64<<10-1)/(64<<10))
	b := make([]byte, 16+n+16*chunks)
	rand.Read(b)
	return b
}

func open(t testing.TB, dir string, o vault.Options) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func newDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vault")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vault.Init(dir, genesis); err != nil {
		t.Fatal(err)
	}
	return dir
}

// send stores an item of n plaintext bytes.
func send(v *vault.Vault, n int, s vault.Submission) (made, error) {
	d, err := v.Create(context.Background())
	if err != nil {
		return made{}, err
	}
	defer d.Discard()
	text := append([]byte(header), payload(n)...)
	if _, err := d.Write(text); err != nil {
		return made{}, err
	}
	m := made{id: d.ID(), sub: s, sum: sha256.Sum256(text)}
	return m, d.Commit(context.Background(), s)
}

func mustSend(t testing.TB, v *vault.Vault, n int, s vault.Submission) made {
	t.Helper()
	m, err := send(v, n, s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hash reads an item through.
func hash(v *vault.Vault, id vault.ItemID) (sum [32]byte, err error) {
	c, err := v.OpenItem(id)
	if err != nil {
		return sum, err
	}
	defer c.Close()
	h := sha256.New()
	if _, err := io.Copy(h, c); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// clean fails the test when Check finds something.
func clean(t testing.TB, v *vault.Vault) {
	t.Helper()
	found, err := v.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		t.Errorf("check: %s: %s", p.Where, p.What)
	}
}

func TestCommitIsThereAfterReopen(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	m := mustSend(t, v, 64<<10, submission("north", "south"))
	for range 2 {
		if got, err := hash(v, m.id); err != nil || got != m.sum {
			t.Fatalf("hash %x, %v; want %x", got, err, m.sum)
		}
		clean(t, v)
		items := v.Items("south")
		if len(items) != 1 || items[0].ID != m.id || items[0].SHA256 != m.sum || items[0].Kind != translog.Report {
			t.Fatalf("items of the desk: %+v", items)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		v = open(t, dir, vault.Options{})
	}
}
