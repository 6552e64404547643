package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"resguardo/crypto/card"
)

func TestNew(t *testing.T) {
	const onion = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion"
	for _, test := range []struct{ server, socks, url, fails string }{
		{"http://127.0.0.1:8081", "", "http://127.0.0.1:8081", ""},
		{"http://127.0.0.1:8081/", "", "http://127.0.0.1:8081", ""},
		{"http://[::1]:8081", "", "http://[::1]:8081", ""},
		{"http://127.0.0.1:80", "", "http://127.0.0.1", ""},
		{"HTTP://" + strings.ToUpper(onion), "127.0.0.1:9050", "http://" + onion, ""},
		{"http://" + onion, "localhost:9150", "http://" + onion, ""},
		{"http://" + onion, "[::1]:9150", "http://" + onion, ""},
		{"http://" + onion, "", "", "through Tor only"},
		{"http://localhost:8081", "", "", "through Tor only"}, // a name could be looked up
		{"http://192.168.1.5", "", "", "through Tor only"},
		{"http://127.0.0.1.evil.example", "", "", "through Tor only"},
		{"http://[::1%25eth0]:8081", "", "", "through Tor only"},
		{"https://" + onion, "127.0.0.1:9050", "", "not the address"},
		{onion, "127.0.0.1:9050", "", "not the address"},
		{"http://user:pass@" + onion, "127.0.0.1:9050", "", "not the address"},
		{"http://" + onion + "/v1", "127.0.0.1:9050", "", "not the address"},
		{"http://" + onion + "?x", "127.0.0.1:9050", "", "not the address"},
		{"http://" + onion + ":0", "127.0.0.1:9050", "", "not the address"},
		{"http://" + onion + ":", "127.0.0.1:9050", "", "not the address"},
		{"http://ñ.onion", "127.0.0.1:9050", "", "not the address"},
		{"", "", "", "not the address"},
		{"http://" + onion, "proxy.example:9050", "", "is not IP:PORT"},
		{"http://" + onion, "127.0.0.1", "", "is not IP:PORT"},
		{"http://" + onion, "127.0.0.1:x", "", "is not IP:PORT"},
	} {
		c, err := New(test.server, test.socks)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s by %q: %v, want %q", test.server, test.socks, err, test.fails)
			}
			continue
		}
		if err != nil || c.URL() != test.url {
			t.Errorf("%s by %q: %+v, %v", test.server, test.socks, c, err)
		}
	}
}

// proxy is a SOCKS5 proxy (RFC 1928) that notes what it is asked for and hands
// every connection to one server.
type proxy struct {
	net.Listener
	asked chan string
	to    string
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &proxy{l, make(chan string, 1), to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	head := make([]byte, 3+5)
	if _, err := io.ReadFull(c, head[:3]); err != nil { // version, one method, none
		return
	}
	c.Write([]byte{5, 0})
	if _, err := io.ReadFull(c, head[:5]); err != nil { // version, connect, 0, type, length
		return
	}
	name := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(c, name); err != nil {
		return
	}
	p.asked <- fmt.Sprintf("type %d %s:%d", head[3], name[:len(name)-2], int(name[len(name)-2])<<8|int(name[len(name)-1]))
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer up.Close()
	c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go io.Copy(up, c)
	io.Copy(c, up)
}

// An onion name goes to the proxy as a name, and nothing goes anywhere else.
func TestOnionGoesThroughProxy(t *testing.T) {
	hosts := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host
		io.WriteString(w, `{"items":[]}`)
	}))
	defer srv.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not be obeyed
	p := newProxy(t, srv.Listener.Addr().String())
	c, err := New("http://expyuzz4wqqyqhjn.onion", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-p.asked; got != "type 3 expyuzz4wqqyqhjn.onion:80" {
		t.Errorf("the proxy was asked for %s", got)
	}
	if got := <-hosts; got != "expyuzz4wqqyqhjn.onion" {
		t.Errorf("Host %s", got)
	}
}

