package browser

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/net/html"
)

// node is one of Chromium's accessibility tree.
type node struct {
	Ignored    bool
	Role, Name struct{ Value string }
	Properties []struct {
		Name  string
		Value struct{ Value json.RawMessage }
	}
}

func (n node) property(name string) string {
	for _, p := range n.Properties {
		if p.Name == name {
			return strings.Trim(string(p.Value.Value), `"`)
		}
	}
	return ""
}

// testNames: in what a screen reader is told, every control has a name, no name
// leads to two places, and headings and landmarks are those of one page.
func testNames(t *testing.T, b *tab, p kept) {
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s, names: "+format, append([]any{p.lang, p.name}, args...)...)
	}
	b.evaluate(unfold, nil)
	var tree struct{ Nodes []node }
	b.call("Accessibility.getFullAXTree", nil, &tree)
	count, links, fields, level := map[string]int{}, map[string]string{}, map[string]bool{}, "0"
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role, name := n.Role.Value, strings.Join(strings.Fields(n.Name.Value), " ")
		count[role]++
		switch role {
		case "link":
			if url, ok := links[name]; ok && url != n.property("url") {
				wrong("two links are named %q: %s, %s", name, url, n.property("url"))
			}
			links[name] = n.property("url")
			if n.property("url") == "" {
				wrong("link %q leads nowhere", name)
			}
		case "textbox", "combobox":
			if fields[role+name] {
				wrong("two of %s are named %q", role, name)
			}
			fields[role+name] = true
		case "heading":
			if l := n.property("level"); l > level && l[0] != level[0]+1 {
				wrong("heading %q of level %s follows one of level %s", name, l, level)
			} else {
				level = l
			}
			if n.property("level") == "1" {
				count["h1"]++
			}
		case "button", "checkbox", "radio", "DisclosureTriangle", "group", "navigation", "RootWebArea":
		default:
			continue
		}
		if name == "" && role != "group" {
			wrong("a %s has no name", role)
		}
	}
	for role, want := range map[string]int{"RootWebArea": 1, "main": 1, "h1": 1} {
		if count[role] != want {
			wrong("%d of %s, want %d", count[role], role, want)
		}
	}
	testLanguages(t, p)
}

// sentences are the texts of a catalogue without values in them, of two words or more.
func sentences(t *testing.T, lang string) map[string]bool {
	t.Helper()
	file, err := os.ReadFile("../locales/" + lang + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	var tables map[string]any
	if err := toml.Unmarshal(file, &tables); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var collect func(any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, one := range v {
				collect(one)
			}
		case string:
			if strings.Contains(v, " ") && !strings.Contains(v, "{{") {
				found[v] = true
			}
		}
	}
	collect(tables)
	return found
}

// testLanguages: no sentence of another language stands where lang does not say so,
// and a link to a page in another language says which.
func testLanguages(t *testing.T, p kept) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]map[string]bool{"es": sentences(t, "es"), "en": sentences(t, "en")}
	var walk func(n *html.Node, lang string)
	walk = func(n *html.Node, lang string) {
		attr := func(key string) string {
			i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
			if i < 0 {
				return ""
			}
			return n.Attr[i].Val
		}
		if l := attr("lang"); l != "" {
			lang = l
		}
		if to := attr("hreflang"); to != "" && (to != attr("lang") || !strings.HasPrefix(attr("href"), "/"+to)) {
			t.Errorf("%s %s: a link to %s has hreflang %q and lang %q", p.lang, p.name, attr("href"), to, attr("lang"))
		}
		if n.Type == html.TextNode {
			for other, found := range texts {
				if text := strings.TrimSpace(n.Data); other != lang && found[text] && !texts[lang][text] {
					t.Errorf("%s %s: in %q, and not marked as %s: %q", p.lang, p.name, lang, other, text)
				}
			}
		}
		for c := range n.ChildNodes() {
			walk(c, lang)
		}
	}
	walk(root, "")
}
