package cmd_test

// A server whose clock jumps. The program is the real one, built with a time.Now
// whose wall clock a file moves; the monotonic clock goes on, as it does when
// somebody sets a machine's clock. Programs of Go ask the kernel for the time
// without libc, so that nothing less reaches them. It looks at its clock every two
// seconds instead of every minute.

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// shiftSource is added to package time. The file holds seconds, in 8 bytes of the machine's
// order. It is mapped once, before the process is confined: time.Now also runs where
// no system call may be made.
const shiftSource = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var shifted = func() *int64 {
	if name, ok := syscall.Getenv("RESGUARDO_TEST_CLOCK"); ok {
		if fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
			if b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED); err == nil {
				return (*int64)(unsafe.Pointer(&b[0]))
			}
		}
	}
	return new(int64)
}()

func shift() int64 { return atomic.LoadInt64(shifted) }
`

var shiftedProgram struct {
	once sync.Once
	path string
	err  error
}

// shifted builds resguardod with that clock, once, in the folder of the other programs.
func shifted(t *testing.T) string {
	t.Helper()
	s := &shiftedProgram
	s.once.Do(func() {
		s.path = filepath.Join(programs, "shifted", "resguardod")
		s.err = buildShifted(s.path)
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.path
}

func buildShifted(path string) error {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	std := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	text, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		return err
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	changed := strings.Replace(string(text), now, now+"\tsec += shift()\n", 1)
	if changed == string(text) {
		return errors.New("this Go's time.Now is another one: look at its source and change this test")
	}
	files := map[string]string{"time.go": changed, "shift.go": shiftSource}
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(std, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	epoch, err := filepath.Abs("resguardod/epoch.go")
	if err != nil {
		return err
	}
	if text, err = os.ReadFile(epoch); err != nil {
		return err
	}
	const look = "const look = time.Minute\n"
	if !strings.Contains(string(text), look) {
		return errors.New("the server's pause between two looks at the clock is elsewhere: change this test")
	}
	replace[epoch] = filepath.Join(dir, "epoch.go")
	if err := os.WriteFile(replace[epoch], []byte(strings.Replace(string(text), look, "const look = 2 * time.Second\n", 1)), 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-tags", "nomsgpack", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, "resguardo/cmd/resguardod")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build with another clock: %w\n%s", err, out)
	}
	return nil
}

const year = 365 * 24 * time.Hour

// clockEpoch is short, so that a server looks at its clock soon after a jump.
const clockEpoch = 4 * time.Second

// clockHouse is a house whose server has a clock of its own.
type clockHouse struct {
	*house
	program string
	file    string // how far the clock is ahead
}

// newClockHouse makes a vault while the clock is that far ahead.
func newClockHouse(t *testing.T, ahead time.Duration) *clockHouse {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the standard library anew")
	}
	t.Parallel() // it mostly waits
	base := t.TempDir()
	c := &clockHouse{program: shifted(t), file: filepath.Join(base, "clock"),
		house: &house{t: t, dir: filepath.Join(base, "vault"), reviewer: filepath.Join(base, "reviewer"), tmp: filepath.Join(base, "tmp"), log: &safeBuffer{}}}
	if err := os.Mkdir(c.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	c.set(ahead)
	// The house runs programs/resguardod; this one takes its place.
	c.under = []string{"sh", "-c", `shift; exec "$0" "$@"`, c.program}
	c.env = []string{"RESGUARDO_TEST_CLOCK=" + c.file}
	c.ok("init", "-dir", c.dir, "-origin", "clock.example", "-epoch", clockEpoch.String(), "-demo")
	run(t, "resguardo", "keygen", "-dir", c.reviewer, "-name", "ana", "-no-passphrase")
	c.ok("desk", "add", "-dir", c.dir, "-id", "norte", "-name-es", "Equipo norte", "-name-en", "North team", "-region", "N")
	c.ok("reviewer", "add", "-dir", c.dir, "-desk", "norte", filepath.Join(c.reviewer, "card.txt"))
	return c
}

// set moves the wall clock of every process of the house, at once.
func (c *clockHouse) set(ahead time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.Write(binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second)))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// aheadTo is how far a clock is ahead that shows a moment now.
func aheadTo(t *testing.T, date string) time.Duration {
	t.Helper()
	to, err := time.Parse(time.DateTime, date)
	if err != nil {
		t.Fatal(err)
	}
	return time.Until(to).Round(time.Second)
}

// ok runs resguardod under the clock of the house.
func (c *clockHouse) ok(args ...string) string {
	c.t.Helper()
	out, err := c.call(args...)
	if err != nil {
		c.t.Fatalf("resguardod %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *clockHouse) call(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Env = append(os.Environ(), "LANG=C", "LC_ALL=", "RESGUARDO_TEST_CLOCK="+c.file)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// epochs are the numbers of the epochs that the server says it has closed.
func (c *clockHouse) epochs() (all []int64) {
	for _, m := range regexp.MustCompile(`epoch closed.*?epoch"?[=:](\d+)`).FindAllStringSubmatch(c.log.String(), -1) {
		n, _ := strconv.ParseInt(m[1], 10, 64)
		all = append(all, n)
	}
	return all
}

