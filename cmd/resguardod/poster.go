package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/poster"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/codename"
)

// cmdPoster prints a page to print, with the address of the source's service.
func cmdPoster(p *say.Printer, args []string) error {
	var lang, desk string
	c := newCommand("poster")
	c.StringVar(&lang, "lang", "es", "")
	c.StringVar(&desk, "desk", "", "")
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
	words, err := controlWords(p, state, desk, lang)
	if err != nil {
		return err
	}
	return poster.Write(p.Out, poster.Poster{Lang: lang, Address: address, Organisation: state.Config.Organisation, Words: words})
}

// posterWords is of how many keys a poster has room for the control words.
const posterWords = 6

// controlWords are those of the keys of a desk, or of all desks if none is named and
// there is room for them.
func controlWords(p *say.Printer, state *statedir.State, desk, lang string) (words []string, err error) {
	if _, found := state.Desk(desk); desk != "" && !found {
		return nil, say.Fail(say.T("there is no desk %s", `"`+desk+`"`), say.T("see the desks with: resguardod desk list -dir DIR"))
	}
	list, err := codename.ForLanguage(lang)
	if err != nil {
		return nil, err
	}
	for _, r := range state.Reviewers {
		if len(r.Desks) > 0 && (desk == "" || slices.Contains(r.Desks, desk)) {
			sum, err := hex.DecodeString(r.Card.Fingerprint())
			if err != nil || len(sum) != 32 {
				return nil, fmt.Errorf("fingerprint %q", r.Card.Fingerprint())
			}
			words = append(words, list.Control([32]byte(sum)))
		}
	}
	if len(words) > posterWords {
		p.Warn(say.T("the poster has no control words: there are %s keys, and room for those of %s", strconv.Itoa(len(words)), strconv.Itoa(posterWords)),
			say.T("name one desk: -desk ID"))
		return nil, nil
	}
	return words, nil
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
