// Command demo tells Resguardo's whole story on one machine, without internet:
// a private Tor network starts on loopback, a vault publishes its onion services,
// a source sends a report with two files over Tor, a reviewer fetches it through
// the onion that only its key opens, and replies; the source comes back and reads
// the reply, an auditor verifies the public log, a stranger is refused, and tor is
// killed and comes back.
//
//	go run ./onion/tornet/demo -programs bin
//
// It leaves nothing behind. Its exit code is 1 if any step fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	programs := flags.String("programs", "bin", "folder of resguardod, resguardo and resguardo-audit")
	if flags.Parse(args) != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := tell(ctx, *programs, stdout); err != nil {
		fmt.Fprintln(stderr, "demo: error:", err)
		return 1
	}
	return 0
}

// step is one sentence of the story. do returns what to add to the sentence.
type step struct {
	sentence string
	do       func(context.Context) (string, error)
}

// tell runs the story in a folder of its own, whose path is short because the
// path of a unix socket must be.
func tell(ctx context.Context, programs string, out io.Writer) error {
	programs, err := filepath.Abs(programs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &story{programs: programs, dir: dir}
	defer s.close()
	begin := time.Now()
	fmt.Fprintln(out, "A private Tor network on this machine; nothing leaves it.")
	for _, step := range s.steps() {
		fmt.Fprintf(out, "%6.1f s  %s", time.Since(begin).Seconds(), step.sentence)
		stepBegin := time.Now()
		more, err := step.do(ctx)
		if err != nil {
			fmt.Fprintln(out, " … FAILED")
			return err
		}
		if more != "" {
			more = ": " + more
		}
		fmt.Fprintf(out, "%s  (%.1f s)\n", more, time.Since(stepBegin).Seconds())
	}
	fmt.Fprintf(out, "%6.1f s  The server never held a key that opens a report, and stored no clear text.\n", time.Since(begin).Seconds())
	return nil
}
