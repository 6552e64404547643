package onion

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// offline returns a Config whose tor makes no connection.
func offline(t *testing.T, dir string) Config {
	t.Helper()
	include := filepath.Join(dir, "offline")
	if err := os.WriteFile(include, []byte("DisableNetwork 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{
		Dir:          filepath.Join(dir, "onion"),
		Include:      include,
		SourceSocket: filepath.Join(dir, "s"),
		Log:          slog.New(slog.DiscardHandler),
	}
}

func TestRefusesSingleHop(t *testing.T) {
	prog := look(t)
	for name, tc := range map[string]struct {
		spoil []string
		want  error
	}{
		"as it should be": {nil, nil},
		"single hop":      {[]string{"SingleHopMode 0", "SingleHopMode 1", "AnonymousMode 0", "AnonymousMode 1"}, ErrSingleHop},
		"TCP port":        {[]string{"CookieAuthentication 1", "CookieAuthentication 1\nControlPort 127.0.0.1:auto"}, ErrPort},
	} {
		t.Run(name, func(t *testing.T) {
			c := offline(t, t.TempDir())
			text, err := c.managed(false)
			if err != nil {
				t.Fatal(err)
			}
			if err := prog.Configure(t.Context(), c.Dir, strings.NewReplacer(tc.spoil...).Replace(text)); err != nil {
				t.Fatal(err)
			}
			o := newOnion(c)
			o.prog = prog
			r, err := o.launch(t.Context())
			if err == nil {
				r.proc.Stop()
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("%v; want %v", err, tc.want)
			}
		})
	}
}

// TestControlTakesManyCallers would stand still without the mutex in conn.
func TestControlTakesManyCallers(t *testing.T) {
	look(t)
	o, err := Start(t.Context(), offline(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					if v, err := o.run.ctl.info("version"); err != nil || !strings.HasPrefix(v, "0.") {
						t.Errorf("%q, %v", v, err)
					}
				}
			})
		}
		for range 5 {
			if err := o.SetClients(t.Context(), nil); err != nil {
				t.Error(err)
			}
		}
		all.Wait()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("deadlock")
	}
}

// TestTorEndsWithItsOwner kills a process that has started a tor, as an
// operator's kill -9 does, and starts the next one at once.
func TestTorEndsWithItsOwner(t *testing.T) {
	const env = "ONION_TEST_OWNER"
	if dir := os.Getenv(env); dir != "" {
		o, err := Start(t.Context(), offline(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("tor", o.run.proc.Pid())
		select {}
	}
	look(t)
	dir := t.TempDir()
	owner := exec.Command(os.Args[0], "-test.run=^TestTorEndsWithItsOwner$")
	owner.Env = append(os.Environ(), env+"="+dir)
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(line), "tor "))
	if err != nil {
		owner.Process.Kill()
		t.Fatalf("the owner says %q", line)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	begin := time.Now()
	if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	owner.Wait()
	next, err := Start(t.Context(), offline(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	t.Logf("the next tor answers after %v", time.Since(begin))
	// Readable once the process has ended, which is a moment after it has given
	// up the folder's lock.
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 3000); n != 1 || err != nil {
		t.Errorf("two tors share a folder: %d, %v", n, err)
	}
}
