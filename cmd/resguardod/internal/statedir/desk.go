package statedir

import (
	"bytes"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// DeskFormat is the format field of a desk file.
const DeskFormat = "resguardo/desk/v1"

// MaxDesks is the most desks of one vault: as many as fit on one page of 50 KB.
const MaxDesks = 127

// MaxReviewers is the most reviewers of one desk: a report has at most 100
// recipients.
const MaxReviewers = 100

// Desk is desks/ID.toml: a group of reviewers.
type Desk struct {
	Format       string   `toml:"format" json:"-"`
	ID           string   `toml:"id" json:"id"` // [a-z0-9-]{1,32}
	Demo         bool     `toml:"demo" json:"demo"`
	Regions      []string `toml:"regions" json:"regions"`           // of N, B, C, S
	Organisation string   `toml:"organisation" json:"organisation"` // an id; may be empty
	Government   bool     `toml:"government" json:"government"`
	Languages    []string `toml:"languages" json:"languages"` // ISO 639 codes of two or three letters
	Conflict     []string `toml:"conflict" json:"conflict"`   // codes of states that the desk does not take
	Reviewers    []string `toml:"reviewers" json:"reviewers"` // fingerprints
	Name         Words    `toml:"name" json:"name"`
	Runs         Words    `toml:"runs" json:"runs"` // who runs it; may be empty
}

// regions are north, the Bajío and the west, centre, and south.
var regions = [...]string{"N", "B", "C", "S"}

// states are the codes of the form's list of states.
var states = strings.Fields(`BC BCS CHIH COAH DGO NL SON SIN TAMPS
	QRO GTO SLP JAL ZAC AGS COL NAY
	CDMX PUE TLAX MOR MEX MICH HGO
	CAM CHIS TAB VER YUC QROO OAX GRO`)

// checkDesk checks the values of a desk of a vault with configuration c.
func (f *file) checkDesk(d Desk, c Config) {
	if !isID(d.ID) {
		f.wrong("id", say.T("the id of a desk cannot be %s", quote(d.ID)), say.T("use 1 to 32 of the characters a-z, 0-9 and -"))
	}
	if d.Demo != c.Demo {
		f.wrong("demo", say.T("the desk has demo = %s, but the vault has demo = %s", d.Demo, c.Demo),
			say.T("real and demo desks never share a vault: make the desk again with desk add, in the vault it is for"))
	}
	for _, lang := range c.Languages {
		if d.Name.In(lang) == "" {
			f.wrong("name."+lang, say.T("the desk has no name in %s", lang), say.T("give the desk a name in every language of the pages (-name-%s)", lang))
		}
	}
	f.text("name.es", d.Name.ES, 80)
	f.text("name.en", d.Name.EN, 80)
	f.text("runs.es", d.Runs.ES, 200)
	f.text("runs.en", d.Runs.EN, 200)
	if len(d.Regions) == 0 {
		f.wrong("regions", say.T("the desk has no region"), say.T("give at least one of N, B, C, S (-region)"))
	}
	f.each("regions", d.Regions, func(s string) bool { return slices.Contains(regions[:], s) }, say.T("N, B, C, S"))
	if d.Organisation != "" && !isID(d.Organisation) {
		f.wrong("organisation", say.T("the id of an organisation cannot be %s", quote(d.Organisation)), say.T("use 1 to 32 of the characters a-z, 0-9 and -"))
	}
	if len(d.Languages) == 0 {
		f.wrong("languages", say.T("the desk reads no language"), say.T("give the languages that the desk reads, such as es,nah (-languages)"))
	}
	f.each("languages", d.Languages, isLanguage, say.T("codes of two or three small letters, such as es, en, nah"))
	f.each("conflict", d.Conflict, func(s string) bool { return slices.Contains(states, s) }, say.T("%s", strings.Join(states, " ")))
	f.each("reviewers", d.Reviewers, card.ValidFingerprint, say.T("fingerprints of 64 hex digits"))
	if len(d.Reviewers) > MaxReviewers {
		f.wrong("reviewers", say.T("the desk has %s reviewers, at most %s are possible", len(d.Reviewers), MaxReviewers), say.T("revoke some, or make a second desk"))
	}
}

func isLanguage(s string) bool {
	return len(s) >= 2 && isOf(s, "abcdefghijklmnopqrstuvwxyz", 3)
}

// readDesk reads and checks desks/ID.toml.
func (d Dir) readDesk(id string, c Config) (Desk, error) {
	f := &file{path: d.Path(DesksDir, id+".toml")}
	var err error
	if f.doc, err = ReadFile(f.path, MaxFile); err != nil {
		return Desk{}, err
	}
	var desk Desk
	if f.decode(&desk, DeskFormat); len(f.errs) > 0 {
		return Desk{}, f.err()
	}
	if desk.ID != id {
		f.wrong("id", say.T("the id is %s, but the file is named %s.toml", quote(desk.ID), id), say.T("give the file the name of its desk"))
	}
	f.checkDesk(desk, c)
	return desk, f.err()
}

// writeDesk replaces desks/ID.toml.
func (d Dir) writeDesk(desk Desk) error {
	var b bytes.Buffer
	b.WriteString("# Written by resguardod. Stop serve before you edit this file.\n")
	if err := toml.NewEncoder(&b).Encode(desk); err != nil {
		return err
	}
	return write(d.Path(DesksDir, desk.ID+".toml"), b.Bytes())
}
