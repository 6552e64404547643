package screen

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// Terminal sequences (xterm's "ctlseqs"; DECSET 1049 is the alternate screen).
const (
	enter     = "\x1b[?1049h\x1b[H"
	leave     = "\x1b[2J\x1b[?1049l" // clear first: some terminals keep a copy
	clearPage = "\x1b[2J\x1b[H"
)

// IsTerminal reports whether v is a file that is a terminal.
func IsTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Page shows lines, already escaped, on the alternate screen until the reader
// presses q: nothing of them stays in the window or its scrollback. help stands
// on the last line. A signal that ends the program ends Page first.
func Page(in, out *os.File, lines []string, help string) error {
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer term.Restore(int(in.Fd()), state)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, resized)
	defer signal.Stop(signals)
	if _, err := io.WriteString(out, enter); err != nil {
		return err
	}
	defer io.WriteString(out, leave)

	keys := make(chan byte)
	done := make(chan struct{})
	defer close(done)
	go readKeys(in, keys, done)
	p := page{lines: lines, help: help}
	for {
		if err := p.draw(out); err != nil {
			return err
		}
		select {
		case s := <-signals:
			if s != resized {
				return nil
			}
		case k, ok := <-keys:
			if !ok || p.press(k) {
				return nil
			}
		}
	}
}

// readKeys sends what is typed. It ends with the program at the latest: a read
// from a terminal cannot be called off.
func readKeys(in io.Reader, keys chan<- byte, done <-chan struct{}) {
	defer close(keys)
	var buf [64]byte
	for {
		n, err := in.Read(buf[:])
		for _, k := range decodeKeys(buf[:n]) {
			select {
			case keys <- k:
			case <-done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// decodeKeys turns the sequences of the arrow and page keys into letters and
// drops those of other keys.
func decodeKeys(typed []byte) []byte {
	letters := map[string]byte{
		"\x1b[A": 'k', "\x1bOA": 'k', "\x1b[B": 'j', "\x1bOB": 'j',
		"\x1b[5~": 'b', "\x1b[6~": ' ',
	}
	var keys []byte
	for len(typed) > 0 {
		n := sequence(typed)
		if letter, ok := letters[string(typed[:n])]; ok {
			keys = append(keys, letter)
		} else if n == 1 {
			keys = append(keys, typed[0])
		}
		typed = typed[n:]
	}
	return keys
}

// sequence is the length of the key that typed begins with (ECMA-48, 5.4: ESC [,
// parameters, one final byte; ESC O and one byte).
func sequence(typed []byte) int {
	if len(typed) < 3 || typed[0] != 0x1b || typed[1] != '[' && typed[1] != 'O' {
		return 1
	}
	if typed[1] == 'O' {
		return 3
	}
	for i, c := range typed[2:] {
		if c >= '@' && c <= '~' {
			return 3 + i
		}
	}
	return len(typed)
}

// page is what the pager shows.
type page struct {
	lines  []string
	help   string
	top    int // first line shown
	wrap   []string
	width  int
	height int // lines of text on the screen
}

func (p *page) draw(out *os.File) error {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	if p.wrap == nil || width != p.width {
		p.wrap = Wrap(p.lines, width)
	}
	p.width, p.height = width, max(height-1, 1)
	p.top = max(0, min(p.top, len(p.wrap)-p.height))
	var b strings.Builder
	b.WriteString(clearPage)
	for _, line := range p.wrap[p.top:min(p.top+p.height, len(p.wrap))] {
		b.WriteString(line + "\r\n")
	}
	status, _ := cut(fmt.Sprintf("[%d/%d] %s", min(p.top+p.height, len(p.wrap)), len(p.wrap), p.help), width)
	b.WriteString("\x1b[7m" + status + "\x1b[0m")
	_, err = io.WriteString(out, b.String())
	return err
}

// press moves the page and reports whether the reader leaves it.
func (p *page) press(key byte) (over bool) {
	switch key {
	case 'q', 'Q', 0x1b, 0x03, 0x04: // escape, ctrl-C, ctrl-D
		return true
	case ' ', 'f':
		p.top += p.height
	case 'b':
		p.top -= p.height
	case 'j', '\r', '\n':
		p.top++
	case 'k':
		p.top--
	}
	return false
}
