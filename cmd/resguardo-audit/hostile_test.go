package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/internal/say"
)

// hostile serves a right log, except for what answer does: it returns false for
// what it leaves to the right log.
func hostile(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) (*world, string) {
	w := newWorld(t)
	w.usual(20)
	files := w.files()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if answer(rw, r) {
			return
		}
		b, ok := files[strings.TrimPrefix(r.URL.Path, "/log/")]
		if !ok {
			http.NotFound(rw, r)
			return
		}
		rw.Write(b)
	}))
	t.Cleanup(s.Close)
	if err := os.WriteFile(w.path("policy"), []byte(w.policy(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, s.URL + "/log/"
}

// look runs verify over a server.
func (w *world) look(url string, args ...string) outcome {
	return call(w.t, w.due(), "", append([]string{"verify", "-json", "-url", url, "-policy", w.path("policy")}, args...)...)
}

func is(path string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Path == "/log/"+path }
}

// endless answers until the client has enough.
func endless(w http.ResponseWriter, r *http.Request) {
	block := make([]byte, 64<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestEndlessAnswerIsCut(t *testing.T) {
	for _, path := range []string{"checkpoint", wholeTile, wholeBundle} {
		w, url := hostile(t, func(rw http.ResponseWriter, r *http.Request) bool {
			if is(path)(r) {
				endless(rw, r)
				return true
			}
			return false
		})
		if out := w.look(url); out.exit != exitInconsistent || !out.named(tooLong) {
			t.Errorf("%s: exit %d, %v", path, out.exit, out.findings)
		}
	}
}

// TestRedirectIsNotFollowed: another address could be the auditor's own network.
func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer other.Close()
	w, url := hostile(t, func(rw http.ResponseWriter, r *http.Request) bool {
		http.Redirect(rw, r, other.URL+r.URL.Path, http.StatusFound)
		return true
	})
	out := w.look(url)
	if out.exit != exitFailure || !out.named("unreadable") || followed.Load() {
		t.Errorf("exit %d, %v, followed: %t", out.exit, out.findings, followed.Load())
	}
	if !strings.Contains(out.stdout, "302") {
		t.Errorf("the status is not named: %s", out.stdout)
	}
}

func TestServerErrorsAreTriedAgain(t *testing.T) {
	var n atomic.Int64
	w, url := hostile(t, func(rw http.ResponseWriter, r *http.Request) bool {
		if is("checkpoint")(r) && n.Add(1) < attempts {
			http.Error(rw, "busy", http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	if out := w.look(url); out.exit != exitOK {
		t.Errorf("exit %d, %v", out.exit, out.findings)
	}
}

// TestPartialTileMayBeGone: the log has grown since the checkpoint was read, and a
// server may drop a partial tile once there is the whole one (c2sp.org/tlog-tiles).
func TestPartialTileMayBeGone(t *testing.T) {
	grown := newWorld(t)
	grown.usual(40)
	whole := grown.files()
	cut := false
	w, url := hostile(t, func(rw http.ResponseWriter, r *http.Request) bool {
		switch path := strings.TrimPrefix(r.URL.Path, "/log/"); path {
		case partialBundle, partialTile:
			http.NotFound(rw, r)
		case "tile/0/001":
			rw.Write(whole[path])
		case "tile/entries/001":
			rw.Write(whole[path][:if1(cut, 100, len(whole[path]))])
		default:
			return false
		}
		return true
	})
	if out := w.look(url); out.exit != exitOK {
		t.Errorf("exit %d, %v", out.exit, out.findings)
	}
	cut = true
	if out := w.look(url); out.exit != exitInconsistent || !out.named("bad-bundle") {
		t.Errorf("a short whole bundle: exit %d, %v", out.exit, out.findings)
	}
}

// TestHugeLogIsRefused: a size is a claim until the leaves have come.
func TestHugeLogIsRefused(t *testing.T) {
	for _, size := range []int64{defaultLeaves + 1, 1 << 40, 1<<63 - 1} {
		w := newWorld(t)
		w.usual(3)
		w.signed(true, func(tree tlog.Tree) []byte {
			tree.N = size
			return w.sign(tree)
		})
		if out := w.verify(); out.exit != exitFailure || !out.named(tooLarge) {
			t.Errorf("%d leaves: exit %d, %v", size, out.exit, out.findings)
		}
	}
}

// TestLargeLeavesAreNotReadForEver: entries may have 64 KiB each, an honest log
// has few of these; nor can a log save them up for later.
func TestLargeLeavesAreNotReadForEver(t *testing.T) {
	size := int64(256 * 124) // as of event leaves
	r := newReader(func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, size)), nil
	})
	var large int64
	for n := range int64(1000) {
		if n == 500 {
			size = 16 << 20
		}
		_, err := r.ReadTiles(t.Context(), []tlog.Tile{{H: 8, L: -1, N: n, W: 256}})
		if f := (*finding)(nil); errors.As(err, &f) && f.fault == tooManyBytes && n > 500 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if n >= 500 {
			large += size
		}
		if large > 5*bytesAnyway/4 {
			t.Fatalf("%d bytes of large leaves were read", large)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// drip gives a byte now and then, until the reader has enough.
type drip struct {
	ctx   context.Context
	every time.Duration
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(d.every):
		p[0] = 'x'
		return 1, nil
	}
}

func (d drip) Close() error { return nil }

// TestSlowAnswerIsGivenUp: each attempt has its time, however often a byte comes.
func TestSlowAnswerIsGivenUp(t *testing.T) {
	for _, every := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			r := newReader(func(ctx context.Context, _ string) (io.ReadCloser, error) { return drip{ctx, every}, nil })
			began := time.Now()
			_, err := r.read(t.Context(), "checkpoint", maxCheckpoint)
			var told *say.Error
			if !errors.As(err, &told) || !strings.Contains(err.Error(), "no whole answer within 2m0s") {
				t.Errorf("every %s: %v", every, err)
			}
			if took := time.Since(began); took != attempts*requestTime {
				t.Errorf("every %s: took %s", every, took)
			}
		})
	}
}

// TestSlowLogIsGivenUp: the whole log has its time, even when every answer comes
// just before its own is over.
func TestSlowLogIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.usual(20)
	files := w.files()
	synctest.Test(t, func(t *testing.T) {
		late := func(ctx context.Context, path string) (io.ReadCloser, error) {
			if path != "checkpoint" {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(requestTime - time.Second):
				}
				return nil, syscall.ECONNRESET
			}
			return io.NopCloser(strings.NewReader(string(files[path]))), nil
		}
		a := &audit{policy: must(parsePolicy([]byte(w.policy(2)))), reader: newReader(late), now: w.due(), most: defaultLeaves}
		began := time.Now()
		if err := a.run(t.Context()); err == nil {
			t.Error("no error")
		}
		if took := time.Since(began); took > patience(325) {
			t.Errorf("took %s", took)
		}
	})
}

