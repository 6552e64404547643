package cmd_test

// A disk that others fill: what the real server still does, and what it refuses.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/onion/tornet/source"
)

// TestFullDisk: with little room left, reports are refused in words, with the text in
// the form, and other ways are shown; replies, reading and deletion go on. With no
// room at all, reading and deletion do. When there is room again, so is everything.
func TestFullDisk(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) { fullDisk(t, mounted(t, kind)) })
	}
}

// mounted is a new file system of 128 MiB. Only root can mount one.
func mounted(t *testing.T, kind string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root can mount a disk")
		}
		t.Skip("only root can mount a disk")
	}
	base, err := os.MkdirTemp("", "m") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(base, "disk")
	lines := [][]string{{"mkdir", disk}, {"mount", "-t", "tmpfs", "-o", "size=128m,mode=0700", "tmpfs", disk}}
	if kind != "tmpfs" {
		image := filepath.Join(base, "image")
		lines = [][]string{{"mkdir", disk}, {"truncate", "-s", "128M", image}, {"mkfs." + kind, "-q", "-m", "0", image}, {"mount", "-o", "loop", image, disk}}
	}
	t.Cleanup(func() {
		syscall.Unmount(disk, syscall.MNT_DETACH)
		os.RemoveAll(base)
	})
	for _, line := range lines {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", line, err, out)
		}
	}
	return disk
}

func fullDisk(t *testing.T, disk string) {
	h := newHouse(t, filepath.Join(disk, "v"))
	ways := "\n[[other_ways]]\nes = \"Otra puerta: 000\"\nen = \"Another door: 000\"\n"
	config := filepath.Join(h.dir, "resguardo.toml")
	old, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, append(old, ways...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.start()
	var codenames []string
	for range 2 {
		codenames = append(codenames, h.mustSend(source.Report{Message: "uno", Files: []source.File{{Name: "a.jpg", Body: io.LimitReader(random{}, 1<<20)}}}))
	}
	kase := filepath.Base(filepath.Dir(h.fetch()[0]))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	before, err := h.visitor().Token(ctx) // a form that was opened while there was room
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	fillTo(t, disk, filler, 24<<20)
	h.refuses(ctx, before)
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, []byte("Lo leímos."), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "resguardo", "reply", "-dir", h.reviewer, "-server", h.review, "-message", message, kase)
	fillTo(t, disk, filler, 0)
	h.refuses(ctx, before)
	h.reviewer = copied(t, h.reviewer)
	if err := os.RemoveAll(filepath.Join(h.reviewer, "cases")); err != nil {
		t.Fatal(err)
	}
	if n := len(h.fetch()); n != 3 {
		t.Errorf("on a full disk: %d items fetched, want 3", n)
	}
	replies := 0
	for _, codename := range codenames {
		m, err := h.visitor().SignIn(ctx, codename)
		if err != nil {
			t.Fatal(err)
		}
		replies += len(m.Replies)
		if err := m.Erase(ctx); err != nil {
			t.Errorf("on a full disk: deletion: %v", err)
		}
		if again, err := h.visitor().SignIn(ctx, codename); err == nil {
			t.Errorf("the mailbox is still there:\n%s", again.Page)
		}
	}
	if replies != 1 {
		t.Errorf("%d replies, want 1", replies)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.mustSend(source.Report{Message: "otra vez"})
	run(t, "resguardod", "check", "-dir", h.dir)
	if err := errors.Join(h.server.Process.Signal(syscall.SIGTERM), h.server.Wait()); err != nil {
		t.Errorf("%v\n%s", err, h.log)
	}
	h.server = nil
	run(t, "resguardod", "check", "-dir", h.dir)
}

// refuses: the form is not shown, other ways are, and a report from an open form is refused with its text.
func (h *house) refuses(ctx context.Context, token string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.source+"/en/report?desk=norte", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(page), "no room to store more") || !strings.Contains(string(page), "Another door: 000") {
		h.t.Errorf("the form: %s, %v\n%s", resp.Status, err, page)
	}
	a, err := h.visitor().SendWith(ctx, token, source.Report{Message: "mi texto queda"})
	if err != nil || a.Status != http.StatusServiceUnavailable || a.Codename != "" || !strings.Contains(a.Page, "mi texto queda") || !strings.Contains(a.Page, "Otra puerta: 000") {
		h.t.Errorf("a report: %d, %v\n%s", a.Status, err, a.Page)
	}
}

// fillTo appends to a file until only so many bytes are free.
func fillTo(t *testing.T, disk, path string, left int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		var s syscall.Statfs_t
		if err := syscall.Statfs(disk, &s); err != nil {
			t.Fatal(err)
		}
		free := int64(s.Bavail) * s.Bsize
		if free <= left {
			return
		}
		if _, err := f.Write(make([]byte, min(1<<20, free-left))); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
