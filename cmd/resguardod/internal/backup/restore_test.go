package backup_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/backup"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// TestDeletedIsUnreadableWithoutItsKeys: once the keys from before a deletion are
// gone from the folder, no backup gives the report back, and the newer ones open.
func TestDeletedIsUnreadableWithoutItsKeys(t *testing.T) {
	p := newPlace(t)
	s := p.send(200_000)
	var deleted vault.ItemID
	for id := range p.reports {
		deleted = id
	}
	p.send(1000)
	p.backup()
	tomb := vault.Tombstone{Kind: translog.SourceDelete}
	rand.Read(tomb.Event[:])
	p.check(p.vault.DeleteCase(t.Context(), s.Case, tomb))
	delete(p.reports, deleted)
	p.backup()
	p.tidy(2, 1)
	if _, err := p.restore(1, p.id); !says(err, "the keys of backup 1 are gone") {
		t.Errorf("without its keys: %v", err)
	}
	dir, err := p.restore(2, p.id)
	p.check(err)
	p.holds(dir, p.reports)
	// Keys of another backup do not pass for its own.
	newer := filepath.Join(p.folder, "keys", "000002.age")
	p.check(os.Link(newer, filepath.Join(p.folder, "keys", "000001.age")))
	if _, err := p.restore(1, p.id); !says(err, "000001.age: the file is damaged") {
		t.Errorf("with newer keys: %v", err)
	}
}

// says tells whether err is in plain words with this text.
func says(err error, text string) bool {
	told := (*say.Error)(nil)
	return errors.As(err, &told) && strings.Contains(told.Error(), text)
}

// TestAlteredFilesAreRefusedByName: every file of a backup, in every way.
func TestAlteredFilesAreRefusedByName(t *testing.T) {
	p := newPlace(t)
	p.send(100_000)
	p.backup()
	p.send(100_000)
	p.backup()
	files := p.files()
	other := func(name string) string { return strings.Replace(name, "000002", "000001", 1) }
	alter := map[string]func(name, content string) string{
		"flipped": func(_, c string) string { return c[:len(c)/2] + string(c[len(c)/2]^1) + c[len(c)/2+1:] },
		"first":   func(_, c string) string { return string(c[0]^1) + c[1:] },
		"last":    func(_, c string) string { return c[:len(c)-1] + string(c[len(c)-1]^1) },
		"cut":     func(_, c string) string { return c[:len(c)-1] },
		"empty":   func(_, c string) string { return "" },
		"longer":  func(_, c string) string { return c + "\x00" },
		"other's": func(name, _ string) string { return files[other(name)] },
	}
	_, err := p.restore(2, p.id)
	p.check(err)
	tried := 0
	for name, content := range files {
		path := filepath.Join(p.folder, name)
		if !strings.Contains(name, "000002") && !bytes.Contains([]byte(files["000002/manifest"]), []byte(name)) {
			continue
		}
		for how, change := range alter {
			if changed := change(name, content); changed != content {
				tried++
				p.check(os.WriteFile(path, []byte(changed), 0o600))
				if _, err := p.restore(2, p.id); !says(err, path+": ") {
					t.Errorf("%s %s: %v", name, how, err)
				}
			}
		}
		p.check(os.Remove(path))
		if _, err := p.restore(2, p.id); !says(err, path+": ") {
			t.Errorf("%s removed: %v", name, err)
		}
		p.check(os.WriteFile(path, []byte(content), 0o600))
	}
	if tried < 25 {
		t.Errorf("only %d changes tried", tried)
	}
	_, err = p.restore(2, p.id)
	p.check(err)
}

// TestManifestIsBoundToItsState: hashes that were changed with the files do not help.
func TestManifestIsBoundToItsState(t *testing.T) {
	p := newPlace(t)
	p.backup()
	p.send(1000)
	p.backup()
	files := p.files()
	one, err := backup.ParseManifest([]byte(files["000001/manifest"]))
	p.check(err)
	two, err := backup.ParseManifest([]byte(files["000002/manifest"]))
	p.check(err)
	for i, e := range two.Entries {
		if e.Name == "vault.db" {
			j := slices.IndexFunc(one.Entries, func(e backup.Entry) bool { return e.Name == "vault.db" })
			two.Entries[i].Size, two.Entries[i].SHA256 = one.Entries[j].Size, one.Entries[j].SHA256
		}
	}
	p.check(os.WriteFile(filepath.Join(p.folder, "000002/vault.db.age"), []byte(files["000001/vault.db.age"]), 0o600))
	p.check(os.WriteFile(filepath.Join(p.folder, "000002/manifest"), two.Marshal(), 0o600))
	if _, err := p.restore(2, p.id); !says(err, "000002/manifest: the file is damaged") {
		t.Errorf("%v", err)
	}
}