// TestInterrupted: Ctrl-C ends a run that waits for a server.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := newReader(func(ctx context.Context, _ string) (io.ReadCloser, error) { return drip{ctx, time.Second}, nil })
		time.AfterFunc(time.Second, cancel)
		if _, err := r.read(ctx, "checkpoint", maxCheckpoint); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestNothingIsToldToTheServer: no name of ours, no language, no compression, and
// the environment's proxies are not asked.
func TestNothingIsToldToTheServer(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	var headers atomic.Value
	w, url := hostile(t, func(_ http.ResponseWriter, r *http.Request) bool {
		headers.Store(r.Header.Clone())
		return false
	})
	if out := w.look(url); out.exit != exitOK {
		t.Fatalf("exit %d, %v", out.exit, out.findings)
	}
	if h := headers.Load().(http.Header); len(h) != 0 {
		t.Errorf("the server was told %v", h)
	}
}

// TestPipeInFolder: a folder from somebody else may hold anything.
func TestPipeInFolder(t *testing.T) {
	w := newWorld(t)
	w.usual(3)
	w.verify()
	checkpoint := w.path("log/checkpoint")
	for name, put := range map[string]func() error{
		"pipe":             func() error { return syscall.Mkfifo(checkpoint, 0o600) },
		"link out of it":   func() error { return os.Symlink(w.path("policy"), checkpoint) },
		"link to a device": func() error { return os.Symlink("/dev/zero", checkpoint) },
		"folder":           func() error { return os.Mkdir(checkpoint, 0o700) },
	} {
		if err := errors.Join(os.Remove(checkpoint), put()); err != nil {
			t.Fatal(err)
		}
		if out := w.look("file://" + w.path("log")); out.exit != exitFailure || !out.named("unreadable") {
			t.Errorf("%s: exit %d, %v", name, out.exit, out.findings)
		}
	}
}

// socks is a SOCKS5 proxy (RFC 1928) for one log: it notes the names that it is
// asked for and connects to the log whatever the name.
type socks struct {
	net.Listener
	to    string
	names chan string
}

func newSOCKS(t *testing.T, to string) *socks {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socks{l, to, make(chan string, 100)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *socks) serve(c net.Conn) error {
	defer c.Close()
	r := bufio.NewReader(c)
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, r, int64(head[1])); err != nil {
		return err
	}
	c.Write([]byte{5, 0})
	request := make([]byte, 5) // version, connect, reserved, type, length of the name
	if _, err := io.ReadFull(r, request); err != nil {
		return err
	}
	if request[3] != 3 {
		s.names <- fmt.Sprintf("address type %d", request[3])
		return errors.New("not a name")
	}
	rest := make([]byte, int(request[4])+2)
	if _, err := io.ReadFull(r, rest); err != nil {
		return err
	}
	name, port := rest[:len(rest)-2], binary.BigEndian.Uint16(rest[len(rest)-2:])
	s.names <- fmt.Sprintf("%s:%d", name, port)
	up, err := net.Dial("tcp", s.to)
	if err != nil {
		return err
	}
	defer up.Close()
	c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go io.Copy(up, r)
	_, err = io.Copy(c, up)
	return err
}

