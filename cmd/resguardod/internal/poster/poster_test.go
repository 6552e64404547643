package poster

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"rsc.io/qr"
)

const onion = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"

func write(t *testing.T, p Poster) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The steps come first, then the warnings and the limit, and the picture last, on
// both sheets.
func TestOrder(t *testing.T) {
	for lang, text := range texts {
		page := write(t, Poster{Lang: lang, Address: onion, Organisation: "Red de Casas", Words: []string{"rey · ser · promesa"}})
		for _, sheet := range strings.SplitAfter(page, "</section>")[:2] {
			at := 0
			for _, want := range []string{text["heading"], text["install"], text["open"], text["type"], "<span>pg6m</span>", "<span>cryd.onion</span>",
				text["never"], text["photo"], text["words"], "rey · ser · promesa", text["limit"], text["run"] + " Red de Casas.", "<img ", text["qr"]} {
				i := strings.Index(sheet[at:], want)
				if i < 0 {
					t.Fatalf("%s: %q does not stand in its place in:\n%s", lang, want, sheet)
				}
				at += i
			}
		}
	}
}

// What is not configured is not said.
func TestNothingIsInvented(t *testing.T) {
	for lang, text := range texts {
		page := write(t, Poster{Lang: lang, Address: onion})
		if strings.Contains(page, text["run"]) || strings.Contains(page, text["words"]) || strings.Contains(page, "<no value>") {
			t.Errorf("%s:\n%s", lang, page)
		}
	}
}

// Read without its spaces, the address on the sheet is the address.
func TestAddressCanBeTyped(t *testing.T) {
	page := write(t, Poster{Lang: "es", Address: onion})
	for _, box := range regexp.MustCompile(`(?s)<div class="address">(.*?)</div>`).FindAllStringSubmatch(page, -1) {
		if got := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(box[1], ""); got != onion {
			t.Errorf("address %q", got)
		}
	}
}

// The picture has the squares of the address, and quiet space round them.
func TestPictureIsTheAddress(t *testing.T) {
	page := write(t, Poster{Lang: "en", Address: onion})
	m := regexp.MustCompile(`src="data:image/png;base64,([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(m) != 2 {
		t.Fatalf("%d pictures", len(m))
	}
	raw, err := base64.StdEncoding.DecodeString(html.UnescapeString(m[0][1]))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode("HTTP://"+strings.ToUpper(onion)+"/", qr.M)
	if err != nil {
		t.Fatal(err)
	}
	const quiet = 4
	square := picture.Bounds().Dx() / (want.Size + 2*quiet)
	for y := -quiet; y < want.Size+quiet; y++ {
		for x := -quiet; x < want.Size+quiet; x++ {
			r, _, _, _ := picture.At((x+quiet)*square+square/2, (y+quiet)*square+square/2).RGBA()
			if (r == 0) != want.Black(x, y) {
				t.Fatalf("square %d, %d", x, y)
			}
		}
	}
}

// The page is inert and loads nothing, whatever the operator's texts are.
func TestPageIsInert(t *testing.T) {
	const hostile = `<script>alert(1)</script>" onload="x`
	page := write(t, Poster{Lang: "es", Address: onion, Organisation: hostile, Words: []string{hostile}})
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"script", "link", "iframe", "a", "form"}, n.Data) {
			t.Errorf("element %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" && !strings.HasPrefix(a.Val, "data:image/png;base64,") {
				t.Errorf("attribute %s", a.Key)
			}
		}
	}
	if strings.Contains(page, "url(") || strings.Contains(page, "@import") {
		t.Error("the style loads something")
	}
}

func TestBadPostersAreRefused(t *testing.T) {
	for _, p := range []Poster{
		{Lang: "fr", Address: onion},
		{Lang: "", Address: onion},
		{Lang: "es"},
		{Lang: "es", Address: strings.ToUpper(onion)},
		{Lang: "es", Address: "http://" + onion},
		{Lang: "es", Address: onion[1:]},
		{Lang: "es", Address: onion + "/"},
		{Lang: "es", Address: onion + "\n"},
		{Lang: "es", Address: strings.Replace(onion, "p", "1", 1)},
	} {
		var b bytes.Buffer
		if err := Write(&b, p); err == nil || b.Len() > 0 {
			t.Errorf("%+v: %v, %d bytes", p, err, b.Len())
		}
	}
}

// Both languages say the same things.
func TestTextsHaveEqualKeys(t *testing.T) {
	for key := range texts["es"] {
		if texts["en"][key] == "" {
			t.Errorf("en lacks %s", key)
		}
	}
	if len(texts["es"]) != len(texts["en"]) {
		t.Error("es and en differ")
	}
}
