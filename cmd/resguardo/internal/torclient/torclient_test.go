package torclient_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"resguardo/cmd/resguardo/internal/torclient"
	"resguardo/onion"
	"resguardo/onion/tor"
	"resguardo/onion/tornet"
)

// shared is the private Tor network of this test run.
var shared tornet.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Close()
	os.Exit(code)
}

// newKey returns a client key pair in base32.
func newKey(t *testing.T) (public, private string) {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	return encoding.EncodeToString(k.PublicKey().Bytes()), encoding.EncodeToString(k.Bytes())
}

// publish puts an onion service up that answers "reviewers" to the holder of
// public's private half, and returns its address.
func publish(t *testing.T, public string) (address string) {
	t.Helper()
	dir := t.TempDir()
	c := onion.Config{
		Dir:             filepath.Join(dir, "onion"),
		Include:         shared.Network(t).Include(),
		SourceSocket:    filepath.Join(dir, "s"),
		ReviewersSocket: filepath.Join(dir, "r"),
		Clients:         []onion.Client{{Name: "a", Key: public}},
		Log:             slog.New(slog.DiscardHandler),
	}
	l, err := onion.Listen(c.ReviewersSocket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "reviewers")
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	o, err := onion.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	select {
	case <-o.Ready():
	case <-time.After(5 * time.Minute):
		t.Fatalf("not published: %+v", o.Health())
	}
	return o.Health().Reviewers.Address
}

func get(c proxy.ContextDialer, address string) (string, error) {
	h := http.Client{Transport: &http.Transport{DialContext: c.DialContext}, Timeout: time.Minute}
	defer h.CloseIdleConnections()
	res, err := h.Get("http://" + address + "/")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestOwnTorReachesTheReviewersOnion(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	public, private := newKey(t)
	address := publish(t, public)
	_, wrong := newKey(t)
	c := torclient.Config{
		Dir:     filepath.Join(t.TempDir(), "tor with a space, ñ"),
		Include: shared.Network(t).Include(),
	}
	for _, tc := range []struct {
		name string
		keys []torclient.Key
		want error
	}{
		{"no key", nil, torclient.ErrNoKey},
		{"wrong key", []torclient.Key{{Name: "other", Address: address, Private: wrong}}, torclient.ErrNoKey},
		{"key", []torclient.Key{{Name: "card", Address: address, Private: private}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var percents []int
			c.Keys = tc.keys
			c.Progress = func(percent int, phase string) { percents = append(percents, percent) }
			tor, err := torclient.Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer tor.Close()
			if len(percents) < 2 || percents[len(percents)-1] != 100 {
				t.Errorf("progress %d", percents)
			}
			body, err := get(tor, address)
			if !errors.Is(err, tc.want) || (err == nil && body != "reviewers") {
				t.Errorf("%q, %v; want %v", body, err, tc.want)
			}
		})
	}
}

// TestOpenSOCKSIsFound tells the story of -socks: the key's file is given to a
// tor that is there already, and its port is found.
func TestOpenSOCKSIsFound(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Tor network")
	}
	public, private := newKey(t)
	address := publish(t, public)
	path, err := torclient.Key{Name: "vault", Address: address, Private: private}.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tor, err := shared.Network(t).Client(t.Context(), strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	// A port that is closed, and one where something else listens.
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	go http.Serve(web, http.NotFoundHandler())

	got, err := torclient.Find(t.Context(), closed.Addr().String(), web.Addr().String(), tor.Addr())
	if err != nil || got != tor.Addr() {
		t.Fatalf("%q, %v; want %q", got, err, tor.Addr())
	}
	body, err := get(torclient.SOCKS(got), address)
	if err != nil || body != "reviewers" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := torclient.Find(t.Context(), closed.Addr().String()); !errors.Is(err, torclient.ErrNoSOCKS) || !strings.Contains(err.Error(), closed.Addr().String()) {
		t.Errorf("%v; want ErrNoSOCKS and what was tried", err)
	}
}

func TestUnreachableNetworkTellsHowFar(t *testing.T) {
	if _, err := tor.Look(t.Context(), ""); err != nil && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	include := filepath.Join(dir, "offline")
	if err := os.WriteFile(include, []byte("DisableNetwork 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := torclient.Config{Dir: dir, Include: include, Progress: func(int, string) { cancel() }}
	_, err := torclient.Start(ctx, c)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "0% (starting)") {
		t.Errorf("%v; want canceled at 0%% (starting)", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "resguardo*"))
	if len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestKeyFiles(t *testing.T) {
	_, private := newKey(t)
	address := strings.Repeat("a", 56) + ".onion"
	dir := filepath.Join(t.TempDir(), "auth")
	path, err := torclient.Key{Name: "vault", Address: address, Private: private}.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("a", 56) + ":descriptor:x25519:" + private + "\n"; string(b) != want {
		t.Errorf("%q; want %q", b, want)
	}
	for file, mode := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want %v", file, info.Mode(), err, mode)
		}
	}
	for name, k := range map[string]torclient.Key{
		"name with a path": {Name: "../x", Address: address, Private: private},
		"no name":          {Address: address, Private: private},
		"web address":      {Name: "a", Address: "example.org", Private: private},
		"short address":    {Name: "a", Address: "aaaa.onion", Private: private},
		"upper case":       {Name: "a", Address: strings.Repeat("A", 56) + ".onion", Private: private},
		"short key":        {Name: "a", Address: address, Private: private[1:]},
		"line break":       {Name: "a", Address: address, Private: private[:51] + "\n"},
	} {
		_, err := k.Write(dir)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), private[1:]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}
