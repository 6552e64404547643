package onion

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNoClients says that nobody would be authorised at the reviewers' service.
// Tor takes an empty set for "everyone".
var ErrNoClients = errors.New("the reviewers' onion service has no authorised client")

// clientsDir is where tor looks for authorised clients in a HiddenServiceDir.
const clientsDir = "authorized_clients"

// Client may reach the reviewers' service.
type Client struct {
	Name string // fingerprint of the card: lower-case letters and digits, at most 64
	Key  string // x25519 public key, 52 characters of upper-case base32
}

func (k Client) file() string { return k.Name + ".auth" }
func (k Client) line() string { return "descriptor:x25519:" + k.Key + "\n" }

func (k Client) check() error {
	odd := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if k.Name == "" || len(k.Name) > 64 || strings.ContainsFunc(k.Name, odd) {
		return fmt.Errorf("client %.80q: not a fingerprint", k.Name)
	}
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	raw, err := encoding.DecodeString(k.Key)
	if err != nil || len(raw) != 32 || encoding.EncodeToString(raw) != k.Key {
		return fmt.Errorf("client %s: its key is not 52 characters of base32", k.Name)
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return fmt.Errorf("client %s: %w", k.Name, err)
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	// A point of low order would make the shared secret known to everyone.
	if _, err := private.ECDH(public); err != nil {
		return fmt.Errorf("client %s: its key is not a usable x25519 key", k.Name)
	}
	return nil
}

// checkClients refuses a set in which revoking one client would not end its
// access because another carries the same name or key.
func checkClients(clients []Client) error {
	names, keys := map[string]bool{}, map[string]string{}
	for _, k := range clients {
		if err := k.check(); err != nil {
			return err
		}
		if names[k.Name] {
			return fmt.Errorf("client %s is listed twice", k.Name)
		}
		if other, ok := keys[k.Key]; ok {
			return fmt.Errorf("clients %s and %s share a key", other, k.Name)
		}
		names[k.Name], keys[k.Key] = true, k.Name
	}
	return nil
}

// writeClients makes dir/authorized_clients hold a file for each of clients and
// no other file that tor would read.
func writeClients(dir string, clients []Client) error {
	sub := filepath.Join(dir, clientsDir)
	// Tor refuses a service whose folder others may read.
	for _, d := range []string{dir, sub} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	present, err := os.ReadDir(sub)
	if err != nil {
		return err
	}
	for _, e := range present {
		known := func(k Client) bool { return k.file() == e.Name() }
		if strings.HasSuffix(e.Name(), ".auth") && !slices.ContainsFunc(clients, known) {
			if err := os.Remove(filepath.Join(sub, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, k := range clients {
		path := filepath.Join(sub, k.file())
		if err := os.WriteFile(path+".new", []byte(k.line()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}
