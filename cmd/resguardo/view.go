package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/cmd/resguardo/internal/screen"
	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// maxShown is the most bytes of one text that open shows.
const maxShown = 1 << 20

// view collects the lines that open shows. Our own words are translated; what a
// source wrote goes through package screen and stands behind a mark.
type view struct {
	*opener
	report *seal.Report
	first  *seal.Manifest // the report of the case, as its source sent it; nil if it does not open here
	lines  []string
}

// show returns the lines of every item that opens, and why the others do not.
func (t *thread) show() (lines []string, failed []error) {
	for _, i := range t.items {
		switch {
		case i.err != nil && t.before(i):
			lines = append(lines, t.Text(say.T("Item %s: %s of %s, from before you had the case; what was sealed again for you comes below", i.Number, i.Kind, i.Day)), "")
		case i.err != nil:
			failed = append(failed, i.err)
		case i.manifest != nil:
			part, err := t.showItem(i)
			if err != nil {
				failed = append(failed, err)
			}
			lines = append(lines, part...)
		}
	}
	return lines, failed
}

// showItem returns the lines of one item, most important first.
func (t *thread) showItem(i *item) ([]string, error) {
	report, f, err := t.openItem(i.Record)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v := &view{opener: t.opener, report: report, first: t.report}
	v.head(i)
	if report.Original != nil {
		o := report.Original.Manifest
		if !card.DeskKind(o.Kind) {
			v.wishes()
		}
		v.say("Sealed again: item of kind %s, %s, for desk %s", o.Kind, o.Day, strings.Join(report.Manifest.Desks, ", "))
	}
	if i.Kind == "note" {
		v.note()
	} else {
		v.texts()
	}
	v.files()
	return append(v.lines, ""), nil
}

// texts shows what was written.
func (v *view) texts() {
	for _, file := range v.report.Manifest.Files {
		switch {
		case file.Entry == "message.txt" && file.Size > 0:
			v.say("Message:")
			v.text(file.Entry)
		case file.Entry == "answers.json":
			v.answers(file.Entry)
		}
	}
}

// note shows a note of the desk to itself.
func (v *view) note() {
	b, err := v.read("message.txt")
	if err != nil {
		v.damaged("message.txt", err)
		return
	}
	switch kind, value := decodeNote(b); kind {
	case statusNote:
		v.say("Status: %s", quoted(value))
	case assignNote:
		v.say("Assigned to: %s", quoted(value))
	case holdNote:
		v.say("Hold: %s", quoted(value))
	default:
		v.say("Note, not for the source:")
		v.lines = append(v.lines, screen.Quote([]byte(value))...)
	}
	v.lines = append(v.lines, "")
}

func (v *view) say(key string, args ...any) { v.lines = append(v.lines, v.Text(say.T(key, args...))) }

// head is what a reader must know before reading.
func (v *view) head(i *item) {
	m := v.report.Manifest
	v.say("Case %s (%s in list), item %s: %s", i.Case, i.Place, i.Number, i.Kind)
	for _, a := range i.alarms {
		v.say("ALARM: %s", a)
	}
	v.say("Log: %s", logState(i.Record))
	if card.DeskKind(m.Kind) {
		v.letter(i)
		v.say("Day: %s", m.Day)
		v.lines = append(v.lines, "")
		return
	}
	v.wishes()
	v.say("Day: %s", m.Day)
	v.say("Desks: %s", strings.Join(m.Desks, ", "))
	v.say("Keys that open it: %s", len(m.Recipients))
	v.lines = append(v.lines, "")
}

// wishes is what the source wants. It said so in its report, for all that it sends.
func (v *view) wishes() {
	if v.first == nil {
		v.say("Share: not known, for the report does not open here: pass it on to nobody")
		return
	}
	v.say("Share: %s", share(v.first.Share))
	if x := v.first.Excluded; len(x.Desks)+len(x.Organisations) > 0 || x.Government {
		v.say("Must not read it: %s", v.excluded(x))
	}
}

// letter says who wrote an item of the desk, and whether that is proven.
func (v *view) letter(i *item) {
	switch {
	case i.letter == nil:
		v.say("Written by: NOT verified: %s", i.why)
	case i.author == v.me():
		v.say("Written by: you (verified)")
	default:
		v.say("Written by: %s (verified)", i.author)
	}
}

// logState is what the last fetch found in the public log.
func logState(r folder.Record) say.Text {
	switch publiclog.State(r.Log) {
	case publiclog.Verified:
		return say.T("verified, leaf %s", r.Leaf)
	case publiclog.Waiting:
		return say.T("not there yet")
	case publiclog.Missing:
		return say.T("NOT there")
	case publiclog.Replaced:
		return say.T("it says something ELSE")
	}
	return say.T("not compared yet")
}

// share is what the source allows.
func share(s string) say.Text {
	switch s {
	case "ngos":
		return say.T("with other organisations, not with authorities")
	case "authority":
		return say.T("also with authorities")
	case "nobody":
		return say.T("with NOBODY")
	}
	return say.T("ask the source first")
}

