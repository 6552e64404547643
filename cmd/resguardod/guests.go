package main

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxConns = 1024            // connections at once, of all doors
	restAt   = 2 * time.Second // how long nobody is served before memory is given back
	restMost = time.Minute     // after which it is given back under load too
)

// guests are the connections of all doors. Those in which no request is being
// answered wait; when there are too many connections, the one that has waited
// longest is cut off. So connections that send nothing, or a header byte by byte,
// keep nobody out.
type guests struct {
	mu    sync.Mutex
	max   int
	since map[net.Conn]int64 // by waiting connections: a number that rises; atWork for others
	last  int64              // of these numbers

	working int // handlers
	resting bool
	rested  time.Time
}

// newGuests takes half of the files that the process may open for connections:
// a connection must never take the last one from the vault.
func newGuests() *guests {
	n := maxConns
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur/2 < maxConns {
		n = int(files.Cur / 2)
	}
	return &guests{max: n, since: map[net.Conn]int64{}, rested: time.Now()}
}

// state is for http.Server.ConnState.
func (g *guests) state(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		g.arrive(c)
	case http.StateClosed:
		g.mu.Lock()
		delete(g.since, c)
		g.mu.Unlock()
	}
}

// arrive lets a connection in. If all others are at work, it is cut off itself.
func (g *guests) arrive(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wait(c)
	for len(g.since) > g.max {
		longest := c
		for other, since := range g.since {
			if since != atWork && since < g.since[longest] {
				longest = other
			}
		}
		delete(g.since, longest)
		longest.Close()
	}
}

func (g *guests) wait(c net.Conn) {
	g.last++
	g.since[c] = g.last
}

// atWork stands in guests.since for a connection in which a request is being answered.
const atWork = 0

type connKey struct{}

// remember is for http.Server.ConnContext.
func remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// serve answers one request.
func (g *guests) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	g.begin(c)
	defer g.end(c)
	if r.Method == http.MethodPost {
		w.Header().Set("Connection", "close") // its buffers still hold what was sent
		wipeStack()                           // grows the stack now: a smaller one would be left behind with what is in it
		defer wipeStack()
	}
	h.ServeHTTP(w, r)
}

// wipeStack clears the part of the stack that the handler has used, or will use.
//
//go:noinline
func wipeStack() {
	var used [48 << 10]byte
	clear(used[:])
	runtime.KeepAlive(&used)
}

func (g *guests) begin(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.since[c]; !ok {
		panic(http.ErrAbortHandler) // cut off
	}
	g.since[c] = atWork
	g.working++
}

func (g *guests) end(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.working--
	if _, ok := g.since[c]; ok {
		g.wait(c)
	}
	if !g.resting {
		g.resting = true
		time.AfterFunc(restAt, g.rest)
	}
}

// rest gives memory back to the kernel, which clears it: texts and keys of
// requests that are done. The second collection takes what pools have kept
// through the first.
func (g *guests) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.working > 0 && time.Since(g.rested) < restMost {
		time.AfterFunc(restAt, g.rest)
		return
	}
	g.resting, g.rested = false, time.Now()
	go func() {
		runtime.GC()
		debug.FreeOSMemory()
	}()
}
