package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// halfBackup begins to take a copy from the running server, and goes on with the rest when told.
func (h *host) halfBackup() (rest func() error) {
	h.t.Helper()
	c := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(h.dir, "vault", "control.sock"))
	}}}
	resp, err := c.Post("http://control/v1/backup", "application/json", strings.NewReader(`{"have":[]}`))
	h.check(err)
	if resp.StatusCode != http.StatusOK {
		h.t.Fatal(resp.Status)
	}
	_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
	h.check(err)
	return func() error {
		_, err := io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}
}

// TestServerEndsDuringBackup: it ends in time, whoever is still reading, and the copy
// does not look whole.
func TestServerEndsDuringBackup(t *testing.T) {
	h := newHost(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		h.serve()
		h.send("a report", string(bytes.Repeat([]byte("file "), 4<<20)))
		rest := h.halfBackup()
		took, err := h.end(signal)
		if signal == syscall.SIGTERM && (err != nil || took > 10*time.Second) {
			t.Errorf("ended with %v after %v\n%s", err, took, h.logs)
		}
		if err := rest(); err == nil {
			t.Errorf("after %v the copy came to its end", signal)
		}
	}
	if n := len(h.items()); n != 2 {
		t.Errorf("%d reports, want 2", n)
	}
}

// TestBackupOfBusyServer: a confined server gives a backup while another one is being
// taken and reports come in; a killed command leaves nothing in the way.
func TestBackupOfBusyServer(t *testing.T) {
	h := newHost(t)
	h.serve()
	h.send("first", string(bytes.Repeat([]byte("file "), 4<<20)))
	h.check(os.WriteFile(filepath.Join(h.dir, "recipients"), []byte(h.recipient("home/operator")+"\n"), 0o644))
	backup := []string{"backup", "-dir", "vault", "-to", "tmp/backups", "-recipients", "recipients"}
	rest := h.halfBackup()
	out, err := h.command("resguardod", backup...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "error: another backup of this vault is being made") {
		t.Errorf("second backup: %v %s", err, out)
	}
	h.send("second", "file")
	h.check(rest())
	killed := h.command("resguardod", backup...)
	h.check(killed.Start())
	killed.Process.Kill()
	killed.Wait()
	h.run("resguardod", backup...)
	h.run("resguardod", "restore", "-dir", "restored", "-from", "tmp/backups", "-identity", "home/operator.identity")
	if _, err := h.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, h.logs)
	}
	want := h.items()
	h.check(os.Rename(filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "lost")))
	h.check(os.Rename(filepath.Join(h.dir, "restored"), filepath.Join(h.dir, "vault")))
	h.run("resguardod", "check", "-dir", "vault", "-accept-copy")
	got := h.items()
	if len(got) != 2 || len(want) != 2 || got[0].SHA256 != want[0].SHA256 || got[1].SHA256 != want[1].SHA256 {
		t.Errorf("restored %v, want %v", got, want)
	}
	h.serve()
	h.end(syscall.SIGTERM)
}

// recipient makes an operator's identity.
func (h *host) recipient(name string) string {
	h.t.Helper()
	h.run("makecard", name)
	card, err := os.ReadFile(filepath.Join(h.dir, name+".card"))
	h.check(err)
	for field := range strings.FieldsSeq(string(card)) {
		if strings.HasPrefix(field, "age1pq1") {
			return field
		}
	}
	h.t.Fatalf("no recipient in %s", card)
	return ""
}
