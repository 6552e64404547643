package witness_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"filippo.io/torchwood"

	"resguardo/vault/witness"
)

func TestParsePolicy(t *testing.T) {
	_, log := noteKey(t, origin, "log")
	a, b, d := vkeyOf(t, "a.example/w"), vkeyOf(t, "b"), vkeyOf(t, "ñandú")
	text := fmt.Sprintf(`# Witnesses of the log of an example.

log %s http://example.org/log/
	witness A	%s  https://a.example/prefix
witness B %s http://abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:8080
  # no address: it is asked by others
witness Ñ %s
group any-of-two any A B
group all all any-of-two Ñ
quorum all`, log, a, b, d)
	p, err := witness.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := witness.Policy{
		Origin: origin, LogKey: log, Quorum: "all", Rule: p.Rule,
		Witnesses: []witness.Witness{
			{Name: "A", Key: a, URL: "https://a.example/prefix"},
			{Name: "B", Key: b, URL: "http://abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:8080"},
			{Name: "Ñ", Key: d},
		},
	}
	if fmt.Sprintf("%+v", *p) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", *p, want)
	}
	h := newHistory(t, 3, 3, "")
	logKey, _ := noteKey(t, origin, "log")
	for _, c := range []struct {
		names string
		ok    bool
	}{{"", false}, {"a.example/w", false}, {"ñandú", false}, {"a.example/w b", false}, {"b ñandú", true}, {"ñandú a.example/w b", true}} {
		signed := sign(t, h.text(t, 3), logKey)
		for _, name := range strings.Fields(c.names) {
			signed = append(signed, cosignAt(name, h.text(t, 3), timeOf("2026-11-22"))...)
		}
		if _, _, err := torchwood.VerifyCheckpoint(signed, p.Rule); (err == nil) != c.ok {
			t.Errorf("cosigned by %q: %v", c.names, err)
		}
	}
}

