// Package folder is the reviewer's own folder: keys, card, the vault it belongs
// to, and the fetched cases.
//
//	identity.txt or identity.age   age identity; the second is encrypted with a passphrase
//	keys.txt or keys.age           note signing key and onion client key, likewise
//	card.txt                       public keys, for the operator
//	server.json                    address and origin of the vault
//	cases/CASE/NNN-KIND.age        an item as the vault holds it
//	cases/CASE/NNN-KIND.json       what the list said about it, and what was done with it
//	cases/CASE/NNN-KIND.part       the beginning of an item whose download was cut
//	cases/CASE/NNN-KIND.draft      an item of ours, sealed, on its way to the vault
//	cases/CASE/case.json           what the vault says about the case
//	desks.json                     the keys of the desks: seen, and accepted by the person
//	cards/FINGERPRINT.txt          every card that the log named in a desk, also of those who left
//	policy                         whose signatures the log needs (C2SP tlog-policy), if one was given
//	epochs/EPOCH.age               openings of an epoch, sealed to auditors
//	log/                           the newest checkpoint that was right, and tiles that were read
//	onion-auth/                    onion client key, for a tor that is not ours; written by fetch -socks
//	tor/                           what our own tor keeps
//
// Every file but tor's is reached through an os.Root and is readable by its owner only. A
// file appears under its name when it is complete.
package folder

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/disk"
	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Folder is an open reviewer's folder.
type Folder struct {
	root *os.Root
	path string
	lock *os.File // nil: others may use the folder too
}

// Open opens a folder that keygen made.
func Open(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, say.Fail(say.T("there is no folder %s", dir), say.T("make one with: resguardo keygen -dir %s -name NICKNAME", dir))
	}
	if err != nil {
		return nil, err
	}
	f := &Folder{root: root, path: dir}
	if !f.exists("identity.txt") && !f.exists("identity.age") {
		root.Close()
		return nil, say.Fail(say.T("%s holds no keys", dir), say.T("put identity.* and keys.* back from your copy: new keys open no old reports; for a new folder: resguardo keygen -dir %s -name NICKNAME", dir))
	}
	return f, nil
}

// OpenLocked is Open for who writes: it fails while another program has the folder
// open in this way. Close ends the lock.
func OpenLocked(dir string) (*Folder, error) {
	f, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if f.lock, err = f.root.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, errors.Join(err, f.root.Close())
	}
	if disk.Lock(f.lock) != nil {
		f.Close()
		return nil, say.Fail(say.T("another resguardo works in %s", f.path), say.T("wait until it ends, or end it"))
	}
	return f, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error {
	if f.lock != nil {
		return errors.Join(f.lock.Close(), f.root.Close())
	}
	return f.root.Close()
}

// Path is the path of name in the folder, for people and for tor.
func (f *Folder) Path(name string) string { return filepath.Join(f.path, filepath.FromSlash(name)) }

func (f *Folder) exists(name string) bool {
	_, err := f.root.Lstat(name)
	return err == nil
}

// write puts data under name, all of it or nothing, and makes it durable.
func (f *Folder) write(name string, data []byte) error {
	temp := name + ".new"
	// A cut rename can leave both names on one file: never write into what is there.
	if err := f.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.root.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, f.root.Remove(temp))
	}
	return f.rename(temp, name)
}

// rename gives a complete file its name, durably.
func (f *Folder) rename(from, to string) error {
	if err := f.root.Rename(from, to); err != nil {
		return err
	}
	dir, err := f.root.Open(path.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(disk.SyncFolder(dir), dir.Close())
}

// read returns a file of at most max bytes.
func (f *Folder) read(name string, max int64) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, max+1))
	if err == nil && int64(len(b)) > max {
		err = say.Fail(say.T("%s has more than %s bytes", f.Path(name), max), say.Text{})
	}
	return b, err
}

// Server is the vault that the folder belongs to.
type Server struct {
	URL    string `json:"url"`
	Origin string `json:"origin"`
	Log    string `json:"log,omitempty"` // verifier key of the log; empty: not seen yet
}

const serverFile = "server.json"

// Server returns the vault that fetch remembers; the zero Server if none.
func (f *Folder) Server() (Server, error) {
	b, err := f.read(serverFile, 4<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return Server{}, nil
	}
	if err != nil {
		return Server{}, err
	}
	var s Server
	if err := strictJSON(b, &s); err != nil || s.URL == "" || !card.ValidOrigin(s.Origin) || s.Log != "" && !isKey(s.Log) {
		return Server{}, say.Fail(say.T("%s is damaged", f.Path(serverFile)),
			say.T("delete it and give -server URL again; compare the origin with what the operator told you"))
	}
	return s, nil
}

func isKey(s string) bool {
	_, err := note.NewVerifier(s)
	return err == nil
}

// SetServer remembers the vault.
func (f *Folder) SetServer(s Server) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return f.write(serverFile, append(b, '\n'))
}

// strictJSON reads one value of exactly v's fields.
func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}
