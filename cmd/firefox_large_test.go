package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// largeFile: 200 MB that come over Tor are refused in words, with the text still
// there, and the report is good without them.
func (v *visit) largeFile() {
	f := v.f
	large := filepath.Join(v.files, "video.mp4")
	v.must(os.WriteFile(large, nil, 0o600))
	v.must(os.Truncate(large, 200_000_000))
	before := len(v.fetch())
	f.open(v.source + "/es/report?desk=norte")
	f.fill("#message", story)
	f.fill("#file", large)
	began := time.Now()
	f.follow(send)
	v.Logf("200 MB over Tor are refused after %.1f s", time.Since(began).Seconds())
	v.shows(reason, "El archivo es muy grande.")
	v.holds("#message", story)
	f.follow(send)
	if words := f.text("#codename"); len(strings.Fields(words)) != 8 {
		v.Errorf("codename %q", words)
	}
	if files := v.fetch(); len(files) != before+1 {
		v.Errorf("fetched %q, want one more than %d", files, before)
	}
}
