package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/backup"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault"
)

// How many backups are kept, and the keys of how many.
const (
	defaultKeep     = 30
	defaultKeepKeys = 7
)

// backupRequest asks the running server for a copy.
type backupRequest struct {
	Have []string `json:"have"` // versions of blob files that need not come; see vault.Part
}

// maxBackupRequest is the most bytes of one.
const maxBackupRequest = 8 << 20

// cmdBackup adds an encrypted copy of the vault to a folder of backups.
func cmdBackup(p *say.Printer, args []string) error {
	var to, recipients string
	var keep, keepKeys int
	c := newCommand("backup")
	c.StringVar(&to, "to", "", "")
	c.StringVar(&recipients, "recipients", "", "")
	c.IntVar(&keep, "keep", defaultKeep, "")
	c.IntVar(&keepKeys, "keep-keys", defaultKeepKeys, "")
	if err := c.read(args); err != nil {
		return err
	}
	switch {
	case to == "" || recipients == "":
		return misuse(say.T("backup needs -to and -recipients"), say.T("name the folder of the backups, and the file with the age recipients who may open them"))
	case keep < 1 || keepKeys < 1 || keepKeys > keep:
		return misuse(say.T("-keep and -keep-keys must be at least 1, and -keep-keys at most -keep"), say.T("the usual numbers are %s and %s", defaultKeep, defaultKeepKeys))
	}
	d, err := statedir.Open(c.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(apart(d, to), leaveNoCore()); err != nil {
		return err
	}
	r, err := backup.ReadRecipients(recipients)
	if err != nil {
		return err
	}
	f, err := backup.Open(to)
	if err != nil {
		return err
	}
	made, err := makeBackup(p, d, f, r)
	if err == nil {
		err = f.Tidy(keep, keepKeys)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return tellBackup(p, to, made)
}

// apart refuses a folder of backups inside the vault's own.
func apart(d statedir.Dir, to string) error {
	abs, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(d.Path(), abs); err == nil && filepath.IsLocal(rel) {
		return misuse(say.T("the folder of the backups lies in the vault's directory"), say.T("choose one on another disk"))
	}
	return nil
}

// makeBackup takes the copy from the running server, or from the vault itself.
func makeBackup(p *say.Printer, d statedir.Dir, f *backup.Folder, to backup.Recipients) (made backup.Made, err error) {
	key, err := statedir.ReadFile(d.Path(statedir.LogKey), statedir.MaxFile)
	if err != nil {
		return made, err
	}
	owner := backup.OwnerOf(key, to.Texts)
	known, broken, err := f.Known(owner)
	if err != nil {
		return made, err
	}
	for _, name := range broken {
		p.Warn(say.T("%s is damaged or missing: the backups that hold it are not whole", filepath.Join(f.Path(), name)), say.T("what the vault still has is copied again; keep another copy of the folder"))
	}
	ctx := context.Background()
	err = throughServer(d,
		func() error {
			resp, err := send(ctx, p, d, http.MethodPost, "/v1/backup", backupRequest{known.Versions()})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return decodeAnswer(resp, nil)
			}
			made, err = f.Store(resp.Body, owner, to, known)
			return err
		},
		func() error {
			return withVault(p, d, func(_ *statedir.State, v *vault.Vault) error {
				r, w := io.Pipe()
				ended := make(chan struct{})
				go func() {
					w.CloseWithError(backup.Stream(ctx, w, d, v, known.Versions()))
					close(ended)
				}()
				made, err = f.Store(r, owner, to, known)
				r.Close() // ends Stream, if Store has not read to the end
				<-ended
				return backupError(err)
			})
		})
	return made, err
}

// tellBackup says what was made, and fails if something is not in it.
func tellBackup(p *say.Printer, to string, made backup.Made) error {
	p.Say(say.T("made backup %s in %s (bytes written: %s; blob files copied: %s, unchanged: %s)", made.Number, to, made.Bytes, made.Copied, made.Kept))
	for _, m := range made.Missing {
		p.Line("error", say.Line{What: p.Text(say.T("%s is damaged in the vault, and not in this backup: %s", m.Where, m.What)),
			Hint: p.Text(say.T("an older backup may have it; keep that one, and see: resguardod check"))})
	}
	if len(made.Missing) > 0 {
		return errTold
	}
	return nil
}

// serveBackup writes a copy of the vault into the answer: the server itself may
// write nowhere but in its own directory.
func serveBackup(w http.ResponseWriter, r *http.Request, d statedir.Dir, v *vault.Vault) {
	var request backupRequest
	if !decode(w, r, maxBackupRequest, &request) {
		return
	}
	body := &begunWriter{Writer: w}
	err := backup.Stream(r.Context(), body, d, v, request.Have)
	switch {
	case err != nil && !body.begun:
		refuse(w, r, backupError(err))
	case err != nil:
		panic(http.ErrAbortHandler) // the command must not take this for the end
	}
}

// begunWriter notes whether something was written.
type begunWriter struct {
	io.Writer
	begun bool
}

func (b *begunWriter) Write(p []byte) (int, error) {
	b.begun = true
	return b.Writer.Write(p)
}

// backupError puts an error of a copy into our words.
func backupError(err error) error {
	switch {
	case errors.Is(err, vault.ErrNoLog):
		return say.Fail(say.T("the public log has not begun: there is nothing to back up"), say.T("it begins with the first start of serve"))
	case errors.Is(err, vault.ErrCopying):
		return say.Fail(say.T("another backup of this vault is being made"), say.T("wait until it has finished, then repeat the command"))
	}
	return err
}

// cmdRestore makes the directory of a vault from a backup.
func cmdRestore(p *say.Printer, args []string) error {
	var from, identity, passphraseFile string
	var number int
	c := newCommand("restore")
	c.StringVar(&from, "from", "", "")
	c.StringVar(&identity, "identity", "", "")
	c.StringVar(&passphraseFile, "passphrase-file", "", "")
	c.IntVar(&number, "number", 0, "")
	if err := c.read(args); err != nil {
		return err
	}
	if from == "" || identity == "" || number < 0 {
		return misuse(say.T("restore needs -from and -identity"), say.T("name the folder of the backups, and the age identity that opens them"))
	}
	if err := leaveNoCore(); err != nil {
		return err
	}
	f, err := backup.OpenToRestore(from)
	if err != nil {
		return err
	}
	defer f.Close()
	ids, err := backup.ReadIdentities(identity, func() (string, error) { return askPassphrase(p, passphraseFile) })
	if err != nil {
		return err
	}
	var problems []vault.Problem
	number, err = f.Restore(c.dir, number, ids, func(dir string) (err error) {
		problems, err = prove(p, dir)
		return err
	})
	if err != nil {
		return err
	}
	p.Say(say.T("restored backup %s to %s", number, c.dir))
	for _, found := range problems {
		p.Line("error", say.Line{What: say.Escape(found.Where + ": " + found.What), Hint: say.Escape(found.Hint)})
	}
	p.Hint(say.T("take what the public log has said since from a mirror: resguardod recover -dir %s -mirror DIR|URL; only if you are certain that nothing came after this backup: resguardod check -dir %s -accept-copy", c.dir, c.dir))
	p.Hint(say.T("never start the old machine again: two vaults that sign one log are seen as a forgery"))
	if len(problems) > 0 {
		return errTold
	}
	return nil
}

// prove opens what was restored as serve would, and checks it. That high-water is
// missing is as it must be.
func prove(p *say.Printer, dir string) (problems []vault.Problem, err error) {
	d, err := statedir.Open(dir)
	if err != nil {
		return nil, err
	}
	_, v, err := openAll(p, d)
	if err != nil {
		return nil, err
	}
	found, err := v.Check(context.Background())
	if err != nil {
		err = vaultError(err)
	}
	for _, f := range found {
		if !f.Log || !strings.HasPrefix(f.What, vault.ErrNoHighWater.Error()) {
			problems = append(problems, f)
		}
	}
	return problems, errors.Join(err, v.Close())
}
