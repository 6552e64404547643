package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion/logtiles"
	"resguardo/vault"
)

// checkpointFile is the name of the checkpoint in an export, as in the log.
const checkpointFile = "checkpoint"

// cmdLogExport writes the published log as static files, for any web host. A
// folder that holds an export of the same log is brought up to date.
func cmdLogExport(p *say.Printer, args []string) error {
	var to string
	c := newCommand("log export")
	c.StringVar(&to, "to", "", "")
	if err := c.read(args); err != nil {
		return err
	}
	if to == "" {
		return misuse(say.T("-to is missing"), say.T("name the folder of the mirror: -to DIR"))
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	s, err := d.Load()
	if err != nil {
		return err
	}
	own, err := d.LogVerifier(s.Config.Origin)
	if err != nil {
		return err
	}
	var size int64
	err = throughServer(d,
		func() (err error) {
			size, err = export(context.Background(), to, own, fromServer(p, d))
			return err
		},
		func() error {
			return withVault(p, d, func(_ *statedir.State, v *vault.Vault) (err error) {
				size, err = export(context.Background(), to, own, fromVault(v))
				return err
			})
		})
	if err != nil {
		return err
	}
	p.Say(say.T("exported the public log, %s leaves, to %s", size, to))
	return nil
}

// logReader returns a file of the published log by its path.
type logReader func(ctx context.Context, path string) ([]byte, error)

// fromServer asks the running server for files of the log.
func fromServer(p *say.Printer, d statedir.Dir) logReader {
	return func(ctx context.Context, path string) ([]byte, error) {
		resp, err := send(ctx, p, d, http.MethodGet, logtiles.Prefix+path, nil)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return io.ReadAll(io.LimitReader(resp.Body, maxMirrorFile))
		case http.StatusNotFound:
			return nil, vault.ErrNotFound
		}
		return nil, decodeAnswer(resp, nil)
	}
}

// fromVault reads them from the vault.
func fromVault(v *vault.Vault) logReader {
	return func(_ context.Context, path string) ([]byte, error) {
		if path == checkpointFile {
			if text := v.Published(); text != nil {
				return text, nil
			}
			return nil, vault.ErrNotFound
		}
		t, err := torchwood.ParseTilePath(path)
		if err != nil {
			return nil, err
		}
		return v.Tile(t)
	}
}

// ReadTiles implements torchwood.TileReader.
func (r logReader) ReadTiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = r(ctx, torchwood.TilePath(t)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles implements torchwood.TileReader.
func (r logReader) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadEndpoint implements torchwood.TileReader.
func (r logReader) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return r(ctx, path)
}

// export brings the folder to up to date, the checkpoint last, and returns the
// number of leaves. What lies there must be an older export of the same log.
func export(ctx context.Context, to string, own note.Verifier, from logReader) (int64, error) {
	text, err := from(ctx, checkpointFile)
	if errors.Is(err, vault.ErrNotFound) {
		return 0, say.Fail(say.T("nothing of the public log is published yet"), say.T("it begins with the first start of serve"))
	}
	if err != nil {
		return 0, err
	}
	now, err := ownCheckpoint(text, own)
	if err != nil {
		return 0, &say.Error{Err: errLog, What: say.T("the published checkpoint is not of this log: %s", err), Hint: say.T("see what this says: resguardod check")}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return 0, unexported(to, err)
	}
	old, err := oldExport(ctx, to, own, now, from)
	if err != nil {
		return 0, err
	}
	tiles := exportTiles(old.N, now.N)
	for _, t := range tiles {
		path := torchwood.TilePath(t)
		data, err := from(ctx, path)
		if err != nil {
			return 0, err
		}
		if err := place(filepath.Join(to, path), data); err != nil {
			return 0, unexported(to, err)
		}
	}
	if err := place(filepath.Join(to, checkpointFile), text); err != nil {
		return 0, unexported(to, err)
	}
	return now.N, dropPartials(to, exportTiles(0, old.N), exportTiles(0, now.N))
}

func ownCheckpoint(text []byte, own note.Verifier) (tlog.Tree, error) {
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(own.Name()), torchwood.SingleVerifierPolicy(own))
	c, _, err := torchwood.VerifyCheckpoint(text, policy)
	return c.Tree, err
}

// oldExport proves that what lies in the folder is an older part of this log.
func oldExport(ctx context.Context, to string, own note.Verifier, now tlog.Tree, from logReader) (tlog.Tree, error) {
	entries, err := os.ReadDir(to)
	if err != nil {
		return tlog.Tree{}, unexported(to, err)
	}
	for _, e := range entries {
		if name := e.Name(); name != checkpointFile && name != "tile" && !strings.HasPrefix(name, newPrefix) {
			return tlog.Tree{}, &say.Error{Path: to, What: say.T("the folder holds something else than a mirror of this log: %s", name),
				Hint: say.T("choose an empty folder")}
		}
	}
	text, err := statedir.ReadFile(filepath.Join(to, checkpointFile), statedir.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Tree{}, nil // empty, or an export that was cut short
	}
	if err != nil {
		return tlog.Tree{}, err
	}
	old, err := ownCheckpoint(text, own)
	if err != nil {
		return old, &say.Error{Path: to, What: say.T("the folder holds something else than a mirror of this log: %s", err), Hint: say.T("choose an empty folder")}
	}
	if old.N > now.N {
		return old, &say.Error{Path: to, Err: errLog, What: say.T("the mirror has %s leaves, the published log only %s", old.N, now.N),
			Hint: say.T("this may be an old copy of the vault: do not start it, and see: resguardod recover -mirror %s", to)}
	}
	if old.N == 0 {
		return old, nil
	}
	root, err := tlog.TreeHash(old.N, torchwood.TileHashReaderWithContext(ctx, now, from))
	if err != nil {
		return old, err
	}
	if root != old.Hash {
		return old, &say.Error{Path: to, Err: errLog, What: say.T("the mirror holds another history of this log than the vault"),
			Hint: say.T("keep both as they are, and ask those who watch the log what they have seen")}
	}
	return old, nil
}

// exportTiles are the tiles, entry bundles first, that grow a mirror from one size
// to another: full ones, and those of the right edge.
func exportTiles(from, to int64) (tiles []tlog.Tile) {
	if to == 0 {
		return nil
	}
	hashes := tlog.NewTiles(torchwood.TileHeight, from, to)
	for _, t := range hashes {
		if t.L == 0 {
			t.L = -1
			tiles = append(tiles, t)
		}
	}
	return append(tiles, hashes...)
}

// newPrefix marks a file that is being written.
const newPrefix = ".new-"

// place writes a file whole or not at all, for everybody to read.
func place(path string, content []byte) error {
	dir, name := filepath.Split(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(dir, newPrefix+name)
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	// The program's umask is for the vault; a mirror is public.
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close(), os.Chmod(dir, 0o755)); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// dropPartials removes the right edge that has been outgrown.
func dropPartials(to string, old, now []tlog.Tile) error {
	for _, t := range old {
		if t.W == torchwood.TileWidth || slices.Contains(now, t) {
			continue
		}
		path := filepath.Join(to, torchwood.TilePath(t))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unexported(to, err)
		}
		os.Remove(filepath.Dir(path)) // N.p, when it is empty
	}
	return nil
}

func unexported(to string, err error) error {
	return &say.Error{Path: to, Err: err, What: say.T("cannot be written: %s", say.Bare(err)), Hint: say.T("the folder must be writable; the command can be repeated")}
}
