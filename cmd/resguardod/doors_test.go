package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestServerLogIsCountedAndDropped: http.Server logs addresses of visitors.
func TestServerLogIsCountedAndDropped(t *testing.T) {
	var d doors
	l := listen(t)
	d.add(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("logged by http.Server") }))
	d.serve()
	if resp, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Errorf("answered %s", resp.Status)
	}
	d.close(time.Second)
	if n := d.dropped.Load(); n == 0 {
		t.Error("no line was dropped")
	}
}

// TestHugeHeadersAreRefused: 431, in constant words.
func TestHugeHeadersAreRefused(t *testing.T) {
	var d doors
	l := listen(t)
	d.add(l, http.NotFoundHandler())
	d.serve()
	defer d.close(0)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 431 ") {
		t.Errorf("got %q %v", line, err)
	}
}

// pipes is a listener whose connections are made by the test.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowHeadersAreCutOff: a visitor who sends a header byte by byte holds a
// connection for 10 seconds at most.
func TestSlowHeadersAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doors
		p := make(pipes)
		d.add(p, http.NotFoundHandler())
		d.serve()
		server, client := net.Pipe()
		p <- server
		begin := time.Now()
		var sender sync.WaitGroup
		sender.Go(func() {
			for {
				if _, err := io.WriteString(client, "G"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		io.Copy(io.Discard, client)
		sender.Wait()
		if took := time.Since(begin); took > 11*time.Second {
			t.Errorf("cut off after %v", took)
		}
		client.Close()
		close(p)
		d.close(0)
	})
}

// TestCloseCutsOffSlowHandlers: what takes longer than the grace is cut off,
// and its handler sees that.
func TestCloseCutsOffSlowHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doors
		p := make(pipes)
		ended := make(chan error, 1)
		d.add(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			ended <- err
		}))
		d.serve()
		server, client := net.Pipe()
		p <- server
		io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf ")
		synctest.Wait() // the handler waits for the other half
		begin := time.Now()
		close(p)
		d.close(3 * time.Second)
		if took := time.Since(begin); took < 3*time.Second || took > 7*time.Second {
			t.Errorf("closed after %v", took)
		}
		if err := <-ended; err == nil {
			t.Error("the handler did not notice")
		}
		client.Close()
	})
}
