package site

import (
	"bytes"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A token is rejected, or is exactly what encode writes.
func FuzzToken(f *testing.F) {
	s := newTokens()
	now := time.Unix(1_800_000_000, 0)
	good := s.mint(now)
	for _, seed := range []string{good, "", good[:len(good)-1], good + "=", strings.Replace(good, good[:1], "\n", 1), good[1:] + good[:1]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, ok := s.parse(text, now)
		if ok && s.encode(k) != text {
			t.Errorf("%q is read as %q", text, s.encode(k))
		}
		if ok && text != good {
			t.Errorf("%q was never made", text)
		}
	})
}

// bytesBody is a request body without a connection.
func bytesBody(text []byte) *body {
	return &body{src: bytes.NewReader(text), limit: 1 << 30, step: 1 << 30, window: 1, left: rateWindow,
		deadline: func(time.Time) error { return nil }}
}

// A multipart body is refused, or reads again as the same form when it is
// written down as browsers do; its limits hold, and it is read to its end.
func FuzzParts(f *testing.F) {
	q, err := Questions{}.orDefault()
	if err != nil {
		f.Fatal(err)
	}
	s := &Site{config: Config{MaxReport: 1 << 20, MaxFiles: 3}, questions: q}
	good, typ := multipartOf(field("token", "t"), field("desk", "a"), field("exclude", "desk:b"), field("share", "ask"),
		field("message", "m\r\nn"), field("a-kind", "farm"), field("a-where", "w"), file("f", "content"), file("", ""))
	good = bytes.ReplaceAll(good, []byte(strings.TrimPrefix(typ, "multipart/form-data; boundary=")), []byte("B"))
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Add(bytes.Replace(good, []byte("desk"), []byte("file"), 1))
	f.Add([]byte("--B--"))
	type sent struct{ name, kind, content string }
	read := func(t *testing.T, text []byte, boundary string) (*parts, []sent, *refusal) {
		var files []sent
		b := bytesBody(text)
		p := s.newParts(b, boundary, func(name, typ string, body *fileBody) error {
			content, err := io.ReadAll(body)
			files = append(files, sent{name, typ, string(content)})
			return err
		})
		ref := p.read()
		if ref != nil && b.n != int64(len(text)) {
			t.Errorf("refused after %d of %d bytes", b.n, len(text))
		}
		return p, files, ref
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, files, ref := read(t, text, "B")
		if p.kept > maxText || len(files) > s.config.MaxFiles || p.seen > maxParts+1 {
			t.Errorf("%d bytes of text, %d files, %d parts", p.kept, len(files), p.seen)
		}
		if ref != nil {
			return
		}
		var again []part
		if p.form.token != "" {
			again = append(again, field("token", p.form.token))
		}
		for _, d := range p.form.desks {
			again = append(again, field("desk", d))
		}
		for _, e := range p.form.exclude {
			again = append(again, field("exclude", e))
		}
		again = append(again, field("share", p.form.share), field("message", p.form.message))
		for id, values := range p.form.answers {
			for _, v := range values {
				again = append(again, field("a-"+id, v))
			}
		}
		for range files {
			again = append(again, file("f", ""))
		}
		text2, typ := multipartOf(again...)
		p2, files2, ref2 := read(t, text2, strings.TrimPrefix(typ, "multipart/form-data; boundary="))
		if ref2 != nil || len(files2) != len(files) || p2.form.token != p.form.token || p2.form.message != p.form.message ||
			p2.form.share != p.form.share || !slices.Equal(p2.form.desks, p.form.desks) || !slices.Equal(p2.form.exclude, p.form.exclude) ||
			!maps.EqualFunc(p2.form.answers, p.form.answers, slices.Equal) {
			t.Errorf("%+v\nreads again as\n%+v, %v", p.form, p2.form, ref2)
		}
	})
}

// A choice is rejected, or survives being sent again; what it proposes lies
// outside its places.
func FuzzChoice(f *testing.F) {
	for _, seed := range []string{"", "state=SON&state=outside&exclude=government", "desk=a&desk=b&exclude=desk:a", "state=&%zz", "team-a=yes&team-b=no&team-c=", "team-a=x", "team-=no&team-a=yes&team-a=no", "exclude=org:&exclude=org:x", "state=unknown"} {
		f.Add(seed)
	}
	all := []Desk{{ID: "a", Regions: []Region{"N"}, Organisation: "x"}, {ID: "b", Regions: []Region{"S"}, Government: true}, {ID: "c"}}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		c, ok := parseChoices(values)
		if !ok {
			return
		}
		again, err := url.ParseQuery(url.Values{"state": c.places, "desk": c.desks, "exclude": c.exclude}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		c2, ok := parseChoices(again)
		if !ok || !slices.Equal(c.places, c2.places) || !slices.Equal(c.desks, c2.desks) || !slices.Equal(c.exclude, c2.exclude) {
			t.Errorf("%+v is read again as %+v", c, c2)
		}
		// These desks have no keys, so nothing may be chosen or proposed.
		if r, ref := choose(all, c.desks, c.exclude); ref == nil {
			t.Errorf("%q has readers %+v", text, r)
		}
		if d, ok := propose(all, c.places, c.exclude, time.Now()); ok {
			t.Errorf("%q proposes %q", text, d.ID)
		}
	})
}
