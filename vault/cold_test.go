package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// TestDeletionReadsLittle deletes a small report beside a large one in a file that
// the kernel holds nothing of: a deletion stops all writing, so it must not read
// gigabytes to find the free pages.
func TestDeletionReadsLittle(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "vault-") // on a disk: what is in memory is never cold
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := vault.Init(dir, genesis); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir, vault.Options{})
	const large = 64 << 20
	mustSend(t, v, large, submission("north"))
	small := submission("north")
	mustSend(t, v, 1000, small)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = open(t, dir, vault.Options{}) // makes the kernel forget the files
	before := readFromDisk(t)
	tomb := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(tomb.Event[:])
	if err := v.DeleteCase(context.Background(), small.Case, tomb); err != nil {
		t.Fatal(err)
	}
	if n := readFromDisk(t) - before; n > large/16 {
		t.Errorf("read %d bytes beside a report of %d", n, large)
	}
	// The proof that the file was cold: checking everything reads it.
	clean(t, v)
	if n := readFromDisk(t) - before; n < large/2 {
		t.Errorf("read %d bytes for a check of everything: the file was not cold", n)
	}
}

// readFromDisk is how much this process has made the kernel fetch, in bytes.
func readFromDisk(t *testing.T) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(os.Getpid()), "io"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("\nread_bytes: "))
	number, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
