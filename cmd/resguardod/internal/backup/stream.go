package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// The tar that goes from Stream to Folder.Store, never to a disk: state/NAME, the
// operator's files; then the parts of the vault, blob files with their version, and
// without content when that is known; last endName, JSON of []vault.Problem: without
// it the copy broke off.
const (
	statePrefix   = stateName + "/"
	endName       = "end"
	versionRecord = "RESGUARDO.version"
	sameRecord    = "RESGUARDO.same"
)

// maxState is the most bytes of the operator's files together.
const maxState = 32 << 20

// Stream writes a consistent copy of the vault v in d to w, less the blob files whose
// version is in have. Errors are those of w and of [vault.Vault.Backup]; nothing has
// been written when it is one of ErrNoLog and ErrCopying.
func Stream(ctx context.Context, w io.Writer, d statedir.Dir, v *vault.Vault, have []string) error {
	t := tar.NewWriter(w)
	missing, err := v.Backup(ctx, func(p vault.Part) (io.Writer, error) {
		if p.Name == slotsName {
			// The operator's files may be newer than the log in the copy, but not older: a
			// file older than its note would be taken for a new change.
			if err := streamState(t, d); err != nil {
				return nil, err
			}
		}
		h := &tar.Header{Name: p.Name, Mode: 0o600, Size: p.Size}
		same := p.Version != "" && slices.Contains(have, p.Version)
		if p.Version != "" {
			h.PAXRecords = map[string]string{versionRecord: p.Version}
		}
		if same {
			h.Size, h.PAXRecords[sameRecord] = 0, "yes"
		}
		if err := t.WriteHeader(h); err != nil || same {
			return nil, err
		}
		return t, nil
	})
	if err != nil {
		return err
	}
	end, err := json.Marshal(missing)
	if err != nil {
		return err
	}
	return errors.Join(putFile(t, endName, end), t.Close())
}

func putFile(t *tar.Writer, name string, content []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

func streamState(t *tar.Writer, d statedir.Dir) error {
	state, err := readState(d)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if err := putFile(t, statePrefix+name, state[name]); err != nil {
			return err
		}
	}
	return nil
}

// readState reads the operator's files, by their names in the directory. A desk is
// there before its card is read: the program writes cards first.
func readState(d statedir.Dir) (map[string][]byte, error) {
	var names []string
	err := filepath.WalkDir(d.Path(), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a request that has just gone
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.Path(), path)
		if err == nil && e.IsDir() && !keepsDir(rel) {
			return filepath.SkipDir
		}
		if err == nil && e.Type().IsRegular() && keeps(rel) {
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(names, func(a, b string) int { return cards(a) - cards(b) })
	state, size := make(map[string][]byte), 0
	for _, name := range names {
		content, err := statedir.ReadFile(d.Path(name), maxState)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if size += len(content); size > maxState {
			return nil, tooLarge(d.Path())
		}
		state[name] = content
	}
	return state, nil
}

func cards(name string) int {
	if strings.HasPrefix(name, statedir.CardsDir+"/") {
		return 1
	}
	return 0
}

// keepsDir tells whether a folder of the vault's directory holds files of the operator's.
func keepsDir(rel string) bool {
	return statedir.Known(rel, true) && rel != "blobs" && rel != filepath.Join(statedir.OnionDir, "data")
}

// keeps tells whether a file belongs to the operator's files in a backup: every one
// that the program knows, but for those that are the vault's, tor's or of a moment.
func keeps(rel string) bool {
	dir, name := filepath.Split(rel)
	switch {
	case !statedir.Known(rel, false), strings.HasSuffix(name, ".new"), strings.HasSuffix(name, ".tmp"), strings.HasSuffix(name, ".sock"):
		return false
	case dir == "blobs/", dir == statedir.OnionDir+"/", strings.HasPrefix(rel, statedir.OnionDir+"/data/"):
		return false
	}
	return !slices.Contains([]string{metaName, slotsName, statedir.HighWaterFile, "reserve", statedir.RehashFile, "accept-gap"}, rel)
}

// packState makes the content of state.age.
func packState(state map[string][]byte, manifest []byte) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	err := putFile(t, manifestName, manifest)
	for _, name := range slices.Sorted(maps.Keys(state)) {
		err = errors.Join(err, putFile(t, statePrefix+name, state[name]))
	}
	return b.Bytes(), errors.Join(err, t.Close())
}

// unpackState is the inverse of packState. It refuses what is no plain file, and
// every name that readState would not give.
func unpackState(packed []byte) (state map[string][]byte, manifest []byte, err error) {
	state = make(map[string][]byte)
	t := tar.NewReader(bytes.NewReader(packed))
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return nil, nil, err
		}
		name, ok := strings.CutPrefix(h.Name, statePrefix)
		_, twice := state[name]
		switch {
		case h.Typeflag != tar.TypeReg || twice:
			return nil, nil, fmt.Errorf("%q is there twice, or is no file", h.Name)
		case h.Name == manifestName && manifest == nil:
			manifest = content
		case !ok || !filepath.IsLocal(name) || filepath.Clean(name) != name || !keeps(name):
			return nil, nil, fmt.Errorf("a file with the name %q", h.Name)
		default:
			state[name] = content
		}
	}
	return state, manifest, nil
}
