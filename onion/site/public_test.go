package site

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"

	"resguardo/crypto/codename"
	"resguardo/onion/logtiles/logtest"
	"resguardo/vault/translog"
)

// A report gets its leaf in the epoch that its page names. The page says the same
// whenever and however it is shown again, and nobody but its source is told.
func TestPageNamesTheEpochOfTheLeaf(t *testing.T) {
	w := newWorld(t)
	l := logtest.Begin(t, w.vault)
	now := time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC) // epoch 83115, to its last second
	w.site.now = func() time.Time { return now.In(time.FixedZone("", -7*3600)) }
	token := w.token("es")
	send := func() response {
		return w.send("es", field("token", token), field("desk", "norte"), field("message", "hola"))
	}
	const when = "Tu reporte entra al registro público al cerrar la época 83115, el 22 de noviembre a las 00:00 (hora UTC); si llegan muchos, una época después."
	first := send()
	words := codenameIn(t, first)
	now = now.Add(9 * time.Minute) // in the next epoch
	check := w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}, "words": {words}})
	for name, r := range map[string]response{"first": first, "again": send(), "check": check} {
		if codenameIn(t, r) != words || strings.Count(r.body, when) != 1 {
			t.Errorf("%s: not once %q in:\n%s", name, when, r.body)
		}
	}
	now = now.Add(time.Minute)
	for name, r := range map[string]response{"received": send(), "check": w.postForm("/es/codename", url.Values{"token": {token}, "action": {"check"}}),
		"last": w.postForm("/es/codename", url.Values{"token": {token}, "action": {"finish"}})} {
		if r.status != http.StatusOK || strings.Contains(r.body, "época") {
			t.Errorf("%s tells when the report was sent:\n%s", name, r.body)
		}
	}

	l.Close(t)
	l.Publish(t)
	c, err := codename.Parse(words, "es")
	if err != nil {
		t.Fatal(err)
	}
	tag := translog.NewEvent(c.Derive(w.site.config.Params).Log, translog.Report, 0).Tag(translog.Report)
	rest := []byte(w.get("/log/tile/entries/000.p/17").body)
	epochs := []int64{}
	for len(rest) > 0 {
		var entry []byte
		if entry, rest, err = torchwood.ReadTileEntry(rest); err != nil {
			t.Fatal(err)
		}
		if leaf, err := translog.ParseLeaf(entry); err == nil && leaf.Tag == tag {
			epochs = append(epochs, leaf.Epoch)
		}
	}
	if !slices.Equal(epochs, []int64{83115}) {
		t.Errorf("the leaf stands in epochs %d", epochs)
	}
}

func TestLogTime(t *testing.T) {
	w := newWorld(t)
	at := func(text string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		at     time.Time
		length time.Duration
		es, en string
	}{
		{at("2026-11-22T06:00:00Z"), 6 * time.Hour, "83117, el 22 de noviembre a las 12:00 (", "83117 ends, on 22 November at 12:00 ("},
		{at("2026-11-22T05:59:59Z"), 6 * time.Hour, "83116, el 22 de noviembre a las 06:00 (", "83116 ends, on 22 November at 06:00 ("},
		{at("2026-12-31T18:00:00-06:00"), 24 * time.Hour, "20819, el 2 de enero a las 00:00 (", "20819 ends, on 2 January at 00:00 ("},
		{at("2026-11-22T05:59:59.999Z"), time.Minute, "29922119, el 22 de noviembre a las 06:00 (", "29922119 ends, on 22 November at 06:00 ("},
		// The page shows minutes: an end between two of them is rounded up.
		{at("2026-11-22T06:00:00Z"), time.Second, "1795327200, el 22 de noviembre a las 06:01 (", "1795327200 ends, on 22 November at 06:01 ("},
	} {
		l := logTimeOf(tt.at, tt.length)
		for lang, want := range map[string]string{"es": tt.es, "en": tt.en} {
			got := w.site.locales.must(lang, "codename.log", "epoch", l.Epoch, "day", l.Day(), "month", w.site.locales.must(lang, l.Month()), "hour", l.Hour())
			if !strings.Contains(got, want) {
				t.Errorf("%s, epochs of %s: %q, want %q", tt.at, tt.length, got, want)
			}
		}
	}
	for month := range 12 {
		l := logTimeOf(time.Date(2027, time.Month(month+1), 5, 0, 0, 0, 0, time.UTC), time.Hour)
		if en := w.site.locales.must("en", l.Month()); en != time.Month(month+1).String() {
			t.Errorf("month %d is %q", month+1, en)
		}
	}
}

// Assets has exactly what pages load.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	loaded := regexp.MustCompile(`<link rel="stylesheet" href="/([^"]+)"`)
	paths := map[string]bool{}
	for _, lang := range builtIn {
		for name, r := range w.everyPage(lang) {
			m := loaded.FindAllStringSubmatch(r.body, -1)
			if len(m) != 1 {
				t.Fatalf("%s %s loads %q", lang, name, m)
			}
			paths[m[0][1]] = true
		}
	}
	all := Assets()
	if len(all) != len(paths) {
		t.Errorf("assets %v, pages load %v", all, paths)
	}
	for path := range paths {
		if r := w.get("/" + path); r.status != http.StatusOK || sha256.Sum256([]byte(r.body)) != all[path] {
			t.Errorf("%s: status %d, SHA-256 %x, want %x", path, r.status, sha256.Sum256([]byte(r.body)), all[path])
		}
	}
	note := translog.Assets{Build: "devel"}
	for path, digest := range all {
		note.Files = append(note.Files, translog.Asset{Path: path, Digest: digest})
	}
	text := translog.Governance{Kind: translog.AssetsNote, Epoch: 1, Body: note}.Text()
	if _, err := translog.ParseGovernance(text); err != nil {
		t.Errorf("the log does not take them: %v", err)
	}
}

// The readers and the vault are told under which governance note a report came
// in; the vault gets the tags by which its deletion would be known.
func TestSubmissionKnowsGovernanceAndTombstones(t *testing.T) {
	sequence := uint64(7)
	w := newWorld(t, func(c *Config) { c.Governance = func() uint64 { return sequence } })
	words := codenameIn(t, w.send("es", field("token", w.token("es")), field("desk", "norte"), field("message", "x")))
	if got := w.only("norte", "a").Manifest.Governance; got != 7 {
		t.Errorf("manifest under note %d, want 7", got)
	}

	c, err := codename.Parse(words, "es")
	if err != nil {
		t.Fatal(err)
	}
	keys := c.Derive(w.site.config.Params)
	sub := submission(accepted{governance: 8, readers: readers{desks: w.desks[:1], recipients: w.recipients("a")}, day: "2026-11-22"}, keys, "age1pq1")
	want := [2][32]byte{
		translog.NewEvent(keys.Log, translog.SourceDelete, 0).Tag(translog.SourceDelete),
		translog.NewEvent(keys.DeskLog(), translog.DeskDelete, 0).Tag(translog.DeskDelete),
	}
	if sub.Tombstones != want || sub.Governance != 8 {
		t.Errorf("submission %+v", sub)
	}
}
