// Package browser proves that the source's pages are usable: it walks through the
// real site in a Chromium without JavaScript, keeps every page and every error
// state that it comes to, and checks each of them. It holds tests only.
//
//	chromium_test.go   drives Chromium
//	stage_test.go      the site, and what it answers
//	desk_test.go       a desk that answers
//	walk_test.go       the walk: one line for each page
//	mailbox_test.go    its part in mailboxes
//	limits_test.go     its part at a server that is full or busy
//	pages_test.go      the checks of every page
//	checks_test.go     those that need a browser
//	names_test.go      those of what a screen reader is told
//	pictures_test.go   pictures of every page
//	keyboard_test.go   the journey with the keyboard alone
//	w3m_test.go        the journey in a browser of plain text
//	origin_test.go     other sites
//	slow_test.go       the site over a slow network
package browser

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestMain lets all tests run at once: they wait for browsers and slow networks
// for most of their time.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set("8")
	}
	os.Exit(m.Run())
}

// TestPages checks every page and every error state in every language.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			c := newChromium(t)
			s := newShelf(walk(t, c, lang))
			defer s.Close()
			t.Run("weights", s.testWeights)
			t.Run("html", s.testHTML)
			t.Run("text", s.testText)
			t.Run("axe", func(t *testing.T) { s.each(t, c, s.testAxe) })
			t.Run("layout", func(t *testing.T) {
				s.each(t, c, func(t *testing.T, b *tab, p kept) {
					testKeyboard(t, b, p) // first: the others unfold what is folded
					testNames(t, b, p)
					testTargets(t, b, p)
					testColours(t, b, p)
					testReflow(t, b, p) // last: it changes the style
				})
			})
			t.Run("pictures", func(t *testing.T) { s.testPictures(t, c, lang) })
		})
	}
}

// shelf serves the kept pages again, each at /LANG/NAME and as the site sent it, so
// that they can be looked at in any order and more than once.
type shelf struct {
	*httptest.Server
	pages []kept
}

func newShelf(pages []kept, css map[string][]byte) *shelf {
	mux := http.NewServeMux()
	for _, p := range pages {
		mux.HandleFunc("/"+p.lang+"/"+p.name, func(w http.ResponseWriter, r *http.Request) {
			for name, values := range p.header {
				if name != "Refresh" {
					w.Header()[name] = values
				}
			}
			w.Write(p.body)
		})
	}
	for path, text := range css {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/css; charset=utf-8")
			w.Write(text)
		})
	}
	return &shelf{httptest.NewServer(mux), pages}
}

// each opens every page in a new tab, 320 pixels wide.
func (s *shelf) each(t *testing.T, c *chromium, test func(*testing.T, *tab, kept)) {
	defer func(t testing.TB) { c.t = t }(c.t)
	c.t = t
	b := c.newTab()
	defer b.close()
	b.script(true) // for what the checks do; the pages have none
	for _, p := range s.pages {
		if strings.HasSuffix(p.name, "-127") {
			continue // more of the same: they are for testWeights
		}
		b.open(s.URL + "/" + p.lang + "/" + p.name)
		test(t, b, p)
	}
}

// testWeights: at most 50 KB and two requests, also with 127 desks.
func (s *shelf) testWeights(t *testing.T) {
	for _, p := range s.pages {
		if strings.HasPrefix(p.name, "form-text-") {
			continue // what was typed comes back, and it is as long as it is
		}
		t.Logf("%s %s: %d bytes, %d requests", p.lang, p.name, p.bytes, len(p.requests))
		if p.bytes > 50_000 {
			t.Errorf("%s %s: %d bytes, at most 50,000", p.lang, p.name, p.bytes)
		}
		if len(p.requests) > 2 || len(p.requests) == 2 && !strings.HasPrefix(p.requests[1], "GET /static/") {
			t.Errorf("%s %s: requests %q", p.lang, p.name, p.requests)
		}
	}
}

// fetched returns the folder of what make deps fetched from npm.
func fetched(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "resguardo", "page-checks")
	_, err = os.Stat(filepath.Join(dir, "complete"))
	missing(t, err)
	want, err := os.ReadFile("tools/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile(filepath.Join(dir, "package-lock.json")); err != nil || !bytes.Equal(have, want) {
		t.Fatalf("%s is not what package-lock.json names: make deps", dir)
	}
	return filepath.Join(dir, "node_modules")
}

// testHTML: html-validate finds nothing.
func (s *shelf) testHTML(t *testing.T) {
	program := filepath.Join(fetched(t), "html-validate", "bin", "html-validate.mjs")
	dir := t.TempDir()
	for _, p := range s.pages {
		if err := os.WriteFile(filepath.Join(dir, p.lang+" "+p.name+".html"), p.body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := filepath.Abs("tools/html-validate.mjs")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(need(t, "node"), program, "--config", config, "--formatter", "json", dir)
	// To a file: it ends before a pipe has taken all.
	said, err := os.Create(filepath.Join(t.TempDir(), "said.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.Stdout, c.Stderr = said, os.Stderr
	err = c.Run()
	out, fault := os.ReadFile(said.Name())
	if fault != nil {
		t.Fatal(fault)
	}
	var results []struct {
		FilePath string
		Messages []struct {
			RuleID, Message, Selector string
			Line                      int
		}
	}
	if fault := json.Unmarshal(out, &results); fault != nil {
		t.Fatalf("html-validate: %v: %v\n%s", err, fault, out)
	}
	for _, r := range results {
		for _, m := range r.Messages {
			t.Errorf("%s:%d: %s: %s (%s)", strings.TrimSuffix(filepath.Base(r.FilePath), ".html"), m.Line, m.RuleID, m.Message, m.Selector)
		}
	}
	if err != nil && !t.Failed() {
		t.Errorf("html-validate: %v", err)
	}
}

// testText: as plain text, heading, questions and buttons stand in their order.
func (s *shelf) testText(t *testing.T) {
	w3m := need(t, "w3m")
	for _, p := range s.pages {
		c := exec.Command(w3m, "-dump", "-T", "text/html", "-I", "UTF-8", "-O", "UTF-8", "-cols", "80")
		c.Stdin = bytes.NewReader(p.body)
		out, err := c.Output()
		if err != nil {
			t.Fatalf("w3m: %v", err)
		}
		rest := words(string(out))
		for _, want := range mainThings(t, p.body) {
			_, after, ok := strings.Cut(rest, words(want))
			if !ok {
				t.Errorf("%s %s: %q does not stand in its order in:\n%s", p.lang, p.name, want, out)
				break
			}
			rest = after
		}
	}
}

// words is text without the marks and line ends that w3m sets.
func words(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("[", " ", "]", " ", "•", " ", "_", " ").Replace(text)), "")
}

// mainThings are the texts of a page's headings, legends, labels, buttons and links.
func mainThings(t *testing.T, page []byte) []string {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var things []string
	for n := range root.Descendants() {
		switch n.Data {
		case "h1", "h2", "h3", "legend", "summary", "label", "button", "a":
			if n.Type == html.ElementNode && n.Parent.Data != "legend" {
				things = append(things, textOf(n))
			}
		}
	}
	return things
}

// textOf is the text of an element, without what a list holds: of its entries only
// one is shown.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "option" {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