func TestWrongIdentitySaysSo(t *testing.T) {
	p := newPlace(t)
	p.backup()
	other, _ := p.recipient()
	classical, err := age.GenerateX25519Identity()
	p.check(err)
	if _, err := p.restore(0, other, classical); !says(err, "the identity does not open it") {
		t.Errorf("%v", err)
	}
	dir, err := p.restore(0, other, p.id) // one of several is enough
	p.check(err)
	p.holds(dir, p.reports)
}

// TestRestoreOverwritesNothing, not even what an earlier restore has left.
func TestRestoreOverwritesNothing(t *testing.T) {
	p := newPlace(t)
	p.backup()
	f, err := backup.OpenToRestore(p.folder)
	p.check(err)
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "d")
	p.check(os.WriteFile(dir, []byte("mine"), 0o600))
	_, err = f.Restore(dir, 0, []age.Identity{p.id}, vault.Probe)
	if !says(err, dir) {
		t.Errorf("over a file: %v", err)
	}
	p.check(os.Remove(dir))
	p.check(os.MkdirAll(dir+".restoring/x", 0o700))
	if _, err = f.Restore(dir, 0, []age.Identity{p.id}, vault.Probe); !says(err, "cut short") {
		t.Errorf("beside a leftover: %v", err)
	}
	p.check(os.RemoveAll(dir + ".restoring"))
	refused := errors.New("refused")
	_, err = f.Restore(dir, 0, []age.Identity{p.id}, func(string) error { return refused })
	if left, _ := filepath.Glob(dir + "*"); !errors.Is(err, refused) || len(left) > 0 {
		t.Errorf("refused by verify: %v, left %v", err, left)
	}
	p.check(os.Mkdir(dir, 0o700))
	_, err = f.Restore(dir, 0, []age.Identity{p.id}, vault.Probe)
	p.check(err)
}

// TestOneAtATime: two backups into one folder do not meet.
func TestOneAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	f, err := backup.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []func(string) (*backup.Folder, error){backup.Open, backup.OpenToRestore} {
		if _, err := open(dir); !says(err, "another backup or restore is at work here") {
			t.Errorf("%v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestIdentityFiles(t *testing.T) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(10)
	seal := func(w io.Writer) {
		a, err := age.Encrypt(w, r)
		if err == nil {
			_, err = io.WriteString(a, "# mine\n"+id.String()+"\n")
		}
		if err := errors.Join(err, a.Close()); err != nil {
			t.Fatal(err)
		}
	}
	var binary, armored bytes.Buffer
	seal(&binary)
	a := armor.NewWriter(&armored)
	seal(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity")
	for _, c := range []struct{ name, content, passphrase, wrong string }{
		{"clear", id.String() + "\n", "", ""},
		{"binary", binary.String(), "correct horse", ""},
		{"armored", armored.String(), "correct horse", ""},
		{"wrong passphrase", binary.String(), "wrong", "the passphrase does not open it"},
		{"cut", binary.String()[:len(binary.String())-1], "correct horse", "the file is damaged"},
		{"recipient", id.Recipient().String(), "", "not a file of age identities"},
		{"empty", "", "", "not a file of age identities"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		ids, err := backup.ReadIdentities(path, func() (string, error) { return c.passphrase, nil })
		if c.wrong == "" && (err != nil || len(ids) != 1) || c.wrong != "" && !says(err, c.wrong) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestRecipientFiles(t *testing.T) {
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	classical, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "recipients")
	for _, c := range []struct {
		name, content string
		keys          int
	}{
		{"post-quantum", pq.Recipient().String(), 1},
		{"classical", "# both of us\n" + classical.Recipient().String() + "\n\n" + classical.Recipient().String() + "\n", 2},
		{"mixed", pq.Recipient().String() + "\n" + classical.Recipient().String(), 0},
		{"secret", pq.String(), 0},
		{"empty", "# nobody\n", 0},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := backup.ReadRecipients(path)
		if c.keys == 0 && !says(err, "not a file of age recipients") || len(r.Keys) != c.keys || len(r.Texts) != c.keys {
			t.Errorf("%s: %v, %d keys", c.name, err, len(r.Keys))
		}
		if err != nil && strings.Contains(err.Error(), "AGE-SECRET-KEY") {
			t.Errorf("%s: the error shows the secret", c.name)
		}
	}
}
