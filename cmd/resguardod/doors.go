package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/onion"
)

// doors are the HTTP servers of the process.
type doors struct {
	all     []door
	busy    sync.WaitGroup // handlers at work
	guests  *guests        // nil until the first door
	dropped atomic.Int64   // lines that http.Server wanted to log
}

type door struct {
	listener net.Listener
	server   *http.Server
}

// add makes a server for a listener. Slow senders of headers are cut off; the
// pace of bodies is the handler's business.
func (d *doors) add(l net.Listener, h http.Handler) {
	d.open()
	d.all = append(d.all, door{l, &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d.busy.Add(1)
			defer d.busy.Done()
			d.guests.serve(h, w, r)
		}),
		ReadHeaderTimeout:            10 * time.Second,
		IdleTimeout:                  30 * time.Second, // a connection keeps the last bytes that it read
		ConnState:                    d.guests.state,
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return remember(onion.ConnContext(ctx, c), c) },
		MaxHeaderBytes:               16 << 10,
		ErrorLog:                     log.New(&drop{&d.dropped}, "", 0),
		DisableGeneralOptionsHandler: true, // no answer without our headers
	}})
}

// open makes room for connections, once.
func (d *doors) open() {
	if d.guests == nil {
		d.guests = newGuests()
	}
}

// forms is how many forms the pages shall answer at once: with those that wait
// they leave connections for whoever comes next.
func (d *doors) forms() int {
	d.open()
	return d.guests.max * 3 / 16
}

// drop counts lines and forgets them: http.Server logs addresses and bits of
// requests, each at its time.
type drop struct{ n *atomic.Int64 }

func (d *drop) Write(p []byte) (int, error) {
	d.n.Add(1)
	return len(p), nil
}

// serve starts all doors. The channel gets the error of each that breaks.
func (d *doors) serve() <-chan error {
	failed := make(chan error, len(d.all))
	for _, door := range d.all {
		go func() {
			if err := door.server.Serve(door.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	return failed
}

// close stops listening at once, lets requests finish for up to grace, then
// cuts the rest off and waits up to 3 seconds for their handlers to clean up.
// Uploads that are cut off leave nothing behind.
func (d *doors) close(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var all sync.WaitGroup
	for _, door := range d.all {
		all.Go(func() {
			if door.server.Shutdown(ctx) != nil {
				door.server.Close()
			}
			door.listener.Close() // Shutdown knows it only once Serve has begun
		})
	}
	all.Wait()
	idle := make(chan struct{})
	go func() { d.busy.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-time.After(3 * time.Second):
	}
}

func listenTCP(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, say.Fail(say.T("cannot listen on %s: %s", addr, say.Bare(err)), say.T("end the program that uses the port, or choose another port"))
	}
	return l, nil
}

// hosts are the Host values by which a browser on this machine reaches l.
func hosts(l net.Listener) []string {
	own := l.Addr().String()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	h := []string{own, "localhost:" + port}
	if port == "80" {
		h = append(h, strings.TrimSuffix(own, ":80"), "localhost")
	}
	return h
}
