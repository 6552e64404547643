package tor

import (
	"os"
	"syscall"
)

// apart puts a child into a process group of its own.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// interrupt ends tor: Windows has no signal that asks.
func interrupt(p *os.Process) error { return p.Kill() }
