package main

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// hold lets some requests that change a case through and keeps the next ones
// waiting, so that the program can be killed between two of them.
type hold struct {
	left    atomic.Int64
	arrived chan struct{} // gets one value for each that waits
	over    chan struct{} // closed at the end
}

func (h *hold) serve(api http.Handler, w http.ResponseWriter, r *http.Request) {
	if h.left.Add(-1) >= 0 {
		api.ServeHTTP(w, r)
		return
	}
	select {
	case h.arrived <- struct{}{}:
	case <-h.over:
	}
	<-h.over
	panic(http.ErrAbortHandler)
}

// holdAfter is "hold N": the server answers N requests that change a case, and none
// after them until "held off".
func (h *house) holdAfter(_ *testscript.TestScript, args []string) error {
	n, err := strconv.Atoi(args[0])
	next := &hold{arrived: make(chan struct{}), over: make(chan struct{})}
	next.left.Store(int64(n))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = next
	return err
}

// held is "held", which waits for a request that is held, or "held off".
func (h *house) held(_ *testscript.TestScript, args []string) error {
	h.mu.Lock()
	now := h.hold
	if len(args) > 0 {
		h.hold = nil
		close(now.over)
	}
	h.mu.Unlock()
	if len(args) == 0 {
		<-now.arrived
	}
	return nil
}
