// Package logtiles finds what is asked of the public log, as C2SP tlog-tiles
// (https://c2sp.org/tlog-tiles) names it. Both onion services answer with it.
//
//	/log/checkpoint                the published checkpoint
//	/log/tile/<L>/<N>[.p/<W>]      hashes of level L
//	/log/tile/entries/<N>[.p/<W>]  leaves
//
// A tile is there, whole and in every smaller width, as soon as the published
// checkpoint covers it, and stays for ever. Before the first publication there is
// nothing. Leaves are mostly random bytes, so nothing is compressed.
package logtiles

import (
	"net/url"
	"strings"

	"filippo.io/torchwood"

	"resguardo/vault"
)

// Prefix is the URL prefix of the log, in the words of tlog-tiles.
const Prefix = "/log/"

// maxLevel is the highest level that tlog-tiles has paths for.
const maxLevel = 63

// Resource is one file of the log.
type Resource struct {
	Type  string // Content-Type
	Cache string // Cache-Control
	Body  []byte // must not be modified
}

// Read returns what stands at an address. A query is passed over. Every path but
// the one canonical path of something that is published gives vault.ErrNotFound;
// other errors come from the vault.
func Read(v *vault.Vault, u *url.URL) (Resource, error) {
	path, ok := strings.CutPrefix(u.Path, Prefix)
	if !ok || u.RawPath != "" { // RawPath: escaped where it need not be
		return Resource{}, vault.ErrNotFound
	}
	if path == "checkpoint" {
		return checkpoint(v)
	}
	return tile(v, path)
}

func checkpoint(v *vault.Vault) (Resource, error) {
	text := v.Published()
	if text == nil {
		return Resource{}, vault.ErrNotFound
	}
	return Resource{Type: "text/plain; charset=utf-8", Cache: "no-store", Body: text}, nil
}

func tile(v *vault.Vault, path string) (Resource, error) {
	t, err := torchwood.ParseTilePath(path)
	// ParseTilePath also takes tile/data/… for tile/entries/….
	if err != nil || t.L > maxLevel || torchwood.TilePath(t) != path {
		return Resource{}, vault.ErrNotFound
	}
	body, err := v.Tile(t)
	if err != nil {
		return Resource{}, err
	}
	return Resource{Type: "application/octet-stream", Cache: "public, max-age=31536000, immutable", Body: body}, nil
}