// until waits for something that the server does by itself, a minute at most.
func (c *clockHouse) until(what string, happened func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !happened(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within a minute: %s\n%s", what, c.log)
		}
	}
}

// closes waits until the server has closed n more epochs.
func (c *clockHouse) closes(n int) {
	c.t.Helper()
	had := len(c.epochs())
	c.until(fmt.Sprintf("%d epochs more than %d", n, had), func() bool { return len(c.epochs()) >= had+n })
}

// there opens each codename's mailbox.
func (c *clockHouse) there(codenames ...string) {
	c.t.Helper()
	for _, words := range codenames {
		if page := c.post("/es/mailbox", url.Values{"codename": {words}}); !sessionLine.MatchString(page) {
			c.t.Errorf("the mailbox of %q does not open:\n%s", words, page)
		}
	}
}

// whole is there for the reviewer too, whose program finds every event in the log; then
// the server ends and check finds nothing wrong.
func (c *clockHouse) whole(codenames ...string) {
	c.t.Helper()
	c.there(codenames...)
	if files := c.fetch(); len(files) != len(codenames) {
		c.t.Errorf("a reviewer finds %d reports, want %d", len(files), len(codenames))
	}
	c.kill()
	c.ok("check", "-dir", c.dir)
}

var sessionLine = regexp.MustCompile(`name="session" value="([^"]+)"`)

func (c *clockHouse) post(path string, values url.Values) string {
	c.t.Helper()
	resp, err := http.PostForm(c.source+path, values)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(page)
}

// ends waits for the server to end by itself and returns its exit code.
func (c *clockHouse) ends() int {
	c.t.Helper()
	server := c.server
	late := time.AfterFunc(time.Minute, func() { server.Process.Kill() })
	defer late.Stop()
	server.Wait()
	c.server = nil
	return server.ProcessState.ExitCode()
}

