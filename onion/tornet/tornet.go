// Package tornet is a private Tor network on this machine's loopback, for
// tests: three directory authorities, five relays, and as many clients and
// onion services as join it. It has no exits and knows no public address, so
// nothing can leave the machine.
//
// A network takes 15 to 30 s to start, and one is enough for a whole test run:
// what joins a running network is there in a second or two. Tests therefore
// call Join, which takes the network that the environment variable
// RESGUARDO_TORNET names (the path of its include.torrc) and starts one only
// when there is none. "go run ./onion/tornet/run COMMAND" starts a network,
// runs COMMAND with that variable and ends the network.
//
// The recipe and its odd numbers were measured with tor 0.4.9.11; the reasons
// stand where they are used.
package tornet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"resguardo/onion/tor"
)

// Env names the environment variable that holds Include of a running network.
const Env = "RESGUARDO_TORNET"

// Three authorities, because tor takes a relay's bandwidth for measured only if
// three of them say so. Five relays, because authorities carry no onion
// circuits and three relays collide as guard, middle and rendezvous point.
const (
	authorities = 3
	relays      = 5
)

// Network is a running private network.
type Network struct {
	dir     string
	include string
	prog    tor.Program
	nodes   []*node // empty if another process runs it

	mu      sync.Mutex
	clients []*Client
}

// Join returns the network that Env names, or starts one in dir. Close ends
// only what this process has started.
func Join(ctx context.Context, dir string) (*Network, error) {
	include := os.Getenv(Env)
	if include == "" {
		return Start(ctx, dir)
	}
	prog, err := look(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(include); err != nil {
		return nil, fmt.Errorf("%s: %w", Env, err)
	}
	return &Network{dir: dir, include: include, prog: prog}, nil
}

// Start starts a network that keeps its files in dir, which it makes if need
// be. It returns once a client has come through. A network that is not up after
// 60 s is ended and started anew, once. The error wraps tor.ErrNotFound if tor
// or tor-gencert is not installed.
func Start(ctx context.Context, dir string) (*Network, error) {
	prog, err := look(ctx)
	if err != nil {
		return nil, err
	}
	n, first := start(ctx, prog, filepath.Join(dir, "1"))
	if first == nil {
		return n, nil
	}
	n, second := start(ctx, prog, filepath.Join(dir, "2"))
	if second != nil {
		return nil, fmt.Errorf("the private network did not start, twice: %w", errors.Join(first, second))
	}
	return n, nil
}

func look(ctx context.Context) (tor.Program, error) {
	prog, err := tor.Look(ctx, "")
	if errors.Is(err, tor.ErrOld) {
		return prog, nil // the network may be of any age
	}
	return prog, err
}

// Include is the path of a file of torrc lines with which any tor joins.
func (n *Network) Include() string { return n.include }

// Close ends every tor of the network and its clients.
func (n *Network) Close() error {
	n.mu.Lock()
	clients := n.clients
	n.clients = nil
	n.mu.Unlock()
	for _, c := range clients {
		c.Close()
	}
	var ending sync.WaitGroup
	for _, x := range n.nodes {
		if x.proc != nil {
			ending.Go(x.proc.Stop)
		}
	}
	ending.Wait()
	return nil
}

func start(ctx context.Context, prog tor.Program, dir string) (_ *Network, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	n := &Network{dir: dir, prog: prog, include: filepath.Join(dir, "include.torrc")}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; %s", err, n.progress())
			n.Close()
		}
	}()
	if err := n.prepare(ctx); err != nil {
		return nil, err
	}
	if err := n.boot(ctx); err != nil {
		return nil, err
	}
	c, err := n.Client(ctx)
	if err != nil {
		return nil, err
	}
	c.Close()
	return n, nil
}

// prepare makes all keys and the files that every node shares.
func (n *Network) prepare(ctx context.Context) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	ports, err := freePorts(2*authorities + relays)
	if err != nil {
		return err
	}
	for i := range authorities {
		n.nodes = append(n.nodes, &node{name: fmt.Sprintf("auth%d", i), orPort: ports[2*i], dirPort: ports[2*i+1]})
	}
	for i := range relays {
		n.nodes = append(n.nodes, &node{name: fmt.Sprintf("relay%d", i), orPort: ports[2*authorities+i]})
	}
	for _, x := range n.nodes {
		x.dir = filepath.Join(n.dir, x.name)
	}
	if err := n.makeKeys(ctx); err != nil {
		return err
	}
	return n.share()
}

// share writes include.torrc and the authorities' bandwidth file.
func (n *Network) share() error {
	empty, err := tor.Quote(filepath.Join(n.dir, "empty"))
	if err != nil {
		return err
	}
	// Loading the real GeoIP files takes a tor 20 MB and half a second.
	include := "TestingTorNetwork 1\nAssumeReachable 1\nPathsNeededToBuildCircuits 0.67\n" +
		"GeoIPFile " + empty + "\nGeoIPv6File " + empty + "\n"
	// Without measured bandwidths the relay that sees the first bytes gets all
	// the weight, and half of the networks never carry a circuit.
	bandwidth := fmt.Sprintf("%d\n", time.Now().Unix())
	for _, x := range n.nodes {
		if x.dirPort != 0 {
			include += fmt.Sprintf("DirAuthority %s orport=%d no-v2 v3ident=%s 127.0.0.1:%d %s\n",
				x.name, x.orPort, x.v3ident, x.dirPort, x.fingerprint)
		}
		bandwidth += fmt.Sprintf("node_id=$%s bw=10000\n", x.fingerprint)
	}
	for name, text := range map[string]string{"empty": "", "include.torrc": include, "bandwidth": bandwidth} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// boot starts all nodes. It returns when every relay has the directory, or 4 s
// after the authorities' first vote: a client that comes earlier asks a relay
// for what it does not have yet, and asks again only 10 s later.
func (n *Network) boot(ctx context.Context) error {
	texts := make([]string, len(n.nodes))
	for i, x := range n.nodes {
		var err error
		if texts[i], err = n.torrc(x); err != nil {
			return err
		}
		// The offset below counts from the start: check, which takes time, before.
		if err := n.prog.Configure(ctx, x.dir, texts[i]); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	// The first vote is to come about 2 s from now, in intervals of 5 s. With
	// other offsets a third of the networks failed.
	offset := fmt.Sprintf("TestingV3AuthVotingStartOffset %d\n", (time.Now().Unix()+1)%5)
	for i, x := range n.nodes {
		if err := x.start(n.prog, texts[i], offset); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	grace := time.After(4 * time.Second)
	for _, x := range n.nodes[authorities:] {
		select {
		case <-x.loaded:
		case <-grace:
			return nil
		case <-x.proc.Done():
			return fmt.Errorf("%s: %w", x.name, x.proc.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// progress tells how far each node came, for the error of a start that failed.
func (n *Network) progress() string {
	var parts []string
	for _, x := range n.nodes {
		parts = append(parts, fmt.Sprintf("%s %d%%", x.name, x.percent.Load()))
	}
	return strings.Join(parts, ", ")
}

// freePorts returns n TCP ports of loopback that were free a moment ago.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that none comes twice
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
