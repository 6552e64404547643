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
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// An address of a v3 onion service that nobody has.
const onion = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp3kead.onion"

func TestParseServer(t *testing.T) {
	const version2 = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp3keac.onion"
	for _, test := range []struct{ server, url, onion, fails string }{
		{"http://127.0.0.1:8081", "http://127.0.0.1:8081", "", ""},
		{"http://127.0.0.1:8081/", "http://127.0.0.1:8081", "", ""},
		{"http://[::1]:8081", "http://[::1]:8081", "", ""},
		{"http://127.0.0.1:80", "http://127.0.0.1", "", ""},
		{"HTTP://" + strings.ToUpper(onion), "http://" + onion, onion, ""},
		{"http://" + onion + ":8080", "http://" + onion + ":8080", onion, ""},
		{"http://localhost:8081", "", "", "open network"}, // a name could be looked up
		{"http://192.168.1.5", "", "", "open network"},
		{"http://reports.example", "", "", "open network"},
		{"http://" + onion + ".example", "", "", "open network"},
		{"http://127.0.0.1.evil.example", "", "", "open network"},
		{"http://[::1%25eth0]:8081", "", "", "open network"},
		{"http://expyuzz4wqqyqhjn.onion", "", "", "no onion address"}, // v2
		{"http://" + version2, "", "", "no onion address"},
		{"http://b" + onion[1:], "", "", "no onion address"}, // a wrong character
		{"http://www." + onion, "", "", "no onion address"},
		{"http://.onion", "", "", "no onion address"},
		{"https://" + onion, "", "", "not the address"},
		{onion, "", "", "not the address"},
		{"http://user:pass@" + onion, "", "", "not the address"},
		{"http://" + onion + "/v1", "", "", "not the address"},
		{"http://" + onion + "?x", "", "", "not the address"},
		{"http://" + onion + ":0", "", "", "not the address"},
		{"http://" + onion + ":", "", "", "not the address"},
		{"http://ñ.onion", "", "", "not the address"},
		{"", "", "", "not the address"},
	} {
		s, err := ParseServer(test.server)
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: %v, want %q", test.server, err, test.fails)
			}
			continue
		}
		if err != nil || s.URL() != test.url || s.Onion() != test.onion {
			t.Errorf("%s: %+v, %v", test.server, s, err)
		}
	}
}

func mustParse(t *testing.T, server string) Server {
	t.Helper()
	s, err := ParseServer(server)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An onion name goes to tor as a name, and nothing goes anywhere else.
func TestOnionGoesThroughTor(t *testing.T) {
	hosts := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host
		io.WriteString(w, `{"items":[]}`)
	}))
	defer srv.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not be obeyed
	asked := make(chan string, 1)
	c := New(mustParse(t, "http://"+onion), func(ctx context.Context, network, address string) (net.Conn, error) {
		asked <- address
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	})
	defer c.Close()
	if _, err := c.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != onion+":80" {
		t.Errorf("tor was asked for %s", got)
	}
	if got := <-hosts; got != onion {
		t.Errorf("Host %s", got)
	}
}

// When tor fails there is no other way, and its words are told.
func TestNoWayRoundTor(t *testing.T) {
	told := &say.Error{What: say.T("%s", "tor is down"), Err: ErrUnreachable}
	c := New(mustParse(t, "http://"+onion), func(context.Context, string, string) (net.Conn, error) { return nil, told })
	if _, err := c.Items(t.Context()); err != told {
		t.Errorf("error %v", err)
	}
	c = New(mustParse(t, "http://"+onion), func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF })
	if _, err := c.Items(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
	dial := c.http.Transport.(*http.Transport).DialContext
	if _, err := dial(t.Context(), "tcp", "127.0.0.1:8081"); err == nil || !strings.Contains(err.Error(), "refused to dial") {
		t.Errorf("dialled past tor: %v", err)
	}
}

// A tor that never answers is given up.
func TestDialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		dial := only(onion, func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if _, err := dial(t.Context(), "tcp", onion+":80"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != dialWait {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// What is taken for a server is one of the two kinds, and stays the same when it
// is read again from its URL.
func FuzzParseServer(f *testing.F) {
	f.Add("http://" + onion)
	f.Add("http://127.0.0.1:8081")
	f.Fuzz(func(t *testing.T, server string) {
		s, err := ParseServer(server)
		if err != nil {
			return
		}
		again, err := ParseServer(s.URL())
		if err != nil || again != s {
			t.Errorf("%q: %+v, then %+v, %v", server, s, again, err)
		}
		if (s.Onion() == "") == strings.Contains(s.URL(), ".onion") {
			t.Errorf("%q: %+v", server, s)
		}
	})
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
	f.Add([]byte(`{"cases":[{"case":"aaaaaaaaaaaaaaaa","desks":["norte"],"next":1,"last_day":"2026-11-21","ends_day":"2027-11-21","gone":[]}]}`))
	f.Add([]byte(`{"session":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := parseChallenge(b); ok && (!card.ValidOrigin(c.Origin) || !card.ValidNonce(c.Nonce)) {
			t.Errorf("challenge %+v", c)
		}
		if s, ok := parseSession(b); ok && (len(s.Session) != 43 || strings.ContainsAny(s.Session, " \r\n") || slices.ContainsFunc(s.Desks, func(d string) bool { return !card.ValidDesk(d) })) {
			t.Errorf("session %+v", s)
		}
		if cases, what := parseCases(b); what.IsZero() {
			for _, c := range cases {
				if err := c.Check(); err != nil {
					t.Errorf("case %+v: %v", c, err)
				}
			}
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