// TestClockJumpsWhileServing: an hour and a day ahead, a year back, and right again.
func TestClockJumpsWhileServing(t *testing.T) {
	c := newClockHouse(t, 0)
	c.start()
	first := c.mustSend(source.Report{Message: "uno"})
	c.closes(2)
	session := sessionLine.FindStringSubmatch(c.post("/es/mailbox", url.Values{"codename": {first}}))
	if session == nil {
		t.Fatal("no session")
	}
	stays := func(when string) {
		t.Helper()
		page := c.post("/es/mailbox", url.Values{"session": {session[1]}, "action": {"show"}})
		if session = sessionLine.FindStringSubmatch(page); session == nil {
			t.Fatalf("%s: the session ended:\n%s", when, page)
		}
	}
	form := func() string {
		t.Helper()
		token, err := c.visitor().Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	old := form()

	ahead := func(d time.Duration) { // and waits until all that is owed is closed
		t.Helper()
		c.set(d)
		c.closes(1)
		now := time.Now().Add(d).Unix() / int64(clockEpoch/time.Second)
		c.until("the present epoch", func() bool { all := c.epochs(); return all[len(all)-1] >= now })
	}

	// An hour ahead: at most eight epochs are closed one by one, the others are a gap.
	before := len(c.epochs())
	jumpedTo := time.Now().Add(time.Hour).Unix() / int64(clockEpoch/time.Second)
	ahead(time.Hour)
	stays("an hour ahead")
	owed := slices.Clone(c.epochs()[before:])
	last := owed[0]
	for _, n := range owed[1:] {
		if n != last+1 {
			t.Errorf("epochs %v are not one after the other", owed)
		}
		last = n
	}
	if jumped := int64(time.Hour / clockEpoch); owed[0]-c.epochs()[before-1] < jumped-9 {
		t.Errorf("after a jump of %d epochs, %v were closed", jumped, owed)
	}
	if n := len(slices.DeleteFunc(owed, func(n int64) bool { return n >= jumpedTo })); n > 8 {
		t.Errorf("%d epochs that were over before the jump were closed one by one", n)
	}

	// A day and an hour ahead: forms are over, what was typed comes back; sessions are not.
	ahead(26 * time.Hour)
	stays("a day ahead")
	a, err := c.visitor().SendWith(t.Context(), old, source.Report{Message: "sigue aquí"})
	if err != nil || a.Status != http.StatusBadRequest || a.Codename != "" || !strings.Contains(a.Page, "sigue aquí</textarea>") {
		t.Errorf("a form of yesterday: %d, %v\n%s", a.Status, err, a.Page)
	}

	// A year back: no epoch is closed, everything else goes on, and a form makes one report.
	old = form()
	c.set(-year)
	c.until("that the clock went back is said", func() bool { return strings.Contains(c.log.String(), "the clock went back") })
	closed := len(c.epochs())
	stays("a year back")
	second, err := c.visitor().SendWith(t.Context(), old, source.Report{Message: "dos"})
	if err != nil || second.Codename == "" {
		t.Fatalf("send: %d, %v\n%s", second.Status, err, second.Page)
	}
	again, err := c.visitor().SendWith(t.Context(), old, source.Report{Message: "dos"})
	if err != nil || again.Codename != second.Codename {
		t.Errorf("the same form again: %d, %v, %q", again.Status, err, again.Codename)
	}
	third := c.mustSend(source.Report{Message: "tres"})
	c.there(first, second.Codename, third)
	if n := len(c.epochs()); n != closed {
		t.Errorf("%d epochs were closed by a clock that is a year behind", n-closed)
	}

	// Right again: the log goes on where it was, and nothing is over.
	c.set(26 * time.Hour)
	c.closes(2)
	stays("right again")
	if n := strings.Count(c.log.String(), "the clock went back"); n != 1 {
		t.Errorf("it was said %d times that the clock went back", n)
	}
	c.whole(first, second.Codename, third)
}

// TestClockAYearAhead: while the server runs, and when it starts. It signs nothing, says why and
// ends; with the right clock it goes on.
func TestClockAYearAhead(t *testing.T) {
	c := newClockHouse(t, 0)
	c.start()
	first := c.mustSend(source.Report{Message: "uno"})
	c.closes(1)
	c.set(year)
	if code := c.ends(); code != 1 || !strings.Contains(c.log.String(), "the public log would have a gap of 36") {
		t.Errorf("exit %d:\n%s", code, c.log)
	}
	last := c.epochs()
	out, err := c.call("serve", "-dir", c.dir, "-tor", "off", "-preview", "127.0.0.1:0")
	if err == nil || !strings.Contains(out, "the public log would have a gap of 36") || !strings.Contains(out, "-accept-gap") {
		t.Errorf("starts a year ahead: %v\n%s", err, out)
	}
	c.set(0)
	c.start()
	second := c.mustSend(source.Report{Message: "dos"})
	c.closes(1)
	if now := c.epochs(); now[len(last)]-last[len(last)-1] > int64(year/clockEpoch/2) {
		t.Errorf("the log has jumped from epoch %d to %d", last[len(last)-1], now[len(last)])
	}
	c.whole(first, second)
}

// TestClockAYearBehindAtStart: it serves, closes nothing, and what comes in meanwhile
// is not over when the clock is set.
func TestClockAYearBehindAtStart(t *testing.T) {
	c := newClockHouse(t, 0)
	c.start()
	first := c.mustSend(source.Report{Message: "uno"})
	c.closes(1)
	c.kill()
	closed := len(c.epochs())
	c.set(-year)
	c.start()
	second := c.mustSend(source.Report{Message: "dos"})
	c.there(first, second)
	if n := len(c.epochs()); n != closed {
		t.Errorf("%d epochs were closed by a clock that is a year behind", n-closed)
	}
	c.set(0)
	c.closes(2)
	c.whole(first, second)
}

// TestClockDates: the last seconds of a leap day and of a year pass as others do.
func TestClockDates(t *testing.T) {
	for _, date := range []string{"2028-02-28 23:59:50", "2028-02-29 23:59:50", "2026-12-31 23:59:50"} {
		t.Run(date[:10], func(t *testing.T) {
			c := newClockHouse(t, aheadTo(t, date))
			ahead := aheadTo(t, date) // again: making the vault took some seconds
			c.set(ahead)
			c.start()
			first := c.mustSend(source.Report{Message: "antes"})
			midnight := func() bool { return !strings.HasPrefix(time.Now().Add(ahead).UTC().Format(time.DateOnly), date[:10]) }
			c.until("midnight", midnight)
			second := c.mustSend(source.Report{Message: "después"})
			c.closes(2)
			all := c.epochs()
			for i, n := range all[1:] {
				if n != all[i]+1 {
					t.Errorf("epochs %v", all)
				}
			}
			for _, file := range c.fetch() {
				var m struct{ Day string }
				if err := json.Unmarshal([]byte(c.unseal(file)["manifest.json"]), &m); err != nil {
					t.Fatal(err)
				}
				if day := time.Now().Add(ahead).UTC().Format(time.DateOnly); m.Day != date[:10] && m.Day != day {
					t.Errorf("a report of %s", m.Day)
				}
			}
			c.whole(first, second)
		})
	}
}
