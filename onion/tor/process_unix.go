//go:build unix

package tor

import (
	"os"
	"syscall"
)

// apart puts a child into a process group of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// interrupt asks tor to end.
func interrupt(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
