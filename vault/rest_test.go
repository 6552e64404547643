package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// TestDiskShowsNothing searches the raw files for what a row may not show: a line
// of the age header, desk, case, day, the source's recipient, hash, thread,
// events, and tags outside the queue.
func TestDiskShowsNothing(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	sub := submission("canary-desk-north", "canary-desk-south")
	sub.Day = "2031-07-19"
	m := mustSend(t, v, 64<<10, sub)
	large := mustSend(t, v, 5<<20, submission("canary-desk-south"))
	if _, err := begun(v, 5<<20); err != nil { // a draft that is left behind
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	raw := readAll(t, dir)
	for name, secret := range map[string][]byte{
		"desk":      []byte("canary-desk"),
		"day":       []byte("2031-07"),
		"recipient": []byte("canaryrecipient"),
		"header":    []byte("CANARYHEADER"),
		"age":       []byte("age-encryption.org"),
		"mac line":  []byte("--- 0123456789"),
		"case":      []byte(m.sub.Case),
		"opening":   []byte("resguardo/opening"),
	} {
		if bytes.Contains(raw, secret) {
			t.Errorf("the disk shows %s", name)
		}
	}
	expire := m.sub.Expire.Tag(translog.Expire)
	for name, secret := range map[string][]byte{
		"thread":                  m.sub.Thread[:],
		"E of report":             m.sub.Event[:],
		"E of expire":             m.sub.Expire[:],
		"tag of expire":           expire[:],
		"ciphertext hash":         m.sum[:],
		"hash of the second item": large.sum[:],
	} {
		for form, text := range map[string][]byte{
			"raw":    secret,
			"hex":    []byte(hex.EncodeToString(secret)),
			"base64": []byte(base64.StdEncoding.EncodeToString(secret)),
		} {
			if bytes.Contains(raw, text) {
				t.Errorf("the disk shows %s (%s)", name, form)
			}
		}
	}
	tag := m.sub.Event.Tag(translog.Report)
	if n := bytes.Count(raw, tag[:]); n == 0 {
		t.Error("the queue does not show the tag: the search finds nothing")
	}
}

// readAll returns the bytes of all files of a vault.
func readAll(t *testing.T, dir string) (raw []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		raw = append(raw, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
