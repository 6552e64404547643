package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestStopIsNoFault: a server that is told to end before its first look, with an
// epoch to close and a checkpoint to publish, logs no error and does both later.
func TestStopIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, nil)
		s.check(s.open())
		s.check(s.ticker.start(t.Context()))
		time.Sleep(testEpoch)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.check(s.ticker.run(ctx))
		if s.logs.String() != "" {
			t.Errorf("logged:\n%s", &s.logs)
		}
		ctx, cancel = context.WithCancel(t.Context())
		closed, err := s.ticker.close(ctx, s.first+1)
		s.check(err)
		if cancel(); !closed {
			t.Fatal("the epoch was not closed")
		}
		s.ticker.publish(ctx)
		if logs := s.logs.String(); strings.Contains(logs, "ERROR") || strings.Contains(logs, "WARN") {
			t.Errorf("logged:\n%s", logs)
		}
		stop := s.run()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		s.wants("", "+0")
		s.check(stop())
	})
}
