package main

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"resguardo/cmd/resguardo/internal/publiclog"
	"resguardo/crypto/card"
	"resguardo/vault/translog"
)

// paper is a log in memory, as a hostile server can make one: it signs what it
// likes.
type paper struct {
	*ledger
	leaves [][]byte
	edit   func(path string, b []byte) []byte // changes a file before it is served; nil: none
}

// newPaper is a log with genesis, and one epoch.
func newPaper(origin string) *paper {
	p := &paper{ledger: newLedger(origin)}
	p.leaves = append(p.leaves, p.note(p.genesis))
	return p
}

func (p *paper) clone() *paper {
	c, l := *p, *p.ledger
	c.ledger = &l
	c.leaves = append([][]byte{}, p.leaves...)
	return &c
}

func (p *paper) add(leaves ...[]byte) *paper {
	p.leaves = append(p.leaves, leaves...)
	return p
}

// hashes stores the tree of the leaves.
func (p *paper) hashes() tlog.HashReader {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (all []tlog.Hash, err error) {
		for _, i := range indexes {
			all = append(all, stored[i])
		}
		return all, nil
	})
	for n, leaf := range p.leaves {
		more, err := tlog.StoredHashes(int64(n), leaf, reader)
		if err != nil {
			panic(err)
		}
		stored = append(stored, more...)
	}
	return reader
}

func (p *paper) file(path string) ([]byte, bool) {
	hashes := p.hashes()
	if path == "checkpoint" {
		root, err := tlog.TreeHash(int64(len(p.leaves)), hashes)
		if err != nil {
			panic(err)
		}
		c := torchwood.Checkpoint{Origin: p.genesis.Origin, Tree: tlog.Tree{N: int64(len(p.leaves)), Hash: root}}
		signed, err := note.Sign(&note.Note{Text: c.String()}, p.log)
		if err != nil {
			panic(err)
		}
		return signed, true
	}
	t, err := torchwood.ParseTilePath(path)
	if err != nil {
		return nil, false
	}
	if t.L >= 0 {
		b, err := tlog.ReadTileData(t, hashes)
		return b, err == nil
	}
	var b []byte
	for _, leaf := range p.leaves[t.N*torchwood.TileWidth:][:t.W] {
		if b, err = torchwood.AppendTileEntry(b, leaf); err != nil {
			panic(err)
		}
	}
	return b, true
}

func (p *paper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/log/")
	b, ok := p.file(path)
	if p.edit != nil {
		b = p.edit(path, b)
	}
	if !ok || b == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Write(b)
}

// evidence fills in what the log says about an item, and returns its leaf.
func evidence(i *card.Item, key [32]byte, counter uint64) translog.Leaf {
	h, err := hex.DecodeString(i.SHA256)
	if err != nil {
		panic(err)
	}
	e := translog.NewEvent(key, translog.Kind(i.Kind), counter)
	q := translog.Queue(e, translog.Opening{Kind: translog.Kind(i.Kind), Ciphertext: [32]byte(h)})
	_, o, err := translog.ParseRecord(q.Record)
	if err != nil {
		panic(err)
	}
	i.Tag, i.Event, i.Opening = hex.EncodeToString(q.Tag[:]), card.EncodeEvent(e), string(o.Marshal())
	return translog.Leaf{Tag: q.Tag, Commitment: q.Commitment}
}

