package main

import (
	"resguardo/cmd/resguardo/internal/folder"
	"resguardo/crypto/card"
)

// places gives each case its number in list and keeps it: new cases get new
// numbers, in the order in which they come.
type places struct {
	byCase map[string]int
	last   int
	items  map[place]folder.Record
}

// place is where an item's files lie.
type place struct {
	inCase string
	number int
}

func newPlaces(records []folder.Record) *places {
	p := &places{map[string]int{}, 0, map[place]folder.Record{}}
	for _, r := range records {
		p.byCase[r.Case] = r.Place
		p.last = max(p.last, r.Place)
		p.items[place{r.Case, r.Number}] = r
	}
	return p
}

// holder returns the known item that has i's place.
func (p *places) holder(i card.Item) (folder.Record, bool) {
	r, ok := p.items[place{i.Case, i.Number}]
	return r, ok
}

// of returns the number of a case.
func (p *places) of(id string) int {
	n, ok := p.byCase[id]
	if !ok {
		p.last++
		n = p.last
		p.byCase[id] = n
	}
	return n
}
