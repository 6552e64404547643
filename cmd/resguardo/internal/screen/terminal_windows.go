package screen

import (
	"errors"
	"os"
)

// Terminal opens the terminal to ask something, wherever standard input and
// output lead. The two may be one file; the caller closes both.
func Terminal() (in, out *os.File, err error) {
	if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0); err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return in, out, nil
}
