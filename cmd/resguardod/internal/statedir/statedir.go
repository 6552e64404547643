// Package statedir reads and writes the operator's files in a vault's
// directory: configuration, desks, cards and keys. The database files beside
// them belong to resguardo/vault.
//
//	resguardo.toml          configuration; written once by init, then by people
//	languages/CODE.toml     texts of a language of the pages that the program does not bring
//	desks/ID.toml           one desk each
//	desks/ID.reading        its reviewers' newest note that they are reading
//	cards/FINGERPRINT.card  one reviewer or auditor each, as the file was given
//	auditors.toml           which auditors' cards are in force
//	requests/               governance notes that wait for a signature, or for the log
//	vault.db blobs/ keys.slots high-water reserve    the vault
//	log.key log.vkey        signs checkpoints; its verifier key
//	operations.key operations.vkey    signs what the running server says about itself
//	governance.vkey         verifier of the governance key, which lies outside
//	policy                  C2SP tlog-policy: all that an auditor needs
//	accept-gap restore      what a person, or recover, has left for the next epoch
//	seen                    how much of the log everybody could see before this epoch
//	rehash                  how far all ciphertext was read again, and what was damaged
//	control.sock            of the running server
//	onion/                  of the running server's tor: its keys, state and sockets
//
// The governance key, which must leave the machine, lies in DIR.keys. Directories
// have mode 0700 and files 0600.
//
// Every file is read strictly. An error is a [*say.Error] with the file, the
// line, what is wrong and what to do; several problems come as one error made by
// errors.Join. [Change] is the only way in which a program changes desks and
// cards, whether or not a server is running.
package statedir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
)

// Names inside the directory.
const (
	ConfigFile         = "resguardo.toml"
	DesksDir           = "desks"
	CardsDir           = "cards"
	AuditorsFile       = "auditors.toml"
	RequestsDir        = "requests"
	HighWaterFile      = "high-water" // written by the vault
	LogKey             = "log.key"
	LogVerifier        = "log.vkey"
	OperationsKey      = "operations.key"
	OperationsVerifier = "operations.vkey"
	GovernanceVerifier = "governance.vkey"
	PolicyFile         = "policy"
	SocketFile         = "control.sock"
	OnionDir           = "onion"
	SourceSocket       = "source.sock"
	ReviewersSocket    = "reviewers.sock"
	SocksSocket        = "socks"
)

// keysSuffix makes the name of the directory of keys that must leave the machine.
const keysSuffix = ".keys"

// MaxFile is the most bytes of a configuration or desk file.
const MaxFile = 64 << 10

// maxSocket is the most bytes of a unix socket's path (sun_path less its NUL).
const maxSocket = 107

// FitsSocket refuses a folder in which a socket of that name would have a path
// that is too long.
func FitsSocket(dir, name string) error {
	if n := len(filepath.Join(dir, name)); n > maxSocket {
		return &say.Error{Path: dir,
			What: say.T("the path is too long: with /%s it has %s bytes, and a unix socket's path at most %s", name, n, maxSocket),
			Hint: say.T("choose a directory whose path has at most %s bytes", maxSocket-len(name)-1)}
	}
	return nil
}

// Dir is a directory that holds a vault, as an absolute path.
type Dir struct{ path string }

// Open finds the vault in path. It reads nothing but the presence of the
// configuration file.
func Open(path string) (Dir, error) {
	d, err := newDir(path)
	if err != nil {
		return Dir{}, err
	}
	info, err := os.Stat(d.Path(ConfigFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Dir{}, &say.Error{Path: d.path, Err: err,
			What: say.T("no vault here: %s is missing", ConfigFile),
			Hint: say.T("make a vault with: resguardod init -dir %s -origin NAME", path)}
	case err != nil:
		return Dir{}, unreadable(d.Path(ConfigFile), err)
	case !info.Mode().IsRegular():
		return Dir{}, unreadable(d.Path(ConfigFile), errors.New("not a regular file"))
	}
	return d, nil
}

func newDir(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, say.Fail(say.T("%s: %s", path, err), say.Text{})
	}
	if err := FitsSocket(abs, SocketFile); err != nil {
		return Dir{}, err
	}
	return Dir{abs}, nil
}

// Path is the path of a file in the directory, or of the directory itself.
func (d Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// KeysDir is the directory of the keys that must leave the machine.
func (d Dir) KeysDir() string { return d.path + keysSuffix }

// ErrBusy: another process holds the directory's lock.
var ErrBusy = errors.New("directory is in use")

// Lock keeps every other program from changing the directory until unlock is
// called or the process ends, however it ends. It waits up to wait for a
// command to finish, then returns ErrBusy. It refuses to work for another
// account than the owner's, because the owner could not read the new files.
func (d Dir) Lock(wait time.Duration) (unlock func(), err error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, unreadable(d.path, err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil || int(s.Uid) != os.Geteuid() {
		f.Close()
		return nil, &say.Error{Path: d.path, Err: err, What: say.T("the directory belongs to the account with number %s", s.Uid),
			Hint: say.T("run the command as that account: sudo -u '#%s' resguardod …", s.Uid)}
	}
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, unreadable(d.path, err)
		case time.Now().After(end):
			f.Close()
			return nil, ErrBusy
		}
	}
}

