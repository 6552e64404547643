package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// Bounds of what a mirror can make us do. The largest file is an entry bundle: 256
// entries of at most 64 KiB.
const (
	maxMirrorFile = 16<<20 + 512
	mirrorLimit   = 2 * time.Minute // for one file, through tor
	mirrorAtOnce  = 8               // requests
)

// cmdRecover takes into an old copy of the vault what it lacks of the public log.
func cmdRecover(p *say.Printer, args []string) error {
	var from, socks string
	c := newCommand("recover")
	c.StringVar(&from, "mirror", "", "")
	c.StringVar(&socks, "socks", "", "")
	if err := c.read(args); err != nil {
		return err
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	mirror, err := openMirror(from, socks)
	if err != nil {
		return err
	}
	return throughServer(d,
		func() error {
			if err := ask(context.Background(), p, d, http.MethodGet, "/v1/status", nil, new(status)); err != nil {
				return err
			}
			return say.Fail(say.T("the server is running"), say.T("stop it first"))
		},
		func() error {
			return withVault(p, d, func(s *statedir.State, v *vault.Vault) error {
				own, err := d.LogVerifier(s.Config.Origin)
				if err != nil {
					return err
				}
				return recoverFrom(p, d, v, mirror, own)
			})
		})
}

func recoverFrom(p *say.Printer, d statedir.Dir, v *vault.Vault, mirror torchwood.TileReader, own note.Verifier) error {
	ctx := context.Background()
	text, err := mirror.ReadEndpoint(ctx, checkpointFile)
	if err != nil {
		return say.Fail(say.T("the mirror has no checkpoint: %s", say.Bare(err)), say.T("name the folder that holds the file checkpoint"))
	}
	tree, err := ownCheckpoint(text, own)
	if err != nil {
		return say.Fail(say.T("the mirror's checkpoint is not signed by this vault's key: %s", err), say.T("is it a mirror of this vault?"))
	}
	// First what will have been done: the log must say so, whatever happens in between.
	here, err := vaultSize(v)
	if err != nil {
		return err
	}
	if tree.N > here {
		if err := d.Restoring(here, tree.N); err != nil {
			return err
		}
	}
	lost, to, err := v.Recover(ctx, text, mirror, own)
	if err != nil {
		if told := copyError(d, err); ofLog(err) || errors.Is(err, vault.ErrDamaged) {
			return told
		}
		return say.Fail(say.T("nothing was recovered: %s", err), say.T("nothing was changed; try again, or another mirror"))
	}
	if lost == to {
		p.Say(say.T("this copy holds the whole log of the mirror, %s leaves", to))
	} else {
		p.Say(say.T("took leaves %s to %s of the public log from the mirror", lost, to-1))
		p.Hint(say.T("what belonged to these leaves is lost; the public log will say so"))
	}
	p.Hint(say.T("start the server again: resguardod serve -dir %s", d.Path()))
	return nil
}

// vaultSize is the number of leaves of the vault's signed log.
func vaultSize(v *vault.Vault) (int64, error) {
	signed := v.Signed()
	if signed == nil {
		return 0, nil
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	c, err := torchwood.ParseCheckpoint(text + "\n")
	return c.N, err
}

// openMirror reads a folder, a web host on this machine, or any through a SOCKS5
// proxy, which should be tor's: who asks for a vault's mirror is of interest.
func openMirror(from, socks string) (torchwood.TileReader, error) {
	u, err := url.Parse(from)
	switch {
	case from == "":
		return nil, misuse(say.T("-mirror is missing"), say.T("name a folder that log export made, or the address of one"))
	case err != nil:
		return nil, misuse(say.T("%s is not a value for -%s", from, "mirror"), say.T("name a folder that log export made, or the address of one"))
	case u.Scheme == "file":
		return folder(u.Path)
	case u.Scheme != "http" && u.Scheme != "https":
		return folder(from)
	case !isLocal(u.Hostname()) && socks == "":
		return nil, misuse(say.T("the mirror %s is not on this machine", u.Host), say.T("name tor's SOCKS port: -socks 127.0.0.1:9050"))
	}
	if _, _, err := net.SplitHostPort(cmp.Or(socks, "127.0.0.1:0")); err != nil {
		return nil, misuse(say.T("%s is not a value for -%s", socks, "socks"), say.T("name tor's SOCKS port: -socks 127.0.0.1:9050"))
	}
	dial := dialOutward("tcp", socks)
	client := &http.Client{Timeout: mirrorLimit, Transport: bounded{&http.Transport{DialContext: dial, MaxConnsPerHost: mirrorAtOnce}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return torchwood.NewTileFetcher(u.String(), torchwood.WithHTTPClient(client), torchwood.WithConcurrencyLimit(mirrorAtOnce))
}

func folder(path string) (torchwood.TileReader, error) {
	root, err := os.OpenRoot(path) // no link leads out of it
	if err != nil {
		return nil, say.Fail(say.T("the mirror cannot be read: %s", say.Bare(err)), say.T("name a folder that log export made, or the address of one"))
	}
	return torchwood.NewTileFS(root.FS())
}

// bounded refuses answers that are longer than any file of a log.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxMirrorFile), resp.Body}
	}
	return resp, err
}
