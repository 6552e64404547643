package cmd_test

// What other programs need for the same bytes: Debian's age, gpg and OnionShare,
// in turns with ours.

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sizes compares uploads of 1 MiB to 4 GiB, sealed and durable, with age on the same bytes.
func sizes(t testing.TB, doc io.Writer) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	keys := h.recipientFile()
	fmt.Fprintf(doc, "\n## Files of 1 MiB to 4 GiB on loopback, sealed and durable\n\n"+
		"Ours is an HTTP upload to `resguardod` until the codename page, with its key derivation (64 MiB); age is `age -R KEYS -o out in && sync out`, v1.3.2, same keys. "+
		"Medians, in turns. CPU of ours is the server's alone; its client runs on the same %d cores. Peak is anonymous memory (bbolt's mapped file is cache). The last row is 4 GiB less 1 MiB: a report may hold 4 GiB.\n\n", runtime.NumCPU())
	fmt.Fprintf(doc, "| size MiB | turns | ours: wall s | MiB/s | CPU s | peak MiB | age: wall s | CPU s | ratio of walls | ratio of CPU |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, s := range []struct {
		size  int64
		turns int
	}{{1 << 20, 9}, {16 << 20, 9}, {256 << 20, turns}, {gib, turns}, {4*gib - 1<<20, 3}} {
		dir := t.TempDir()
		in := filepath.Join(dir, "in")
		writeRandom(t, in, s.size)
		var ours, plain []cost
		for range s.turns {
			ours = append(ours, h.upload(in))
			plain = append(plain, command(t, another(dir), filepath.Join(programs, "age"), "-R", keys, "-o", "OUT", in))
		}
		os.RemoveAll(dir)
		w := column(ours, wall).Seconds()
		fmt.Fprintf(doc, "| %d | %d | %.2f | %.0f | %.2f | %d | %.2f | %.2f | %.2f | %.2f |\n", s.size>>20, s.turns, w, float64(s.size>>20)/w, column(ours, cpu).Seconds(), column(ours, peak)>>20,
			column(plain, wall).Seconds(), column(plain, cpu).Seconds(), ratio(ours, plain, wall), ratio(ours, plain, cpu))
	}
	fmt.Fprintf(doc, "\nAim at 1 GiB: wall at most 2 times the age command's, peak at most 100 MiB. What binds: small files the key derivation, large ones the processor (next chapter).\n")
}

// recipientFile is a file with the age recipient of the house's reviewer.
func (h *house) recipientFile() string {
	keys := filepath.Join(h.t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(h.recipient()), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return keys
}

// another is a new name below dir. The vault keeps what it gets, so the others' files
// stay until a comparison ends: pages that were just freed are faster than new ones.
func another(dir string) string {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		panic(err)
	}
	return filepath.Join(sub, "out")
}

// command runs a program that writes the file out (the word OUT in its arguments), and syncs it.
func command(t testing.TB, out, program string, args ...string) cost {
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "OUT", out)
	}
	begin := time.Now()
	c := exec.Command(program, args...)
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, text)
	}
	if err := exec.Command("sync", out).Run(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{took, c.ProcessState.UserTime() + c.ProcessState.SystemTime(), usage.Maxrss << 10}
}

