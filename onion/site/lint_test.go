package site

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// catalogue reads a file of locales/ as id -> forms joined.
func catalogue(t *testing.T, lang string) map[string]string {
	t.Helper()
	text, err := assets.ReadFile("locales/" + lang + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	var tables map[string]map[string]any
	if err := toml.Unmarshal(text, &tables); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for table, keys := range tables {
		for key, v := range keys {
			id := table + "." + key
			switch v := v.(type) {
			case string:
				all[id] = v
			case map[string]any:
				for _, form := range slices.Sorted(maps.Keys(v)) {
					all[id] += v[form].(string) + "\n"
				}
				if v["one"] == nil || v["other"] == nil || strings.HasPrefix(lang, "es") && v["many"] == nil {
					t.Errorf("%s: %s lacks a plural form", lang, id)
				}
			}
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`\{\{\.([a-z]+)\}\}`)

func placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestCataloguesHaveEqualKeys(t *testing.T) {
	es, en := catalogue(t, "es"), catalogue(t, "en")
	if a, b := slices.Sorted(maps.Keys(es)), slices.Sorted(maps.Keys(en)); !slices.Equal(a, b) {
		t.Errorf("keys differ:\nes %q\nen %q", a, b)
	}
	for id, text := range es {
		if strings.TrimSpace(text) == "" || strings.TrimSpace(en[id]) == "" {
			t.Errorf("%s is empty", id)
		}
		if !slices.Equal(placeholders(text), placeholders(en[id])) {
			t.Errorf("%s: placeholders %q and %q", id, placeholders(text), placeholders(en[id]))
		}
	}
}

var quoted = regexp.MustCompile(`"([a-z_]+\.[A-Za-z0-9_]*)"`)

// Every sentence that a page asks for is in the catalogue, and none is left over.
func TestEverySentenceIsUsed(t *testing.T) {
	have := catalogue(t, "es")
	used := map[string]bool{}
	read := func(text []byte) {
		for _, m := range quoted.FindAllSubmatch(text, -1) {
			id := string(m[1])
			if !strings.HasSuffix(id, ".") {
				used[id] = true
				continue
			}
			for key := range have { // "error." + key and the like
				if strings.HasPrefix(key, id) {
					used[key] = true
				}
			}
		}
	}
	err := fs.WalkDir(assets, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := assets.ReadFile(path)
		read(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		read(text)
	}
	for id := range used {
		table, _, _ := strings.Cut(id, ".")
		if have[id] == "" && !slices.Contains([]string{"locales", "static", "templates", "questions", "recipients", "message"}, table) {
			t.Errorf("%s is not in the catalogue", id)
		}
	}
	for id := range have {
		if !used[id] && !strings.HasPrefix(id, "http.") {
			t.Errorf("%s is not used", id)
		}
	}
	for _, r := range []*refusal{errEmpty, errTextLong, errTextCut, errFileLarge, errFilesMany, errMalformed, errSlow, errExpired, errNoneChosen,
		errUnknownDesk, errDeskKeys, errDesksMany, errNoDesk, errBusy, errOften, errFull, errStore, errEncrypt, errNothing, errDelete, errNoTeam} {
		if have["error."+r.key] == "" {
			t.Errorf("no sentence for the refusal %q", r.key)
		}
	}
}

// Spanish and English questions are complete (parseQuestions), and no id of a
// question could be taken for another field.
func TestQuestionIDs(t *testing.T) {
	q, err := Questions{}.orDefault()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, g := range q.Groups {
		for _, one := range g.Question {
			ids = append(ids, one.ID)
			if rankOf("a-"+one.ID) != rankOf("message") {
				t.Errorf("%s has another rank", one.ID)
			}
		}
	}
	want := []string{"kind", "signs", "began", "where", "when", "still", "who", "official", "deed", "authority", "free", "link", "told", "risk", "avoid", "language"}
	if !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q: an id of a sealed report never changes its meaning", ids, want)
	}
}

// Only these stand in templates between the braces of an attribute or a text.
func TestTemplatesAreInert(t *testing.T) {
	bad := regexp.MustCompile(`(?i)<(script|style|svg|img|iframe|object|embed|video|audio|base)\b|\son[a-z]+=|\sstyle=|http-equiv|javascript:|tel:|accesskey|<meta[^>]*\{\{|\s[a-z-]+=\{\{|\|\s*safe|https?://`)
	err := fs.WalkDir(assets, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := assets.ReadFile(path)
		if m := bad.Find(text); m != nil {
			t.Errorf("%s has %q", path, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	css, err := assets.ReadFile("static/site.css")
	if err != nil {
		t.Fatal(err)
	}
	if len(css) > 10<<10 || bytes.Contains(css, []byte("url(")) || bytes.Contains(css, []byte("@import")) || bytes.Contains(css, []byte("@font-face")) {
		t.Errorf("stylesheet of %d bytes, or with an address in it", len(css))
	}
}

func TestStatesAreThoseOfTheCountry(t *testing.T) {
	count := map[Region]int{}
	seen := map[string]bool{}
	for _, s := range states {
		count[s.Region]++
		if seen[s.Code] || s.Name == "" {
			t.Errorf("state %+v", s)
		}
		seen[s.Code] = true
	}
	if want := map[Region]int{"N": 9, "B": 8, "C": 7, "S": 8}; !maps.Equal(count, want) {
		t.Errorf("%v, want %v", count, want)
	}
	for region, codes := range map[Region]string{
		"N": "BC BCS CHIH COAH DGO NL SON SIN TAMPS", "B": "QRO GTO SLP JAL ZAC AGS COL NAY",
		"C": "CDMX PUE TLAX MOR MEX MICH HGO", "S": "CAM CHIS TAB VER YUC QROO OAX GRO",
	} {
		for _, code := range strings.Fields(codes) {
			if regionOf(code) != region {
				t.Errorf("%s is in region %q, want %q", code, regionOf(code), region)
			}
		}
	}
}
