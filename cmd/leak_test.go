package cmd_test

// What a visitor, a neighbour on the network and a reader of the logs can learn
// from a vault behind its onion services: one test for each way.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"resguardo/onion/tornet"
	"resguardo/onion/tornet/source"
)

// onionHouse is a vault behind tor, and a visitor's tor.
func onionHouse(t *testing.T) (*house, *tornet.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the private Tor network")
	}
	n := network.Network(t)
	dir, err := os.MkdirTemp("", "vault") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := newHouse(t, filepath.Join(dir, "v"))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	visitor, err := n.Client(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { visitor.Close() })
	h.startOnion(n)
	return h, visitor
}

// TestOnionStory is the whole way over Tor, with client authorisation, and what
// leaks from it.
func TestOnionStory(t *testing.T) {
	h, visitor := onionHouse(t)
	s := source.Source{Client: visitor.HTTP("source"), URL: h.source, Desk: "norte"}
	before := h.log.String()
	a, err := s.Send(t.Context(), source.Report{Message: "Vi algo.", Files: []source.File{{Name: "a", Body: strings.NewReader(strings.Repeat("x", 3<<20))}}})
	if err != nil || a.Codename == "" {
		t.Fatalf("send: %d, %v\n%s", a.Status, err, a.Page)
	}
	if after := h.log.String(); after != before {
		t.Errorf("a report leaves a line in the log:\n%s", after[len(before):])
	}
	t.Run("sockets", func(t *testing.T) { onlyUnixSockets(t, h) })
	t.Run("hosts", func(t *testing.T) { foreignHosts(t, h, visitor) })
	t.Run("doors", func(t *testing.T) { doorsApart(t, h, visitor) })
	t.Run("headers", func(t *testing.T) { noTellingHeaders(t, h, visitor) })
	t.Run("errors", func(t *testing.T) { constantErrors(t, h, visitor) })
	run(t, "resguardo", "fetch", "-dir", h.reviewer, "-server", h.review, "-tor-include", network.Network(t).Include())
	files, _ := filepath.Glob(filepath.Join(h.reviewer, "cases", "*", "*.age"))
	if len(files) != 1 || h.unseal(files[0])["message.txt"] != "Vi algo." {
		t.Errorf("fetched %q", files)
	}
	t.Run("log", func(t *testing.T) { quietLog(t, h) })
}

// onlyUnixSockets: neither the server nor its tor listens on a TCP port, and the
// server has no TCP or UDP socket at all: only tor talks to the network.
func onlyUnixSockets(t *testing.T, h *house) {
	server := h.server.Process.Pid
	tor := childOf(t, server, "tor")
	if l := sockets(t, tor, listening); len(l) > 0 {
		t.Errorf("tor listens on %v", l)
	}
	if all := sockets(t, server, ""); len(all) > 0 {
		t.Errorf("the server has the sockets %v", all)
	}
	if len(sockets(t, tor, "")) == 0 {
		t.Error("the search for sockets does not find tor's, so it proves nothing")
	}
	// The search must be able to find a listener.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(sockets(t, os.Getpid(), listening)) == 0 {
		t.Error("the search for listeners does not find our own")
	}
	conn, err := net.Dial("unix", filepath.Join(h.dir, "onion", "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cookie, err := os.ReadFile(filepath.Join(h.dir, "onion", "data", "control_auth_cookie"))
	if err != nil {
		t.Fatal(err)
	}
	control := textproto.NewConn(conn)
	ask := func(command string) string {
		if err := control.PrintfLine("%s", command); err != nil {
			t.Fatal(err)
		}
		_, answer, err := control.ReadResponse(250)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	ask("AUTHENTICATE " + hex.EncodeToString(cookie))
	for _, kind := range []string{"or", "dir", "socks", "trans", "natd", "dns", "httptunnel"} {
		if answer, _, _ := strings.Cut(ask("GETINFO net/listeners/"+kind), "\n"); answer != "net/listeners/"+kind+"=" {
			t.Errorf("tor listens: %s", answer)
		}
	}
	if answer := ask("GETINFO net/listeners/control"); !strings.Contains(answer, `="unix:`) || strings.Contains(answer, "127.0.0.1") {
		t.Errorf("tor's control port: %s", answer)
	}
}

// childOf returns the child of a process that has this name.
func childOf(t *testing.T, pid int, name string) int {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(b)) {
			if comm, _ := os.ReadFile("/proc/" + child + "/comm"); strings.TrimSpace(string(comm)) == name {
				n, _ := strconv.Atoi(child)
				return n
			}
		}
	}
	t.Fatalf("pid %d has no child %s", pid, name)
	return 0
}

