package translog_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/vault/translog"
)

// rising is the key pair whose Ed25519 seed is the 32 bytes from first on.
func rising(name string, first byte) (note.Signer, string) {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = first + byte(i)
	}
	return seeded(name, seed)
}

// workedLog is the log of the package comment.
func workedLog() (leaves [][]byte, logKey string) {
	o := newOffice()
	o.log, o.logKey = rising(origin, 0)
	var operationsKey, governanceKey string
	o.operations, operationsKey = rising(origin+"/operations", 0x20)
	o.governance, governanceKey = rising(origin+"/governance", 0x40)
	g := o.genesis
	g.Log, g.Operations, g.Governance, g.Slots = o.logKey, operationsKey, []string{governanceKey}, 1
	g.Policy = "log " + o.logKey + "\nquorum none\n"
	w := &writer{office: o, chains: make(map[bool]translog.Governance), next: make(map[bool]uint64)}
	w.note(firstEpoch, &g)
	w.note(firstEpoch, translog.Card{
		Fingerprint: "e1704ce7caadaa4e436845c280d1527742f46a8af62d934c41b60c624e7cb185",
		Role:        "reviewer", Digest: sha256.Sum256([]byte("card"))})
	w.leaves = append(w.leaves, workedLeaf().Marshal())
	return w.leaves, o.logKey
}

// TestWorkedLog compares with figures that come from another implementation
// (Python's hashlib, and Ed25519 as in RFC 8032, section 6).
func TestWorkedLog(t *testing.T) {
	leaves, logKey := workedLog()
	for i, want := range []string{
		"be80e1eb83b4ee3a9a512eb36311c5c3b8e94b3025d433a02162841ad79e7221",
		"2dd9f1577f0d3601906077f6d40f56273feb8d6cdad9488d10c704ab25ecf2c0",
		"2ffd3982a5f4373ba260267d6a0a555a43b3e04fe56b9917a472052157166459",
	} {
		if got := fmt.Sprintf("%x", [32]byte(tlog.RecordHash(leaves[i]))); got != want {
			t.Errorf("record hash %d: %s, want %s of\n%s", i, got, want, leaves[i])
		}
	}
	m := translog.NewMonitor(logKey)
	if err := m.Append(leaves...); err != nil {
		t.Error(err)
	}
	if got := m.Tree().Hash.String(); got != "1YuMqPEtsE6OqedXGS9iFDARvtzJNepv15HTHTvh61g=" {
		t.Errorf("root %s", got)
	}
}

// TestPackageCommentIsTrue: the leaves of the worked log stand in the comment as
// they are.
func TestPackageCommentIsTrue(t *testing.T) {
	comment, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(comment), "//\t", ""), "//\n", "\n")
	leaves, _ := workedLog()
	for _, leaf := range leaves {
		if !strings.Contains(text, string(leaf)) {
			t.Errorf("the package comment lacks\n%s", leaf)
		}
	}
}

func ExampleMonitor() {
	leaves, logKey := workedLog()
	m := translog.NewMonitor(logKey)
	for _, leaf := range leaves {
		if err := m.Add(leaf); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(m.Size(), m.LastEpoch(), m.Sequence(m.LastEpoch()))
	fmt.Println(m.Add(leaves[2]))
	// Output:
	// 3 83115 1
	// leaf 3: repeated-tag: tag 085f5fb839f4d08ef15c54df97999b882b4ff8e75a12b8b3f7de28fcb6d29aaa
}

func ExampleGovernance_Sign() {
	signer, _ := rising(origin+"/operations", 0x20)
	g := translog.Governance{Epoch: firstEpoch + 3, Kind: translog.GapNote,
		Body: translog.Gap{From: firstEpoch + 1, To: firstEpoch + 2}}
	leaf, err := g.Sign(signer)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _, _ := bytes.Cut(leaf, []byte("\n\n"))
	fmt.Printf("%s\n", text)
	// Output:
	// resguardo/gov/v1
	// seq 0
	// prev AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	// epoch 83118
	// kind gap
	// effective-epoch 0
	// from 83116
	// to 83117
}

func ExampleEpochAt() {
	t := time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC)
	epoch := translog.EpochAt(t, 6*time.Hour)
	fmt.Println(epoch, translog.EpochStart(epoch, 6*time.Hour))
	// Output: 83117 2026-11-22 06:00:00 +0000 UTC
}
