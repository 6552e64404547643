package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Format is the format field of a manifest.
const Format = "resguardo/report/v1"

// Manifest describes a sealed report from the inside. [Writer.Close] fills in
// Format, Recipients, Stanzas and Files.
//
// Its text is JSON as encoding/json writes it, with an indent of two spaces, no
// HTML escapes and a final newline. No other text of the same manifest is
// accepted.
type Manifest struct {
	Format     string   `json:"format"`
	Origin     string   `json:"origin"`   // of the vault; 1 to 255 bytes, no spaces, no plus
	Case       string   `json:"case"`     // 16 characters of lower-case base32
	Thread     string   `json:"thread"`   // 16 bytes, lower-case hex
	Kind       string   `json:"kind"`     // report, followup; or a desk's: reply, ack, note, close, rewrap, recuse
	Sequence   uint64   `json:"sequence"` // of this direction (the source's, or the desk's), all kinds together, from 0
	Previous   string   `json:"previous"` // SHA-256 of the previous item of the same direction, hex; empty for the first
	Day        string   `json:"day"`      // 2006-01-02, UTC
	Desks      []string `json:"desks"`    // chosen desks, at least one
	Excluded   Excluded `json:"excluded"`
	Share      string   `json:"share"`        // ask, ngos, authority, nobody
	Recipients []string `json:"recipients"`   // fingerprints, in the order of the age stanzas
	Stanzas    []string `json:"stanzas"`      // types of the age stanzas, in their order
	Governance uint64   `json:"governance"`   // governance sequence in force
	ReplyTo    string   `json:"reply_to"`     // the source's age recipient; empty unless Kind is report
	ThreadKey  []byte   `json:"thread_key"`   // 32 bytes; empty unless Kind is report
	DeskLogKey []byte   `json:"desk_log_key"` // 32 bytes; empty unless Kind is report
	Files      []File   `json:"files"`        // every entry before manifest.json, in their order
}

// Excluded is whom the source marked "must not read it".
type Excluded struct {
	Desks         []string `json:"desks"`
	Organisations []string `json:"organisations"`
	Government    bool     `json:"government"`
}

// File describes one entry.
type File struct {
	Entry  string `json:"entry"`  // message.txt, answers.json, files/01 …, original.json, original.note
	Name   string `json:"name"`   // as the source's browser declared it, never a path to write to; empty for our own entries
	Type   string `json:"type"`   // as declared; empty for our own entries
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hex
}

// encode returns the text of m, or what does not hold about m.
func (m *Manifest) encode() ([]byte, error) {
	m.fillEmpty()
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if b.Len() > MaxManifest {
		return nil, fmt.Errorf("manifest: %d bytes are more than %d", b.Len(), MaxManifest)
	}
	return b.Bytes(), nil
}

// fillEmpty makes nil slices empty, so that one manifest has one text.
func (m *Manifest) fillEmpty() {
	for _, s := range []*[]string{&m.Desks, &m.Excluded.Desks, &m.Excluded.Organisations} {
		if *s == nil {
			*s = []string{}
		}
	}
	for _, s := range []*[]byte{&m.ThreadKey, &m.DeskLogKey} {
		if *s == nil {
			*s = []byte{}
		}
	}
}

// parseManifest reads the text of a manifest.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		// encoding/json quotes its input in some errors.
		return Manifest{}, errors.New("manifest: not the JSON of a manifest")
	}
	again, err := m.encode()
	if err != nil {
		return Manifest{}, err
	}
	// This refuses unknown, repeated and missing fields, other spellings of a
	// field's name, null for a list, and invalid UTF-8: json lets them all pass.
	if !bytes.Equal(again, text) {
		return Manifest{}, errors.New("manifest: not in canonical form")
	}
	return m, nil
}