// listening is TCP_LISTEN as /proc/net/tcp writes it.
const listening = "0A"

// sockets returns the local addresses, in the kernel's hex, of the TCP and UDP
// sockets of a process that are in a state; "" means any.
func sockets(t *testing.T, pid int, state string) (found []string) {
	t.Helper()
	own := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && (state == "" || f[3] == state) && own[f[9]] {
				found = append(found, table+" "+f[1])
			}
		}
	}
	return found
}

// get asks the source's onion for a path under a Host of the test's choice.
func get(t *testing.T, visitor *tornet.Client, url, host, method, path string, body io.Reader, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host != "" {
		req.Host = host
	}
	client := visitor.HTTP("leaks")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(page)
}

// foreignHosts: another Host gets 421, and nothing that names anything.
func foreignHosts(t *testing.T, h *house, visitor *tornet.Client) {
	own := strings.TrimPrefix(h.source, "http://")
	reviewers := strings.TrimPrefix(h.review, "http://")
	for _, host := range []string{"127.0.0.1", "localhost", "example.com", reviewers, "www." + own, own + ":8080"} {
		resp, page := get(t, visitor, h.source, host, "GET", "/", nil, nil)
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("Host %s: %s, want 421", host, resp.Status)
		}
		if resp.Header.Get("Location") != "" || strings.Contains(page, ".onion") || strings.Contains(page, host) {
			t.Errorf("Host %s: the answer names something: %v\n%s", host, resp.Header, page)
		}
	}
}

// doorsApart: the reviewers' routes do not exist behind the source's onion.
func doorsApart(t *testing.T, h *house, visitor *tornet.Client) {
	_, missing := get(t, visitor, h.source, "", "GET", "/en/nothing-is-here", nil, nil)
	for _, path := range []string{"/v1/challenge", "/v1/login", "/v1/items", "/v1/items/00000000000000000000000000000000", "/status", "/check"} {
		for _, method := range []string{"GET", "POST"} {
			resp, page := get(t, visitor, h.source, "", method, path, strings.NewReader("{}"), nil)
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s: %s, want 404", method, path, resp.Status)
			}
			if strings.Contains(page, "nonce") || len(missing) == 0 {
				t.Errorf("%s %s:\n%s", method, path, page)
			}
		}
	}
}

// noTellingHeaders: no answer has a header beyond the ones it must have.
func noTellingHeaders(t *testing.T, h *house, visitor *tornet.Client) {
	allowed := strings.Fields("Cache-Control Content-Length Content-Security-Policy Content-Type Cross-Origin-Embedder-Policy Cross-Origin-Opener-Policy Cross-Origin-Resource-Policy Permissions-Policy Referrer-Policy X-Content-Type-Options X-Frame-Options Allow Refresh Content-Disposition Connection")
	for _, path := range []string{"/", "/es/", "/en/safety", "/es/keys", "/es/report", "/es/report?desk=norte", "/nothing", "/es/exit"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE"} {
			resp, _ := get(t, visitor, h.source, "", method, path, nil, nil)
			for name := range resp.Header {
				if !slices.Contains(allowed, name) {
					t.Errorf("%s %s has the header %s: %q", method, path, name, resp.Header[name])
				}
			}
			if resp.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s %s lacks a policy", method, path)
			}
		}
	}
}

