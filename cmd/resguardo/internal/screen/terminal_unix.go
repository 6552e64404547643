//go:build unix

package screen

import "os"

// Terminal opens the terminal to ask something, wherever standard input and
// output lead. The two may be one file; the caller closes both.
func Terminal() (in, out *os.File, err error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return tty, tty, err
}