func (v *view) excluded(x seal.Excluded) string {
	var parts []string
	for _, d := range x.Desks {
		parts = append(parts, v.Text(say.T("desk %s", d)))
	}
	for _, o := range x.Organisations {
		parts = append(parts, v.Text(say.T("organisation %s", o)))
	}
	if x.Government {
		parts = append(parts, v.Text(say.T("every desk with ties to government")))
	}
	return strings.Join(parts, ", ")
}

// read returns an entry of at most maxShown bytes.
func (v *view) read(entry string) ([]byte, error) {
	f, err := v.report.Open(entry)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxShown+1))
	if err == nil && len(b) > maxShown {
		err = errors.New("too long to be shown")
	}
	return b, err
}

// text shows an entry, or why it cannot be shown.
func (v *view) text(entry string) {
	b, err := v.read(entry)
	if err != nil {
		v.damaged(entry, err)
		return
	}
	v.lines = append(v.lines, screen.Quote(b)...)
	v.lines = append(v.lines, "")
}

func (v *view) damaged(entry string, err error) {
	v.alarm("%s cannot be read: %s", entry, err)
	v.say("ALARM: %s", v.alarms[len(v.alarms)-1])
	v.lines = append(v.lines, "")
}

// answers shows answers.json: each question in the language of the reader, and the
// answers behind it. They are as foreign as the message.
func (v *view) answers(entry string) {
	b, err := v.read(entry)
	if err != nil {
		v.damaged(entry, err)
		return
	}
	form, err := seal.ParseAnswers(b)
	if err != nil {
		v.say("Answers, not of a form that this version reads (%s), as they came:", seal.AnswersFormat)
		v.text(entry)
		return
	}
	v.say("Answers (form in language %s):", form.Language)
	var text bytes.Buffer
	for _, a := range form.Answers {
		text.WriteString(oneLine(a.Question.In(v.Language)) + "\n")
		for _, own := range a.Texts {
			text.WriteString("  " + strings.ReplaceAll(strings.TrimSuffix(own, "\n"), "\n", "\n  ") + "\n")
		}
		for _, c := range a.Choices {
			text.WriteString("  - " + oneLine(c.In(v.Language)) + "\n")
		}
	}
	if text.Len() == 0 {
		text.WriteString("-")
	}
	v.lines = append(v.lines, screen.Quote(text.Bytes())...)
	v.lines = append(v.lines, "")
}

// oneLine is a label without line breaks: only a source's own words go over lines.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// files lists the attachments by our names; what the source declared is quoted.
func (v *view) files() {
	heading := false
	for _, f := range v.report.Manifest.Files {
		if !strings.HasPrefix(f.Entry, "files/") {
			continue
		}
		if !heading {
			v.say("Files (resguardo export writes them; open them only where malware does no harm):")
			heading = true
		}
		v.say("%s: %s, declared name %s, declared type %s", f.Entry, byteSize(f.Size), quoted(f.Name), quoted(f.Type))
		v.nested(f)
	}
}

// quoted is s in quotation marks, with everything escaped that does not show,
// and quotation marks and backslashes too.
func quoted(s string) string {
	return `"` + strings.ReplaceAll(screen.Escape(s), `"`, `\"`) + `"`
}

// Beginnings of age files.
const (
	ageIntro   = "age-encryption.org/v1\n"
	armorIntro = armor.Header
)

// nested looks into an attachment that the source encrypted before sending: one
// level down, and no further.
func (v *view) nested(f seal.File) {
	file, err := v.report.Open(f.Entry)
	if err != nil {
		v.damaged(f.Entry, err)
		return
	}
	defer file.Close()
	r := bufio.NewReader(file)
	start, _ := r.Peek(max(len(ageIntro), len(armorIntro)))
	var sealed io.Reader
	switch {
	case bytes.HasPrefix(start, []byte(ageIntro)):
		sealed = r
	case bytes.HasPrefix(start, []byte(armorIntro)):
		sealed = armor.NewReader(r)
	default:
		return
	}
	plain, err := age.Decrypt(sealed, v.identity)
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		v.say("    an age file that your key does not open")
		return
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(plain, maxShown+1))
	}
	switch {
	case err != nil:
		v.say("    an age file that is damaged: %s", err)
	case len(b) <= maxShown && isText(b):
		v.say("    an age file; your key opens it; the text inside:")
		v.lines = append(v.lines, screen.Quote(b)...)
	default:
		size := byteSize(int64(len(b)))
		if len(b) > maxShown {
			size = ">" + strconv.Itoa(maxShown>>20) + " MiB"
		}
		v.say("    an age file; your key opens it; inside, by its first bytes: %s, %s", http.DetectContentType(b), size)
	}
}

// isText reports whether b is UTF-8 without NUL.
func isText(b []byte) bool { return utf8.Valid(b) && !bytes.ContainsRune(b, 0) }
