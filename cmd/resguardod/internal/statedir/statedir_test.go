package statedir

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
)

// newVault makes the operator's files of a vault, without a database.
func newVault(t testing.TB, s Settings) Dir {
	t.Helper()
	d, _, err := Create(filepath.Join(t.TempDir(), "vault"), s, noDatabase)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func noDatabase(string, string) error { return nil }

var usual = Settings{Name: "reportes.example.org", Epoch: 6 * time.Hour, Slots: 16, Languages: []string{"es", "en"}}

// newCard makes a reviewer's card file.
func newCard(t testing.TB) []byte { return newCardOf(t, card.Reviewer) }

func newCardOf(t testing.TB, role card.Role) []byte {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c := card.Card{Role: role, Recipient: id.Recipient().String()}
	key := make([]byte, 32)
	rand.Read(key)
	c.Client = card.EncodeClient(key)
	skey, vkey, err := note.GenerateKey(rand.Reader, card.KeyName(c.Recipient))
	if err != nil {
		t.Fatal(err)
	}
	c.Verifier = vkey
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := card.Sign(c, signer)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newDesk(id string) *Desk {
	return &Desk{ID: id, Name: Words{ES: "Equipo " + id, EN: "Team " + id}, Regions: []string{"N"}, Languages: []string{"es"}}
}

func apply(t testing.TB, d Dir, c Change) Outcome {
	t.Helper()
	o, err := d.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestFailedCreateLeavesNothing: an error of the database, as on a full disk.
func TestFailedCreateLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	full := errors.New("no space left on device")
	_, _, err := Create(filepath.Join(dir, "vault"), usual, func(dir, origin string) error {
		if err := os.WriteFile(filepath.Join(dir, "vault.db"), []byte(origin), 0o600); err != nil {
			t.Error(err)
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestCreateInBothLanguages(t *testing.T) {
	var states []*State
	for _, comments := range []string{"es", "en"} {
		s := usual
		s.Comments = comments
		d := newVault(t, s)
		state, err := d.Load()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.CheckKeys(state.Config.Origin); err != nil {
			t.Error(err)
		}
		state.Config.Origin = ""
		states = append(states, state)
	}
	if fmt.Sprint(states[0]) != fmt.Sprint(states[1]) {
		t.Errorf("the templates differ:\n%+v\n%+v", states[0], states[1])
	}
	want := Config{Format: ConfigFormat, Languages: []string{"es", "en"}, LeaveTo: "https://www.wikipedia.org/", RetentionDays: 180, DeleteBy: 2, ConfirmDays: 7, AnswerDays: 90, BackupDays: 30,
		Limits: Limits{Report: 4 << 30, Files: 20, Uploads: 32, MinRate: 512},
		Log:    Log{Epoch: Span(6 * time.Hour), Slots: 16}}
	if got := states[0].Config; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestSealedGovernanceKey opens the key as stock age does.
func TestSealedGovernanceKey(t *testing.T) {
	s := usual
	s.Passphrase = "correct horse"
	d := newVault(t, s)
	f, err := os.Open(filepath.Join(d.KeysDir(), GovernanceSealedKey))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id, err := age.NewScryptIdentity(s.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(f, id)
	if err != nil {
		t.Fatal(err)
	}
	key, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSuffix(string(key), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	state, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := d.verifier(GovernanceVerifier, governanceName(state.Config.Origin))
	if err != nil || !pair(signer, verifier) {
		t.Errorf("the sealed key does not belong to %s: %v", GovernanceVerifier, err)
	}
}

// TestFullVault: as many desks as are possible, each with a reviewer of its own
// and one that is in all of them.
func TestFullVault(t *testing.T) {
	d := newVault(t, usual)
	everywhere := newCard(t)
	for i := range MaxDesks {
		id := fmt.Sprintf("desk-%d", i)
		apply(t, d, Change{AddDesk: newDesk(id)})
		if i%16 == 0 { // making keys is what takes time
			apply(t, d, Change{AddReviewer: &Joining{Desk: id, Card: newCard(t)}})
		}
		apply(t, d, Change{AddReviewer: &Joining{Desk: id, Card: everywhere}})
	}
	if _, err := d.Apply(Change{AddDesk: newDesk("one-more")}); err == nil {
		t.Errorf("took more than %d desks", MaxDesks)
	}
	s, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := card.Parse(everywhere)
	if err != nil {
		t.Fatal(err)
	}
	for i := range MaxDesks {
		if desk, ok := s.Desk(fmt.Sprintf("desk-%d", i)); !ok || !slices.Contains(desk.Reviewers, c.Fingerprint()) {
			t.Errorf("desk %d is not there, or without its reviewer", i)
		}
	}
	if r, ok := s.Reviewer(c.Fingerprint()); !ok || len(r.Desks) != MaxDesks {
		t.Errorf("the reviewer of all desks is in %d", len(r.Desks))
	}
	o := apply(t, d, Change{Revoke: &Revocation{Fingerprint: c.Fingerprint()}})
	if len(o.Desks) != MaxDesks || len(o.Empty) != MaxDesks-8 {
		t.Errorf("revoked in %d desks, %d of them now empty", len(o.Desks), len(o.Empty))
	}
}

// TestChangesAtOnce: commands that run at the same time lose nothing.
func TestChangesAtOnce(t *testing.T) {
	d := newVault(t, usual)
	apply(t, d, Change{AddDesk: newDesk("norte")})
	var all sync.WaitGroup
	const n = 8
	for range n {
		text := newCard(t)
		all.Go(func() {
			unlock, err := d.Lock(time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if _, err := d.Apply(Change{AddReviewer: &Joining{Desk: "norte", Card: text}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.Desks[0].Reviewers); got != n {
		t.Errorf("%d reviewers, want %d", got, n)
	}
}

func TestLockIsExclusive(t *testing.T) {
	d := newVault(t, usual)
	unlock, err := d.Lock(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(0); !errors.Is(err, ErrBusy) {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	unlock, err = d.Lock(0)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestLeftoverOfACrash: a file that was being written when the machine stopped
// is neither read nor in the way.
func TestLeftoverOfACrash(t *testing.T) {
	d := newVault(t, usual)
	if err := os.WriteFile(d.Path(DesksDir, ".norte.toml.new"), []byte("form"), 0o600); err != nil {
		t.Fatal(err)
	}
	apply(t, d, Change{AddDesk: newDesk("norte")})
	if s, err := d.Load(); err != nil || len(s.Desks) != 1 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestDesksWhoseNamesBeginAlike: "a-b.toml" sorts before "a.toml".
func TestDesksWhoseNamesBeginAlike(t *testing.T) {
	d := newVault(t, usual)
	for _, id := range []string{"a-b", "a", "b"} {
		apply(t, d, Change{AddDesk: newDesk(id)})
		if _, err := d.Apply(Change{AddDesk: newDesk(id)}); err == nil {
			t.Errorf("took desk %s twice", id)
		}
	}
}

// TestStatesAreThoseOfTheForm compares the codes of conflicts with the table of
// the pages.
// TestFilesOfTor: what tor makes belongs here, and nothing else.
func TestFilesOfTor(t *testing.T) {
	known := []string{"onion/", "onion/torrc", "onion/torrc.new", "onion/torrc-defaults", "onion/control", "onion/source.sock", "onion/reviewers.sock",
		"onion/data/", "onion/data/state", "onion/data/keys/", "onion/data/diff-cache/1", "onion/source/", "onion/source/hostname",
		"onion/source/hs_ed25519_secret_key.tmp", "onion/source/authorized_clients/", "onion/reviewers/hs_ed25519_public_key",
		"onion/reviewers/authorized_clients/3f0c.auth", "onion/reviewers/authorized_clients/3f0c.auth.new"}
	foreign := []string{"onion", "onion/data", "onion/identity.txt", "onion/torrc/", "onion/other/", "onion/source", "onion/source/identity.txt",
		"onion/source/hostname/", "onion/source/other/", "onion/source/authorized_clients", "onion/reviewers/authorized_clients/3f0c.auth_private",
		"onion/reviewers/authorized_clients/sub/", "onion/reviewers/authorized_clients/sub/x.auth", "other/onion/torrc"}
	for want, paths := range map[bool][]string{true: known, false: foreign} {
		for _, path := range paths {
			rel, isDir := strings.CutSuffix(path, "/")
			if Known(rel, isDir) != want {
				t.Errorf("%s: known is %v", path, !want)
			}
		}
	}
}

// TestUnusableClientKey: tor would refuse to start with a key of low order.
func TestUnusableClientKey(t *testing.T) {
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	for _, key := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...)} {
		if err := checkClient(encoding.EncodeToString(key)); err == nil {
			t.Errorf("%x was taken", key)
		}
	}
	if err := checkClient(encoding.EncodeToString(append([]byte{9}, make([]byte, 31)...))); err != nil {
		t.Error(err)
	}
}

func TestStatesAreThoseOfTheForm(t *testing.T) {
	source, err := os.ReadFile("../../../../onion/site/states.go")
	if err != nil {
		t.Fatal(err)
	}
	var form []string
	for _, m := range regexp.MustCompile(`(?m)^\t\{"([A-Z]+)", "[^"]+", "[NBCS]"\},$`).FindAllStringSubmatch(string(source), -1) {
		form = append(form, m[1])
	}
	ours := slices.Clone(states)
	slices.Sort(form)
	slices.Sort(ours)
	if !slices.Equal(form, ours) || len(ours) != 32 {
		t.Errorf("form: %v\nhere: %v", form, ours)
	}
}

// FuzzConfig: whatever is in resguardo.toml, it is refused with a line or a
// sentence, or it says what Load says.
func FuzzConfig(f *testing.F) {
	d := newVault(f, usual)
	good, err := os.ReadFile(d.Path(ConfigFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(strings.Replace(string(good), "6h", "1h30m", 1) + "[[other_ways]]\nes = \"a\"\nen = \"b\"\n")
	f.Add("format = \"resguardo/config/v2\"\n[limits]\nreport = \"9999999 TiB\"\n")
	f.Fuzz(func(t *testing.T, doc string) {
		file := &file{path: "x", doc: []byte(doc)}
		var c Config
		if file.decode(&c, ConfigFormat); len(file.errs) == 0 {
			file.checkConfig(c)
		}
		for _, err := range file.errs {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("the message has a control character: %q", err)
			}
		}
		if len(file.errs) > 0 {
			return
		}
		if c.Limits.Report <= 0 || c.Limits.Files <= 0 || c.Log.Epoch <= 0 || c.Log.Slots <= 0 || len(c.Languages) == 0 {
			t.Errorf("accepted %+v", c)
		}
	})
}

// FuzzDesk: a desk file is refused, or writing what was read and reading it
// again gives the same desk.
func FuzzDesk(f *testing.F) {
	desk := *newDesk("norte")
	desk.Format = DeskFormat
	good, err := toml.Marshal(desk)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("format = 'resguardo/desk/v1'\nid = 'a'\nregions = ['N', 'N']\n[name]\nes = '\u202e'\n")
	config := Config{Languages: []string{"es", "en"}}
	read := func(doc []byte) (Desk, error) {
		file := &file{path: "x", doc: doc}
		var d Desk
		if file.decode(&d, DeskFormat); len(file.errs) == 0 {
			file.checkDesk(d, config)
		}
		return d, file.err()
	}
	f.Fuzz(func(t *testing.T, doc string) {
		d, err := read([]byte(doc))
		if err != nil {
			return
		}
		again, err := toml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(again); err != nil || fmt.Sprint(got) != fmt.Sprint(d) {
			t.Errorf("%+v became %+v: %v", d, got, err)
		}
		if filepath.Base(d.ID) != d.ID || strings.Contains(d.ID, ".") {
			t.Errorf("the id %q is no file name", d.ID)
		}
	})
}
