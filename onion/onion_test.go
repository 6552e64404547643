package onion

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// key is a client's pair of keys.
type key struct {
	Client
	private string
}

func newKey(t *testing.T, name string) key {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	return key{
		Client{name, encoding.EncodeToString(private.PublicKey().Bytes())},
		encoding.EncodeToString(private.Bytes()),
	}
}

// at is the key's line for a client of the service at address.
func (k key) at(address string) string {
	return strings.TrimSuffix(address, ".onion") + ":descriptor:x25519:" + k.private
}

// config returns a Config on the private network, with a server behind each
// socket. The source's answers its circuit's number; the reviewers' "reviewers",
// and /hold keeps its answer open.
func config(t *testing.T, keys ...key) Config {
	t.Helper()
	n := shared.Network(t)
	dir := t.TempDir()
	c := Config{
		Dir:             filepath.Join(dir, "onion"),
		Include:         n.Include(),
		SourceSocket:    filepath.Join(dir, "s"),
		ReviewersSocket: filepath.Join(dir, "r"),
		Log:             slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, k := range keys {
		c.Clients = append(c.Clients, k.Client)
	}
	source, err := ListenSource(c.SourceSocket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	reviewers, err := Listen(c.ReviewersSocket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	circuit := func(w http.ResponseWriter, r *http.Request) {
		id, ok := Circuit(r.Context())
		fmt.Fprintln(w, "circuit", id, ok, "from", r.RemoteAddr)
	}
	review := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "reviewers\n")
		if r.URL.Path == "/hold" {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	s := &http.Server{Handler: http.HandlerFunc(circuit), ConnContext: ConnContext}
	r := &http.Server{Handler: http.HandlerFunc(review)}
	go s.Serve(source)
	go r.Serve(reviewers)
	t.Cleanup(func() { s.Close(); r.Close() })
	return c
}

// open starts c's tor and waits until its services are published.
func open(t *testing.T, c Config) *Onion {
	t.Helper()
	o, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	select {
	case <-o.Ready():
	case <-time.After(5 * time.Minute):
		t.Fatalf("not published: %+v", o.Health())
	}
	return o
}

func client(t *testing.T, keys ...string) *tornet.Client {
	t.Helper()
	c, err := shared.Network(t).Client(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// get asks for url once, on the circuit of that name.
func get(c *tornet.Client, circuit, url string, limit time.Duration) (string, error) {
	h := c.HTTP(circuit)
	h.Timeout = limit
	res, err := h.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(body)), err
}

// reach asks for url until it answers, each time on a new circuit: a client
// whose introduction was lost with the service's last tor waits for its answer
// for minutes, and puts further requests of the same circuit behind it.
func reach(t *testing.T, c *tornet.Client, url string) string {
	t.Helper()
	var last error
	for i, begin := 0, time.Now(); time.Since(begin) < time.Minute; i++ {
		body, err := get(c, fmt.Sprint("try ", i), url, 10*time.Second)
		if err == nil {
			return body
		}
		last = err
	}
	t.Fatalf("%s not reached in a minute: %v", url, last)
	return ""
}

func TestCircuitsAreTold(t *testing.T) {
	t.Parallel()
	o := open(t, config(t, newKey(t, "a")))
	url := "http://" + o.Health().Source.Address + "/"
	c := client(t)
	reach(t, c, url)
	var answers []string
	for _, circuit := range []string{"one", "one", "two"} {
		answer, err := get(c, circuit, url, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(answer, "circuit ") || !strings.HasSuffix(answer, " true from @") {
			t.Errorf("no circuit, or one that shows elsewhere: %q", answer)
		}
		answers = append(answers, answer)
	}
	if answers[0] != answers[1] {
		t.Errorf("one circuit has two numbers: %q", answers)
	}
	if answers[0] == answers[2] {
		t.Errorf("two circuits have one number: %q", answers)
	}
}

func TestReviewersNeedTheirKey(t *testing.T) {
	t.Parallel()
	good, bad := newKey(t, "a"), newKey(t, "b")
	o := open(t, config(t, good))
	address := o.Health().Reviewers.Address
	if got := reach(t, client(t, good.at(address)), "http://"+address+"/"); got != "reviewers" {
		t.Errorf("with the key: %q", got)
	}
	if got, err := get(client(t), "", "http://"+address+"/", 30*time.Second); err == nil {
		t.Errorf("without a key: %q", got)
	}
	if got, err := get(client(t, bad.at(address)), "", "http://"+address+"/", 30*time.Second); err == nil {
		t.Errorf("with another key: %q", got)
	}
}

func TestRevokedKeyIsCutOff(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, "a"), newKey(t, "b")
	o := open(t, config(t, a))
	address := o.Health().Reviewers.Address
	url := "http://" + address + "/"
	old := client(t, a.at(address))
	reach(t, old, url)

	if err := o.SetClients(t.Context(), []Client{a.Client, b.Client}); err != nil {
		t.Fatal(err)
	}
	fresh := client(t, b.at(address))
	reach(t, fresh, url)

	limited := old.HTTP("")
	limited.Timeout = time.Minute
	held, err := limited.Get(url + "hold")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Body.Close()
	if err := o.SetClients(t.Context(), []Client{b.Client}); err != nil {
		t.Fatal(err)
	}
	// What was open ends with its circuit, not with our patience.
	_, err = io.Copy(io.Discard, held.Body)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Error("a request of the revoked key goes on")
	}
	// The same tor, which still has the descriptor that its key opened.
	if got, err := get(old, "", url, 30*time.Second); err == nil {
		t.Errorf("with the revoked key: %q", got)
	}
	if got := reach(t, fresh, url); got != "reviewers" {
		t.Errorf("with the other key: %q", got)
	}
	if got := o.Health().Reviewers.Address; got != address {
		t.Errorf("address %s became %s", address, got)
	}
}

func TestReviewersNeedAClient(t *testing.T) {
	t.Parallel()
	o := open(t, config(t))
	if got := o.Health().Reviewers; got != (Service{}) {
		t.Errorf("service without clients: %+v", got)
	}
	a := newKey(t, "a")
	if err := o.SetClients(t.Context(), []Client{a.Client}); err != nil {
		t.Fatal(err)
	}
	address := o.Health().Reviewers.Address
	if address == "" {
		t.Fatal("no service with the first client")
	}
	reach(t, client(t, a.at(address)), "http://"+address+"/")
	if err := o.SetClients(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := o.Health().Reviewers; got != (Service{}) {
		t.Errorf("service without clients: %+v", got)
	}
	reply, err := o.run.ctl.do("GETCONF HiddenServiceDir")
	if err != nil {
		t.Fatal(err)
	}
	if lines := reply.DataWithReply(); len(lines) != 1 || !strings.HasSuffix(lines[0], `/source`) {
		t.Errorf("tor's services: %q", lines)
	}
}

func TestAddressesSurviveKill(t *testing.T) {
	t.Parallel()
	c := config(t, newKey(t, "a"))
	o := open(t, c)
	before := o.Health()
	url := "http://" + before.Source.Address + "/"
	source := client(t)
	reach(t, source, url)
	begin := time.Now()
	if err := syscall.Kill(o.run.proc.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	reach(t, source, url)
	t.Logf("reached again after %v", time.Since(begin))
	after := o.Health()
	if after.Source.Address != before.Source.Address || after.Reviewers.Address != before.Reviewers.Address {
		t.Errorf("addresses %+v became %+v", before, after)
	}
	if after.Restarts != 1 || !after.Running {
		t.Errorf("health %+v", after)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if h := o.Health(); h.Running || h.Source.Published {
		t.Errorf("health of a closed onion: %+v", h)
	}
	if h := open(t, c).Health(); h.Source.Address != before.Source.Address {
		t.Errorf("address %s became %s at the next start", before.Source.Address, h.Source.Address)
	}
}

func TestOnlyUnixSockets(t *testing.T) {
	t.Parallel()
	o := open(t, config(t, newKey(t, "a")))
	for _, kind := range strings.Fields("or dir socks trans natd dns control extor httptunnel metrics") {
		got, err := o.run.ctl.info("net/listeners/" + kind)
		want := ""
		if kind == "control" {
			want = `"unix:` + o.c.control() + `"`
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", kind, got, err, want)
		}
	}
	for _, pid := range []int{os.Getpid(), o.run.proc.Pid()} {
		if ports := listening(t, pid); len(ports) > 0 {
			t.Errorf("process %d listens on TCP: %q", pid, ports)
		}
	}
	info, err := os.Stat(o.c.control())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v, %v", info.Mode(), err)
	}
}

// listening returns the lines of /proc/net/tcp and tcp6 for the sockets on
// which pid listens.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var inodes []string
	for _, f := range files {
		target, _ := os.Readlink(filepath.Join(dir, f.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	if len(inodes) == 0 {
		t.Fatalf("process %d has no socket at all", pid)
	}
	var lines []string
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line) // 1 local, 3 state (0A: listening), 9 inode
			if len(f) > 9 && f[3] == "0A" && slices.Contains(inodes, f[9]) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func TestStartTellsWhatTorDislikes(t *testing.T) {
	look(t)
	dir := t.TempDir()
	include := filepath.Join(dir, "include")
	if err := os.WriteFile(include, []byte("Bridge nonsense:port\nUseBridges 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: filepath.Join(dir, "onion"), SourceSocket: filepath.Join(dir, "s"), Include: include})
	refused, ok := errors.AsType[*tor.ConfigError](err)
	if !ok || !strings.Contains(refused.Error(), "nonsense:port") {
		t.Errorf("%v; want a *tor.ConfigError that names the bad line", err)
	}
}

func TestOldTorIsRefused(t *testing.T) {
	look(t)
	dir := t.TempDir()
	// A real tor that gives itself out for an older one.
	old := filepath.Join(dir, "tor")
	script := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'Tor version 0.4.8.21.'; else exec tor \"$@\"; fi\n"
	if err := os.WriteFile(old, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	c := offline(t, dir)
	c.Tor = old
	if _, err := Start(t.Context(), c); !errors.Is(err, tor.ErrOld) || !strings.Contains(err.Error(), "0.4.8.21") {
		t.Errorf("%v; want tor.ErrOld with the version", err)
	}
	var log strings.Builder
	c.AllowOld, c.Log = true, slog.New(slog.NewTextHandler(&log, nil))
	o, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "0.4.8.21") {
		t.Errorf("no warning about the old tor in:\n%s", &log)
	}
}

func TestMissingTorIsNamed(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(t.Context(), Config{Dir: dir, Tor: filepath.Join(dir, "none"), SourceSocket: filepath.Join(dir, "s")})
	if !errors.Is(err, tor.ErrNotFound) {
		t.Errorf("%v; want tor.ErrNotFound", err)
	}
}
