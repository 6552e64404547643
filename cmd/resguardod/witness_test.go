package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion"
)

// askWitness makes a witness at that address the one that the vault needs.
func (h *host) askWitness(w *watcher, url string) {
	h.t.Helper()
	path := filepath.Join(h.dir, "vault", statedir.PolicyFile)
	text, err := os.ReadFile(path)
	h.check(err)
	log, _, _ := strings.Cut(string(text), "\n")
	text = []byte(log + "\nwitness " + w.name + " " + w.key.Verifier().String() + " " + url + "\nquorum " + w.name + "\n")
	h.check(os.WriteFile(path, text, 0o600))
}

// signatures counts those of the checkpoint that the pages show.
func (h *host) signatures() int {
	h.t.Helper()
	resp, err := http.Get(h.base + "/log/checkpoint")
	h.check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	h.check(err)
	_, lines, _ := strings.Cut(string(text), "\n\n")
	return strings.Count(lines, "\n")
}

// TestWitnessOnThisMachine: a confined server reaches it, and publishes what it has
// cosigned before it says that it is ready.
func TestWitnessOnThisMachine(t *testing.T) {
	h := newHost(t)
	w := newWatcher(t, "near")
	server := httptest.NewServer(w)
	defer server.Close()
	h.askWitness(w, server.URL)
	h.serve()
	if n := h.signatures(); n != 2 {
		t.Errorf("%d signatures", n)
	}
	h.run("resguardod", "check", "-dir", "vault")
}

// TestWitnessBehindAnOnion is reached through our own tor, and through nothing else.
func TestWitnessBehindAnOnion(t *testing.T) {
	h, include := torHost(t)
	for _, dir := range []string{"vault", "vault.keys"} {
		h.check(os.RemoveAll(filepath.Join(h.dir, dir)))
	}
	h.run("resguardod", "init", "-dir", "vault", "-origin", "x", "-demo", "-epoch", "10s")

	w := newWatcher(t, "far")
	dir := t.TempDir()
	c := onion.Config{Dir: filepath.Join(dir, "onion"), Include: network.Network(t).Include(), SourceSocket: filepath.Join(dir, "s")}
	l, err := onion.ListenSource(c.SourceSocket, 0o600)
	h.check(err)
	server := &http.Server{Handler: w}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	service, err := onion.Start(t.Context(), c)
	h.check(err)
	t.Cleanup(func() { service.Close() })
	select {
	case <-service.Ready():
	case <-time.After(5 * time.Minute):
		t.Fatal("the witness is not published")
	}
	h.askWitness(w, "http://"+service.Health().Source.Address+"/")
	h.own()
	h.serveWith("-tor", "managed", "-tor-include", include, "-preview", "127.0.0.1:0")
	for begin := time.Now(); h.signatures() != 2; time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			h.end(9)
			t.Fatalf("not cosigned in two minutes\n%s", h.logs)
		}
	}
}

// TestNobodyIsDialledOutsideTor: without a proxy only this machine can be reached.
func TestNobodyIsDialledOutsideTor(t *testing.T) {
	for _, address := range []string{"192.0.2.1:80", "witness.example:443", "[2001:db8::1]:80", "localhost.example:80", "127.0.0.1.example:80", "10.0.0.1:80", "0.0.0.0:80"} {
		if _, err := dialOutward("unix", "")(t.Context(), "tcp", address); err != errNoTor {
			t.Errorf("%s: %v", address, err)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost"} {
		conn, err := dialOutward("unix", "/nowhere")(t.Context(), "tcp", host+":"+port)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		conn.Close()
	}
	// Everything else goes to the proxy.
	path := filepath.Join(t.TempDir(), "socks")
	l, err := onion.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		version := make([]byte, 1)
		io.ReadFull(conn, version)
		asked <- version[0]
	}()
	if _, err := dialOutward("unix", path)(t.Context(), "tcp", "witness.example:443"); err == nil {
		t.Error("connected without the proxy's consent")
	}
	if v := <-asked; v != 5 {
		t.Errorf("the proxy was spoken to in version %d", v)
	}
}

func TestOutwardOfAPolicy(t *testing.T) {
	h := newHost(t)
	w := newWatcher(t, "w")
	d, err := statedir.Open(filepath.Join(h.dir, "vault"))
	h.check(err)
	for url, want := range map[string]outward{
		"http://127.0.0.1:8080/":   {ports: []uint16{8080}},
		"http://[::1]/":            {ports: []uint16{80}},
		"https://localhost/":       {ports: []uint16{443}},
		"http://abc.onion/":        {tor: true},
		"https://witness.example/": {tor: true},
	} {
		h.askWitness(w, url)
		p, err := d.Policy()
		h.check(err)
		got := outwardOf(p)
		if got.tor != want.tor || !slices.Equal(got.ports, want.ports) {
			t.Errorf("%s: %+v", url, got)
		}
		if socks := socksOf("off", d, got); socks != "" {
			t.Errorf("%s: a proxy without tor: %s", url, socks)
		}
		if socks := socksOf("managed", d, got); (socks != "") != want.tor {
			t.Errorf("%s: proxy %q", url, socks)
		}
	}
}
