package translog_test

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"resguardo/vault/translog"
)

// everyBody is one body of each kind, and their borders.
func everyBody() []translog.Body {
	o := newOffice()
	large := o.genesis
	large.Epoch, large.Slots, large.Time, large.Memory, large.Threads = 7*24*time.Hour, 4096, 16, 1<<20, 16
	large.Policy = "# two lines\n\nlog " + o.logKey + " # ours\nquorum none\n"
	large.Retention = translog.Retention{Days: 3650, DeleteSignatures: 100}
	large.Threshold = 2
	var reviewers []string
	for i := range translog.MaxReviewers {
		reviewers = append(reviewers, fingerprint(string(rune(i))))
	}
	slices.Sort(reviewers)
	return []translog.Body{
		&o.genesis, &large,
		translog.Desk{ID: "sur"}, translog.Desk{ID: "n-1", Organisation: "fgr", Government: true, Reviewers: reviewers},
		card("x", "reviewer"), card("x", "auditor"),
		translog.Card{Fingerprint: fingerprint("x"), Role: "auditor", Revoked: true},
		translog.Policy{Text: o.genesis.Policy}, translog.Policy{Text: large.Policy},
		translog.Retention{Days: 7, DeleteSignatures: 1},
		translog.Assets{Build: "v1.2.3"},
		translog.Assets{Build: "v1.2.3+dirty", Files: []translog.Asset{{Path: "a"}, {Path: "b/c.css", Digest: sha256.Sum256(nil)}}},
		translog.Gap{From: 1, To: translog.MaxEpoch},
		translog.Restore{From: 0, To: translog.MaxLeaves},
		translog.Incident{What: translog.Revoked, Fingerprint: fingerprint("x")},
		translog.Incident{What: translog.Revoked, Fingerprint: fingerprint("x"), Desk: "sur"},
		translog.Incident{What: translog.Unwitnessed, Epoch: 9},
	}
}

func TestGovernanceRoundTrip(t *testing.T) {
	w := newWriter()
	for _, body := range everyBody() {
		g := w.compose(firstEpoch, body)
		for _, effective := range []int64{0, translog.MaxEpoch} {
			if g.Effective = effective; effective != 0 && (g.Kind == translog.GenesisNote || !g.Kind.ByGovernance()) {
				continue
			}
			leaf, err := g.Sign(w.signer(g), w.second)
			if err != nil {
				t.Errorf("%s: %v", g.Kind, err)
				continue
			}
			for _, text := range [][]byte{g.Text(), leaf} {
				got, err := translog.ParseGovernance(text)
				if err != nil || !reflect.DeepEqual(got, g) {
					t.Errorf("%+v, %v, want %+v", got, err, g)
				}
				if !translog.IsGovernance(text) {
					t.Errorf("%q is no note", text)
				}
			}
			if g.Digest() != sha256.Sum256(g.Text()) {
				t.Error("digest is not that of the text")
			}
		}
	}
	if translog.IsGovernance(workedLeaf().Marshal()) || translog.IsGovernance(nil) {
		t.Error("an event is a note")
	}
}

// TestSignRefuses what ParseGovernance would refuse.
func TestSignRefuses(t *testing.T) {
	w := newWriter()
	long := translog.Assets{Build: "v1"}
	for i := range 300 {
		long.Files = append(long.Files, translog.Asset{Path: strings.Repeat("a", 190) + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))})
	}
	for name, g := range map[string]translog.Governance{
		"two lines in one":  w.compose(firstEpoch, translog.Assets{Build: "v1\nfile x"}),
		"a space":           w.compose(firstEpoch, translog.Assets{Build: "v 1"}),
		"too long a note":   w.compose(firstEpoch, long),
		"epoch 0":           w.compose(0, card("x", "auditor")),
		"body of a desk":    {Epoch: firstEpoch, Kind: translog.CardNote, Body: translog.Desk{ID: "sur"}},
		"zeros before it":   {Epoch: firstEpoch, Seq: 1, Kind: translog.CardNote, Body: card("x", "auditor")},
		"something before":  {Epoch: firstEpoch, Prev: [32]byte{1}, Kind: translog.CardNote, Body: card("x", "auditor")},
		"half a second":     w.compose(firstEpoch, func() translog.Body { g := w.genesis; g.Epoch += time.Second / 2; return &g }()),
		"policy without LF": w.compose(firstEpoch, translog.Policy{Text: strings.TrimSuffix(w.genesis.Policy, "\n")}),
	} {
		if _, err := g.Sign(w.governance); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := w.compose(firstEpoch, card("x", "auditor")).Sign(); err == nil {
		t.Error("signed without a key")
	}
}

