package screen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal of 40 by 5 characters: the side of the window
// and the side of the program.
func terminal(t *testing.T) (window, program *os.File) {
	t.Helper()
	window, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("no pseudo-terminals here")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { window.Close() })
	fd := int(window.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 40}); err != nil {
		t.Fatal(err)
	}
	return window, program
}

// screens reads what the window gets, cut at each clearing of the page, until
// the alternate screen is left.
type screens struct {
	window *os.File
	have   []byte
}

// next returns the next complete page: up to the end of its status line.
func (s *screens) next(t *testing.T) string {
	t.Helper()
	const end = "\x1b[0m"
	for {
		if page, rest, ok := bytes.Cut(s.have, []byte(end)); ok {
			s.have = rest
			return string(page)
		}
		buf := make([]byte, 4096)
		n, err := s.window.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		s.have = append(s.have, buf[:n]...)
	}
}

func TestPageLeavesNothing(t *testing.T) {
	window, program := terminal(t)
	if !IsTerminal(program) || IsTerminal(&bytes.Buffer{}) {
		t.Fatal("IsTerminal is wrong")
	}
	var lines []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	done := make(chan error)
	go func() { done <- Page(program, program, lines, "help") }()
	s := &screens{window: window}
	first := s.next(t)
	if !strings.HasPrefix(first, enter) || !strings.Contains(first, "line 0\r\nline 1\r\nline 2\r\nline 3\r\n") || strings.Contains(first, "line 4") || !strings.HasSuffix(first, "[4/10] help") {
		t.Errorf("first page %q", first)
	}
	for _, test := range []struct{ typed, top, bottom string }{
		{" ", "line 4", "line 7"},
		{"\x1b[6~", "line 6", "line 9"}, // page down, at the end
		{"k", "line 5", "line 8"},
		{"\x1b[A", "line 4", "line 7"},
		{"\x1b[B", "line 5", "line 8"},
		{"\x1b[5~", "line 1", "line 4"},
		{"b", "line 0", "line 3"},
		{"\x1b[C", "", ""}, // means nothing: no new page
		{"\r", "line 1", "line 4"},
	} {
		if _, err := window.WriteString(test.typed); err != nil {
			t.Fatal(err)
		}
		if test.top == "" {
			continue
		}
		page := s.next(t)
		if !strings.HasPrefix(page, clearPage+test.top) || !strings.Contains(page, test.bottom+"\r\n\x1b[7m") {
			t.Errorf("after %q: %q", test.typed, page)
		}
	}
	if _, err := window.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := window.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if last := string(append(s.have, buf[:n]...)); last != leave {
		t.Errorf("at the end %q, want %q", last, leave)
	}
}

func TestDecodeKeys(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"q", "q"}, {"\x1b", "\x1b"}, {"\x1b[A", "k"}, {"\x1bOB", "j"}, {"\x1b[1;5C", ""}, {"jj", "jj"}, {"\x03", "\x03"}, {"\x1b[C\r", "\r"}, {"\x1b[6~\x1b[6~", "  "}, {"\x1b[1;", ""},
	} {
		if got := string(decodeKeys([]byte(test.in))); got != test.want {
			t.Errorf("%q: %q, want %q", test.in, got, test.want)
		}
	}
}
