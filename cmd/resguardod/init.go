package main

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/codename"
	"resguardo/vault"
)

const (
	defaultEpoch = 6 * time.Hour
	defaultSlots = 16
)

// cmdInit makes a new vault.
func cmdInit(p *say.Printer, args []string) error {
	s := statedir.Settings{Slots: defaultSlots, Comments: p.Language}
	languages := list{"es", "en"}
	var passphraseFile string
	c := newCommand("init")
	c.StringVar(&s.Name, "origin", "", "")
	c.DurationVar(&s.Epoch, "epoch", defaultEpoch, "")
	c.Var(&languages, "lang", "")
	c.BoolVar(&s.Demo, "demo", false, "")
	c.StringVar(&passphraseFile, "governance-passphrase-file", "", "")
	if err := c.read(args); err != nil {
		return err
	}
	if s.Name == "" {
		return misuse(say.T("-origin is missing"), say.T("name the vault, such as -origin reportes.example.org; the name is public"))
	}
	s.Languages = languages
	if passphraseFile != "" {
		var err error
		if s.Passphrase, err = readPassphrase(passphraseFile); err != nil {
			return err
		}
	}
	d, origin, err := statedir.Create(c.dir, s, func(dir, origin string) error {
		return vault.Init(dir, genesis(origin, s))
	})
	if err != nil {
		return err
	}
	p.Say(say.T("made a vault in %s, origin %s", d.Path(), origin))
	nextSteps(p, c.dir, d, s)
	return nil
}

// genesis fixes what a vault keeps for ever, with a fresh salt.
func genesis(origin string, s statedir.Settings) vault.Genesis {
	k := codename.DefaultParams
	g := vault.Genesis{Origin: origin, Demo: s.Demo, Epoch: s.Epoch, Slots: s.Slots,
		Time: k.Time, Memory: k.Memory, Threads: k.Threads}
	rand.Read(g.Salt[:])
	return g
}

// readPassphrase reads a file whose only line is a passphrase.
func readPassphrase(path string) (string, error) {
	b, err := statedir.ReadFile(path, 1<<10)
	if err != nil {
		return "", err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" || strings.ContainsAny(s, "\r\n\x00") {
		return "", &say.Error{Path: path, What: say.T("a passphrase file has exactly one line that is not empty"),
			Hint: say.T("write the passphrase alone into the file")}
	}
	return s, nil
}

func nextSteps(p *say.Printer, dir string, d statedir.Dir, s statedir.Settings) {
	key := filepath.Join(d.KeysDir(), statedir.GovernanceKey)
	if s.Passphrase != "" {
		key = filepath.Join(d.KeysDir(), statedir.GovernanceSealedKey)
	}
	p.Hint(say.T("1. keep %s on another medium, and take it off this machine: it decides who may read reports", key))
	p.Hint(say.T("2. write who you are into %s", d.Path(statedir.ConfigFile)))
	p.Hint(say.T("3. add a desk: resguardod desk add -dir %s -id ID -name-es … -name-en … -region N,B,C,S", dir))
	p.Hint(say.T("4. add its reviewers: resguardod reviewer add -dir %s -desk ID CARD-FILE", dir))
	p.Hint(say.T("5. start: resguardod serve -dir %s; without tor, on this machine only: -tor off -preview 127.0.0.1:8080", dir))
}
