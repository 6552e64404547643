package main

import (
	"context"
	"errors"
	"net/http"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// lockForServe takes the lock of the directory for as long as the server runs.
func lockForServe(p *say.Printer, d statedir.Dir) (unlock func(), err error) {
	unlock, err = d.Lock(0)
	if !errors.Is(err, statedir.ErrBusy) {
		return unlock, err
	}
	var s status
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	if ask(ctx, p, d, http.MethodGet, "/v1/status", nil, &s) == nil {
		return nil, &say.Error{Path: d.Path(), What: say.T("a server is already running here, with process number %s", s.PID),
			Hint: say.T("stop it first, or use it: desk, reviewer, auditor, log and check talk to it")}
	}
	if unlock, err = d.Lock(lockWait); errors.Is(err, statedir.ErrBusy) {
		return nil, busy(d)
	}
	return unlock, err
}

// openAll reads the operator's files and opens the vault, or says everything
// that is wrong.
func openAll(p *say.Printer, d statedir.Dir) (*statedir.State, *vault.Vault, error) {
	state, err := d.Load()
	if err != nil {
		return nil, nil, err
	}
	if err := d.CheckKeys(state.Config.Origin); err != nil {
		return nil, nil, err
	}
	v, err := openVault(p, d, state.Config)
	return state, v, err
}

// openVault tests the vault in a child, opens it and compares what it was made
// with with what the configuration says.
func openVault(p *say.Printer, d statedir.Dir, c statedir.Config) (*vault.Vault, error) {
	if err := probe(p, d); err != nil {
		return nil, err
	}
	v, err := vault.Open(d.Path(), vault.Options{MaxBytes: int64(c.Limits.Vault), Floor: int64(c.Limits.Free)})
	if err != nil {
		return nil, vaultError(err)
	}
	for _, damage := range v.Damage() {
		p.Warn(say.T("%s is damaged: %s", damage.Where, damage.What), say.T("what is undamaged is served; run: resguardod check -dir %s", d.Path()))
	}
	g := v.Genesis()
	if err := d.CheckFixed(g.Origin, g.Demo, g.Epoch, g.Slots); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// withVault opens the vault for a command. The caller holds the lock of the directory.
func withVault(p *say.Printer, d statedir.Dir, f func(*statedir.State, *vault.Vault) error) error {
	state, v, err := openAll(p, d)
	if err != nil {
		return err
	}
	return errors.Join(f(state, v), v.Close())
}
