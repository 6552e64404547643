package torture_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
	"resguardo/vault/torture/disk"
	"resguardo/vault/translog"
)

// oldCopy is a vault that was put back from a backup, and a mirror of the log that
// went on. Some reports were deleted in between.
type oldCopy struct {
	*house
	got      *clients
	from, to int64             // leaves of the copy and of the mirror
	shredded map[string][]byte // keys of what was deleted, by owner
}

func makeOldCopy(t *testing.T) oldCopy {
	t.Helper()
	h, got := withReports(t, 7)
	h = h.on(t, h.disk)
	o := oldCopy{house: h, got: got}
	s := h.serve()
	h.grow(s, got, 2)
	if !h.makeBackup(make(backups), got) {
		t.Fatal("no backup")
	}
	before := h.slots(h.state())
	lost := len(got.messages)
	h.sendSome(s, got, "after", 2)
	got.messages = got.messages[:lost] // they are in no copy
	for _, message := range slices.Clone(got.messages[1:4]) {
		if err := got.erase(s.Preview, message); err != nil {
			t.Fatal(err)
		}
	}
	h.grow(s, got, 3)
	h.must("resguardod", "log", "export", "-dir", h.state(), "-to", h.in("mirror"))
	text, err := os.ReadFile(h.in("mirror/checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := checkpoint(text)
	if err != nil {
		t.Fatal(err)
	}
	o.to = tree.N
	maps.DeleteFunc(got.seen, func(n int64, _ string) bool { return n > o.to })
	h.stop(s)
	o.shredded = before
	for owner := range h.slots(h.state()) {
		delete(o.shredded, owner)
	}
	if len(o.shredded) < 6 { // of each case its own and its item's
		t.Fatalf("%d keys were destroyed", len(o.shredded))
	}
	if err := os.RemoveAll(h.state()); err != nil {
		t.Fatal(err)
	}
	r := h.must("resguardod", "restore", "-dir", h.state(), "-from", h.in("backups"), "-identity", h.identity())
	if !strings.Contains(r.stdout, "restored backup 1") {
		t.Fatal(r.stdout)
	}
	h.rest()
	return o
}

// grow waits until readers have seen so many new checkpoints.
func (h *house) grow(s *running, c *clients, number int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var last int64
	for want := len(c.seen) + number; len(c.seen) < want; time.Sleep(20 * time.Millisecond) {
		text, err := get(ctx, s.Preview+"/log/checkpoint")
		if err != nil {
			h.t.Fatal(err)
		}
		c.see(text, &last)
	}
}

// slots are the keys of cases and items in a vault's file, by owner.
func (h *house) slots(dir string) map[string][]byte {
	h.t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, "keys.slots"))
	if err != nil {
		h.t.Fatal(err)
	}
	all := make(map[string][]byte)
	for s := range slices.Chunk(file, 512) {
		if len(s) == 512 && !bytes.Equal(s[32:64], make([]byte, 32)) {
			all[string(s[32:64])] = bytes.Clone(s[64:96])
		}
	}
	return all
}

// leftKeys reports keys that were destroyed and are on the disk of the copy.
func (o *oldCopy) leftKeys(h *house, when string) {
	h.t.Helper()
	h.disk.Durable(func(path string, off int64, b []byte) {
		for owner, key := range o.shredded {
			if strings.HasPrefix(path, "/vault/") && bytes.Contains(b, key) {
				h.t.Errorf("%s: the key of %x, which was deleted, is in %s at %d", when, owner[:8], path, off)
			}
		}
	})
}

// TestRecoverPowerCut cuts the power, or lets the disk fail, while an old copy takes
// from a mirror what it lacks of the log. It can be repeated; then the log goes on and
// says what is lost, and what was deleted since the copy stays deleted: no mailbox, no
// report, no key.
func TestRecoverPowerCut(t *testing.T) {
	o := makeOldCopy(t)
	c := tally{fault: "power cut or error at any step of `recover` of an old copy, then another `recover`"}
	defer c.end(t)
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		h := o.on(t, o.disk.Copy(chance(s)))
		did := "the first key is not overwritten" // the leaves are there, the deletions are not
		if round == 0 {
			h.disk.Inject(disk.Fault{Op: disk.Write, Name: "keys.slots", Nth: 1, Errno: syscall.EIO})
		} else {
			did = h.harm(r, 150)
		}
		recoverIt := func() result { return h.do("resguardod", "recover", "-dir", h.state(), "-mirror", h.in("mirror")) }
		told := recoverIt().code == 0
		if told {
			c.acked++
			o.leftKeys(h, "after recover")
		}
		h.disk.Repair()
		after, report := h.cut()
		c.add(report)
		t.Logf("round %d: %s: %v; told: %v", round, did, report, told)
		h = o.on(t, after)
		if first := h.start(h.state()); first.isReady() {
			first.kill() // it had recovered as a whole
			o.leftKeys(h, "after a start")
		} else if code := first.cmd.ProcessState.ExitCode(); code != 3 {
			t.Errorf("serve of a copy: exit code %d, want 3\n%s", code, &first.log)
		} else if out := recoverIt(); out.code != 0 {
			t.Errorf("recover: exit code %d\n%s", out.code, out.stderr)
		}
		o.leftKeys(h, "in the end")
		if out := h.do("resguardod", "check", "-dir", h.state()); out.code != 0 {
			t.Errorf("check: exit code %d\n%s%s", out.code, out.stdout, out.stderr)
		}
		o.proveRecovered(h)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		h.halt()
	}
	c.little(t, c.acked == 0)
}

// proveRecovered starts the server of a copy that has recovered.
func (o *oldCopy) proveRecovered(h *house) {
	h.t.Helper()
	s := h.serve()
	defer s.kill()
	h.proveReports(s, o.got)
	for message := range o.got.gone {
		_, err := source.Source{URL: s.Preview, Desk: "norte"}.SignIn(context.Background(), o.got.codenames[message])
		if refused := (*source.Refused)(nil); !errors.As(err, &refused) {
			h.t.Errorf("the mailbox of %q, which was deleted: %v", message, err)
		}
	}
	got := newClients()
	h.grow(s, got, 2) // what is there now, and one epoch more
	m := h.proveLog(s, o.got)
	if m == nil {
		return
	}
	var restored []translog.Restore
	for _, n := range m.Notes() {
		if b, ok := n.Body.(translog.Restore); ok {
			restored = append(restored, b)
		}
	}
	if len(restored) != 1 || restored[0].To != o.to || restored[0].From >= o.to {
		h.t.Errorf("the log says that leaves were restored: %+v; the mirror has %d", restored, o.to)
	}
}