func TestParseGovernanceRejects(t *testing.T) {
	o := newOffice()
	_, stranger := key(origin+"/governance-9", "log")
	_, elsewhere := key("other.example/governance", "x")
	other := "b" + strings.Repeat("0", 63)
	for name, c := range map[string]struct {
		kind     translog.GovernanceKind
		from, to string
	}{
		"another version":           {translog.CardNote, "/v1", "/v2"},
		"seq with a sign":           {translog.CardNote, "seq 0", "seq +0"},
		"seq too large":             {translog.CardNote, "seq 0", "seq 18446744073709551616"},
		"prev not zeros":            {translog.CardNote, "prev AAAA", "prev BAAA"},
		"prev with stray bits":      {translog.CardNote, "AA=\nepoch", "AB=\nepoch"},
		"epoch 0":                   {translog.CardNote, "\nepoch 83115", "\nepoch 0"},
		"epoch too large":           {translog.CardNote, "\nepoch 83115", "\nepoch 1099511627777"},
		"effective too large":       {translog.CardNote, "effective-epoch 0", "effective-epoch 1099511627777"},
		"operations later":          {translog.GapNote, "effective-epoch 0", "effective-epoch 9"},
		"genesis later":             {translog.GenesisNote, "effective-epoch 0", "effective-epoch 9"},
		"unknown kind":              {translog.CardNote, "kind card", "kind key"},
		"another kind":              {translog.CardNote, "kind card", "kind desk"},
		"a line missing":            {translog.CardNote, "role auditor\n", ""},
		"a line too many":           {translog.CardNote, "revoked yes\n", "revoked yes\nmore 1\n"},
		"carriage return":           {translog.CardNote, "revoked yes\n", "revoked yes\r\n"},
		"fingerprint upper case":    {translog.CardNote, "fingerprint " + fingerprint("x"), "fingerprint " + strings.ToUpper(fingerprint("x"))},
		"fingerprint short":         {translog.CardNote, "fingerprint " + fingerprint("x"), "fingerprint " + fingerprint("x")[1:]},
		"unknown role":              {translog.CardNote, "role auditor", "role owner"},
		"hash upper case":           {translog.CardNote, "sha256 0", "sha256 A"},
		"revoked maybe":             {translog.CardNote, "revoked yes", "revoked maybe"},
		"reviewer revoked":          {translog.CardNote, "role auditor", "role reviewer"},
		"desk upper case":           {translog.DeskNote, "id n-1", "id N-1"},
		"desk of a hyphen":          {translog.DeskNote, "id n-1", "id -"},
		"desk without an id":        {translog.DeskNote, "id n-1", "id "},
		"desk of 33":                {translog.DeskNote, "id n-1", "id " + strings.Repeat("a", 33)},
		"organisation empty":        {translog.DeskNote, "organisation fgr", "organisation "},
		"organisation upper":        {translog.DeskNote, "organisation fgr", "organisation FGR"},
		"reviewers unsorted":        {translog.DeskNote, "reviewer " + fingerprint("\x00"), "reviewer " + fingerprint("\x00") + "\nreviewer " + fingerprint("\x00")},
		"a reviewer too many":       {translog.DeskNote, "government yes\n", "government yes\nreviewer " + strings.Repeat("0", 64) + "\n"},
		"reviewer no fingerprint":   {translog.DeskNote, "government yes\n", "government yes\nreviewer 0\n"},
		"policy empty":              {translog.PolicyNote, "policy log", "policy none"},
		"policy with two logs":      {translog.PolicyNote, "policy quorum", "policy log " + o.logKey + "\npolicy quorum"},
		"policy with no quorum":     {translog.PolicyNote, "policy quorum none\n", ""},
		"policy with a space":       {translog.PolicyNote, "quorum none", "quorum none "},
		"policy with a tab":         {translog.PolicyNote, "quorum none", "quorum\tnone"},
		"policy with a hyphen":      {translog.PolicyNote, "policy quorum", "policy --\npolicy quorum"},
		"retention of a day":        {translog.RetentionNote, "retention-days 7", "retention-days 1"},
		"retention for ever":        {translog.RetentionNote, "retention-days 7", "retention-days 3651"},
		"nobody signs deletions":    {translog.RetentionNote, "delete-signatures 1", "delete-signatures 0"},
		"number with a space":       {translog.RetentionNote, "delete-signatures 1", "delete-signatures 1 "},
		"path up":                   {translog.AssetsNote, "b/c.css", "b/../c.css"},
		"path absolute":             {translog.AssetsNote, "b/c.css", "/b/c.css"},
		"path with a space":         {translog.AssetsNote, "b/c.css", "b/c .css"},
		"path twice":                {translog.AssetsNote, "b/c.css", "a"},
		"path missing":              {translog.AssetsNote, " b/c.css", ""},
		"build missing":             {translog.AssetsNote, "build v1.2.3+dirty", "build "},
		"gap from 0":                {translog.GapNote, "from 1", "from 0"},
		"gap backwards":             {translog.GapNote, "to 1099511627776", "to 0"},
		"gap for ever":              {translog.GapNote, "to 1099511627776", "to 1099511627777"},
		"number beyond 2^53":        {translog.GapNote, "from 1", "from 9007199254740993"},
		"restore of nothing":        {translog.RestoreNote, "to 4294967296", "to 0"},
		"restore of too much":       {translog.RestoreNote, "to 4294967296", "to 4294967297"},
		"incident unknown":          {translog.IncidentNote, "what unwitnessed", "what fire"},
		"unwitnessed never":         {translog.IncidentNote, "since 9", "since 0"},
		"unwitnessed by a card":     {translog.IncidentNote, "fingerprint -", "fingerprint " + other},
		"unwitnessed by a desk":     {translog.IncidentNote, "desk -", "desk sur"},
		"revoked nobody":            {translog.IncidentNote, "what unwitnessed", "what revoked"},
		"origin upper case":         {translog.GenesisNote, "origin example", "origin Example"},
		"origin other":              {translog.GenesisNote, "origin example", "origin fxample"},
		"log key damaged":           {translog.GenesisNote, "log " + o.logKey, "log " + o.logKey[:len(o.logKey)-2] + "AA"},
		"log key is operations":     {translog.GenesisNote, "log " + o.logKey, "log " + o.genesis.Operations},
		"operations is the log":     {translog.GenesisNote, "operations " + o.genesis.Operations, "operations " + o.logKey},
		"governance has the log's":  {translog.GenesisNote, "governance " + o.genesis.Governance[1], "governance " + stranger},
		"governance elsewhere":      {translog.GenesisNote, "governance " + o.genesis.Governance[1], "governance " + elsewhere},
		"governance repeated":       {translog.GenesisNote, "governance " + o.genesis.Governance[1], "governance " + o.genesis.Governance[0]},
		"threshold 0":               {translog.GenesisNote, "threshold 2", "threshold 0"},
		"threshold 3":               {translog.GenesisNote, "threshold 2", "threshold 3"},
		"epoch of no length":        {translog.GenesisNote, "epoch-seconds 604800", "epoch-seconds 0"},
		"epoch of 8 days":           {translog.GenesisNote, "epoch-seconds 604800", "epoch-seconds 691200"},
		"epoch beyond int64":        {translog.GenesisNote, "epoch-seconds 604800", "epoch-seconds 9007199254740992"},
		"no slots":                  {translog.GenesisNote, "slots 4096", "slots 0"},
		"too many slots":            {translog.GenesisNote, "slots 4096", "slots 4097"},
		"salt short":                {translog.GenesisNote, "salt AAEC", "salt "},
		"argon2 without time":       {translog.GenesisNote, "argon2-time 16", "argon2-time 0"},
		"argon2 for an hour":        {translog.GenesisNote, "argon2-time 16", "argon2-time 4294967312"},
		"argon2 in 2 GiB":           {translog.GenesisNote, "argon2-memory 1048576", "argon2-memory 2097152"},
		"argon2 with many threads":  {translog.GenesisNote, "argon2-threads 16", "argon2-threads 272"},
		"genesis with another's":    {translog.GenesisNote, "policy log " + o.logKey, "policy log " + o.genesis.Operations},
		"genesis without policy":    {translog.GenesisNote, "policy quorum none\n", ""},
		"genesis without retention": {translog.GenesisNote, "retention-days 3650\n", ""},
	} {
		good := example(c.kind)
		if !strings.Contains(good, c.from) {
			t.Fatalf("%s: no %q in %q", name, c.from, good)
		}
		if _, err := translog.ParseGovernance([]byte(good)); err != nil {
			t.Fatalf("%s: %v", c.kind, err)
		}
		if _, err := translog.ParseGovernance([]byte(strings.Replace(good, c.from, c.to, 1))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// example is the last note of that kind among everyBody.
func example(kind translog.GovernanceKind) string {
	w := newWriter()
	var text string
	for _, body := range everyBody() {
		if g := w.compose(firstEpoch, body); g.Kind == kind {
			text = string(g.Text())
		}
	}
	return text
}

func TestSignaturesAreCanonical(t *testing.T) {
	w := newWriter()
	leaf := string(w.sign(w.compose(firstEpoch, &w.genesis)))
	text, signature, _ := strings.Cut(leaf, "\n\n")
	again, err := translog.AddSignature([]byte(leaf), w.governance)
	if err != nil || string(again) != leaf {
		t.Errorf("signed again: %q, %v", again, err)
	}
	both, err := translog.AddSignature([]byte(leaf), w.second)
	if err != nil || len(both) <= len(leaf) || !bytes.HasPrefix(both, []byte(leaf)) {
		t.Errorf("signed by another: %q, %v", both, err)
	}
	for name, text := range map[string]string{
		"no signature line":    text + "\n\n",
		"no blank line":        text + "\n" + signature,
		"two blank lines":      text + "\n\n\n" + signature,
		"a line after":         leaf + "\n",
		"a space after":        strings.TrimSuffix(leaf, "\n") + " \n",
		"no last line feed":    strings.TrimSuffix(leaf, "\n"),
		"not base64":           text + "\n\n— " + origin + "/governance ####\n",
		"no dash":              text + "\n\n" + strings.TrimPrefix(signature, "— "),
		"stray bits in base64": strings.Replace(leaf, "=\n", "B\n", 1),
		"the line twice":       leaf + signature,
		"a byte order mark":    "\ufeff" + leaf,
	} {
		if _, err := translog.ParseGovernance([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestOneKeySignsOnce: note.Open drops a second line of a key unread, so it could
// hold anything.
func TestOneKeySignsOnce(t *testing.T) {
	w := newWriter()
	g := w.compose(firstEpoch, &w.genesis)
	leaf := string(w.sign(g))
	other, err := note.Sign(&note.Note{Text: "something else\n"}, w.governance)
	if err != nil {
		t.Fatal(err)
	}
	_, second, _ := strings.Cut(string(other), "\n\n")
	_, err = translog.ParseGovernance([]byte(leaf + second))
	if err == nil {
		t.Error("two signatures of one key are accepted")
	}
}

func TestPolicyLog(t *testing.T) {
	o := newOffice()
	for text, want := range map[string]string{
		o.genesis.Policy: o.logKey,
		"# ours\nlog " + o.logKey + " https://example.org/log # here\n\nquorum none\n": o.logKey,
		"":                       "",
		"quorum none\n":          "",
		"log\nquorum none\n":     "",
		"log " + o.logKey + "\n": "",
		"log " + o.logKey + "\nlog " + o.logKey + "\nquorum none\n":                 "",
		"#log " + o.logKey + "\nquorum none\n":                                      "",
		"log " + o.logKey + "\nquorum none":                                         "",
		"log " + o.logKey + "\r\nquorum none\r\n":                                   "",
		"log " + o.logKey + "\n-\nquorum none\n":                                    "",
		"log " + o.logKey + "\n#" + strings.Repeat("a", 16<<10) + "\nquorum none\n": "",
		"log " + o.logKey + "\n# \xff\nquorum none\n":                               "",
	} {
		if got, err := translog.PolicyLog(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
