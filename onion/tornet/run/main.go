// Command run starts a private Tor network, runs its arguments as a command
// with RESGUARDO_TORNET naming the network, and ends the network afterwards:
//
//	go run ./onion/tornet/run go test ./...
//
// Its exit code is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"resguardo/onion/tornet"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "tornet: error: no command\ntornet: hint: go run ./onion/tornet/run go test ./...")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := with(ctx, args, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "tornet: error:", err)
	}
	return code
}

func with(ctx context.Context, args []string, stdout, stderr io.Writer) (code int, err error) {
	dir, err := os.MkdirTemp("", "tornet")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	begin := time.Now()
	n, err := tornet.Start(ctx, dir)
	if err != nil {
		return 1, err
	}
	defer n.Close()
	fmt.Fprintf(stderr, "tornet: the private Tor network is up after %.1f s\n", time.Since(begin).Seconds())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), tornet.Env+"="+n.Include())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
