package card_test

import (
	"slices"
	"strings"
	"testing"

	"resguardo/crypto/card"
)

func TestDesksCheck(t *testing.T) {
	text, c := vector(t)
	file := string(text)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	auditor := c
	auditor.Role = card.Auditor
	role := string(must(t)(card.Sign(auditor, signer)))
	good := []card.Desk{{ID: "norte", Cards: []string{file}}, {ID: "sur", Cards: []string{file}}}
	got, err := card.Desks{Desks: good}.Check()
	if err != nil || len(got) != 2 || len(got["sur"]) != 1 || got["sur"][0] != c {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := (card.Desks{}).Check(); err != nil || len(got) != 0 {
		t.Errorf("no desks: %+v, %v", got, err)
	}
	for name, list := range map[string][]card.Desk{
		"id as a path":   {{ID: "../x", Cards: []string{file}}},
		"no cards":       {{ID: "norte"}},
		"too many cards": {{ID: "norte", Cards: slices.Repeat([]string{file}, card.MaxDeskCards+1)}},
		"same desk":      {good[0], good[0]},
		"unsorted":       {good[1], good[0]},
		"same card":      {{ID: "norte", Cards: []string{file, file}}},
		"changed card":   {{ID: "norte", Cards: []string{strings.Replace(file, "role reviewer", "role auditor", 1)}}},
		"an auditor":     {{ID: "norte", Cards: []string{role}}},
		"no day":         {{ID: "norte", Cards: []string{file}, Reading: "\x1b[2J"}},
		"terminal":       {{ID: "norte", Cards: []string{"\x1b[2J"}}},
		"too many":       slices.Repeat(good[:1], card.MaxDesks+1),
	} {
		if _, err := (card.Desks{Desks: list}).Check(); err == nil {
			t.Errorf("%s passes", name)
		} else if strings.ContainsAny(err.Error(), "\x1b/") {
			t.Errorf("%s: the error quotes the server: %v", name, err)
		}
	}
}

func TestGoneCheck(t *testing.T) {
	gone := func(n int, kind string) card.Gone {
		return card.Gone{Number: n, Kind: kind, SHA256: strings.Repeat("0", 64)}
	}
	base := card.Case{Case: "abcdefghij234567", Desks: []string{}, Next: 5, LastDay: "2026-11-21", EndsDay: "2027-05-20"}
	for name, test := range map[string]struct {
		gone []card.Gone
		ok   bool
	}{
		"none":     {nil, true},
		"two":      {[]card.Gone{gone(1, "reply"), gone(4, "followup")}, true},
		"same":     {[]card.Gone{gone(1, "reply"), gone(1, "reply")}, false},
		"unsorted": {[]card.Gone{gone(4, "reply"), gone(1, "reply")}, false},
		"beyond":   {[]card.Gone{gone(5, "reply")}, false},
		"negative": {[]card.Gone{gone(-1, "reply")}, false},
		"kind":     {[]card.Gone{gone(1, "../reply")}, false},
		"hash":     {[]card.Gone{{Number: 1, Kind: "reply", SHA256: "0"}}, false},
	} {
		c := base
		c.Gone = test.gone
		if err := c.Check(); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