func TestParseNamesTheLine(t *testing.T) {
	_, log := noteKey(t, origin, "log")
	_, log2 := noteKey(t, "other", "other")
	_, sameLog := noteKey(t, "other", "log")
	_, asLog := noteKey(t, "a", "a")
	key := func(name string) string { return vkeyOf(t, name) }
	const tail = "quorum none\n"
	var many string
	for i := range 65 {
		many += fmt.Sprintf("witness w%d %s\n", i, key(fmt.Sprint("w", i)))
	}
	for name, c := range map[string]struct {
		text string
		line int
		what string
	}{
		"empty":              {"", 0, "the log line is missing"},
		"no log":             {"witness a " + key("a") + "\n" + tail, 0, "the log line is missing"},
		"no quorum":          {"log " + log, 0, "the quorum line is missing (quorum none asks for no witness)"},
		"too long":           {"log " + log + "\n" + tail + strings.Repeat("#\n", 8<<10), 0, "the policy is longer than 16 KiB"},
		"two logs":           {"log " + log + "\nlog " + log2 + "\n" + tail, 2, "a second log: this policy is for one log"},
		"log without key":    {"log\n" + tail, 1, "a log is written: log KEY [URL]"},
		"log with three":     {"log " + log + " http://a b\n" + tail, 1, "a log is written: log KEY [URL]"},
		"log key of witness": {"\n\nlog " + key("a") + "\n" + tail, 3, "the log's key is not an Ed25519 verifier key of a signed note"},
		"log key damaged":    {"log " + strings.Replace(log, "example", "exemple", 1), 1, "the log's key is not an Ed25519 verifier key of a signed note"},
		"witness key of log": {"log " + log + "\nwitness a " + log2 + "\n" + tail, 2, "the witness's key is not an Ed25519 cosignature verifier key"},
		"witness no key":     {"log " + log + "\nwitness a\n" + tail, 2, "a witness is written: witness NAME KEY [URL]"},
		"witness four":       {"log " + log + "\nwitness a " + key("a") + " http://a/ x\n" + tail, 2, "a witness is written: witness NAME KEY [URL]"},
		"witness twice":      {"log " + log + "\nwitness a " + key("a") + "\nwitness b " + key("a") + "\n" + tail, 3, "another line has this key already"},
		"log as witness":     {"log " + asLog + "\nwitness a " + key("a") + "\n" + tail, 2, "another line has this key already"},
		"witness before log": {"witness a " + key("a") + "\nlog " + asLog + "\n" + tail, 2, "another line has this key already"},
		"second log, key":    {"log " + log + "\nlog " + sameLog + "\n" + tail, 2, "a second log: this policy is for one log"},
		"name twice":         {"log " + log + "\nwitness a " + key("a") + "\nwitness a " + key("b") + "\n" + tail, 3, "this name is taken, or is the word none"},
		"name none":          {"log " + log + "\nwitness none " + key("a") + "\n" + tail, 2, "this name is taken, or is the word none"},
		"group none":         {"log " + log + "\nwitness a " + key("a") + "\ngroup none any a\n" + tail, 3, "this name is taken, or is the word none"},
		"group has a name":   {"log " + log + "\nwitness a " + key("a") + "\ngroup a any a\n" + tail, 3, "this name is taken, or is the word none"},
		"group short":        {"log " + log + "\nwitness a " + key("a") + "\ngroup g a\n" + tail, 3, "a group is written: group NAME all|any|NUMBER MEMBER…"},
		"group 0":            {"log " + log + "\nwitness a " + key("a") + "\ngroup g 0 a\n" + tail, 3, "the group's number is not between 1 and the number of its members"},
		"group 2 of 1":       {"log " + log + "\nwitness a " + key("a") + "\ngroup g 2 a\n" + tail, 3, "the group's number is not between 1 and the number of its members"},
		"group 01":           {"log " + log + "\nwitness a " + key("a") + "\ngroup g 01 a\n" + tail, 3, "the group's number is not between 1 and the number of its members"},
		"group some":         {"log " + log + "\nwitness a " + key("a") + "\ngroup g some a\n" + tail, 3, "the group's number is not between 1 and the number of its members"},
		"group of itself":    {"log " + log + "\ngroup g any g\n" + tail, 2, "the group names somebody whom no line above defines"},
		"group of later":     {"log " + log + "\ngroup g any a\nwitness a " + key("a") + "\n" + tail, 2, "the group names somebody whom no line above defines"},
		"member twice":       {"log " + log + "\nwitness a " + key("a") + "\ngroup g 2 a a\n" + tail, 3, "the group names somebody who is in a group already"},
		"member of two":      {"log " + log + "\nwitness a " + key("a") + "\ngroup g any a\ngroup h any a\n" + tail, 4, "the group names somebody who is in a group already"},
		"quorum of nobody":   {"log " + log + "\nquorum a\n", 2, "the quorum is written: quorum NAME, with a witness or group defined above, or none"},
		"quorum before":      {"log " + log + "\nquorum a\nwitness a " + key("a"), 2, "the quorum is written: quorum NAME, with a witness or group defined above, or none"},
		"quorum of two":      {"log " + log + "\nquorum none none\n", 2, "the quorum is written: quorum NAME, with a witness or group defined above, or none"},
		"quorum alone":       {"log " + log + "\nquorum\n", 2, "the quorum is written: quorum NAME, with a witness or group defined above, or none"},
		"two quorums":        {"log " + log + "\n" + tail + tail, 3, "a second quorum line"},
		"unknown word":       {"log " + log + "\nwitnesses 3\n" + tail, 2, "a line begins with log, witness, group or quorum"},
		"upper case":         {"LOG " + log + "\n" + tail, 1, "a line begins with log, witness, group or quorum"},
		"comment behind":     {"log " + log + " # ours\n" + tail, 1, "a comment stands on a line of its own, which begins with #"},
		"fragment":           {"log " + log + "\nwitness a " + key("a") + " http://a/#w\n" + tail, 2, "a comment stands on a line of its own, which begins with #"},
		"windows":            {"log " + log + "\r\n" + tail, 1, "only printable UTF-8 text and tabs may stand here (save the file with Unix line ends)"},
		"not text":           {"log " + log + "\n\xff\n" + tail, 2, "only printable UTF-8 text and tabs may stand here (save the file with Unix line ends)"},
		"escape":             {"# \x1b[2J\nlog " + log + "\n" + tail, 1, "only printable UTF-8 text and tabs may stand here (save the file with Unix line ends)"},
		"no-break space":     {"log\u00a0" + log + "\n" + tail, 1, "words are separated by ordinary spaces or tabs only"},
		"space in a name":    {"log " + log + "\nwitness a\u2003b " + key("a") + "\n" + tail, 2, "words are separated by ordinary spaces or tabs only"},
		"65 witnesses":       {"log " + log + "\n" + many + tail, 66, "more than 64 witnesses"},
	} {
		p, err := witness.Parse([]byte(c.text))
		e := (*witness.PolicyError)(nil)
		if p != nil || !errors.As(err, &e) || e.Line != c.line || e.Err.Error() != c.what {
			t.Errorf("%s: %v, want line %d: %s", name, err, c.line, c.what)
		}
	}
	for _, url := range []string{"a.example", "a.example:80/", "//a/", "ftp://a/", "http://", "http:///w", "http://:80/", "https:a",
		"http://user@a/", "http://user:password@a/", "http://a/?x", "http://a/?", "http://a:port/", "http://a/%zz", "socks5://a/"} {
		_, err := witness.Parse([]byte("log " + log + "\nwitness a " + key("a") + " " + url + "\n" + tail))
		if err == nil || err.Error() != "line 2: the witness's address is not http://… or https://… without user, query or fragment" {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// The specification asks for at least 32 witnesses and groups.
func TestLargePolicy(t *testing.T) {
	_, log := noteKey(t, origin, "log")
	text := "log " + log + "\n"
	groups := "group all all"
	for i := range 64 {
		name := fmt.Sprint("w", i)
		text += fmt.Sprintf("witness %s %s https://%s.example.org/\ngroup g%d any %s\n", name, vkeyOf(t, name), name, i, name)
		groups += fmt.Sprint(" g", i)
	}
	if _, err := witness.Parse([]byte(text + groups + "\nquorum all\n")); err != nil {
		t.Error(err)
	}
}
