package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A debian is one of the Debian packages: its programs, and which files of the
// source lie where.
type debian struct {
	name     string
	programs []string
	files    [][2]string // pattern in the source, folder in the package
}

var debians = []debian{
	{"resguardod", []string{"resguardod"}, [][2]string{
		{"packaging/*.service", "usr/lib/systemd/system"},
		{"packaging/sysusers.d/*.conf", "usr/lib/sysusers.d"},
		{"packaging/tmpfiles.d/*.conf", "usr/lib/tmpfiles.d"},
		{"packaging/apparmor/*", "usr/share/doc/resguardod/examples/apparmor"},
		{"packaging/README.md", "usr/share/doc/resguardod"},
		{"onion/site/questions.toml", "usr/share/doc/resguardod/examples"},
		{"onion/site/locales/*.toml", "usr/share/doc/resguardod/examples/locales"},
		{"docs/operator.md", "usr/share/doc/resguardod"},
		{"docs/raid.*.md", "usr/share/doc/resguardod"},
	}},
	{"resguardo", []string{"resguardo", "resguardo-audit"}, [][2]string{
		{"docs/reviewer.*.md", "usr/share/doc/resguardo"},
		{"docs/auditor.*.md", "usr/share/doc/resguardo"},
	}},
}

// packages writes the Debian packages of every Linux platform.
func (r release) packages() error {
	tools, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tools)
	nfpm, err := r.nfpm(tools)
	if err != nil {
		return err
	}
	for _, p := range platforms {
		if p.os != "linux" {
			continue
		}
		for _, d := range debians {
			if err := r.debian(nfpm, d, p.arch); err != nil {
				return fmt.Errorf("package %s for %s: %w", d.name, p.arch, err)
			}
		}
	}
	return nil
}

// nfpm builds the program that packs, for this machine, and returns its path. It
// comes from a module of its own.
func (r release) nfpm(dir string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "nfpm"))
	if err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-o", path, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
	c.Dir = filepath.Join(r.root, "packaging", "deb", "tools")
	c.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nfpm: %w\n%s", err, out)
	}
	return path, nil
}

// debian stages one package's files and lets nfpm pack them.
func (r release) debian(nfpm string, d debian, arch string) error {
	stage, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	entries, err := r.debianFiles(d, arch)
	if err != nil {
		return err
	}
	if err := writeTree(filepath.Join(stage, "root"), entries, r.when); err != nil {
		return err
	}
	scripts, err := filepath.Glob(filepath.Join(r.root, "packaging", "deb", d.name+".p*"))
	if err != nil {
		return err
	}
	config := filepath.Join(r.root, "packaging", "deb", d.name+".yaml")
	for _, file := range append(scripts, config) {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(stage, filepath.Base(file)), data, 0o644); err != nil {
			return err
		}
	}
	to, err := filepath.Abs(r.to)
	if err != nil {
		return err
	}
	c := exec.Command(nfpm, "package", "--config", d.name+".yaml", "--packager", "deb", "--target", to)
	c.Dir = stage
	c.Env = append(os.Environ(), "VERSION="+r.debianVersion(), "ARCH="+arch, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.when.Unix()))
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// debianVersion is a version that begins with a digit, as Debian demands. What
// is built between releases sorts before every release.
func (r release) debianVersion() string {
	if r.version == "devel" {
		return "0~devel"
	}
	return strings.TrimPrefix(r.version, "v")
}

// debianFiles are the files of a package, by their paths in the system.
func (r release) debianFiles(d debian, arch string) ([]entry, error) {
	doc := "usr/share/doc/" + d.name
	built, err := r.programs(platform{"linux", arch, d.programs})
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, e := range built {
		switch dir, name := path.Split(e.name); dir {
		case "bin/":
			entries = append(entries, entry{"usr/bin/" + name, 0o755, e.data})
		default:
			entries = append(entries, entry{doc + "/" + name, 0o644, e.data})
		}
	}
	for _, file := range d.files {
		sources, err := r.sources(file[0])
		if err != nil {
			return nil, err
		}
		for _, e := range sources {
			entries = append(entries, entry{path.Join(file[1], path.Base(e.name)), 0o644, e.data})
		}
	}
	for _, program := range d.programs {
		for suffix, dir := range map[string]string{".1": "man1", ".es.1": "es/man1"} {
			page, err := r.sources("docs/man/" + program + suffix)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{"usr/share/man/" + dir + "/" + program + ".1", 0o644, page[0].data})
		}
	}
	own, err := r.sources("packaging/deb/copyright", "packaging/deb/"+d.name+".lintian")
	if err != nil {
		return nil, err
	}
	entries = append(entries,
		entry{doc + "/copyright", 0o644, own[0].data},
		entry{"usr/share/lintian/overrides/" + d.name, 0o644, own[1].data},
		entry{doc + "/changelog", 0o644, r.changelog(d.name)})
	return fit(entries)
}

// changelog is the package's one entry; what is new stands in NEWS.md.
func (r release) changelog(name string) []byte {
	return fmt.Appendf(nil, "%s (%s) unstable; urgency=medium\n\n  * See NEWS.md of the source.\n\n -- %s  %s\n",
		name, r.debianVersion(), maintainer, r.when.Format(time.RFC1123Z))
}

// maintainer stands in the packages' yaml files too.
const maintainer = "Resguardo maintainers <maintainers@resguardo.example>"

// compressed are the files that Debian's policy (12.1, 12.3, 12.7) wants as gzip.
var compressed = regexp.MustCompile(`^usr/share/(man/.*|doc/[^/]*/changelog)$|/LICENSES-`)

// fit makes the files what Debian expects: programs in /usr/bin, documents
// compressed.
func fit(entries []entry) ([]entry, error) {
	for i, e := range entries {
		if strings.HasSuffix(e.name, ".service") || strings.HasSuffix(e.name, "/README.md") {
			entries[i].data = bytes.ReplaceAll(e.data, []byte("/usr/local/bin/"), []byte("/usr/bin/"))
		}
		if !compressed.MatchString(e.name) {
			continue
		}
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		entries[i] = entry{e.name + ".gz", e.mode, b.Bytes()}
	}
	return sorted(entries)
}

// writeTree writes the entries as files below root, all of one time.
func writeTree(root string, entries []entry, when time.Time) error {
	for _, e := range entries {
		file := filepath.Join(root, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, e.data, e.mode); err != nil {
			return err
		}
	}
	var all []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o755) // a folder; the umask may have taken something away
		if err == nil && !d.IsDir() {
			i := slices.IndexFunc(entries, func(e entry) bool { return filepath.Join(root, filepath.FromSlash(e.name)) == name })
			mode = entries[i].mode
		}
		all = append(all, name)
		return errors.Join(err, os.Chmod(name, mode))
	})
	for _, name := range slices.Backward(all) { // a folder after what is in it
		err = errors.Join(err, os.Chtimes(name, when, when))
	}
	return err
}