// A log that was rewritten, or that breaks its rules, is named, ends with 3, and
// what was kept of it before stays.
func TestHostileLog(t *testing.T) {
	i := goodItem()
	leaf := evidence(&i, [32]byte{1}, 0)
	start := newPaper(enemyOrigin)
	start.add(start.fillers(leaf)...)
	grown := start.clone()
	grown.add(grown.fillers()...)
	for _, test := range []struct {
		name string
		log  func() *paper
		code int
		says string
	}{
		{"the same", start.clone, 0, "nothing new"},
		{"grown", grown.clone, 0, "nothing new"},
		{"shrunk", func() *paper { p := start.clone(); p.leaves = p.leaves[:1]; return p }, 3, "has shrunk since you saw it last"},
		{"forked", func() *paper {
			p := start.clone()
			p.leaves = p.leaves[:1]
			p.next--
			return p.add(p.fillers()...)
		}, 3, "is not the one that you saw last"},
		{"forked and grown", func() *paper {
			p := start.clone()
			p.leaves = p.leaves[:1]
			p.next--
			p.add(p.fillers()...)
			return p.add(p.fillers()...)
		}, 3, "is not the one that you saw last"},
		{"another key", func() *paper {
			p := newPaper(enemyOrigin)
			return p.add(p.fillers(leaf)...)
		}, 3, "is not signed by the key of the log"},
		{"a leaf that breaks the rules", func() *paper { return grown.clone().add([]byte("hello\n")) }, 3, "breaks its own rules (unknown-leaf)"},
		{"half an epoch", func() *paper {
			p := grown.clone()
			p.leaves = p.leaves[:len(p.leaves)-1]
			return p
		}, 3, "breaks its own rules (unfinished)"},
		{"other entries than the tree has", func() *paper {
			p := grown.clone()
			p.edit = func(path string, b []byte) []byte {
				if strings.HasPrefix(path, "tile/entries/") {
					b[len(b)-3] ^= 1
				}
				return b
			}
			return p
		}, 3, "breaks its own rules"},
		{"no log any more", func() *paper { return &paper{ledger: start.ledger, edit: func(string, []byte) []byte { return nil }} }, 1, "serves no public log"},
		{"checkpoint for the terminal", func() *paper {
			p := start.clone()
			p.edit = func(path string, b []byte) []byte { return []byte("\x1b[2J\n\n— x y\n") }
			return p
		}, 3, "is not signed by the key of the log"},
		{"huge checkpoint", func() *paper {
			p := start.clone()
			p.edit = func(path string, b []byte) []byte { return make([]byte, 1<<20) }
			return p
		}, 1, "an answer of more than 65536 bytes"},
		{"a tile is withheld", func() *paper {
			p := grown.clone()
			p.edit = func(path string, b []byte) []byte {
				if strings.HasPrefix(path, "tile/0/") {
					return nil
				}
				return b
			}
			return p
		}, 1, "answers with status 404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, e, _ := fetchedWith(t, start.clone(), i)
			e.log = test.log()
			before := read(t, dir+"/log/checkpoint")
			code, _, errs := call(nil, "fetch", "-dir", dir)
			if code != test.code || !strings.Contains(errs, test.says) || strings.Contains(errs, "\x1b") {
				t.Errorf("exit %d, want %d: %s", code, test.code, errs)
			}
			if got := read(t, dir+"/log/checkpoint"); test.code != 0 && got != before {
				t.Error("a checkpoint that was not right was kept")
			}
			if _, err := readSmall(dir+"/log/conflict-1", 1<<20); (err == nil) != (test.code == 3) {
				t.Errorf("proof: %v", err)
			}
		})
	}
}

// Whatever is not in the log as it is here is named.
func TestEvidence(t *testing.T) {
	good := goodItem()
	leaf := evidence(&good, [32]byte{1}, 0)
	log := newPaper(enemyOrigin)
	log.add(log.fillers(leaf)...)
	for _, test := range []struct {
		name   string
		change func(*card.Item)
		code   int
		says   string
		log    string
	}{
		{"good", func(*card.Item) {}, 0, "", string(publiclog.Verified)},
		{"another content under an old event", func(i *card.Item) {
			i.Opening = opening(i, func(o *translog.Opening) { o.Ciphertext[0] ^= 1 })
		}, 1, "is not what the public log says was stored (ciphertext)", string(publiclog.Replaced)},
		{"another opening", func(i *card.Item) {
			i.Opening = opening(i, func(o *translog.Opening) { o.Governance = 7 })
		}, 1, "(commitment)", string(publiclog.Replaced)},
		{"another size", func(i *card.Item) {
			i.Opening = opening(i, func(o *translog.Opening) { o.SizeClass = 7 })
		}, 1, "(size)", string(publiclog.Replaced)},
		{"a key more", func(i *card.Item) {
			i.Opening = opening(i, func(o *translog.Opening) { o.Recipients = 7 })
		}, 1, "(recipients)", string(publiclog.Replaced)},
		{"another event", func(i *card.Item) { i.Event = card.EncodeEvent([32]byte{9}) }, 1, "(tag)", string(publiclog.Replaced)},
		{"another kind", func(i *card.Item) { i.Kind = "followup" }, 1, "(tag)", string(publiclog.Replaced)},
		{"an opening that is none", func(i *card.Item) { i.Opening = "resguardo/opening/v1\nkind report\n" }, 1, "(opening)", string(publiclog.Replaced)},
		{"an old event that is not in the log", func(i *card.Item) { i.Day = "2026-01-01"; evidence(i, [32]byte{2}, 0) }, 1, "is NOT in the public log", string(publiclog.Missing)},
		{"a new event that is not in the log", func(i *card.Item) { i.Day = today(); evidence(i, [32]byte{2}, 0) }, 0, "items that wait for the log: 1", string(publiclog.Waiting)},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := good
			test.change(&i)
			e := polite([]card.Item{i}, content)
			e.log = log
			code, dir, errs := e.fetchedBy(t)
			if code != test.code || !strings.Contains(errs, test.says) {
				t.Errorf("exit %d: %s", code, errs)
			}
			_, out, _ := call(nil, "list", "-dir", dir, "-json")
			if !strings.Contains(out, fmt.Sprintf(`"log":%q`, test.log)) {
				t.Errorf("list: %s", out)
			}
		})
	}
}

func opening(i *card.Item, change func(*translog.Opening)) string {
	o, err := translog.ParseOpening([]byte(i.Opening))
	if err != nil {
		panic(err)
	}
	change(&o)
	return string(o.Marshal())
}