// When the proxy is away there is no other way.
func TestNoWayRoundTheProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New("http://expyuzz4wqqyqhjn.onion", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := c.Items(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
	dial := c.http.Transport.(*http.Transport).DialContext
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:8081"); err == nil || !strings.Contains(err.Error(), "refused to dial") {
		t.Errorf("dialled past the proxy: %v", err)
	}
}

// The client gives up on a server that stops in the middle of an answer.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := time.Now()
		r, w := io.Pipe()
		context.AfterFunc(ctx, func() { w.CloseWithError(context.Canceled) })
		go w.Write([]byte("hello"))
		b, err := io.ReadAll(newWatched(r, cancel))
		if string(b) != "hello" || !errors.Is(err, errStalled) || time.Since(begin) != stallWait {
			t.Errorf("%q, %v after %s", b, err, time.Since(begin))
		}
		c := &Client{url: "http://x"}
		if err := c.unreachable(err); !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v", err)
		}
	})
}

// A slow server that never stops is waited for.
func TestSlowIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for range 10 {
				time.Sleep(stallWait - 1)
				w.Write([]byte("x"))
			}
			w.Close()
		}()
		b, err := io.ReadAll(newWatched(r, func() {}))
		if len(b) != 10 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
}

var good = card.Item{
	ID: strings.Repeat("1", 32), Case: "aaaaaaaaaaaaaaaa", Kind: "report", Day: "2026-11-21",
	Desks: []string{"norte"}, Size: 1, SHA256: strings.Repeat("0", 64),
}

// Whatever a list holds, every item that is let through passes its check, has an
// id and a place of its own, and says the same again.
func FuzzItems(f *testing.F) {
	b, err := json.Marshal(card.Items{Items: []card.Item{good}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"items":[{"id":"../x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, what := parseItems(b)
		if !what.IsZero() {
			if items != nil {
				t.Error("items of a refused list")
			}
			return
		}
		ids, places := map[string]bool{}, map[string]bool{}
		for _, i := range items {
			place := fmt.Sprint(i.Case, i.Number)
			if i.Check() != nil || ids[i.ID] || places[place] || strings.ContainsAny(i.ID+i.Case+i.Kind, "/.\\\x00") {
				t.Errorf("item %+v", i)
			}
			ids[i.ID], places[place] = true, true
		}
		again, err := json.Marshal(card.Items{Items: items})
		if err != nil {
			t.Fatal(err)
		}
		if _, what := parseItems(again); !what.IsZero() {
			t.Errorf("refused when sent again: %s", what)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"origin":"norte-0a1b2c3d","nonce":"AAECAwQFBgcICQoLDA0ODw"}`))
	f.Add([]byte(`{"session":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := parseChallenge(b); ok && (!card.ValidOrigin(c.Origin) || !card.ValidNonce(c.Nonce)) {
			t.Errorf("challenge %+v", c)
		}
		if s, ok := parseSession(b); ok && (len(s) != 43 || strings.ContainsAny(s, " \r\n")) {
			t.Errorf("session %q", s)
		}
	})
}

// Every byte that the server sends is counted: a body that goes on after its
// size never reaches the reader.
func FuzzBody(f *testing.F) {
	f.Add([]byte("hello"), 5, 2)
	f.Add([]byte("hello"), 4, 5)
	f.Fuzz(func(t *testing.T, sent []byte, size, piece int) {
		if size < 0 || piece < 1 {
			return
		}
		d := &item{client: &Client{url: "http://x"}, watched: &pieces{sent, piece}, left: int64(size)}
		got, err := io.ReadAll(d)
		if len(got) > size || !bytes.HasPrefix(sent, got) {
			t.Errorf("%d bytes of %d", len(got), size)
		}
		if ok := len(sent) == size; ok != (err == nil) || ok && len(got) != size {
			t.Errorf("sent %d of %d: %v", len(sent), size, err)
		}
	})
}

type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}
