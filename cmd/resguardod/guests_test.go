package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLongestWaitingIsCutOff: when there are too many connections, the one that
// has waited longest goes, never one whose request is being answered, and who
// comes when all are at work is turned away.
func TestLongestWaitingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doors
		d.open()
		d.guests.max = 3
		p := make(pipes)
		hold := make(chan struct{})
		d.add(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" {
				<-hold
			}
		}))
		d.serve()
		var clients []net.Conn
		come := func() net.Conn {
			server, client := net.Pipe()
			p <- server
			synctest.Wait()
			clients = append(clients, client)
			return client
		}
		ask := func(c net.Conn, path string) {
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			synctest.Wait()
		}
		cut := func(c net.Conn) bool {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := c.Read(make([]byte, 1))
			return err == io.EOF
		}
		busy, silent, header := come(), come(), come()
		ask(busy, "/hold")
		io.WriteString(header, "GET / HTTP/1.1\r\nHost:")
		next := come()
		if !cut(silent) || cut(busy) || cut(header) || cut(next) {
			t.Error("not the silent connection was cut off")
		}
		last := come()
		if !cut(header) || cut(busy) || cut(next) {
			t.Error("not the connection with half a header was cut off")
		}
		ask(next, "/hold")
		ask(last, "/hold")
		if !cut(come()) || cut(busy) {
			t.Error("with all others at work, the new connection was not turned away")
		}
		close(hold)
		busy.SetReadDeadline(time.Time{})
		if line, err := bufio.NewReader(busy).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200") {
			t.Errorf("what was at work was answered %q, %v", line, err)
		}
		for _, c := range clients {
			c.Close()
		}
		close(p)
		d.close(0)
	})
}

// TestPostEndsItsConnection: the buffers of a connection hold the end of what was
// sent, so it does not wait for more.
func TestPostEndsItsConnection(t *testing.T) {
	var d doors
	l := listen(t)
	d.add(l, http.NotFoundHandler())
	d.serve()
	defer d.close(0)
	for method, want := range map[string]bool{http.MethodGet: false, http.MethodPost: true} {
		req, err := http.NewRequest(method, "http://"+l.Addr().String(), strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Close != want {
			t.Errorf("%s: the connection ends: %v", method, resp.Close)
		}
	}
}
