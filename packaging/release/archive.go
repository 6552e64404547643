package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file of an archive or package. Name is its path, with slashes.
type entry struct {
	name string
	mode fs.FileMode // 0755 or 0644
	data []byte
}

// archive builds a platform's programs and packs them with what belongs to
// them, in the places that they have in the source: docs/ and packaging/ name
// each other by relative paths.
func (r release) archive(p platform) error {
	entries, err := r.programs(p)
	if err != nil {
		return err
	}
	patterns := []string{"LICENSE", "NEWS.md", "README.md", "SECURITY.md", "docs/*.md"}
	if p.os != "windows" {
		patterns = append(patterns, "docs/man/*.1")
	}
	if p.os == "linux" {
		patterns = append(patterns, "packaging/README.md", "packaging/*.service", "packaging/*.d/*.conf", "packaging/apparmor/*",
			"onion/site/questions.toml", "onion/site/locales/*.toml")
	}
	files, err := r.sources(patterns...)
	if err != nil {
		return err
	}
	return r.pack(p, append(entries, files...))
}

// pack writes the platform's archive: zip for Windows, tar.gz for the others.
func (r release) pack(p platform, entries []entry) error {
	top := "resguardo-" + r.version + "-" + p.String()
	suffix, write := ".tar.gz", writeTar
	if p.os == "windows" {
		suffix, write = ".zip", writeZip
	}
	f, err := os.OpenFile(filepath.Join(r.to, top+suffix), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f, top, entries, r.when), f.Close())
}

// programs builds a platform's programs and returns them in bin/, their bills
// of materials in sbom/, and the licences of everything that they link.
func (r release) programs(p platform) ([]entry, error) {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.build(p, dir); err != nil {
		return nil, err
	}
	var entries []entry
	var paths []string
	for _, program := range p.programs {
		built := filepath.Join(dir, p.exe(program))
		data, err := os.ReadFile(built)
		if err != nil {
			return nil, err
		}
		var bill bytes.Buffer
		if err := writeSBOM(&bill, built, r.version); err != nil {
			return nil, err
		}
		entries = append(entries, entry{"bin/" + p.exe(program), 0o755, data}, entry{"sbom/" + program + ".cdx.json", 0o644, bill.Bytes()})
		paths = append(paths, built)
	}
	text, err := r.licences(paths)
	if err != nil {
		return nil, err
	}
	return append(entries, entry{"LICENSES-THIRD-PARTY.txt", 0o644, text}), nil
}

// sources reads the module's files that the patterns name. Each pattern must
// name one at least.
func (r release) sources(patterns ...string) ([]entry, error) {
	var entries []entry
	for _, pattern := range patterns {
		names, err := fs.Glob(os.DirFS(r.root), pattern)
		if err != nil || len(names) == 0 {
			return nil, errors.Join(err, fmt.Errorf("no file is called %s", pattern))
		}
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(r.root, filepath.FromSlash(name)))
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{name, 0o644, data})
		}
	}
	return entries, nil
}

// sorted returns the entries by name. Two of one name are a mistake.
func sorted(entries []entry) ([]entry, error) {
	entries = slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(entries); i++ {
		if entries[i].name == entries[i-1].name {
			return nil, fmt.Errorf("two files are called %s", entries[i].name)
		}
	}
	return entries, nil
}

// writeTar writes a gzipped tar of the entries below top: sorted, owned by
// number 0, all of one time.
func writeTar(w io.Writer, top string, entries []entry, when time.Time) error {
	entries, err := sorted(entries)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(top, e.name), Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: when, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(h); err != nil {
			return err
		}
		if _, err := archive.Write(e.data); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

// writeZip is writeTar for Windows.
func writeZip(w io.Writer, top string, entries []entry, when time.Time) error {
	entries, err := sorted(entries)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(w)
	for _, e := range entries {
		h := &zip.FileHeader{Name: path.Join(top, e.name), Method: zip.Deflate, Modified: when}
		h.SetMode(e.mode)
		file, err := archive.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := file.Write(e.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// sums writes SHA256SUMS over every file of the folder, as sha256sum -c reads it.
func (r release) sums() error {
	files, err := os.ReadDir(r.to)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range files { // sorted by name
		data, err := os.ReadFile(filepath.Join(r.to, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(data), f.Name())
	}
	return os.WriteFile(filepath.Join(r.to, "SHA256SUMS"), []byte(text.String()), 0o644)
}
