package cmd_test

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line lies between a browser and its SOCKS port, and can be made slow. It sees the
// pages in clear, as the browser does.
type line struct {
	net.Listener
	to      string
	delay   atomic.Int64 // of every byte, in each direction
	strict  atomic.Bool  // "Referrer-Policy: no-referrer" comes to the browser for ours
	answers atomic.Int64 // HTTP answers that have come to the browser

	mu    sync.Mutex
	posts []string // headers of the POST requests
}

// newLine makes a line to the SOCKS port at address to.
func newLine(t testing.TB, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{Listener: listener, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			browser, err := l.Accept()
			if err != nil {
				return
			}
			go l.join(browser.(*net.TCPConn))
		}
	}()
	return l
}

func (l *line) join(browser *net.TCPConn) {
	defer browser.Close()
	c, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer c.Close()
	tor := c.(*net.TCPConn)
	var both sync.WaitGroup
	both.Go(func() { l.carry(tor, browser, l.up) })
	both.Go(func() { l.carry(browser, tor, l.down) })
	both.Wait()
}

// carry copies from one end to the other, each piece after the delay. What see
// returns of the bytes so far goes on; it keeps the rest until more come.
func (l *line) carry(to, from *net.TCPConn, see func(b []byte, last bool) (on, kept []byte)) {
	type piece struct {
		b   []byte
		due time.Time
	}
	pieces := make(chan piece, 1<<12)
	go func() {
		defer close(pieces)
		var kept []byte
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			var on []byte
			on, kept = see(append(kept, b[:n]...), err != nil)
			if len(on) > 0 {
				pieces <- piece{bytes.Clone(on), time.Now().Add(time.Duration(l.delay.Load()))}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if to == nil {
			continue
		}
		if bytes.HasPrefix(p.b, []byte("HTTP/1.")) {
			l.answers.Add(1)
		}
		if _, err := to.Write(p.b); err != nil {
			from.Close() // and read on to its end
			to = nil
		}
	}
	if to != nil {
		to.CloseWrite()
	}
}

// up notes the header of each POST. A browser writes it in one piece.
func (l *line) up(b []byte, last bool) (on, kept []byte) {
	if header, _, ok := bytes.Cut(b, []byte("\r\n\r\n")); ok && bytes.HasPrefix(b, []byte("POST ")) {
		l.mu.Lock()
		l.posts = append(l.posts, string(header))
		l.mu.Unlock()
	}
	return b, nil
}

// down puts the strict policy in the place of ours.
func (l *line) down(b []byte, last bool) (on, kept []byte) {
	const ours, strict = "Referrer-Policy: same-origin", "Referrer-Policy: no-referrer"
	if !l.strict.Load() {
		return b, nil
	}
	b = bytes.ReplaceAll(b, []byte(ours), []byte(strict))
	for n := len(ours) - 1; n > 0 && !last; n-- {
		if bytes.HasSuffix(b, []byte(ours[:n])) {
			return b[:len(b)-n], b[len(b)-n:]
		}
	}
	return b, nil
}

// lastPost is the header of the last POST request.
func (l *line) lastPost() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.posts) == 0 {
		return ""
	}
	return l.posts[len(l.posts)-1]
}

// countPosts counts the POST requests to a path.
func (l *line) countPosts(path string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.posts {
		if strings.HasPrefix(p, "POST "+path+" ") {
			n++
		}
	}
	return n
}
