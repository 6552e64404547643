package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenceFile is what modules call the texts that must be passed on.
var licenceFile = regexp.MustCompile(`^(?i:(un)?licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licences returns the licence texts of Go and of every module that the programs
// link. A module without one is an error: it may not be passed on.
func (r release) licences(programs []string) ([]byte, error) {
	linked := map[string]bool{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, err
		}
		for _, m := range info.Deps {
			linked[m.Path] = true
		}
	}
	goroot, err := r.golang("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := copyLicences(&text, "Go", strings.TrimSpace(goroot)); err != nil {
		return nil, err
	}
	modules := slices.Sorted(maps.Keys(linked))
	if len(modules) == 0 {
		return text.Bytes(), nil
	}
	if _, err := r.golang(append([]string{"mod", "download"}, modules...)...); err != nil {
		return nil, err
	}
	list, err := r.golang(append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}"}, modules...)...)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(list) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if err := copyLicences(&text, name, dir); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// copyLicences adds the licence texts in a module's folder.
func copyLicences(text *bytes.Buffer, name, dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, f := range files { // sorted by name
		if f.IsDir() || !licenceFile.MatchString(f.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(text, "==== %s: %s\n\n%s\n", name, f.Name(), bytes.TrimSpace(data))
	}
	if !found {
		return errors.New("no licence text of " + name)
	}
	return nil
}
