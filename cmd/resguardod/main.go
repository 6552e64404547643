// Resguardod is the operator's program: it makes a vault, keeps its desks and
// reviewers, serves its pages and checks its files. See usage in usage.go.
package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "devel"

func main() {
	unix.Umask(0o077) // every file we make is ours alone
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
