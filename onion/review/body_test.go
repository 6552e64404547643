package review

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A body that brings less than the rate in a minute of waiting is ended, however
// it spreads its bytes; one that keeps the rate is waited for.
func TestSlowBodyEnds(t *testing.T) {
	for name, test := range map[string]struct {
		bytes int
		every time.Duration
		ends  time.Duration // 0 = it does not
	}{
		"silent":             {0, time.Hour, time.Minute},
		"a byte at a time":   {1, time.Second, time.Minute},
		"just too slow":      {99, time.Second, time.Minute},
		"as fast as it must": {102, time.Second, 0},
		"in bursts":          {5900, 59 * time.Second, time.Minute},
		"in larger bursts":   {6000, 59 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				begin := time.Now()
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					defer theirs.Close()
					for time.Since(begin) < 10*time.Minute {
						time.Sleep(test.every)
						if _, err := theirs.Write(make([]byte, test.bytes)); err != nil {
							return
						}
					}
				}()
				b := &body{src: ours, deadline: ours.SetReadDeadline, allowed: func() bool { return true },
					room: 1 << 30, window: 100 * 60, left: rateWindow}
				_, err := io.Copy(io.Discard, b)
				after := time.Since(begin)
				ours.Close()
				<-ended
				if slow := errors.Is(err, os.ErrDeadlineExceeded); slow != (test.ends > 0) || slow && after != test.ends {
					t.Errorf("%v after %s", err, after)
				}
				if test.ends > 0 && b.failure(internal) != tooSlow {
					t.Errorf("answer %v", b.failure(internal))
				}
			})
		})
	}
}

// A body may have as many bytes as it may have, and not one more.
func TestBodyLimitIsExact(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 1000} {
		left := n
		src := readerFunc(func(p []byte) (int, error) {
			if left == 0 {
				return 0, io.EOF
			}
			m := min(len(p), left, 7)
			left -= m
			return m, nil
		})
		b := &body{src: src, deadline: func(time.Time) error { return nil }, allowed: func() bool { return true }, room: 100, window: 1, left: rateWindow}
		got, err := io.ReadAll(b)
		if tooMuch := errors.Is(err, errTooLong); tooMuch != (n > 100) || !tooMuch && len(got) != n || len(got) > 100 {
			t.Errorf("%d: %d bytes, %v", n, len(got), err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
