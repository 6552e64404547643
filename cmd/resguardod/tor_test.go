package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tor"
)

// torHost is a host on the private Tor network, with the include file that lets
// its tor in.
func torHost(t *testing.T) (h *host, include string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a private Tor network")
	}
	from := network.Network(t).Include()
	h = newHost(t)
	// The network's files belong to whoever runs the tests.
	text, err := os.ReadFile(from)
	h.check(err)
	h.check(os.Mkdir(filepath.Join(h.dir, "net"), 0o755))
	include = filepath.Join(h.dir, "net", "include.torrc")
	h.check(os.WriteFile(include, []byte(strings.ReplaceAll(string(text), filepath.Dir(from), filepath.Dir(include))), 0o644))
	h.check(os.WriteFile(filepath.Join(h.dir, "net", "empty"), nil, 0o644))
	h.own()
	return h, include
}

// status is what the running server says about itself.
func (h *host) status() (s status) {
	h.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(h.dir, "vault", "control.sock"))
	}}}
	resp, err := c.Get("http://control/v1/status")
	h.check(err)
	defer resp.Body.Close()
	h.check(json.NewDecoder(resp.Body).Decode(&s))
	return s
}

// torProcess is the process id of the server's tor.
func (h *host) torProcess() int {
	h.t.Helper()
	children, err := filepath.Glob("/proc/[0-9]*/stat")
	h.check(err)
	for _, path := range children {
		var pid, parent int
		var name, state string
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fmt.Sscan(string(stat), &pid, &name, &state, &parent)
		if parent == h.cmd.Process.Pid && name == "(tor)" && state != "Z" {
			return pid
		}
	}
	h.t.Fatal("the server has no tor")
	return 0
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// onionClient reaches the network, with an onion client key if there is one.
func (h *host) onionClient(keys ...string) *http.Client {
	h.t.Helper()
	c, err := network.Network(h.t).Client(h.t.Context(), keys...)
	h.check(err)
	h.t.Cleanup(func() { c.Close() })
	client := c.HTTP("")
	client.Timeout = 30 * time.Second
	return client
}

// key is the line with which a client opens the reviewers' service.
func (h *host) key(reviewers, name string) string {
	h.t.Helper()
	private, err := os.ReadFile(filepath.Join(h.dir, "home", name+".client"))
	h.check(err)
	address := strings.TrimSuffix(strings.TrimPrefix(reviewers, "http://"), ".onion")
	return address + ":descriptor:x25519:" + string(private)
}

// reach asks until there is an answer: a client may still have an old
// descriptor, and tor waits between its own tries.
func (h *host) reach(c *http.Client, url, hostname string) (code int, body string) {
	h.t.Helper()
	var last error
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		h.check(err)
		req.Host = hostname
		resp, err := c.Do(req)
		if last = err; err != nil {
			continue
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if last = err; err == nil {
			return resp.StatusCode, string(page)
		}
	}
	h.t.Fatalf("%s was not reached in a minute: %v", url, last)
	return 0, ""
}

// refused fails if somebody is answered who must not be. Tor gives no reason for
// it, or none at all.
func (h *host) refused(c *http.Client, url string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 8*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	h.check(err)
	if resp, err := c.Do(req); err == nil {
		h.t.Errorf("%s answered %s", url, resp.Status)
	}
}

// published waits until the services can be reached after a start of tor.
func (h *host) published(restarts int) {
	h.t.Helper()
	late := time.After(5 * time.Minute)
	for {
		s := h.status().Onion
		if s != nil && s.Restarts == restarts && s.Source.Published && (s.Reviewers.Address == "" || s.Reviewers.Published) {
			return
		}
		select {
		case <-late:
			h.t.Fatalf("not published in a minute: %+v", s)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (h *host) answers(c *http.Client, url, hostname string, want int) {
	h.t.Helper()
	if code, body := h.reach(c, url, hostname); code != want {
		h.t.Errorf("%s (Host %q) answered %d, want %d\n%.300s", url, hostname, code, want, body)
	}
}

// TestManagedTor is the life of a vault with a tor of its own, all of it
// confined by landlock.
func TestManagedTor(t *testing.T) {
	h, include := torHost(t)
	fingerprint := strings.TrimSpace(strings.TrimSuffix(h.reviewers()[0], ".card"))
	h.run("resguardod", "reviewer", "revoke", "-dir", "vault", fingerprint)

	// No card: only the sources' service is there.
	h.serveWith("-tor-include", include)
	first := h.told("onion")
	if first.Reviewers != "" {
		t.Errorf("a reviewers' service without a card: %s", first.Reviewers)
	}
	stranger := h.onionClient()
	h.answers(stranger, first.Source+"/en/", "", http.StatusOK)
	h.answers(stranger, first.Source+"/en/", "localhost", http.StatusMisdirectedRequest)
	h.answers(stranger, first.Source+"/v1/items", "", http.StatusNotFound)
	for name, pid := range map[string]int{"resguardod": h.cmd.Process.Pid, "tor": h.torProcess()} {
		if ports := h.listeners(pid); len(ports) > 0 {
			t.Errorf("%s listens at %v", name, ports)
		}
	}

	// The first card: the reviewers' service appears, for its holder alone.
	h.run("resguardod", "reviewer", "add", "-dir", "vault", "-desk", "norte", "home/ana.card")
	second := h.told("onion")
	if second.Source != first.Source || second.Reviewers == "" {
		t.Fatalf("with a card: %+v", second)
	}
	ana := h.onionClient(h.key(second.Reviewers, "ana"))
	h.answers(ana, second.Reviewers+"/v1/items", "", http.StatusUnauthorized)
	h.answers(ana, second.Reviewers+"/v1/items", strings.TrimPrefix(first.Source, "http://"), http.StatusMisdirectedRequest)
	h.answers(ana, second.Reviewers+"/en/", "", http.StatusNotFound)
	h.refused(stranger, second.Reviewers+"/v1/items")

	// Tor is killed: another one serves the same address.
	killed := h.torProcess()
	h.check(syscall.Kill(killed, syscall.SIGKILL))
	h.published(1)
	h.answers(h.onionClient(), first.Source+"/en/", "", http.StatusOK) // the stranger may still dial the dead one
	if h.torProcess() == killed {
		t.Error("the killed tor is still there")
	}
	out := h.run("resguardod", "check", "-dir", "vault")
	if !strings.Contains(out, "100 percent of the way to the Tor network, started again 1 times\n") ||
		!strings.Contains(out, "pages: "+first.Source+" (published)\n") || !strings.Contains(out, "reviewers' door: "+second.Reviewers+" (") {
		t.Errorf("check:\n%s", out)
	}

	// The card is revoked: its holder is a stranger.
	h.run("resguardod", "reviewer", "revoke", "-dir", "vault", fingerprint)
	h.refused(ana, second.Reviewers+"/v1/items")

	// TERM ends both; the next start has the same addresses.
	last := h.torProcess()
	took, err := h.end(syscall.SIGTERM)
	if err != nil || took > 10*time.Second || !gone(last) {
		t.Errorf("ended with %v after %v; tor is gone: %v\n%s", err, took, gone(last), h.logs)
	}
	if strings.Contains(h.logs.String(), "level=ERROR") || strings.Contains(h.logs.String(), "127.0.0.1") {
		t.Errorf("printed:\n%s", h.logs)
	}
	h.run("resguardod", "reviewer", "add", "-dir", "vault", "-desk", "norte", "home/ana.card")
	h.serveWith("-tor-include", include)
	if again := h.told("onion"); again != second {
		t.Errorf("after a restart %+v, before it %+v", again, second)
	}
}

// reviewers are the names of the card files.
func (h *host) reviewers() (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "vault", "cards"))
	h.check(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestSystemTor: the operator's tor serves the lines that are printed.
func TestSystemTor(t *testing.T) {
	h, include := torHost(t)
	h.check(os.Mkdir(filepath.Join(h.dir, "run"), 0o750))
	h.own()
	refused, err := h.command("resguardod", "serve", "-dir", "vault", "-tor", "system", "-sockets", "run", "-json").Output()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("started without an address: %v", err)
	}
	var told event
	h.check(json.Unmarshal(refused, &told))
	addresses := h.operate(include, told.Torrc)
	config := filepath.Join(h.dir, "vault", "resguardo.toml")
	text, err := os.ReadFile(config)
	h.check(err)
	for service, address := range addresses {
		text = []byte(strings.Replace(string(text), "\n"+service+" = \"\"", "\n"+service+" = \""+address+"\"", 1))
	}
	h.check(os.WriteFile(config, text, 0o600))
	h.serveWith("-tor", "system", "-sockets", "run")
	if again := h.told("torrc").Torrc; again != told.Torrc {
		t.Errorf("other lines than before:\n%s\nbefore:\n%s", again, told.Torrc)
	}
	for name := range addresses {
		info, err := os.Stat(filepath.Join(h.dir, "run", name+".sock"))
		h.check(err)
		if info.Mode() != fs.ModeSocket|0o660 {
			t.Errorf("%s.sock has mode %v", name, info.Mode())
		}
	}
	h.answers(h.onionClient(), "http://"+addresses["source"]+"/en/", "", http.StatusOK)
	h.answers(h.onionClient(h.key(addresses["reviewers"], "ana")), "http://"+addresses["reviewers"]+"/v1/items", "", http.StatusUnauthorized)
	if took, err := h.end(syscall.SIGTERM); err != nil || took > 10*time.Second {
		t.Errorf("ended with %v after %v\n%s", err, took, h.logs)
	}
}

// operate starts a tor as an operator does, with keys elsewhere, and returns
// the addresses of its services by name.
func (h *host) operate(include, torrc string) map[string]string {
	h.t.Helper()
	keys := filepath.Join(h.dir, "tor")
	clients := filepath.Join(keys, "reviewers", "authorized_clients")
	h.check(os.MkdirAll(clients, 0o700))
	lines := strings.Split(torrc, "\n")
	for i, line := range lines {
		if path, ok := strings.CutSuffix(line, " holds one line:"); ok {
			h.check(os.WriteFile(filepath.Join(clients, filepath.Base(path)), []byte(strings.TrimPrefix(lines[i+1], "#   ")+"\n"), 0o600))
		}
	}
	program, err := tor.Look(h.t.Context(), "")
	h.check(err)
	text := fmt.Sprintf("%%include %q\nDataDirectory %q\nLog notice stdout\nShutdownWaitLength 0\n", include, filepath.Join(keys, "data")) +
		strings.ReplaceAll(torrc, systemDir, keys)
	h.check(program.Configure(h.t.Context(), keys, text))
	ready := make(chan struct{})
	process, err := program.Start(keys, func(l tor.Line) {
		if percent, _, ok := l.Bootstrap(); ok && percent == 100 {
			close(ready)
		}
	})
	h.check(err)
	h.t.Cleanup(process.Stop)
	select {
	case <-ready:
	case <-process.Done():
		h.t.Fatal(process.Err())
	case <-time.After(5 * time.Minute):
		h.t.Fatal("the operator's tor does not reach the network")
	}
	addresses := map[string]string{}
	for _, name := range []string{"source", "reviewers"} {
		b, err := os.ReadFile(filepath.Join(keys, name, "hostname"))
		h.check(err)
		addresses[name] = strings.TrimSpace(string(b))
	}
	return addresses
}
