package browser

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	screenshots = flag.String("screenshots", "", "folder for pictures of every page (make screenshots)")
	writeDocs   = flag.Bool("docs", false, "write docs/screenshots anew (make screenshots DOCS=1)")
)

// docs is the folder of the pictures that stand in the repository: every page in
// Spanish, 320 pixels wide, in light colours.
const docs = "../../../docs/screenshots"

// testPictures: docs/screenshots shows every page that there is, and no other. It
// takes pictures if asked to.
func (s *shelf) testPictures(t *testing.T, c *chromium, lang string) {
	if *screenshots != "" && lang == base(lang) {
		for _, width := range []int{320, 768, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				s.takePictures(t, c, width, scheme)
			}
		}
	}
	if lang != "es" {
		return
	}
	if *writeDocs {
		s.writeDocs(t, c)
	}
	var want, have []string
	for _, p := range s.pages {
		if p.pictured() {
			want = append(want, filepath.Join(docs, p.name+".png"))
		}
	}
	have, err := filepath.Glob(filepath.Join(docs, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("make screenshots DOCS=1: docs/screenshots shows %d pages of %d: %v and %v differ", len(have), len(want), less(want, have), less(have, want))
	}
	index, err := os.ReadFile(filepath.Join(docs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(index) != s.index() {
		t.Error("make screenshots DOCS=1: docs/screenshots/README.md is not the list of the pages")
	}
}

// less is what a has and b has not.
func less(a, b []string) (rest []string) {
	for _, one := range a {
		if !slices.Contains(b, one) {
			rest = append(rest, strings.TrimSuffix(filepath.Base(one), ".png"))
		}
	}
	return rest
}

// pictured tells whether a picture of the page shows more than others do: some are
// of any length.
func (p kept) pictured() bool {
	return !strings.HasPrefix(p.name, "form-text-") && !strings.HasSuffix(p.name, "-127")
}

// index is docs/screenshots/README.md.
func (s *shelf) index() string {
	var b strings.Builder
	b.WriteString("# Every page, as a phone shows it\n\n" +
		"Every page and every error state that a source can come to, in Spanish, 320 pixels wide, in light colours, with made-up desks.\n" +
		"`make screenshots` takes them at 320, 768 and 1280 pixels, light and dark, in Spanish and English, into `var/screenshots`;\n" +
		"`make screenshots DOCS=1` writes this folder anew. `TestPages` fails when a page is missing here. It does not compare the pictures.\n" +
		"Chromium drew them with the fonts of a server; a phone has better ones.\n\n" +
		"| | | | |\n|---|---|---|---|\n")
	n := 0
	for _, p := range s.pages {
		if !p.pictured() {
			continue
		}
		fmt.Fprintf(&b, "| %s<br>![](%s.png) ", p.name, p.name)
		if n++; n%4 == 0 {
			b.WriteString("|\n")
		}
	}
	if n%4 != 0 {
		b.WriteString(strings.Repeat("| ", 4-n%4) + "|\n")
	}
	return b.String()
}

// takePictures writes FOLDER/WIDTH-SCHEME/LANG-NAME.png.
func (s *shelf) takePictures(t *testing.T, c *chromium, width int, scheme string) {
	dir := filepath.Join(*screenshots, fmt.Sprintf("%d-%s", width, scheme))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.pictures(t, c, width, scheme, func(p kept, picture []byte) error {
		return os.WriteFile(filepath.Join(dir, p.lang+"-"+p.name+".png"), picture, 0o644)
	})
}

func (s *shelf) writeDocs(t *testing.T, c *chromium) {
	old, err := filepath.Glob(filepath.Join(docs, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	size := 0
	s.pictures(t, c, 320, "light", func(p kept, picture []byte) error {
		small, err := fewColours(picture)
		if err != nil {
			return err
		}
		size += len(small)
		return os.WriteFile(filepath.Join(docs, p.name+".png"), small, 0o644)
	})
	t.Logf("docs/screenshots: %d bytes", size)
	if err := os.WriteFile(filepath.Join(docs, "README.md"), []byte(s.index()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pictures takes a picture of every page.
func (s *shelf) pictures(t *testing.T, c *chromium, width int, scheme string, take func(kept, []byte) error) {
	s.each(t, c, func(t *testing.T, b *tab, p kept) {
		if !p.pictured() {
			return
		}
		b.resize(width, 640, 1)
		b.media("prefers-color-scheme", scheme)
		b.evaluate("scrollTo(0, 0)", nil) // a page that puts the focus lower down scrolls there
		if err := take(p, b.picture()); err != nil {
			t.Fatal(err)
		}
	})
}

// fewColours makes a PNG small: of its colours only the 16 most frequent stay.
func fewColours(picture []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	count := map[color.Color]int{}
	r := whole.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			count[whole.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	small := image.NewPaletted(r, color.Palette(all[:min(16, len(all))]))
	index := map[color.Color]uint8{}
	for c := range count {
		index[c] = uint8(small.Palette.Index(c))
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			small.SetColorIndex(x, y, index[whole.At(x, y)])
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, small)
	return b.Bytes(), err
}
