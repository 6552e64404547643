// Resguardo-audit is the auditor's program: with nothing but a policy file it
// checks the public log of a vault, finds a source's own events in it, and holds
// openings and ciphertexts against it.
// See usage in usage.go.
//
// The log is not trusted. Only what the policy file names is: the log's key and
// its witnesses. Read policy.go, audit.go and reader.go first.
package main

import (
	"os"
	"time"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "devel"

func main() { os.Exit(run(os.Args[1:], time.Now, os.Stdin, os.Stdout, os.Stderr)) }
