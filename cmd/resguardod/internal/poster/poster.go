// Package poster makes a page to print: how a source gets to the site.
//
// The page is one HTML file without scripts that loads nothing. It prints on two
// sheets, one of A4 and one of A6, which say the same. The steps come first and the
// picture of the address (a QR code) last, because a camera that reads one opens
// the address in the usual browser, where it does not work and leaves a trace.
package poster

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"strings"

	"rsc.io/qr"
)

// Poster is what stands on the page, beside its fixed sentences.
type Poster struct {
	Lang         string   // es or en
	Address      string   // 56 letters and digits and ".onion", lower case
	Organisation string   // who runs the site; empty: not said
	Words        []string // control words, one text for each key; none: not shown
}

//go:embed poster.html
var page string

// address is an onion address of version 3 (rend-spec-v3, "Encoding onion addresses").
var address = regexp.MustCompile(`^[a-z2-7]{56}\.onion$`)

// Write writes the page. It returns an error if p has another language or an
// address of another form, or one of w.
func Write(w io.Writer, p Poster) error {
	text, ok := texts[p.Lang]
	if !ok {
		return fmt.Errorf("language %q: not one of es, en", p.Lang)
	}
	if !address.MatchString(p.Address) {
		return errors.New("address is not an onion address of version 3")
	}
	picture, err := picture(p.Address)
	if err != nil {
		return err
	}
	t, err := template.New("poster").Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Poster
		Text   map[string]string
		Groups []string
		QR     template.URL
		Sheets []string
	}{p, text, groups(p.Address), picture, []string{"a4", "a6"}})
}

// groups are pieces of four letters, and the end with the piece before it.
func groups(address string) []string {
	name := strings.TrimSuffix(address, ".onion")
	var all []string
	for len(name) > 4 {
		all, name = append(all, name[:4]), name[4:]
	}
	return append(all, name+".onion")
}

// picture is the address as a QR code in a data URL. In capital letters, which
// mean the same in a scheme and a host name, the code has fewer and larger squares.
func picture(address string) (template.URL, error) {
	code, err := qr.Encode(strings.ToUpper("http://"+address+"/"), qr.M)
	if err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG())), nil
}