// TestThroughTor: the proxy gets the name and looks it up; nothing goes round it.
func TestThroughTor(t *testing.T) {
	w, url := hostile(t, func(http.ResponseWriter, *http.Request) bool { return false })
	proxy := newSOCKS(t, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/log/"))
	const onion = "http://resguardoresguardoresguardoresguardoresguardoresguardore.onion/log"
	if out := w.look(onion, "-socks", proxy.Addr().String()); out.exit != exitOK {
		t.Fatalf("exit %d, %v", out.exit, out.findings)
	}
	if name := <-proxy.names; name != "resguardoresguardoresguardoresguardoresguardoresguardore.onion:80" {
		t.Errorf("the proxy was asked for %q", name)
	}
	proxy.Close()
	out := w.look(onion, "-socks", proxy.Addr().String())
	if out.exit != exitFailure || !strings.Contains(out.stdout, "nothing listens at "+proxy.Addr().String()) {
		t.Errorf("without the proxy: exit %d, %s", out.exit, out.stdout)
	}
	if out := w.look(onion); out.exit != exitUsage {
		t.Errorf("without -socks: exit %d", out.exit)
	}
	if out := w.look(strings.ToUpper(onion), "-socks", ""); out.exit != exitUsage {
		t.Errorf("in capitals without -socks: exit %d", out.exit)
	}
}

// TestUnreadablePolicies are refused before anything is read from the log.
func TestUnreadablePolicies(t *testing.T) {
	f := newForge()
	for name, text := range map[string]string{
		"empty":           "",
		"no quorum":       "log " + f.log.vkey + "\n",
		"no log":          "quorum none\n",
		"two logs":        "log " + f.log.vkey + "\nlog " + newKey("b.example", "b").vkey + "\nquorum none\n",
		"witness twice":   strings.Replace(f.policy(2), "group", "witness again "+f.witnesses[0].String()+"\ngroup", 1),
		"spaces unseen":   f.policy(2) + "\u00a0\n",
		"damaged key":     strings.Replace(f.policy(2), "log ", "log x", 1),
		"larger than any": strings.Repeat("# comment\n", 10_000) + f.policy(2),
	} {
		path := filepath.Join(t.TempDir(), "policy")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := call(t, time.Now(), "", "verify", "-url", "file:///nowhere", "-policy", path); out.exit != exitFailure || !strings.Contains(out.stderr, "policy") {
			t.Errorf("%s: exit %d, %s", name, out.exit, out.stderr)
		}
	}
}

// TestPolicyOfWindows: an editor there ends lines in another way.
func TestPolicyOfWindows(t *testing.T) {
	f := newForge()
	p, err := parsePolicy([]byte(strings.ReplaceAll("# from the operator\n\n"+f.policy(2), "\n", "\r\n")))
	if err != nil || !samePolicy(p.text, f.policy(2)) || p.vkey != f.log.vkey {
		t.Error(err)
	}
}

// FuzzParsePolicy: what we read of a policy is what torchwood reads.
func FuzzParsePolicy(f *testing.F) {
	forge := newForge()
	f.Add([]byte(forge.policy(0)))
	f.Add([]byte(forge.policy(3)))
	f.Add([]byte("log\tx # y\nquorum none"))
	f.Add([]byte("\v"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePolicy(text)
		if err != nil {
			return
		}
		if v, err := p.Verifier(p.log.Name(), p.log.KeyHash()); err != nil || v.KeyHash() != p.log.KeyHash() {
			t.Errorf("the log's key is not torchwood's: %v", err)
		}
		for _, w := range p.witnesses {
			if _, err := p.Verifier(w.Name(), w.KeyHash()); err == nil && !p.quorum {
				t.Error("a witness although none is asked for")
			}
		}
		if !samePolicy(p.text, string(text)) {
			t.Error("a policy differs from itself")
		}
	})
}

// FuzzOpenCheckpoint: whatever a server sends as checkpoint, it is refused with a
// finding, or it says what the log's key has signed.
func FuzzOpenCheckpoint(f *testing.F) {
	forge := newForge()
	forge.begin()
	forge.cosign(2, forge.due())
	signed := forge.files()["checkpoint"]
	f.Add(signed)
	f.Add([]byte("a\n1\nAAAA\n\n— a AAAA\n"))
	p := must(parsePolicy([]byte(forge.policy(2))))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := p.openCheckpoint(b)
		var found *finding
		switch {
		case err != nil && !errors.As(err, &found):
			t.Errorf("not a finding: %v", err)
		case err == nil && !strings.HasPrefix(string(signed), c.String()):
			t.Errorf("accepted %q", b)
		}
	})
}
