package torclient

import (
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suffix is how the names of the files in a ClientOnionAuthDir end.
const suffix = ".auth_private"

// Key opens one onion service.
type Key struct {
	Name    string // of its file: lower-case letters, digits and hyphens, at most 64
	Address string // of the service: 56 characters and ".onion"
	Private string // x25519 private key, 52 characters of upper-case base32
}

// check also keeps key material out of its errors.
func (k Key) check() error {
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if k.Name == "" || len(k.Name) > 64 || strings.ContainsFunc(k.Name, odd) {
		return fmt.Errorf("key %.80q: not a name for a file", k.Name)
	}
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	host, ok := strings.CutSuffix(k.Address, ".onion")
	if raw, err := encoding.DecodeString(strings.ToUpper(host)); !ok || err != nil || len(raw) != 35 || strings.ToLower(host) != host {
		return fmt.Errorf("key %s: %.80q is not an onion address", k.Name, k.Address)
	}
	if raw, err := encoding.DecodeString(k.Private); err != nil || len(raw) != 32 {
		return fmt.Errorf("key %s: not an x25519 key in base32", k.Name)
	}
	return nil
}

// Write writes the key as dir/NAME.auth_private (0600), the form that a tor
// with ClientOnionAuthDir dir reads, and returns the path. dir is made (0700)
// if need be; a file of that name is replaced.
func (k Key) Write(dir string) (path string, err error) {
	if err := k.check(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, k.Name+suffix)
	line := strings.TrimSuffix(k.Address, ".onion") + ":descriptor:x25519:" + k.Private + "\n"
	fresh := path + ".new" // tor does not read it
	if err := os.WriteFile(fresh, []byte(line), 0o600); err != nil {
		return "", err
	}
	return path, os.Rename(fresh, path)
}

func (c Config) auth() string { return filepath.Join(c.Dir, "auth") }

// writeKeys makes our tor's folder of keys hold c.Keys and no others: tor
// refuses two keys for one address.
func (c Config) writeKeys() error {
	if err := os.MkdirAll(c.auth(), 0o700); err != nil {
		return err
	}
	present, err := os.ReadDir(c.auth())
	if err != nil {
		return err
	}
	for _, e := range present {
		known := func(k Key) bool { return k.Name+suffix == e.Name() }
		if strings.HasSuffix(e.Name(), suffix) && !slices.ContainsFunc(c.Keys, known) {
			if err := os.Remove(filepath.Join(c.auth(), e.Name())); err != nil {
				return err
			}
		}
	}
	for _, k := range c.Keys {
		if _, err := k.Write(c.auth()); err != nil {
			return err
		}
	}
	return nil
}

// removeKeys takes our tor's keys off the disk. What cannot be removed goes at
// the next start.
func (c Config) removeKeys() {
	c.Keys = nil
	_ = c.writeKeys()
}
