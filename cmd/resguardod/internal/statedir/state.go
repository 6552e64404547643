package statedir

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// State is everything in the operator's files. It is never changed after Load.
type State struct {
	Config    Config
	Desks     []Desk     // by id
	Reviewers []Reviewer // by fingerprint
	Auditors  []Auditor  // by fingerprint
	Languages []LanguageFile
	Questions []byte // questions.toml; nil = the program's questions
}

// Holder is one card file.
type Holder struct {
	Card      card.Card
	Recipient seal.Recipient
	Digest    [32]byte // SHA-256 of the file
	Text      string   // the file: what its owner signed
}

// Reviewer is a reviewer's card and the desks it belongs to.
type Reviewer struct {
	Holder
	Desks []string // ids, sorted; none = revoked
}

// Auditor is an auditor's card.
type Auditor struct {
	Holder
	Revoked bool
}

// Desk returns the desk with an id.
func (s *State) Desk(id string) (Desk, bool) {
	i, found := slices.BinarySearchFunc(s.Desks, id, func(d Desk, id string) int { return strings.Compare(d.ID, id) })
	if !found {
		return Desk{}, false
	}
	return s.Desks[i], true
}

// Reviewer returns the reviewer with a fingerprint.
func (s *State) Reviewer(fingerprint string) (Reviewer, bool) {
	i, found := slices.BinarySearchFunc(s.Reviewers, fingerprint, func(r Reviewer, f string) int {
		return strings.Compare(r.Card.Fingerprint(), f)
	})
	if !found {
		return Reviewer{}, false
	}
	return s.Reviewers[i], true
}

// Load reads and checks the configuration, every desk and every card.
func (d Dir) Load() (*State, error) {
	c, err := d.config()
	if err != nil {
		return nil, err
	}
	s := &State{Config: c}
	return s, errors.Join(d.loadCards(s), d.loadDesks(s), d.loadAuditors(s), d.loadLanguages(s), d.loadQuestions(s))
}

func (d Dir) loadCards(s *State) error {
	names, err := d.names(CardsDir, ".card")
	if err != nil {
		return err
	}
	var errs []error
	for _, fingerprint := range names {
		path := d.Path(CardsDir, fingerprint+".card")
		text, err := ReadFile(path, card.MaxSize)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		h, err := parseCard(path, text)
		if err == nil && h.Card.Fingerprint() != fingerprint {
			err = &say.Error{Path: path, What: say.T("the card has another fingerprint than the file's name: %s", h.Card.Fingerprint()),
				Hint: say.T("put the file back from a backup")}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if h.Card.Role == card.Auditor {
			s.Auditors = append(s.Auditors, Auditor{Holder: h, Revoked: true})
		} else {
			s.Reviewers = append(s.Reviewers, Reviewer{Holder: h})
		}
	}
	return errors.Join(errs...)
}

func (d Dir) loadDesks(s *State) error {
	ids, err := d.names(DesksDir, ".toml")
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		desk, err := d.readDesk(id, s.Config)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.Desks = append(s.Desks, desk)
		for _, fingerprint := range desk.Reviewers {
			i := slices.IndexFunc(s.Reviewers, func(r Reviewer) bool { return r.Card.Fingerprint() == fingerprint })
			if i < 0 {
				errs = append(errs, d.noCard(desk.ID, fingerprint))
				continue
			}
			s.Reviewers[i].Desks = append(s.Reviewers[i].Desks, desk.ID)
		}
	}
	if len(s.Desks) > MaxDesks {
		errs = append(errs, &say.Error{Path: d.Path(DesksDir),
			What: say.T("%s desks, at most %s are possible", len(s.Desks), MaxDesks), Hint: say.T("remove desks that no longer work")})
	}
	return errors.Join(errs...)
}

func (d Dir) noCard(desk, fingerprint string) error {
	path := d.Path(DesksDir, desk+".toml")
	doc, err := os.ReadFile(path)
	if err != nil {
		return unreadable(path, err)
	}
	return &say.Error{Path: path, Line: line(doc, "reviewers"),
		What: say.T("no usable card %s.card of this reviewer in %s", fingerprint, CardsDir),
		Hint: say.T("put the card back from a backup, or take the fingerprint out of the line")}
}

// names lists the files of a subdirectory with a suffix, less the suffix, in
// order. Files that are something else are left to check.
func (d Dir) names(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(d.Path(dir))
	if err != nil {
		return nil, unreadable(d.Path(dir), err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the directory is sorted with the suffixes, where "a-b." comes before "a."
	return names, nil
}

// hintCard is what to do about a card that cannot be used.
func hintCard() say.Text {
	return say.T("ask its owner for the file card.txt again, made by \"resguardo keygen\" and sent unchanged")
}

// parseCard reads a card. path is only named in errors.
func parseCard(path string, text []byte) (Holder, error) {
	again := hintCard()
	// card.Parse quotes what it does not understand. A secret must not be quoted.
	if bytes.Contains(bytes.ToUpper(text), []byte("AGE-SECRET-KEY-")) || bytes.Contains(text, []byte("PRIVATE+KEY+")) {
		return Holder{}, &say.Error{Path: path,
			What: say.T("this file holds a secret key, not a card"),
			Hint: say.T("a reviewer's secret key must never be on this machine: destroy the file, and let the reviewer make new keys")}
	}
	c, err := card.Parse(text)
	if err != nil {
		e := &say.Error{Path: path, Hint: again, Err: err}
		what := err.Error()
		if _, err := fmt.Sscanf(what, "line %d:", &e.Line); err == nil {
			_, what, _ = strings.Cut(what, ": ")
		}
		what, _, _ = strings.Cut(what, "; ") // the rest is a hint in English
		e.What = say.T("not a valid card: %s", what)
		return Holder{}, e
	}
	r, err := seal.ParseRecipient(c.Recipient)
	if err != nil {
		return Holder{}, &say.Error{Path: path, Line: 3, What: say.T("not a valid card: %s", err), Hint: again, Err: err}
	}
	if err := checkClient(c.Client); err != nil {
		return Holder{}, &say.Error{Path: path, Line: 5, What: say.T("not a valid card: %s", err), Hint: again, Err: err}
	}
	return Holder{c, r, sha256.Sum256(text), string(text)}, nil
}

// checkClient refuses an x25519 key of low order, with which every shared secret
// is zero: tor would not start with it. card.Parse has checked its form.
func checkClient(client string) error {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(client)
	if err != nil {
		return err
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return err
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if _, err := private.ECDH(public); err != nil {
		return errors.New("the client key is not usable")
	}
	return nil
}
