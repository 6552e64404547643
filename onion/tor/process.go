package tor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Process is a running tor.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // why tor ended; valid once done is closed
}

// Start runs tor with dir/torrc, as written by Configure. The torrc should say
// "Log notice stdout": every line of the log is then given to log, one at a
// time, until tor has ended. tor gets a process group of its own, so that
// Ctrl-C in a terminal reaches the parent first.
func (p Program) Start(dir string, log func(Line)) (*Process, error) {
	cmd := exec.Command(p.Path, "--defaults-torrc", defaults(dir), "-f", torrc(dir),
		"__OwningControllerProcess", strconv.Itoa(os.Getpid()))
	cmd.SysProcAttr = apart()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &Process{cmd: cmd, done: make(chan struct{})}
	go t.watch(out, log)
	return t, nil
}

func (t *Process) watch(out io.Reader, log func(Line)) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		log(ParseLine(lines.Text()))
	}
	io.Copy(io.Discard, out) // a line beyond the scanner's 64 KiB must not block tor
	t.err = t.cmd.Wait()
	if t.err == nil {
		t.err = errors.New("exit status 0")
	}
	close(t.done)
}

// Done is closed when tor has ended and all its log lines were read.
func (t *Process) Done() <-chan struct{} { return t.done }

// Err says why tor ended. It is nil until Done is closed.
func (t *Process) Err() error {
	select {
	case <-t.done:
		return fmt.Errorf("tor ended: %w", t.err)
	default:
		return nil
	}
}

// Pid is tor's process id.
func (t *Process) Pid() int { return t.cmd.Process.Pid }

// Stop ends tor and waits until it is gone: SIGTERM first, SIGKILL after 5 s.
func (t *Process) Stop() {
	interrupt(t.cmd.Process) // fails only if tor has ended already
	select {
	case <-t.done:
	case <-time.After(5 * time.Second):
		t.cmd.Process.Kill()
		<-t.done
	}
}
