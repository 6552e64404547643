package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/poster"
	"resguardo/cmd/resguardod/internal/statedir"
)

// cmdPoster prints a page to print, with the address of the source's service.
func cmdPoster(p *say.Printer, args []string) error {
	var lang string
	c := newCommand("poster")
	c.StringVar(&lang, "lang", "es", "")
	if err := c.read(args); err != nil {
		return err
	}
	if lang != "es" && lang != "en" {
		return misuse(say.T("-lang cannot be %s", lang), say.T("use es or en"))
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	state, err := d.Load()
	if err != nil {
		return err
	}
	address := state.Config.Onion.Source
	if address == "" {
		if address, err = ownAddress(d); err != nil {
			return err
		}
	}
	return poster.Write(p.Out, poster.Poster{Lang: lang, Address: address, Organisation: state.Config.Organisation})
}

// ownAddress is the address that our own tor has made.
func ownAddress(d statedir.Dir) (string, error) {
	path := d.Path(statedir.OnionDir, "source", "hostname")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &say.Error{Path: path, What: say.T("the vault has no address yet"),
			Hint: say.T("start it once with tor: resguardod serve -dir %s; with the system's tor write the address into %s", d.Path(), statedir.ConfigFile)}
	}
	return strings.TrimSpace(string(text)), err
}
