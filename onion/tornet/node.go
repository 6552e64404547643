package tornet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"resguardo/onion/tor"
)

// node is an authority or a relay.
type node struct {
	name        string
	dir         string // its DataDirectory
	orPort      int
	dirPort     int    // 0: a relay
	fingerprint string // RSA identity, 40 hexadecimal digits
	v3ident     string // fingerprint of an authority's voting key

	proc    *tor.Process
	percent atomic.Int32
	loaded  chan struct{} // closed when the node has the directory (75%)
}

// torrc returns the node's configuration without the offset of the first vote.
func (n *Network) torrc(x *node) (string, error) {
	include, err := tor.Quote(n.include)
	if err != nil {
		return "", err
	}
	dir, err := tor.Quote(x.dir)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%%include %s\nDataDirectory %s\nNickname %s\n", include, dir, x.name) +
		"Log notice stdout\nShutdownWaitLength 0\nNumCPUs 1\n" +
		fmt.Sprintf("Address 127.0.0.1\nORPort 127.0.0.1:%d IPv4Only\n", x.orPort) +
		"ExitRelay 0\nExitPolicy reject *:*\nSocksPort 0\n"
	if x.dirPort == 0 {
		return text, nil
	}
	bandwidth, err := tor.Quote(filepath.Join(n.dir, "bandwidth"))
	if err != nil {
		return "", err
	}
	// Voting every 60 s after the first consensus: onion services derive their
	// time period from the interval, and must not change address keys during a
	// test.
	return text + fmt.Sprintf("DirPort 127.0.0.1:%d IPv4Only\nV3BandwidthsFile %s\n", x.dirPort, bandwidth) +
		`AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
ContactInfo none
AuthDirTestReachability 0
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinFastFlagThreshold 0
V3AuthNIntervalsValid 10
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 60
V3AuthVoteDelay 2
V3AuthDistDelay 2
`, nil
}

// start runs the node with its checked configuration; an authority's gets the
// offset of the first vote added.
func (x *node) start(prog tor.Program, text, offset string) error {
	if x.dirPort != 0 {
		if err := os.WriteFile(filepath.Join(x.dir, "torrc"), []byte(text+offset), 0o600); err != nil {
			return err
		}
	}
	x.loaded = make(chan struct{})
	loaded := sync.OnceFunc(func() { close(x.loaded) })
	var err error
	x.proc, err = prog.Start(x.dir, func(l tor.Line) {
		if percent, _, ok := l.Bootstrap(); ok {
			x.percent.Store(int32(percent))
			if percent >= 75 {
				loaded()
			}
		}
	})
	return err
}

// makeKeys makes every node's keys, a few nodes at a time: an authority's RSA
// keys take seconds of work, the rest of a start is waiting.
func (n *Network) makeKeys(ctx context.Context) error {
	errs := make([]error, len(n.nodes))
	slots := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i, x := range n.nodes {
		all.Go(func() {
			slots <- struct{}{}
			errs[i] = x.makeKeys(ctx, n.prog, n.dir)
			<-slots
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (x *node) makeKeys(ctx context.Context, prog tor.Program, dir string) error {
	keys := filepath.Join(x.dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return err
	}
	if x.dirPort != 0 {
		if err := x.certify(ctx, keys); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	empty := filepath.Join(x.dir, "no-torrc") // tor refuses /dev/null
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		return err
	}
	// Tor makes a relay's keys only for a relay that has a network: any will do.
	out, err := exec.CommandContext(ctx, prog.Path, "--list-fingerprint", "--quiet",
		"-f", empty, "--defaults-torrc", empty, "--DataDirectory", x.dir, "--ORPort", "1",
		"--Address", "127.0.0.1", "--Nickname", x.name,
		"--DirAuthority", "x 127.0.0.1:1 "+strings.Repeat("F", 40)).Output()
	if err != nil {
		return fmt.Errorf("%s: make keys: %w: %s", x.name, err, out)
	}
	// The last line is like "auth0 52E6 7D0C …".
	_, spaced, _ := strings.Cut(lastLine(out), " ")
	x.fingerprint = strings.ReplaceAll(spaced, " ", "")
	if len(x.fingerprint) != 40 {
		return fmt.Errorf("%s: make keys: no fingerprint in %q", x.name, out)
	}
	return nil
}

// certify makes an authority's voting keys and their certificate.
func (x *node) certify(ctx context.Context, keys string) error {
	gencert, err := exec.LookPath("tor-gencert")
	if err != nil {
		return fmt.Errorf("%w: %w", tor.ErrNotFound, err)
	}
	cmd := exec.CommandContext(ctx, gencert, "--create-identity-key", "--passphrase-fd", "0", "-m", "12",
		"-i", "authority_identity_key", "-s", "authority_signing_key", "-c", "authority_certificate")
	cmd.Dir = keys
	cmd.Stdin = strings.NewReader("private network\n") // the passphrase guards nothing here
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tor-gencert: %w: %s", err, out)
	}
	cert, err := os.ReadFile(filepath.Join(keys, "authority_certificate"))
	if err != nil {
		return err
	}
	for line := range bytes.Lines(cert) {
		if v, ok := bytes.CutPrefix(line, []byte("fingerprint ")); ok {
			x.v3ident = string(bytes.TrimSpace(v))
			return nil
		}
	}
	return errors.New("tor-gencert: no fingerprint in its certificate")
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
