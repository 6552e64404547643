package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// payloadOf returns bytes of an item's payload, and where they lie on the disk of the stopped vault.
func (h *host) payloadOf(id vault.ItemID) (path string, at int64) {
	h.t.Helper()
	dir := filepath.Join(h.dir, "vault")
	v, err := vault.Open(dir, vault.Options{})
	h.check(err)
	defer h.own()
	defer v.Close()
	c, err := v.OpenItem(id)
	h.check(err)
	part := make([]byte, 64)
	_, err = c.ReadAt(part, 40<<10)
	h.check(err)
	path = filepath.Join(dir, "blobs", "00000001.db")
	b, err := os.ReadFile(path)
	h.check(err)
	i := bytes.Index(b, part)
	if i < 0 {
		h.t.Fatal("the payload is not in the first blob file")
	}
	return path, int64(i)
}

// rot changes a bit.
func (h *host) rot(path string, at int64) {
	h.t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	h.check(err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	h.check(err)
	_, err = f.WriteAt([]byte{b[0] ^ 4}, at)
	h.check(err)
}

// TestRehashThroughTheServer: the running server reads everything, names what is
// damaged, and remembers it after kill -9; so does the command alone.
func TestRehashThroughTheServer(t *testing.T) {
	h := newHost(t)
	h.serve()
	for i := range 3 {
		h.send(fmt.Sprint("report ", i), strings.Repeat("file ", 50<<10))
	}
	out := h.run("resguardod", "rehash", "-dir", "vault", "-rate", "100MiB")
	if !strings.Contains(out, "all ciphertext was read again: 3 items, ") || !strings.Contains(out, ", damaged: 0\n") || !strings.Contains(out, "hint: the server reads") {
		t.Errorf("rehash says %s", out)
	}
	h.end(syscall.SIGTERM)
	items := h.items()
	victim := items[1].ID
	path, at := h.payloadOf(victim)
	h.serve()
	h.rot(path, at)
	wrong := "error: item " + string(victim) + ": stored data is damaged: its ciphertext has another hash"
	for _, when := range []string{"while the server runs", "after kill -9", "alone"} {
		if when == "after kill -9" {
			h.end(syscall.SIGKILL)
			h.serve()
		}
		if when == "alone" {
			h.end(syscall.SIGKILL)
		}
		b, err := h.command("resguardod", "rehash", "-dir", "vault").CombinedOutput()
		if err == nil || !bytes.Contains(b, []byte(wrong)) || !bytes.Contains(b, []byte("3 items, ")) || !bytes.Contains(b, []byte(", damaged: 1\n")) {
			t.Errorf("%s: %v %s", when, err, b)
		}
		b, err = h.command("resguardod", "check", "-dir", "vault").CombinedOutput()
		if err == nil || !bytes.Contains(b, []byte(wrong)) || !bytes.Contains(b, []byte("3 items, damaged: 1\n")) {
			t.Errorf("check, %s: %v %s", when, err, b)
		}
	}
	h.rot(path, at) // and back
	if out := h.run("resguardod", "rehash", "-dir", "vault"); !strings.Contains(out, ", damaged: 0\n") {
		t.Errorf("repaired: %s", out)
	}
	h.run("resguardod", "check", "-dir", "vault")
}

// TestRehashGoesOn: when the command is ended, the server reads on; and where a
// process ended, the next one goes on.
func TestRehashGoesOn(t *testing.T) {
	h := newHost(t)
	h.serve()
	for i := range 3 {
		h.send(fmt.Sprint("report ", i), strings.Repeat("file ", 20<<10))
	}
	h.own()
	c := h.command("resguardod", "rehash", "-dir", "vault", "-rate", "64KiB")
	hint, err := c.StderrPipe()
	h.check(err)
	h.check(c.Start())
	if _, err := hint.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Process.Kill()
	c.Wait()
	saved := func() (r statedir.Rehash) {
		b, err := os.ReadFile(filepath.Join(h.dir, "vault", statedir.RehashFile))
		if err != nil {
			return r
		}
		h.check(json.Unmarshal(b, &r))
		return r
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if r := saved().Round; r != nil && r.Items > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the server did not go on")
		}
	}
	h.end(syscall.SIGKILL)
	before := saved().Round
	if before == nil || before.Rate != 64<<10 || before.Items > 2 {
		t.Fatalf("saved: %+v", before)
	}
	out := h.run("resguardod", "rehash", "-dir", "vault")
	if !strings.Contains(out, "read again: 3 items, ") { // each once
		t.Errorf("alone: %s", out)
	}
	if last := saved().Last; last == nil || last.Bytes < before.Bytes || last.Items != 3 || saved().Round != nil {
		t.Errorf("saved: %+v", saved())
	}
}

// TestRehashForgetsWhatIsDeleted: an item's id goes from the disk with the item.
func TestRehashForgetsWhatIsDeleted(t *testing.T) {
	s := newStation(t, nil)
	s.check(s.open())
	defer s.vault.Close()
	r, err := newRehasher(s.dir, s.vault, nil)
	s.check(err)
	gone := vault.Problem{Where: "item 0123456789abcdef0123456789abcdef", What: "stored data is damaged"}
	r.state.Last = &statedir.RehashRound{Begun: "2026-11-22", Ended: "2026-11-22", Damaged: []vault.Problem{gone, {Where: "log", What: "x"}}}
	s.check(r.step(context.Background()))
	b, err := os.ReadFile(s.dir.Path(statedir.RehashFile))
	if err != nil || bytes.Contains(b, []byte("0123456789abcdef")) || !bytes.Contains(b, []byte(`"log"`)) || !bytes.Contains(b, []byte(`"next":1`)) {
		t.Errorf("%s %v", b, err)
	}
}
