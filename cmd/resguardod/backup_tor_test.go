package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRestoredVaultHasItsAddresses: on a clean machine, a real tor publishes the same
// two onion services from what the backup held, and the report is there.
func TestRestoredVaultHasItsAddresses(t *testing.T) {
	h, include := torHost(t)
	h.serveWith("-tor-include", include)
	before := h.told("onion")
	h.check(os.WriteFile(filepath.Join(h.dir, "recipients"), []byte(h.recipient("home/operator")+"\n"), 0o644))
	h.run("resguardod", "backup", "-dir", "vault", "-to", "tmp/backups", "-recipients", "recipients")
	if _, err := h.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, h.logs)
	}
	h.check(os.Rename(filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "lost")))
	h.run("resguardod", "restore", "-dir", "vault", "-from", "tmp/backups", "-identity", "home/operator.identity")
	h.run("resguardod", "check", "-dir", "vault", "-accept-copy")
	h.serveWith("-tor-include", include)
	after := h.told("onion")
	if after.Source != before.Source || after.Reviewers != before.Reviewers || before.Source == "" || before.Reviewers == "" {
		t.Errorf("addresses %s and %s, before %s and %s", after.Source, after.Reviewers, before.Source, before.Reviewers)
	}
	if code, _ := h.reach(h.onionClient(), after.Source+"/en/", ""); code != 200 {
		t.Errorf("the page answers %d", code)
	}
	if _, err := h.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v\n%s", err, h.logs)
	}
}