// ReadFile reads a regular file of at most limit bytes. It neither waits on a
// pipe nor reads without end.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, unreadable(path, errors.New("not a regular file"))
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if int64(len(b)) > limit {
		return nil, &say.Error{Path: path,
			What: say.T("the file has more than %s bytes", limit),
			Hint: say.T("is this the right file?")}
	}
	return b, nil
}

// unreadable is the error of a file that the system does not let us use.
func unreadable(path string, err error) error {
	err = say.Bare(err)
	e := &say.Error{Path: path, Err: err, What: say.T("cannot be read: %s", err)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.What = say.T("the file is missing")
		e.Hint = say.T("check the path; if the file was lost, put it back from a backup")
	case errors.Is(err, fs.ErrPermission):
		e.What = say.T("no permission to read it")
		e.Hint = say.T("run the command as the owner of the directory")
	}
	return e
}

// write puts a file in place so that after a crash either the old content or
// the new one is there. It makes the file with mode 0600.
func write(path string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = &say.Error{Path: path, Err: err,
				What: say.T("cannot be written: %s", say.Bare(err)),
				Hint: say.T("nothing was changed; check the disk and the owner of the directory")}
		}
	}()
	dir, name := filepath.Split(path)
	// A name of its own would be left behind by every crash; this one is reused.
	temporary := filepath.Join(dir, "."+name+".new")
	// A cut rename can leave both names on one file: never write into what is there.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSync(temporary, content); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// writeSync writes a new file of mode 0600 and waits until it is on the disk.
func writeSync(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Known reports whether a path relative to the directory is one that the
// program makes.
func Known(rel string, isDir bool) bool {
	dir, name := filepath.Split(rel)
	if rel == OnionDir || strings.HasPrefix(rel, OnionDir+"/") {
		return knownOnion(strings.Split(rel, "/")[1:], isDir)
	}
	switch dir = filepath.Clean(dir); {
	case isDir:
		return slices.Contains([]string{".", DesksDir, CardsDir, RequestsDir, LanguagesDir, "blobs"}, rel)
	case dir == ".":
		return knownTop(name)
	case dir == RequestsDir:
		return fresh(name) || strings.HasSuffix(name, requestSuffix)
	case dir == DesksDir:
		return fresh(name) || strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, readingSuffix)
	case dir == LanguagesDir:
		return strings.HasSuffix(name, ".toml")
	case dir == CardsDir:
		return fresh(name) || strings.HasSuffix(name, ".card")
	case dir == "blobs":
		return strings.HasSuffix(name, ".db")
	}
	return false
}

func knownTop(name string) bool {
	own := []string{AuditorsFile, acceptGapFile, restoreFile, seenFile, RehashFile, HighWaterFile}
	made := []string{ConfigFile, QuestionsFile, LogKey, LogVerifier, OperationsKey, OperationsVerifier, GovernanceVerifier, PolicyFile,
		SocketFile, HighWaterFile, HighWaterFile + ".new", "vault.db", "keys.slots", "reserve"}
	if fresh(name) {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "."), ".new")
		return slices.Contains(own, name)
	}
	return slices.Contains(own, name) || slices.Contains(made, name)
}

// knownOnion is Known below the onion folder. What tor keeps in its data folder
// is tor's own business.
func knownOnion(rel []string, isDir bool) bool {
	switch {
	case len(rel) == 0 || rel[0] == "data":
		return isDir || len(rel) > 1
	case rel[0] != "source" && rel[0] != "reviewers":
		return !isDir && len(rel) == 1 && slices.Contains([]string{"torrc", "torrc.new", "torrc-defaults", "control", SourceSocket, ReviewersSocket, SocksSocket}, rel[0])
	case len(rel) == 1 || len(rel) == 2 && rel[1] == "authorized_clients":
		return isDir
	case len(rel) == 2:
		name := strings.TrimSuffix(rel[1], ".tmp")
		return !isDir && slices.Contains([]string{"hostname", "hs_ed25519_secret_key", "hs_ed25519_public_key"}, name)
	}
	name := strings.TrimSuffix(rel[2], ".new")
	return !isDir && len(rel) == 3 && rel[1] == "authorized_clients" && strings.HasSuffix(name, ".auth")
}

// fresh reports the file of a write that a crash has cut short.
func fresh(name string) bool { return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".new") }
