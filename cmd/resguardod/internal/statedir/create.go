package statedir

import (
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
)

// Settings are what init asks for.
type Settings struct {
	Name       string        // becomes the origin with eight hex digits
	Epoch      time.Duration // 6 h is usual
	Slots      int
	Languages  []string // of the pages; the first is the default
	Demo       bool
	Passphrase string // of the governance key; empty = in clear
	Comments   string // language of the comments in resguardo.toml: es or en
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

func (s Settings) check() error {
	var f file
	if !nameForm.MatchString(s.Name) {
		f.add(0, say.T("the name %s is not possible", quote(s.Name)),
			say.T("use 1 to 64 of the characters a-z, 0-9, . and -, such as reportes.example.org (-origin)"))
	}
	checkEpoch(&f, s.Epoch, s.Demo)
	checkLanguages(&f, s.Languages, isPageLanguage, say.T("es, es-usted, en"))
	return f.err()
}

//go:embed config.es.toml config.en.toml
var templates embed.FS

// Create makes the directory of a new vault, with all that init writes.
// database makes the vault's own files in the directory it is given, which is
// not yet at its final place.
//
// Create overwrites nothing: path may exist only as an empty directory, and
// path.keys not at all. Everything is made beside path under another name and
// then renamed, so that whatever fails leaves nothing half-made in path.
func Create(path string, s Settings, database func(dir, origin string) error) (d Dir, origin string, err error) {
	if err := s.check(); err != nil {
		return Dir{}, "", err
	}
	if d, err = newDir(path); err != nil {
		return Dir{}, "", err
	}
	if err := d.vacant(); err != nil {
		return Dir{}, "", err
	}
	var random [4]byte
	rand.Read(random[:])
	origin = s.Name + "-" + hex.EncodeToString(random[:])
	making := Dir{d.path + ".init-" + hex.EncodeToString(random[:])}
	defer func() {
		os.RemoveAll(making.path)
		os.RemoveAll(making.KeysDir())
	}()
	if err := making.fill(s, origin); err != nil {
		return Dir{}, "", unwritten(d.path, err)
	}
	if err := database(making.path, origin); err != nil {
		return Dir{}, "", unwritten(d.path, err)
	}
	return d, origin, d.take(making)
}

// vacant reports whether the vault can be made at d.
func (d Dir) vacant() error {
	entries, err := os.ReadDir(d.path)
	if err == nil && len(entries) > 0 {
		return &say.Error{Path: d.path, What: say.T("the directory is not empty"),
			Hint: say.T("choose a new directory; init never overwrites anything")}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(d.path, err)
	}
	if _, err := os.Lstat(d.KeysDir()); !errors.Is(err, fs.ErrNotExist) {
		return &say.Error{Path: d.KeysDir(), What: say.T("keys of another vault lie here"),
			Hint: say.T("move them to a safe place, or choose another directory; init never overwrites anything")}
	}
	return nil
}

// take renames the finished directories into place. The keys come first: a
// vault without its governance key would be of no use.
func (d Dir) take(making Dir) error {
	if err := os.Rename(making.KeysDir(), d.KeysDir()); err != nil {
		return unwritten(d.KeysDir(), err)
	}
	// Unlike os.Rename, the system call replaces an empty directory.
	if err := unix.Rename(making.path, d.path); err != nil {
		os.RemoveAll(d.KeysDir())
		return unwritten(d.path, err)
	}
	if err := syncDir(filepath.Dir(d.path)); err != nil {
		return unwritten(d.path, err)
	}
	return nil
}

func unwritten(path string, err error) error {
	if e := (*say.Error)(nil); errors.As(err, &e) {
		return err
	}
	return &say.Error{Path: path, Err: err, What: say.T("the vault cannot be made: %s", say.Bare(err)),
		Hint: say.T("nothing was left behind; the directory above must be writable, and the path itself no mount point")}
}

// fill writes every file of the operator's, and DIR.keys.
func (d Dir) fill(s Settings, origin string) error {
	for _, dir := range []string{d.path, d.KeysDir(), d.Path(DesksDir), d.Path(CardsDir)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	files, err := d.contents(s, origin)
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := writeSync(path, content); err != nil {
			return err
		}
	}
	for _, dir := range []string{d.path, d.KeysDir()} {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// contents makes the files of a new vault, by path.
func (d Dir) contents(s Settings, origin string) (map[string][]byte, error) {
	log, err := newKeyPair(origin)
	if err != nil {
		return nil, err
	}
	operations, err := newKeyPair(operationsName(origin))
	if err != nil {
		return nil, err
	}
	governance, err := newKeyPair(governanceName(origin))
	if err != nil {
		return nil, err
	}
	config, err := configText(s, origin)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		d.Path(ConfigFile):         config,
		d.Path(LogKey):             []byte(log.signer),
		d.Path(LogVerifier):        []byte(log.verifier),
		d.Path(OperationsKey):      []byte(operations.signer),
		d.Path(OperationsVerifier): []byte(operations.verifier),
		d.Path(GovernanceVerifier): []byte(governance.verifier),
		d.Path(PolicyFile):         []byte(policy(log.verifier)),
	}
	if s.Passphrase == "" {
		files[filepath.Join(d.KeysDir(), GovernanceKey)] = []byte(governance.signer)
		return files, nil
	}
	sealed, err := sealKey(governance.signer, s.Passphrase)
	files[filepath.Join(d.KeysDir(), GovernanceSealedKey)] = sealed
	return files, err
}

func configText(s Settings, origin string) ([]byte, error) {
	name := "config.en.toml"
	if s.Comments == "es" {
		name = "config.es.toml"
	}
	t, err := template.New(name).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	err = t.Execute(&b, struct {
		Format, Origin, Languages, Epoch string
		Demo                             bool
		Slots                            int
	}{ConfigFormat, origin, `"` + strings.Join(s.Languages, `", "`) + `"`, spanText(s.Epoch), s.Demo, s.Slots})
	return []byte(b.String()), err
}

// spanText is the shortest text of d: 6h instead of 6h0m0s.
func spanText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
