package tornet

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"resguardo/onion/tor"
)

// Shared is the network of one test binary: joined or started when the first
// test asks for it, and ended in TestMain.
//
//	var shared tornet.Shared
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		shared.Close()
//		os.Exit(code)
//	}
type Shared struct {
	once sync.Once
	dir  string
	n    *Network
	err  error
}

// Network returns the network. The test is skipped if tor is not installed, or
// fails if CI=true is set as well.
func (s *Shared) Network(t testing.TB) *Network {
	t.Helper()
	s.once.Do(func() {
		// Not t.TempDir, which ends with one test and has long names: a unix
		// socket's path has at most 107 bytes.
		if s.dir, s.err = os.MkdirTemp("", "tornet"); s.err == nil {
			s.n, s.err = Join(context.Background(), s.dir)
		}
	})
	if errors.Is(s.err, tor.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.n
}

// Close ends the network if a test has started it, and every client.
func (s *Shared) Close() {
	if s.n != nil {
		s.n.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}