// peers compares one upload of 1 GiB with what others do with the same bytes.
func peers(t testing.TB, doc io.Writer) {
	h := newHouse(t, filepath.Join(t.TempDir(), "vault"))
	h.start()
	dir := t.TempDir()
	in, keys := filepath.Join(dir, "in"), h.recipientFile()
	writeRandom(t, in, gib)
	classical := filepath.Join(dir, "classical")
	text, err := exec.Command("/usr/bin/age-keygen").Output()
	if err != nil {
		t.Fatalf("age-keygen of Debian (make bench installs it): %v", err)
	}
	if err := os.WriteFile(classical, []byte(regexp.MustCompile(`age1[0-9a-z]+`).Find(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	gpg := newGPG(t)
	share := newOnionShare(t)
	sides := []struct {
		name, keeps string
		run         func() cost
		costs       []cost
	}{
		{"HTTP upload to `resguardod`, until the codename page", "age, post-quantum", func() cost { return h.upload(in) }, nil},
		{"`age -R KEYS -o out in && sync out`, v1.3.2", "age, post-quantum", func() cost {
			return command(t, another(dir), filepath.Join(programs, "age"), "-R", keys, "-o", "OUT", in)
		}, nil},
		{"the same with Debian's age", "age, X25519", func() cost { return command(t, another(dir), "/usr/bin/age", "-R", classical, "-o", "OUT", in) }, nil},
		{"`gpg -e -r KEY -o out in && sync out`", "OpenPGP, deflated", func() cost { return gpg(another(dir), in, "-z", "6") }, nil},
		{"`gpg -z 0 -e …`", "OpenPGP", func() cost { return gpg(another(dir), in, "-z", "0") }, nil},
		{"HTTP upload to `onionshare-cli --local-only --receive`, and sync", "**clear text**", func() cost { return share.upload(in) }, nil},
	}
	for range turns {
		for i := range sides {
			sides[i].costs = append(sides[i].costs, sides[i].run())
		}
	}
	fmt.Fprintf(doc, "\n## Beside other programs: 1 GiB of random bytes\n\nMedians of %d, in turns: %s. CPU and peak (anonymous memory of servers, resident of commands) are those of the program, not of its client. "+
		"OnionShare writes its progress to a terminal that nobody reads and keeps the file in clear.\n\n| | stored as | wall s | CPU s | peak MiB | wall, ours to this |\n| --- | --- | --- | --- | --- | --- |\n", turns, versions(t))
	for _, s := range sides {
		fmt.Fprintf(doc, "| %s | %s | %.2f | %.2f | %d | %.2f |\n", s.name, s.keeps, column(s.costs, wall).Seconds(), column(s.costs, cpu).Seconds(), column(s.costs, peak)>>20, ratio(sides[0].costs, s.costs, wall))
	}
}

// versions names the Debian packages of the peers.
func versions(t testing.TB) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Version}, ", "age", "gnupg", "onionshare-cli").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), ", ")
}

// newGPG makes a keyring with one key (Debian's default kind) and returns its encryption.
func newGPG(t testing.TB) func(out, in string, flags ...string) cost {
	home := t.TempDir()
	base := []string{"--homedir", home, "--batch", "--yes", "--trust-model", "always"}
	gen := exec.Command("gpg", append(base, "--passphrase", "", "--quick-generate-key", "bench@example.org")...)
	if text, err := gen.CombinedOutput(); err != nil {
		t.Fatalf("gpg: %v\n%s", err, text)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	return func(out, in string, flags ...string) cost {
		args := append(append(append([]string{}, base...), flags...), "-e", "-r", "bench@example.org", "-o", "OUT", in)
		return command(t, out, "gpg", args...)
	}
}

// onionShare is a running OnionShare in receive mode, without tor.
type onionShare struct {
	t    testing.TB
	data string
	kept string // where its files go, out of data
	url  string
	h    *house // for the watchers of its process
}

func newOnionShare(t testing.TB) *onionShare {
	s := &onionShare{t: t, data: filepath.Join(t.TempDir(), "data"), kept: t.TempDir()}
	c := exec.Command("onionshare-cli", "--local-only", "--receive", "--public", "--data-dir", s.data)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "PYTHONUNBUFFERED=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("onionshare-cli (make bench installs it): %v", err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	s.h = &house{t: t, server: c}
	lines := bufio.NewReader(out)
	for s.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("onionshare-cli ended: %v", err)
		}
		if strings.HasPrefix(line, "http://127.0.0.1:") {
			s.url = strings.TrimSpace(line)
		}
	}
	go io.Copy(io.Discard, lines)
	return s
}

// upload sends the file, syncs what OnionShare made of it, and takes it away.
func (s *onionShare) upload(path string) cost {
	f, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	stop, before, begin := s.h.watchMemory(), s.h.cpuTime(), time.Now()
	// OnionShare's server wants to know the length before.
	var head, tail bytes.Buffer
	form := multipart.NewWriter(&head)
	if _, err := form.CreateFormFile("file[]", "video.mp4"); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(&tail, "\r\n--%s--\r\n", form.Boundary())
	r, err := http.NewRequest(http.MethodPost, s.url+"/upload", io.MultiReader(&head, f, &tail))
	if err != nil {
		s.t.Fatal(err)
	}
	r.ContentLength = int64(head.Len()) + gib + int64(tail.Len())
	r.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var stored []string
	if err := filepath.WalkDir(s.data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			stored = append(stored, path)
		}
		return err
	}); err != nil || resp.StatusCode != http.StatusOK || len(stored) != 1 {
		s.t.Fatalf("onionshare: %d, %v, %q", resp.StatusCode, err, stored)
	}
	if err := exec.Command("sync", stored[0]).Run(); err != nil {
		s.t.Fatal(err)
	}
	c := cost{time.Since(begin), s.h.cpuTime() - before, stop()}
	if info, err := os.Stat(stored[0]); err != nil || info.Size() != gib || os.Rename(stored[0], another(s.kept)) != nil {
		s.t.Fatalf("onionshare stored %v, %v", info, err)
	}
	return c
}
