package onion

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/proxy"
)

// TestClientSocket: with a socket for it, our own tor is a client too, and still
// opens no TCP port.
func TestClientSocket(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.SocksSocket = filepath.Join(c.Dir, "socks")
	o := open(t, c)
	info, err := os.Stat(c.SocksSocket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("client socket: %v, %v", info, err)
	}
	if ports := listening(t, o.run.proc.Pid()); len(ports) > 0 {
		t.Errorf("tor listens on TCP: %q", ports)
	}
	dialer, err := proxy.SOCKS5("unix", c.SocksSocket, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{DialContext: dialer.(proxy.ContextDialer).DialContext, DisableKeepAlives: true},
	}
	resp, err := client.Get("http://" + o.Health().Source.Address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "circuit ") {
		t.Errorf("%q, %v", body, err)
	}
}
