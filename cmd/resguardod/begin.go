package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/governance"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/onion/site"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// beginLog sees to it that the log exists, signs what waits if the governance key is
// on this machine, and begins the log with the first start. It runs before the
// process is confined: a running server cannot read DIR.keys.
func beginLog(ctx context.Context, p *say.Printer, l *live) error {
	if err := copyError(l.dir, l.vault.OldCopy()); err != nil && !errors.Is(err, vault.ErrNoHighWater) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log()
	plan, err := l.plan(log, nil)
	if err != nil {
		return err
	}
	if waiting := governance.Unsigned(plan); len(waiting) > 0 {
		if plan, err = signHere(l, log, waiting); err != nil {
			return err
		}
	}
	waiting := governance.Unsigned(plan)
	if log.Genesis != nil {
		if len(waiting) > 0 {
			p.Warn(say.T("%s notes wait for the governance key: additions do not work yet", len(waiting)), signLine(l.dir))
		}
		return l.turn(log, l.epoch(log))
	}
	if len(waiting) > 0 {
		return say.Fail(say.T("the public log cannot begin: %s notes wait for the governance key", len(waiting)), signLine(l.dir))
	}
	signer, err := l.dir.LogSigner(l.genesis.Origin)
	if err != nil {
		return err
	}
	if err := l.vault.BeginLog(ctx, governance.Ready(plan), signer); err != nil {
		return say.Fail(say.T("the public log cannot begin: %s", err), say.Text{})
	}
	log = l.log()
	if _, err := l.plan(log, nil); err != nil {
		return err
	}
	return l.turn(log, l.epoch(log))
}

// signHere signs requests with the governance key, if it lies in DIR.keys in clear.
func signHere(l *live, log governance.Log, waiting []governance.Request) ([]governance.Request, error) {
	key, err := l.dir.GovernanceSigner(l.genesis.Origin)
	if err != nil || key == nil {
		return waiting, err
	}
	var signed [][]byte
	for _, r := range waiting {
		text, err := translog.AddSignature(r.Note, key)
		if err != nil {
			return nil, err
		}
		signed = append(signed, text)
	}
	return l.plan(log, signed)
}

// signLine tells how requests are signed on the machine that has the key.
func signLine(d statedir.Dir) say.Text {
	key := filepath.Join(d.KeysDir(), statedir.GovernanceKey)
	if _, err := os.Lstat(filepath.Join(d.KeysDir(), statedir.GovernanceSealedKey)); err == nil {
		key = filepath.Join(d.KeysDir(), statedir.GovernanceSealedKey)
	}
	return say.T("sign them where the key is, and copy them back to the same place: resguardod sign -key %s %s",
		key, filepath.Join(d.Path(statedir.RequestsDir), "*.note"))
}

// copyError puts into our words why nothing may be signed.
func copyError(d statedir.Dir, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, vault.ErrNoHighWater):
		return &say.Error{Err: err, Path: d.Path(statedir.HighWaterFile), What: say.T("the file is missing: nobody can say whether this is an old copy of the vault"),
			Hint: say.T("take the newest log from a mirror: resguardod recover -mirror DIR|URL; only if you are certain that this copy is the newest: resguardod check -accept-copy")}
	case errors.Is(err, vault.ErrOldCopy):
		return &say.Error{Err: err, What: say.T("somebody has seen more of the public log than this copy of the vault holds: %s", err),
			Hint: say.T("nothing was signed; put the newest copy back, or take the missing part of the log from a mirror: resguardod recover -mirror DIR|URL")}
	}
	return &say.Error{Err: errors.Join(err, errLog), What: say.T("the public log in the vault does not verify: %s", err),
		Hint: say.T("nothing was signed; copy the whole directory to another disk first, then put back the last good backup and run: resguardod recover -mirror DIR|URL")}
}

// errLog marks errors that end with exit code 3.
var errLog = errors.New("the log is inconsistent")

// maxGap is how long the log may have stood still without a person's word. The
// same holds for maxSkew, of our clock against that of the Tor network.
const (
	maxGap  = 30 * 24 * time.Hour
	maxSkew = 24 * time.Hour
)

// gapError refuses a gap that a person should look at: an epoch is closed at the
// end of next, and last was closed before.
func gapError(d statedir.Dir, last, next int64, length, skew time.Duration) error {
	gap := translog.EpochStart(next, length).Sub(translog.EpochStart(last+1, length))
	if gap <= maxGap && skew.Abs() <= maxSkew {
		return nil
	}
	accepted, err := d.GapAccepted(last)
	if err != nil || accepted {
		return err
	}
	hint := say.T("set the clock if it is wrong; if it is right, stop the server and say so: resguardod check -accept-gap -dir %s", d.Path())
	if gap > maxGap {
		return say.Fail(say.T("the public log would have a gap of %s days", int64(gap/(24*time.Hour))), hint)
	}
	return say.Fail(say.T("the clock differs from the Tor network's by %s", skew), hint)
}

// assets are what the pages load, and this program.
func assets() (translog.Assets, error) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return translog.Assets{}, err
	}
	defer exe.Close()
	h := sha256.New()
	if _, err := io.Copy(h, exe); err != nil {
		return translog.Assets{}, err
	}
	a := translog.Assets{Build: fmt.Sprintf("%s/sha256:%x", version, h.Sum(nil))}
	for path, digest := range site.Assets() {
		a.Files = append(a.Files, translog.Asset{Path: strings.TrimPrefix(path, "/"), Digest: digest})
	}
	slices.SortFunc(a.Files, func(a, b translog.Asset) int { return strings.Compare(a.Path, b.Path) })
	return a, nil
}

// signers are the keys that the running server signs with.
type signers struct{ log, operations note.Signer }

func readSigners(d statedir.Dir, origin string) (s signers, err error) {
	if s.log, err = d.LogSigner(origin); err != nil {
		return s, err
	}
	s.operations, err = d.OperationsSigner(origin)
	return s, err
}
