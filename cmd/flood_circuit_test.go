package cmd_test

import (
	"context"
	"crypto/rand"
	"crypto/sha3"
	"encoding/base32"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// onionAddress is an address of an onion service of version 3 that nobody has.
func onionAddress() string {
	key := make([]byte, 32)
	rand.Read(key)
	sum := sha3.Sum256(slices.Concat([]byte(".onion checksum"), key, []byte{3}))
	raw := slices.Concat(key, sum[:2], []byte{3})
	return strings.ToLower(base32.StdEncoding.EncodeToString(raw)) + ".onion"
}

// startSockets starts the server on the two sockets that it has for the system's
// tor, and one port for the reviewer. Circuits reach the first one.
func (h *house) startSockets() (socket string) {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "sockets") // t.TempDir is too long for a unix socket's path
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(h.dir, "resguardo.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		h.t.Fatal(err)
	}
	address := onionAddress()
	for service, a := range map[string]string{"source": address, "reviewers": onionAddress()} {
		text = []byte(strings.Replace(string(text), "\n"+service+" = \"\"", "\n"+service+" = \""+a+"\"", 1))
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.review = h.serve("ready", "-tor", "system", "-sockets", dir, "-preview-review", "127.0.0.1:0").PreviewReview
	h.source = "http://" + address
	return filepath.Join(dir, "source.sock")
}

// circuit is a visitor whose connections come on one circuit, as tor says it.
func (h *house) circuit(socket string, id uint32) source.Source {
	return h.fresh(func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			_, err = fmt.Fprintf(c, "PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 46 80\r\n", id>>16, id&0xffff)
		}
		return c, err
	})
}

// TestOneCircuitAgainstMany: one circuit takes an eighth of the places for
// uploads, and no more. Others send texts and files meanwhile.
func TestOneCircuitAgainstMany(t *testing.T) {
	if testing.Short() {
		t.Skip("floods take a while")
	}
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	socket := h.startSockets()
	greedy := h.circuit(socket, 7)
	ctx, cancel := context.WithTimeout(context.Background(), *floodTime)
	defer cancel()
	defer h.endless(t, uploadPlaces/8, greedy)() // its share
	var busy, held, others, stored atomic.Int64
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			for ctx.Err() == nil {
				a, err := greedy.Send(ctx, video(io.LimitReader(repeat("x"), 1<<20)))
				switch {
				case ctx.Err() != nil:
				case err == nil && isBusy(a):
					busy.Add(1)
				default:
					held.Add(1)
				}
			}
		})
	}
	for i := range 4 {
		all.Go(func() {
			for n := uint32(0); ctx.Err() == nil; n++ {
				s := h.circuit(socket, 100+10_000*uint32(i)+n)
				limit, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
				a, err := s.Send(limit, video(strings.NewReader("foto")))
				stop()
				if err == nil && a.Status == http.StatusOK && a.Codename != "" {
					stored.Add(1)
				} else {
					others.Add(1)
					t.Logf("another circuit: status %d, %v", a.Status, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%v: the greedy circuit was told to come back %d times, got through %d; others: %d files stored, %d refused",
		*floodTime, busy.Load(), held.Load(), stored.Load(), others.Load())
	if busy.Load() == 0 || held.Load() > 0 {
		t.Error("the greedy circuit got more than its share")
	}
	if stored.Load() == 0 || others.Load() > 0 {
		t.Error("others did not get through")
	}
}
