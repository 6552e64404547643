package cmd_test

// How much memory the server needs, and what is left in it afterwards.

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// cage is a control group of its own for one server, with a limit of memory and
// no swap. It works with either version of the kernel's interface.
type cage struct {
	t   testing.TB
	dir string
	v2  bool
}

// newCage makes a control group of size bytes, which goes with the test.
func newCage(t testing.TB, size int64) *cage {
	t.Helper()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("control groups need root")
	}
	name := fmt.Sprintf("resguardo-%d-%s", os.Getpid(), rand.Text()[:6])
	c := &cage{t: t, dir: filepath.Join("/sys/fs/cgroup/memory", name)}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		c.dir, c.v2 = filepath.Join("/sys/fs/cgroup", name), true
	}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 { // the kernel is still counting the last process down
			if os.Remove(c.dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s is left", c.dir)
	})
	limit := strconv.FormatInt(size, 10)
	if c.v2 {
		c.set("memory.max", limit)
		c.set("memory.swap.max", "0")
	} else {
		c.set("memory.limit_in_bytes", limit)
		c.set("memory.memsw.limit_in_bytes", limit)
	}
	return c
}

func (c *cage) set(file, value string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, file), []byte(value), 0); err != nil {
		c.t.Fatal(err)
	}
}

// under starts a command inside.
func (c *cage) under() []string {
	return []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(c.dir, "cgroup.procs")}
}

// number reads one number: of a file of numbers the one after key.
func (c *cage) number(file, key string) int64 {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, file))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 1 && key == "" || len(f) == 2 && f[0] == key {
			n, err := strconv.ParseInt(f[len(f)-1], 10, 64)
			if err != nil {
				c.t.Fatal(err)
			}
			return n
		}
	}
	c.t.Fatalf("%s has no %q:\n%s", file, key, b)
	return 0
}

// killed is how often the kernel ended something inside for want of memory.
func (c *cage) killed() int64 {
	if c.v2 {
		return c.number("memory.events", "oom_kill")
	}
	return c.number("memory.oom_control", "oom_kill")
}

// use is what is inside now: anonymous memory, the kernel's page cache, all.
func (c *cage) use() (anon, file, all int64) {
	if c.v2 {
		return c.number("memory.stat", "anon"), c.number("memory.stat", "file"), c.number("memory.current", "")
	}
	return c.number("memory.stat", "rss"), c.number("memory.stat", "cache"), c.number("memory.usage_in_bytes", "")
}

// highest samples until stop is called.
func (c *cage) highest() (stop func() (anon, file, all int64)) {
	var anon, file, all int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			a, f, u := c.use()
			anon, file, all = max(anon, a), max(file, f), max(all, u)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() (int64, int64, int64) { close(done); <-ended; return anon, file, all }
}

// TestMemoryCeiling: with every limit reached at once the server keeps to its
// ceiling, also in a control group of 256 MiB without swap, and honest reports
// are stored during the flood and after it.
func TestMemoryCeiling(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, most int64 // MiB: of the control group, and of anonymous memory
		places     int   // for uploads
	}{
		{"256 MiB", 256, 230, 8},
		{"enough", 2048, 550, uploadPlaces},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCage(t, tt.size<<20)
			h := newFloodHouse(t, c.under()...)
			stop := c.highest()
			h.during("every limit reached", func(ctx context.Context) func() { return h.everything(ctx, tt.places) })
			anon, file, all := stop()
			t.Logf("at most %d MiB anonymous, %d MiB of files, %d MiB in all", anon>>20, file>>20, all>>20)
			if anon > tt.most<<20 {
				t.Errorf("%d MiB of anonymous memory, want at most %d", anon>>20, tt.most)
			}
			if n := c.killed(); n > 0 {
				t.Errorf("the kernel killed %d processes", n)
			}
		})
	}
}

// slowForm sends nearly all of the longest form that takes no place, and then nothing.
func (h *house) slowForm(ctx context.Context) {
	host := strings.TrimPrefix(h.source, "http://")
	c, err := net.Dial("tcp", host)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	fmt.Fprintf(c, "POST /es/report HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		host, 16<<10, strings.Repeat("x", 16<<10-1))
	io.Copy(io.Discard, c)
}

// everything keeps all at their limits: all places for uploads but two, which go from
// one to the next, long texts and sign-ins that wait for a key derivation, forms that
// do not come to their end, and silent connections.
func (h *house) everything(ctx context.Context, places int) (stop func()) {
	end := h.endless(h.t, places-2, h.visitor())
	var all sync.WaitGroup
	again := func(n int, f func()) {
		for range n {
			all.Go(func() {
				for ctx.Err() == nil {
					f()
				}
			})
		}
	}
	long := strings.Repeat("Vi a tres personas. ", 3000)
	again(4, func() { h.visitor().Send(ctx, video(io.LimitReader(repeat(rand.Text()), 64<<20))) })
	again(16, func() { h.visitor().Send(ctx, source.Report{Message: long}) })
	again(16, func() { h.visitor().SignIn(ctx, "abeja abeja abeja abeja abeja abeja abeja abeja") })
	again(400, func() { h.slowForm(ctx) })
	all.Go(func() {
		for range 1500 {
			if ctx.Err() != nil {
				return
			}
			c, err := net.Dial("tcp", strings.TrimPrefix(h.source, "http://"))
			if err != nil {
				h.t.Error(err)
				return
			}
			defer c.Close()
		}
		<-ctx.Done()
	})
	return func() { all.Wait(); end() }
}