// constantErrors: an error says the same to everyone, and nothing of the machine.
func constantErrors(t *testing.T, h *house, visitor *tornet.Client) {
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	telling := regexp.MustCompile(`(?i)go1\.|golang|\bgin\b|net/http|goroutine|panic|/root|/home|/tmp|127\.0\.0\.1|\d\d:\d\d`)
	for _, test := range []struct {
		status       int
		method, path string
		body         string
		host         string
		header       http.Header
	}{
		{status: 404, method: "GET", path: "/es/a"},
		{status: 404, method: "GET", path: "/es/b%0aFAKE"},
		{status: 405, method: "DELETE", path: "/es/report"},
		{status: 413, method: "POST", path: "/es/report", body: strings.Repeat("states=BC&", 10_000), header: form},
		{status: 421, method: "GET", path: "/es/", host: "x.example"},
		{status: 431, method: "GET", path: "/es/", header: http.Header{"X-Large": {strings.Repeat("a", 40_000)}}},
		{status: 400, method: "POST", path: "/es/report", body: "x", header: http.Header{"Content-Type": {"text/plain"}}},
	} {
		var first string
		for i := range 2 {
			resp, page := get(t, visitor, h.source, test.host, test.method, test.path, strings.NewReader(test.body), test.header)
			if resp.StatusCode != test.status {
				t.Errorf("%s %s: %s, want %d", test.method, test.path, resp.Status, test.status)
			}
			if i == 0 {
				first = page
			} else if page != first {
				t.Errorf("%d differs between two requests", test.status)
			}
			if m := telling.FindString(page); m != "" {
				t.Errorf("%d tells %q:\n%s", test.status, m, page)
			}
			if !strings.Contains(test.path, "FAKE") {
				continue
			}
			if strings.Contains(page, "FAKE") {
				t.Errorf("%d repeats the path:\n%s", test.status, page)
			}
		}
	}
}

// quietLog: no log of the server or of its tor tells of circuits, sizes or visits.
func quietLog(t *testing.T, h *house) {
	text := h.log.String()
	for line := range strings.Lines(text) {
		if strings.Contains(line, "fc00:dead:beef") || strings.Contains(line, "circuit=") || strings.Contains(line, "/es/") || strings.Contains(line, "POST") {
			t.Errorf("the log tells of a visit: %s", line)
		}
	}
	if !strings.Contains(text, "start") {
		t.Errorf("the log is not read: %q", text)
	}
	logs, _ := filepath.Glob(filepath.Join(h.dir, "onion", "*log*"))
	more, _ := filepath.Glob(filepath.Join(h.dir, "onion", "data", "*log*"))
	if logs = append(logs, more...); len(logs) > 0 {
		t.Errorf("tor writes log files: %v", logs)
	}
}

// TestNoOutboundConnection runs the server in a network namespace with a way out
// and counts the packets that take it: none, whatever a source writes.
func TestNoOutboundConnection(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("network namespaces need root")
	}
	ns := fmt.Sprintf("resguardo%d", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		return exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	}
	ip("netns", "add", ns)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	ip("-n", ns, "link", "set", "lo", "up")
	ip("-n", ns, "link", "add", "out0", "type", "veth", "peer", "name", "out1")
	if out, err := inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1").CombinedOutput(); err != nil {
		t.Fatalf("sysctl: %v\n%s", err, out)
	}
	ip("-n", ns, "addr", "add", "192.0.2.2/24", "dev", "out0") // TEST-NET-1: belongs to nobody
	ip("-n", ns, "link", "set", "out1", "up")
	ip("-n", ns, "link", "set", "out0", "up")
	ip("-n", ns, "route", "add", "default", "via", "192.0.2.1")
	packets := func() string {
		out, err := inside("cat", "/sys/class/net/out0/statistics/tx_packets").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	c := inside(filepath.Join(programs, "resguardod"), "serve", "-dir", h.dir, "-tor", "off", "-preview", "127.0.0.1:8080", "-json")
	c.Stderr = h.log
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.Contains(line, "ready") {
		t.Fatalf("%q, %v\n%s", line, err, h.log)
	}
	page, err := inside("curl", "-s", "http://127.0.0.1:8080/es/report?desk=norte").Output()
	m := regexp.MustCompile(`name="token" value="([^"]+)"`).FindSubmatch(page)
	if err != nil || m == nil {
		t.Fatalf("form: %v\n%s", err, page)
	}
	const url = "http://192.0.2.9/track.png"
	sent, err := inside("curl", "-s", "-F", "token="+string(m[1]), "-F", "desk=norte", "-F", "message="+url, "-F", "a-where="+url,
		"-F", "file=@/etc/hostname;filename="+url, "-H", "Referer: "+url, "-H", "X-Forwarded-Host: 192.0.2.9", "http://127.0.0.1:8080/es/report").Output()
	if err != nil || !bytes.Contains(sent, []byte(`id="codename"`)) {
		t.Fatalf("send: %v\n%s", err, sent)
	}
	if n := packets(); n != "0" {
		t.Errorf("%s packets left the machine", n)
	}
	inside("curl", "-s", "-m", "1", "http://192.0.2.9/").Run()
	if n := packets(); n == "0" {
		t.Error("the counter does not count, so it proves nothing")
	}
}
