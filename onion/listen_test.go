package onion

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

const line = "PROXY TCP6 fc00:dead:beef:4dad::1:2e ::1 46 80\r\n"

// serve answers on a ListenSource socket what handler answers, and returns the
// socket's path.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenSource(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handler, ConnContext: ConnContext}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

func dialUnix(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOnlyTorsLineIsServed(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id, ok := Circuit(r.Context())
		fmt.Fprint(w, "circuit ", id, ok, r.RemoteAddr)
	})
	const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for name, tc := range map[string]struct{ first, want string }{
		"tor's":           {line, "circuit 65582 true@"},
		"none":            {"", ""},
		"IPv4":            {"PROXY TCP4 127.0.0.1 127.0.0.1 46 80\r\n", ""},
		"another address": {"PROXY TCP6 2001:db8::1:2e ::1 46 80\r\n", ""},
		"unknown":         {"PROXY UNKNOWN\r\n", ""},
		"version 2":       {"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24\xfc\x00\xde\xad\xbe\xef\x4d\xad" + strings.Repeat("\x00", 28), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialUnix(t, path)
			io.WriteString(c, tc.first+request)
			answer, _ := io.ReadAll(c)
			_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			if got := strings.TrimSpace(string(body)); got != tc.want {
				t.Errorf("%q; want %q", got, tc.want)
			}
		})
	}
}

func TestSilentConnectionBlocksNobody(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	dialUnix(t, path)
	c := dialUnix(t, path)
	// A silent connection is cut off after 10 s; nobody is to wait for that.
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, line+"GET / HTTP/1.0\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.0 200")) {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestListenTakesOverOnlyDeadSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, err := Listen(path, 0o660); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("beside a live socket: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	l.Close()
	if l, err = Listen(path, 0o600); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 0o600); err == nil {
		t.Error("a file was taken for a socket")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file became %q, %v", b, err)
	}
}

func TestCircuitOfAnotherListener(t *testing.T) {
	if id, ok := Circuit(context.Background()); id != 0 || ok {
		t.Errorf("%d, %v", id, ok)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if id, ok := Circuit(ConnContext(context.Background(), a)); id != 0 || ok {
		t.Errorf("%d, %v", id, ok)
	}
}

// FuzzCircuit: what is taken for a circuit's number is the number of a line
// that tor could have written.
func FuzzCircuit(f *testing.F) {
	f.Add([]byte(line))
	f.Add([]byte("PROXY TCP6 fc00:dead:beef:4dad:0:0:ffff:ffff ::1 65535 80\r\nGET /"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
		if errors.Is(err, proxyproto.ErrNoProxyProtocol) {
			return
		}
		id, ok := circuitOf(h)
		if !ok {
			return
		}
		again := fmt.Sprintf("PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d 80\r\n", id>>16, id&0xffff, id&0xffff)
		h, err = proxyproto.Read(bufio.NewReader(strings.NewReader(again)))
		if err != nil {
			t.Fatal(err)
		}
		if back, ok := circuitOf(h); !ok || back != id {
			t.Errorf("%x became %x, %v", id, back, ok)
		}
	})
}