// check says what does not hold about m.
func (m *Manifest) check() error {
	if m.Format != Format {
		return fmt.Errorf("format is not %s", Format)
	}
	for _, f := range []struct {
		field string
		ok    bool
	}{
		{"origin", isOrigin(m.Origin)},
		{"case", isMadeOf(m.Case, "abcdefghijklmnopqrstuvwxyz234567", 16, 16)},
		{"thread", isHex(m.Thread, 16)},
		{"previous", (m.Sequence == 0 && m.Previous == "") || (m.Sequence > 0 && isHex(m.Previous, 32))},
		{"day", isDay(m.Day)},
		{"desks", len(m.Desks) > 0 && areIDs(m.Desks)},
		{"excluded desks", areIDs(m.Excluded.Desks)},
		{"excluded organisations", areIDs(m.Excluded.Organisations)},
		{"share", slices.Contains([]string{"ask", "ngos", "authority", "nobody"}, m.Share)},
		{"recipients", areFingerprints(m.Recipients)},
		{"stanzas", len(m.Stanzas) == len(m.Recipients) && areStanzas(m.Stanzas)},
		{"reply_to", m.ReplyTo == "" || isReplyTo(m.ReplyTo)},
		{"thread_key", len(m.ThreadKey) == 32 || len(m.ThreadKey) == 0},
		{"desk_log_key", len(m.DeskLogKey) == 32 || len(m.DeskLogKey) == 0},
	} {
		if !f.ok {
			return fmt.Errorf("%s is missing or malformed", f.field)
		}
	}
	for _, d := range m.Desks {
		if slices.Contains(m.Excluded.Desks, d) {
			return fmt.Errorf("desk %s is both chosen and excluded", d)
		}
	}
	if err := m.checkFiles(); err != nil {
		return err
	}
	return m.checkKind()
}

func (m *Manifest) checkFiles() error {
	if len(m.Files) == 0 {
		return errors.New("no entries")
	}
	if err := checkEntries(m.Files); err != nil {
		return err
	}
	for _, f := range m.Files {
		if !strings.HasPrefix(f.Entry, "files/") && (f.Name != "" || f.Type != "") {
			return fmt.Errorf("%s has a declared name or type", f.Entry)
		}
		if f.Size < 0 || !isHex(f.SHA256, 32) || len(f.Name) > MaxName || len(f.Type) > MaxName {
			return fmt.Errorf("%s is malformed", f.Entry)
		}
	}
	return nil
}

// checkEntries checks that files are message, answers, files/01, files/02 …,
// original and its letter, where all may be absent but the letter needs an
// original. The last two count for nothing in MaxEntries: what could be sealed
// once can be sealed again.
func checkEntries(files []File) error {
	previous := ""
	for i, f := range files {
		complete := previous == entryOriginal || previous == entryOriginalLetter
		var ok bool
		switch f.Entry {
		case entryMessage:
			ok = i == 0
		case entryAnswers:
			ok = i == 0 || (i == 1 && previous == entryMessage)
		case entryOriginal:
			ok = i > 0 && !complete
		case entryOriginalLetter:
			ok = previous == entryOriginal
		default:
			ok = !complete && f.Entry == nextFile(files[:i])
			if i >= MaxEntries {
				return fmt.Errorf("more than %d entries", MaxEntries)
			}
		}
		if !ok {
			return fmt.Errorf("entry %d is out of order", i+1)
		}
		previous = f.Entry
	}
	return nil
}

// nextFile is the entry of the attachment that follows files.
func nextFile(files []File) string {
	n := 1 + len(files)
	for _, f := range files[:min(2, len(files))] {
		if f.Entry == entryMessage || f.Entry == entryAnswers {
			n--
		}
	}
	return fmt.Sprintf("files/%02d", n)
}

// declared makes s valid UTF-8 of at most MaxName bytes.
func declared(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*MaxName)], "\uFFFD")
	if len(s) <= MaxName {
		return s
	}
	end := MaxName
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// isOrigin reports whether s can name a log: the rule for names of note keys.
func isOrigin(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.Contains(s, "+") &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}

func isMadeOf(s, alphabet string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, alphabet) == ""
}

// isHex reports whether s is n bytes in lower-case hex.
func isHex(s string, n int) bool { return isMadeOf(s, "0123456789abcdef", 2*n, 2*n) }

func isDay(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Format(time.DateOnly) == s
}

func areIDs(ids []string) bool {
	return len(ids) <= 1000 && areDistinct(ids, func(s string) bool {
		return isMadeOf(s, "abcdefghijklmnopqrstuvwxyz0123456789-", 1, 32)
	})
}

// areStanzas tells whether every type is that of a recipient that a vault seals to.
func areStanzas(types []string) bool {
	return !slices.ContainsFunc(types, func(t string) bool { return t != stanzaHybrid && t != stanzaTag })
}

func areFingerprints(fs []string) bool {
	return len(fs) > 0 && len(fs) <= MaxRecipients && areDistinct(fs, func(s string) bool { return isHex(s, 32) })
}

// areDistinct reports whether every s is ok and none is repeated.
func areDistinct(s []string, ok func(string) bool) bool {
	seen := make(map[string]bool)
	for _, v := range s {
		if seen[v] || !ok(v) {
			return false
		}
		seen[v] = true
	}
	return true
}

func isReplyTo(s string) bool {
	_, err := ParseRecipient(s)
	return err == nil
}
