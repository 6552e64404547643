package card_test

import (
	"strings"
	"testing"

	"resguardo/crypto/card"
)

func goodItem() card.Item {
	return card.Item{
		ID:      "00112233445566778899aabbccddeeff",
		Case:    "abcdefghij234567",
		Kind:    "reply",
		Number:  1,
		Day:     "2026-11-21",
		Desks:   []string{"norte"},
		Size:    67_000,
		SHA256:  strings.Repeat("ab", 32),
		Tag:     strings.Repeat("cd", 32),
		Event:   card.EncodeEvent(filled(7)),
		Opening: "resguardo/opening/v1\nkind reply\n",
	}
}

func TestItemCheck(t *testing.T) {
	for _, kind := range []string{"report", "followup", "reply", "ack", "note", "close", "rewrap", "recuse"} {
		i := goodItem()
		i.Kind = kind
		if err := i.Check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for name, change := range map[string]func(*card.Item){
		"id":                 func(i *card.Item) { i.ID = "../" + i.ID[3:] },
		"case":               func(i *card.Item) { i.Case = "abcdefghij234561" },
		"no kind":            func(i *card.Item) { i.Kind = "" },
		"kind of an event":   func(i *card.Item) { i.Kind = "desk-delete" },
		"kind upwards":       func(i *card.Item) { i.Kind = "../reply" },
		"number":             func(i *card.Item) { i.Number = card.MaxNumber + 1 },
		"day":                func(i *card.Item) { i.Day = "2026-02-30" },
		"desk":               func(i *card.Item) { i.Desks = []string{"norte", "\x1b[2J"} },
		"size":               func(i *card.Item) { i.Size = 0 },
		"hash":               func(i *card.Item) { i.SHA256 = strings.Repeat("AB", 32) },
		"no tag":             func(i *card.Item) { i.Tag = "" },
		"tag in base64":      func(i *card.Item) { i.Tag = i.Event },
		"no event":           func(i *card.Item) { i.Event = "" },
		"event with a break": func(i *card.Item) { i.Event = i.Event[:4] + "\n" + i.Event[4:] },
		"event's last bits":  func(i *card.Item) { i.Event = i.Event[:42] + "d=" },
		"event too long":     func(i *card.Item) { i.Event = "AAAA" + i.Event },
		"no opening":         func(i *card.Item) { i.Opening = "" },
		"opening's format":   func(i *card.Item) { i.Opening = strings.Replace(i.Opening, "v1", "v2", 1) },
		"opening cut":        func(i *card.Item) { i.Opening = strings.TrimSuffix(i.Opening, "\n") },
		"opening with escape": func(i *card.Item) {
			i.Opening = strings.Replace(i.Opening, "reply", "\x1b[2J", 1)
		},
		"opening beyond ASCII": func(i *card.Item) { i.Opening = strings.Replace(i.Opening, "reply", "\u202e", 1) },
		"opening too long":     func(i *card.Item) { i.Opening += strings.Repeat("x", 354) + "\n" },
	} {
		i := goodItem()
		change(&i)
		if err := i.Check(); err == nil {
			t.Errorf("%s passes", name)
		} else if strings.ContainsAny(err.Error(), "\x1b\u202e/") {
			t.Errorf("%s: the error quotes the server: %q", name, err)
		}
	}
}

func TestCaseCheck(t *testing.T) {
	_, c := vector(t)
	signer, _ := signerFor(t, card.KeyName(c.Recipient))
	other, _ := second(t)
	pending := must(t)(vectorDelete.Sign(signer, nil))
	both := must(t)(vectorDelete.Sign(other, pending))
	elsewhere := vectorDelete
	elsewhere.Case = "bbbbbbbbbbbbbbbb"
	good := card.Case{
		Case: "abcdefghij234567", Desks: []string{"norte"}, Next: 2, LastDay: "2026-11-21", EndsDay: "2027-05-20",
		PendingDelete: string(pending),
	}
	for name, change := range map[string]func(*card.Case){
		"plain":      func(*card.Case) {},
		"none waits": func(c *card.Case) { c.PendingDelete = "" },
		"full":       func(c *card.Case) { c.Next = card.MaxNumber + 1 },
		"hold":       func(c *card.Case) { c.Hold, c.Holds, c.EndsDay = true, 1, "" },
		"ends today": func(c *card.Case) { c.EndsDay = c.LastDay },
	} {
		c := good
		if change(&c); c.Check() != nil {
			t.Errorf("%s: %v", name, c.Check())
		}
	}
	for name, change := range map[string]func(*card.Case){
		"case":                 func(c *card.Case) { c.Case = "../" + c.Case[3:] },
		"desk":                 func(c *card.Case) { c.Desks = []string{""} },
		"next":                 func(c *card.Case) { c.Next = 0 },
		"next beyond":          func(c *card.Case) { c.Next = card.MaxNumber + 2 },
		"last day":             func(c *card.Case) { c.LastDay = "today" },
		"no end":               func(c *card.Case) { c.EndsDay = "" },
		"end":                  func(c *card.Case) { c.EndsDay = "\x1b[2J" },
		"ends before the last": func(c *card.Case) { c.EndsDay = "2026-11-20" },
		"hold with an end":     func(c *card.Case) { c.Hold = true },
		"pending of another":   func(c *card.Case) { c.PendingDelete = string(must(t)(elsewhere.Sign(signer, nil))) },
		"pending of two":       func(c *card.Case) { c.PendingDelete = string(both) },
		"pending of none":      func(c *card.Case) { c.PendingDelete, _, _ = strings.Cut(c.PendingDelete, "— ") },
		"pending text":         func(c *card.Case) { c.PendingDelete = "delete it" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestEpochCheck(t *testing.T) {
	good := card.Epoch{Epoch: 83115, Size: 20_000, SHA256: strings.Repeat("ab", 32)}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*card.Epoch){
		"negative": func(e *card.Epoch) { e.Epoch = -1 },
		"far":      func(e *card.Epoch) { e.Epoch = 1<<40 + 1 },
		"empty":    func(e *card.Epoch) { e.Size = 0 },
		"large":    func(e *card.Epoch) { e.Size = card.MaxEpoch + 1 },
		"hash":     func(e *card.Epoch) { e.SHA256 = "" },
	} {
		e := good
		if change(&e); e.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}
