package statedir

import (
	"bytes"
	"crypto/sha3"
	"encoding/base32"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"resguardo/cmd/internal/say"
)

// ConfigFormat is the format field of resguardo.toml.
const ConfigFormat = "resguardo/config/v2"

// Config is resguardo.toml. Origin, Demo, Log.Epoch and Log.Slots are fixed when
// the vault is made; the vault keeps its own copy of them.
type Config struct {
	Format        string   `toml:"format"`
	Origin        string   `toml:"origin"` // NAME-XXXXXXXX
	Demo          bool     `toml:"demo"`
	Organisation  string   `toml:"organisation"`
	Languages     []string `toml:"languages"`
	Hotline       string   `toml:"hotline"`
	LeaveTo       string   `toml:"leave_to"`
	Lawyer        string   `toml:"reviewed_by_lawyer"` // who, and when; empty = nobody has
	RetentionDays int      `toml:"retention_days"`
	DeleteBy      int      `toml:"delete_signatures"` // reviewers that must sign a deletion
	ConfirmDays   int      `toml:"confirm_days"`      // that the pages promise until a report is confirmed as read; 0 = no promise
	AnswerDays    int      `toml:"answer_days"`       // likewise until they tell what happened
	BackupDays    int      `toml:"backup_days"`       // after which no backup can be read of what was deleted, as the pages say
	Limits        Limits   `toml:"limits"`
	Log           Log      `toml:"log"`
	Onion         Onion    `toml:"onion"`
	OtherWays     []Words  `toml:"other_ways"`
}

// Limits bound what one source, and all of them together, can use.
type Limits struct {
	Report  Bytes `toml:"report"`   // one report with its files
	Files   int   `toml:"files"`    // files of one report
	Uploads int   `toml:"uploads"`  // uploads of files at once
	MinRate int64 `toml:"min_rate"` // bytes a second that an upload must keep up
	Vault   Bytes `toml:"vault"`    // all of the vault; 0 means as much as the disk has
	Free    Bytes `toml:"free"`     // what reports leave free on the disk; 0 means 5 % of it, at least 32 MiB, at most 1 GiB
}

// Log says how the public log is cut into epochs.
type Log struct {
	Epoch Span `toml:"epoch"`
	Slots int  `toml:"slots"`
}

// Onion names the services of a tor that somebody else runs; both may be empty.
type Onion struct {
	Source    string `toml:"source"`    // 56 characters and .onion
	Reviewers string `toml:"reviewers"` // likewise
}

// Bytes is a number of bytes. Its text is a whole number and a unit: "4 GiB".
type Bytes int64

var bytesForm = regexp.MustCompile(`^([0-9]{1,6}) ?(B|KiB|MiB|GiB|TiB)$`)

// UnmarshalText reads the text form; "0" needs no unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*b = 0
		return nil
	}
	m := bytesForm.FindStringSubmatch(string(text))
	if m == nil {
		return errors.New(`a size is a whole number and B, KiB, MiB, GiB or TiB, such as "4 GiB"`)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return err
	}
	shift := map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[m[2]]
	*b = Bytes(n << shift)
	return nil
}

// Span is a time.Duration. Its text is that of [time.ParseDuration]: "6h".
type Span time.Duration

// UnmarshalText reads the text form.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New(`a length of time is a number and h, m or s, such as "6h"`)
	}
	*s = Span(d)
	return nil
}

// Bounds of what the configuration may ask for.
const (
	minEpoch     = 10 * time.Minute // shorter ones would time reports
	minEpochDemo = time.Second
	maxEpoch     = 7 * 24 * time.Hour
	maxSlots     = 4096
)

// checkEpoch checks the length of an epoch.
func checkEpoch(f *file, d time.Duration, demo bool) {
	shortest := minEpoch
	if demo {
		shortest = minEpochDemo
	}
	if d < shortest || d > maxEpoch || d%time.Second != 0 {
		f.wrong("log.epoch", say.T("an epoch of %s is not possible: whole seconds, from %s to %s", d, shortest, maxEpoch),
			say.T("6h is a good length: nothing about a report can be timed more finely"))
	}
}

// checkLanguages checks the languages of the pages, which are the program's or of a
// file.
func checkLanguages(f *file, langs []string, ok func(string) bool, allowed say.Text) {
	if len(langs) == 0 {
		f.wrong("languages", say.T("no language is given"), say.T("name the languages of the pages, the first is the default: es,en"))
	}
	f.each("languages", langs, ok, allowed)
}

var originForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?-[0-9a-f]{8}$`)

// config reads and checks resguardo.toml.
func (d Dir) config() (Config, error) {
	f := &file{path: d.Path(ConfigFile)}
	var err error
	if f.doc, err = ReadFile(f.path, MaxFile); err != nil {
		return Config{}, err
	}
	c := Config{ConfirmDays: 7, AnswerDays: 90, BackupDays: 30} // of a file from before they were settings
	if f.decode(&c, ConfigFormat); len(f.errs) == 0 {
		f.checkConfig(c)
	}
	return c, f.err()
}

func (f *file) checkConfig(c Config) {
	if !originForm.MatchString(c.Origin) {
		f.wrong("origin", say.T("origin %s is not a name and eight hex digits", quote(c.Origin)),
			say.T("init chose the origin; put it back, it is also the first line of log.vkey up to the first +"))
	}
	checkLanguages(f, c.Languages, func(s string) bool { return isPageLanguage(s) || isLanguage(s) }, say.T("es, es-usted, en, or the code of a file in %s", LanguagesDir))
	f.text("organisation", c.Organisation, 100)
	f.text("hotline", c.Hotline, 60)
	f.text("reviewed_by_lawyer", c.Lawyer, 100)
	f.number("retention_days", int64(c.RetentionDays), 7, 3650)
	f.number("delete_signatures", int64(c.DeleteBy), 1, 2)
	f.number("confirm_days", int64(c.ConfirmDays), 0, 365)
	f.number("answer_days", int64(c.AnswerDays), 0, 365)
	f.number("backup_days", int64(c.BackupDays), 1, 365)
	f.checkLeaveTo(c.LeaveTo)
	f.checkLimits(c.Limits)
	f.checkOnion("onion.source", c.Onion.Source)
	f.checkOnion("onion.reviewers", c.Onion.Reviewers)
	checkEpoch(f, time.Duration(c.Log.Epoch), c.Demo)
	f.number("log.slots", int64(c.Log.Slots), 1, maxSlots)
	for _, w := range c.OtherWays {
		f.text("other_ways.es", w.ES, 200)
		f.text("other_ways.en", w.EN, 200)
		for _, lang := range c.Languages {
			if w.In(lang) == "" {
				f.wrong("other_ways."+lang, say.T("an entry of other_ways has no text for %s", lang), say.T("write the text in every language of the pages"))
			}
		}
	}
}

func (f *file) checkLeaveTo(s string) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsFunc(s, hidden) || strings.ContainsAny(s, ` "'<>;`)) {
		f.wrong("leave_to", say.T("leave_to %s is not an address", quote(s)), say.T("write a whole address, such as https://www.wikipedia.org/"))
	}
}

// checkOnion checks the address of an onion service of version 3, which is
// base32 of public key (32 bytes), checksum (2) and version (1): rend-spec-v3,
// section 6.
func (f *file) checkOnion(key, s string) {
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(strings.TrimSuffix(s, ".onion")))
	right := err == nil && len(raw) == 35 && s == strings.ToLower(s) && strings.HasSuffix(s, ".onion")
	if right {
		public, version := raw[:32], raw[34]
		sum := sha3.Sum256(slices.Concat([]byte(".onion checksum"), public, []byte{version}))
		right = version == 3 && bytes.Equal(sum[:2], raw[32:34])
	}
	if s != "" && !right {
		f.wrong(key, say.T("%s %s is not the address of an onion service", key, quote(s)),
			say.T("copy all of the file hostname that tor has made: 56 characters and .onion"))
	}
}

func (f *file) checkLimits(l Limits) {
	f.number("limits.report", int64(l.Report), 1<<20, 1<<40)
	f.number("limits.files", int64(l.Files), 1, 99)
	f.number("limits.uploads", int64(l.Uploads), 1, 1000)
	f.number("limits.min_rate", l.MinRate, 1, 1<<20)
	if l.Vault != 0 {
		f.number("limits.vault", int64(l.Vault), 64<<20, 1<<50)
	}
	if l.Free != 0 {
		f.number("limits.free", int64(l.Free), 32<<20, 1<<50)
	}
}

func (f *file) number(key string, n, low, high int64) {
	if n < low || n > high {
		f.wrong(key, say.T("%s is %s: at least %s, at most %s", key, n, low, high), say.T("correct the line; nothing was changed"))
	}
}

// CheckFixed refuses a configuration that differs from what the vault was made
// with.
func (d Dir) CheckFixed(origin string, demo bool, epoch time.Duration, slots int) error {
	c, err := d.config()
	if err != nil {
		return err
	}
	f := &file{path: d.Path(ConfigFile)}
	if f.doc, err = ReadFile(f.path, MaxFile); err != nil {
		return err
	}
	fixed := func(key string, here, there any) {
		if here != there {
			f.wrong(key, say.T("%s is %s, but the vault was made with %s", key, here, there), say.T("put the old value back: it is fixed for the life of the vault"))
		}
	}
	fixed("origin", c.Origin, origin)
	fixed("demo", c.Demo, demo)
	fixed("log.epoch", time.Duration(c.Log.Epoch), epoch)
	fixed("log.slots", c.Log.Slots, slots)
	return f.err()
}
