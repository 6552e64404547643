package statedir

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// AuditorsFormat is the format field of auditors.toml.
const AuditorsFormat = "resguardo/auditors/v1"

// MaxAuditors is the most auditors of one vault.
const MaxAuditors = 16

// auditors is auditors.toml. A vault without the file has no auditor.
type auditors struct {
	Format   string   `toml:"format"`
	Auditors []string `toml:"auditors"` // fingerprints
}

// loadAuditors marks the auditors in force. The cards are loaded before.
func (d Dir) loadAuditors(s *State) error {
	f := &file{path: d.Path(AuditorsFile)}
	var err error
	if f.doc, err = ReadFile(f.path, MaxFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var list auditors
	if f.decode(&list, AuditorsFormat); len(f.errs) > 0 {
		return f.err()
	}
	f.each("auditors", list.Auditors, card.ValidFingerprint, say.T("fingerprints of 64 hex digits"))
	if len(list.Auditors) > MaxAuditors {
		f.wrong("auditors", say.T("%s auditors, at most %s are possible", len(list.Auditors), MaxAuditors), say.T("revoke some"))
	}
	for _, fingerprint := range list.Auditors {
		i := s.auditor(fingerprint)
		if i < 0 {
			f.wrong("auditors", say.T("no usable card %s.card of this auditor in %s", fingerprint, CardsDir),
				say.T("put the card back from a backup, or take the fingerprint out of the line"))
			continue
		}
		s.Auditors[i].Revoked = false
	}
	return f.err()
}

// auditor is the index of an auditor's card, or -1.
func (s *State) auditor(fingerprint string) int {
	return slices.IndexFunc(s.Auditors, func(a Auditor) bool { return a.Card.Fingerprint() == fingerprint })
}

func (d Dir) addAuditor(s *State, j Joining) (Outcome, error) {
	h, err := parseCard(j.Path, j.Card)
	if err != nil {
		return Outcome{}, err
	}
	if h.Card.Role != card.Auditor {
		return Outcome{}, &say.Error{Path: j.Path, Line: 2, What: say.T("this is the card of a reviewer, not of an auditor"), Hint: hintCard()}
	}
	if err := sameCard(s, j.Path, h.Card); err != nil {
		return Outcome{}, err
	}
	o := Outcome{Fingerprint: h.Card.Fingerprint()}
	i := s.auditor(o.Fingerprint)
	if i >= 0 && !s.Auditors[i].Revoked {
		return o, nil
	}
	list := s.inForce()
	if len(list) == MaxAuditors {
		return Outcome{}, say.Fail(say.T("this vault has %s auditors, more are not possible", MaxAuditors), say.T("revoke some"))
	}
	if i < 0 {
		if err := write(d.Path(CardsDir, o.Fingerprint+".card"), j.Card); err != nil {
			return Outcome{}, err
		}
	}
	o.Auditors = true
	return o, d.writeAuditors(append(list, o.Fingerprint))
}

func (d Dir) revokeAuditor(s *State, r Revocation) (Outcome, error) {
	fingerprint, err := s.find(r.Fingerprint, card.Auditor)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Fingerprint: fingerprint}
	list := s.inForce()
	i := slices.Index(list, fingerprint)
	if i < 0 {
		return o, nil
	}
	o.Auditors = true
	return o, d.writeAuditors(slices.Delete(list, i, i+1))
}

// inForce are the fingerprints of the auditors that are not revoked.
func (s *State) inForce() (list []string) {
	for _, a := range s.Auditors {
		if !a.Revoked {
			list = append(list, a.Card.Fingerprint())
		}
	}
	return list
}

// writeAuditors replaces auditors.toml.
func (d Dir) writeAuditors(list []string) error {
	slices.SortFunc(list, strings.Compare)
	var b bytes.Buffer
	b.WriteString("# Written by resguardod. Stop serve before you edit this file.\n")
	if err := toml.NewEncoder(&b).Encode(auditors{AuditorsFormat, list}); err != nil {
		return err
	}
	return write(d.Path(AuditorsFile), b.Bytes())
}
