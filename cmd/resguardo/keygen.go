package main

import (
	"context"
	"encoding/json"
	"strings"
	"unicode"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
)

// shortPassphrase is the number of bytes under which keygen warns.
const shortPassphrase = 20

// keygen makes the keys of a new reviewer or auditor.
func (p *program) keygen(_ context.Context, args []string) error {
	f := newFlags("keygen")
	name := f.String("name", "", "")
	role := f.String("role", string(card.Reviewer), "")
	file := f.String("passphrase-file", "", "")
	without := f.Bool("no-passphrase", false, "")
	asJSON := f.Bool("json", false, "")
	if err := f.parse(args, 0); err != nil {
		return err
	}
	switch {
	case !validNickname(*name):
		return misuse(say.T("-name needs a nickname of 1 to 40 letters"), say.T("-name NICKNAME; never your real name"))
	case *role != string(card.Reviewer) && *role != string(card.Auditor):
		return misuse(say.T("-role %s is neither reviewer nor auditor", *role), say.T("leave -role out to be a reviewer"))
	case *file != "" && *without:
		return misuse(say.T("-passphrase-file and -no-passphrase exclude each other"), say.T("choose one"))
	}
	n := folder.New{Name: *name, Role: card.Role(*role)}
	var err error
	switch {
	case *file != "":
		n.Passphrase, err = readPassphrase(*file)
	case !*without:
		n.Passphrase, err = p.newPassphrase()
	}
	if err != nil {
		return err
	}
	c, err := folder.Create(f.dir, n)
	if err != nil {
		return err
	}
	p.warnPassphrase(n.Passphrase)
	return p.tellKeys(f.dir, c, *asJSON)
}

func (p *program) warnPassphrase(passphrase string) {
	switch {
	case passphrase == "":
		p.Warn(say.T("the keys are not encrypted: whoever copies this folder can read every report sealed to you"),
			say.T("keep the folder on an encrypted disk only"))
	case len(passphrase) < shortPassphrase:
		p.Warn(say.T("the passphrase is short"), say.T("six words drawn at random are long enough"))
	}
}

// tellKeys says what to do with new keys.
func (p *program) tellKeys(dir string, c card.Card, asJSON bool) error {
	path := strings.TrimSuffix(dir, "/") + "/" + folder.CardFile
	if asJSON {
		return json.NewEncoder(p.Out).Encode(struct {
			Card        string    `json:"card"`
			Role        card.Role `json:"role"`
			Fingerprint string    `json:"fingerprint"`
		}{path, c.Role, c.Fingerprint()})
	}
	p.Say(say.T("card %s", path))
	p.Say(say.T("fingerprint %s", c.Fingerprint()))
	p.Hint(say.T("give the card to the operator, and nothing else from this folder; it holds no secret and no name"))
	p.Hint(say.T("read the fingerprint to the operator in person or by telephone: both must see the same"))
	p.Hint(say.T("make a copy of the folder now: without identity.* nobody can open reports sealed to you"))
	return nil
}

// validNickname keeps the name on one comment line.
func validNickname(s string) bool {
	n := len([]rune(s))
	return n > 0 && n <= 40 && strings.TrimSpace(s) == s && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
