//go:build unix

package screen

import "syscall"

// resized is the signal of a terminal that has another size now.
const resized = syscall.SIGWINCH
