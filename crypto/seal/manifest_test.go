package seal

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// encodeAnyway is Manifest.encode without its checks.
func encodeAnyway(t testing.TB, m Manifest) []byte {
	t.Helper()
	m.fillEmpty()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wholeManifest is a manifest that holds.
func wholeManifest(t testing.TB) Manifest {
	m := manifest(t)
	m.Format = Format
	m.Recipients = []string{sha256Hex([]byte("a")), sha256Hex([]byte("b"))}
	m.Stanzas = []string{stanzaHybrid, stanzaTag}
	m.Files = []File{
		{Entry: "message.txt", Size: 3, SHA256: sha256Hex(nil)},
		{Entry: "files/01", Name: "<á&\u2028\x00>", Type: "image/jpeg", Size: 0, SHA256: sha256Hex(nil)},
	}
	return m
}

func TestManifestRoundTrip(t *testing.T) {
	reply := wholeManifest(t)
	reply.Kind, reply.ReplyTo, reply.ThreadKey, reply.DeskLogKey = "reply", "", nil, nil
	later := wholeManifest(t)
	later.Kind, later.ReplyTo, later.ThreadKey, later.DeskLogKey = "followup", "", nil, nil
	later.Sequence, later.Previous = 1<<64-1, sha256Hex(nil)
	bare := wholeManifest(t)
	bare.Excluded = Excluded{}
	for name, m := range map[string]Manifest{"report": wholeManifest(t), "reply": reply, "later": later, "bare": bare} {
		text, err := m.encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(text, encodeAnyway(t, m)) || text[len(text)-1] != '\n' {
			t.Errorf("%s: text is\n%s", name, text)
		}
		parsed, err := parseManifest(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again, err := parsed.encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s: read and written again it is\n%s (%v)", name, again, err)
		}
	}
}

// TestManifestRefusesValues: neither Writer.Close nor Open takes them.
func TestManifestRefusesValues(t *testing.T) {
	hash := sha256Hex(nil)
	for name, change := range map[string]func(*Manifest){
		"format":                   func(m *Manifest) { m.Format = "resguardo/report/v2" },
		"no origin":                func(m *Manifest) { m.Origin = "" },
		"origin with a space":      func(m *Manifest) { m.Origin = "a b" },
		"origin with a newline":    func(m *Manifest) { m.Origin = "a\nb" },
		"origin with a plus":       func(m *Manifest) { m.Origin = "a+b" },
		"origin with a direction":  func(m *Manifest) { m.Origin = "a\u202eb" },
		"origin of 256 bytes":      func(m *Manifest) { m.Origin = strings.Repeat("a", 256) },
		"no case":                  func(m *Manifest) { m.Case = "" },
		"upper-case case":          func(m *Manifest) { m.Case = strings.ToUpper(m.Case) },
		"case with a 1":            func(m *Manifest) { m.Case = "abcdefghij234561" },
		"long case":                func(m *Manifest) { m.Case += "a" },
		"case upwards":             func(m *Manifest) { m.Case = "../../../../../a" },
		"short thread":             func(m *Manifest) { m.Thread = m.Thread[2:] },
		"upper-case thread":        func(m *Manifest) { m.Thread = strings.ToUpper(m.Thread) },
		"no kind":                  func(m *Manifest) { m.Kind = "" },
		"kind upwards":             func(m *Manifest) { m.Kind = "../report" },
		"long kind":                func(m *Manifest) { m.Kind = strings.Repeat("a", 33) },
		"unknown kind":             func(m *Manifest) { m.Kind = "desk-delete" },
		"second report":            func(m *Manifest) { m.Sequence, m.Previous = 1, hash },
		"first with a previous":    func(m *Manifest) { m.Previous = hash },
		"second without":           func(m *Manifest) { m.Sequence = 1 },
		"short previous":           func(m *Manifest) { m.Sequence, m.Previous = 1, hash[2:] },
		"no day":                   func(m *Manifest) { m.Day = "" },
		"a time":                   func(m *Manifest) { m.Day = "2026-11-21T10:00:00Z" },
		"no such day":              func(m *Manifest) { m.Day = "2026-02-30" },
		"short day":                func(m *Manifest) { m.Day = "2026-2-3" },
		"no desk":                  func(m *Manifest) { m.Desks = nil },
		"desk upwards":             func(m *Manifest) { m.Desks = []string{"../a"} },
		"desk in upper case":       func(m *Manifest) { m.Desks = []string{"Norte"} },
		"empty desk":               func(m *Manifest) { m.Desks = []string{""} },
		"long desk":                func(m *Manifest) { m.Desks = []string{strings.Repeat("a", 33)} },
		"a desk twice":             func(m *Manifest) { m.Desks = []string{"a", "a"} },
		"desk chosen and excluded": func(m *Manifest) { m.Desks = []string{"sur", "centro"} },
		"excluded desk":            func(m *Manifest) { m.Excluded.Desks = []string{"a b"} },
		"excluded organisation":    func(m *Manifest) { m.Excluded.Organisations = []string{"ñ"} },
		"1,001 desks":              func(m *Manifest) { m.Excluded.Desks = make([]string, 1001) },
		"share":                    func(m *Manifest) { m.Share = "everybody" },
		"no share":                 func(m *Manifest) { m.Share = "" },
		"no recipients":            func(m *Manifest) { m.Recipients = nil },
		"a recipient twice":        func(m *Manifest) { m.Recipients = []string{hash, hash} },
		"recipient as it is":       func(m *Manifest) { m.Recipients = []string{m.ReplyTo} },
		"a stanza missing":         func(m *Manifest) { m.Stanzas = m.Stanzas[1:] },
		"stanza of another type":   func(m *Manifest) { m.Stanzas[0] = "X25519" },
		"no reply recipient":       func(m *Manifest) { m.ReplyTo = "" },
		"classical reply":          func(m *Manifest) { m.ReplyTo = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p" },
		"wrong reply, not report":  func(m *Manifest) { m.Kind, m.ReplyTo = "reply", "x" },
		"reply's own recipient":    func(m *Manifest) { m.Kind, m.ThreadKey, m.DeskLogKey = "reply", nil, nil },
		"reply's own thread key":   func(m *Manifest) { m.Kind, m.ReplyTo, m.DeskLogKey = "reply", "", nil },
		"reply's own log key":      func(m *Manifest) { m.Kind, m.ReplyTo, m.ThreadKey = "reply", "", nil },
		"first as a followup":      func(m *Manifest) { m.Kind, m.ReplyTo, m.ThreadKey, m.DeskLogKey = "followup", "", nil, nil },
		"report with an original":  func(m *Manifest) { m.Files[1] = File{Entry: "original.json", SHA256: hash} },
		"no thread key":            func(m *Manifest) { m.ThreadKey = nil },
		"short thread key":         func(m *Manifest) { m.ThreadKey = m.ThreadKey[1:] },
		"short key, not report":    func(m *Manifest) { m.Kind, m.ThreadKey = "reply", m.ThreadKey[1:] },
		"no desk log key":          func(m *Manifest) { m.DeskLogKey = nil },
		"long desk log key":        func(m *Manifest) { m.DeskLogKey = make([]byte, 33) },
		"no files":                 func(m *Manifest) { m.Files = nil },
		"negative size":            func(m *Manifest) { m.Files[0].Size = -1 },
		"short hash":               func(m *Manifest) { m.Files[0].SHA256 = hash[1:] },
		"upper-case hash":          func(m *Manifest) { m.Files[0].SHA256 = strings.ToUpper(hash) },
		"message with a name":      func(m *Manifest) { m.Files[0].Name = "x" },
		"message with a type":      func(m *Manifest) { m.Files[0].Type = "x" },
		"long name":                func(m *Manifest) { m.Files[1].Name = strings.Repeat("a", MaxName+1) },
		"long type":                func(m *Manifest) { m.Files[1].Type = strings.Repeat("a", MaxName+1) },
		"unknown entry":            func(m *Manifest) { m.Files[1].Entry = "readme.txt" },
		"entry out of sequence":    func(m *Manifest) { m.Files[1].Entry = "files/02" },
		"manifest lists itself":    func(m *Manifest) { m.Files[1].Entry = "manifest.json" },
		"files reversed":           func(m *Manifest) { slices.Reverse(m.Files) },
	} {
		m := wholeManifest(t)
		change(&m)
		if _, err := m.encode(); err == nil {
			t.Errorf("%s: written", name)
		}
		if _, err := parseManifest(encodeAnyway(t, m)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// TestManifestRefusesOtherTexts of a manifest that holds.
func TestManifestRefusesOtherTexts(t *testing.T) {
	m := wholeManifest(t)
	text, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		t.Helper()
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("manifest does not contain %q", old)
		}
		return strings.Replace(string(text), old, new, 1)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]string{
		"empty":                "",
		"null":                 "null\n",
		"list":                 "[]\n",
		"compact":              compact.String(),
		"no final newline":     strings.TrimSuffix(string(text), "\n"),
		"two values":           string(text) + "{}\n",
		"trailing space":       string(text) + " ",
		"byte order mark":      "\ufeff" + string(text),
		"unknown field":        replace(`  "share"`, `  "colour": "red",`+"\n"+`  "share"`),
		"repeated field":       replace(`  "share"`, `  "share": "nobody",`+"\n"+`  "share"`),
		"other case of a name": replace(`"share"`, `"Share"`),
		"missing field":        replace(`  "governance": 7,`+"\n", ""),
		"null for a list":      replace(`"desks": [`, `"desks": null, "x": [`),
		"number as text":       replace(`"governance": 7`, `"governance": "7"`),
		"number with a dot":    replace(`"governance": 7`, `"governance": 7.0`),
		"negative number":      replace(`"sequence": 0`, `"sequence": -1`),
		"escape not needed":    replace("ngos", `n\u0067os`),
		"HTML escape":          replace("<á&", `\u003cá\u0026`),
		"line separator":       replace(`\u2028`, "\u2028"),
		"invalid UTF-8":        replace("<á", "<\xff"),
		"URL base64":           replace("AQEB", "-_EB"),
	} {
		if _, err := parseManifest([]byte(other)); err == nil {
			t.Errorf("%s: read", name)
		} else if strings.Contains(err.Error(), "colour") {
			t.Errorf("%s: the error quotes the manifest: %v", name, err)
		}
	}
}

func TestDeclaredNames(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a.jpg", "a.jpg"},
		{"..\\..\x00\u202e", "..\\..\x00\u202e"},
		{"a\xffb\xc3", "a\ufffdb\ufffd"},
		{strings.Repeat("a", MaxName), strings.Repeat("a", MaxName)},
		{strings.Repeat("a", 10_000), strings.Repeat("a", MaxName)},
		{"a" + strings.Repeat("ñ", 10_000), "a" + strings.Repeat("ñ", (MaxName-1)/2)},
		{"ab" + strings.Repeat("€", 10_000), "ab" + strings.Repeat("€", (MaxName-2)/3)},
		{"abc" + strings.Repeat("😀", 10_000), "abc" + strings.Repeat("😀", (MaxName-3)/4)},
		{strings.Repeat("\xff", 10_000), "\ufffd"},
	} {
		got := declared(tt.in)
		if got != tt.want || len(got) > MaxName || !utf8.ValidString(got) {
			t.Errorf("declared(%.20q of %d bytes) = %.20q of %d bytes, want %d", tt.in, len(tt.in), got, len(got), len(tt.want))
		}
	}
}
