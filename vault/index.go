package vault

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"resguardo/vault/translog"
)

// Item is one stored item, as a desk's reviewer may see it.
type Item struct {
	ID     ItemID
	Case   CaseID
	Kind   translog.Kind
	Number int // in its case, from 0
	Day    string
	Desks  []string // must not be modified
	Size   int64    // bytes of the age file
	SHA256 [32]byte
	Tag    [32]byte // of its event
	Seen   bool     // fetched by a reviewer, or shown to the source
}

// entry is an item and where its payload lies.
type entry struct {
	Item
	header int // bytes
	blob   uint32
}

// index holds in RAM what the sealed rows say: the disk shows no desk and no case id.
type index struct {
	mu    sync.RWMutex
	cases map[CaseID]caseEntry
	items map[ItemID]entry
	desks map[string][]ItemID // by day, then id
}

func newIndex() *index {
	return &index{
		cases: make(map[CaseID]caseEntry),
		items: make(map[ItemID]entry),
		desks: make(map[string][]ItemID),
	}
}

// caseEntry is a case in the index.
type caseEntry struct {
	rowKey [32]byte
	desks  []string // that have the case now
}

// addCase notes a case, also when it has changed.
func (x *index) addCase(rowKey [32]byte, r caseRecord) {
	x.mu.Lock()
	x.cases[r.Case] = caseEntry{rowKey: rowKey, desks: r.Desks}
	x.mu.Unlock()
}

// caseKey is the key of a case's row.
func (x *index) caseKey(id CaseID) ([32]byte, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	c, ok := x.cases[id]
	return c.rowKey, ok
}

func (x *index) hasCase(id CaseID) bool {
	_, ok := x.caseKey(id)
	return ok
}

// add notes an item, in its place in the list of each of its desks.
func (x *index) add(e entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.items[e.ID] = e
	for _, desk := range e.Desks {
		list := x.desks[desk]
		i, _ := slices.BinarySearchFunc(list, e.ID, x.compare)
		x.desks[desk] = slices.Insert(list, i, e.ID)
	}
}

// compare orders items by day, then id. mu must be held.
func (x *index) compare(a, b ItemID) int {
	if c := strings.Compare(x.items[a].Day, x.items[b].Day); c != 0 {
		return c
	}
	return strings.Compare(string(a), string(b))
}

func (x *index) item(id ItemID) (entry, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e, ok := x.items[id]
	return e, ok
}

// desk lists the items of a desk that still has their case; an item whose case
// row is damaged counts.
func (x *index) desk(desk string) []Item {
	x.mu.RLock()
	defer x.mu.RUnlock()
	items := make([]Item, 0, len(x.desks[desk]))
	for _, id := range x.desks[desk] {
		i := x.items[id].Item
		if c, ok := x.cases[i.Case]; !ok || slices.Contains(c.desks, desk) {
			items = append(items, i)
		}
	}
	return items
}

// all lists every item.
func (x *index) all() []Item {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := slices.SortedFunc(maps.Keys(x.items), x.compare)
	items := make([]Item, len(ids))
	for i, id := range ids {
		items[i] = x.items[id].Item
	}
	return items
}

// caseIDs lists the cases that a desk has, or all for the empty desk.
func (x *index) caseIDs(desk string) []CaseID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var ids []CaseID
	for id, c := range x.cases {
		if desk == "" || slices.Contains(c.desks, desk) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// see notes that an item was seen.
func (x *index) see(id ItemID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e, ok := x.items[id]; ok {
		e.Seen = true
		x.items[id] = e
	}
}

// remove forgets an item.
func (x *index) remove(id ItemID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, desk := range x.items[id].Desks {
		x.desks[desk] = slices.DeleteFunc(x.desks[desk], func(other ItemID) bool { return other == id })
	}
	delete(x.items, id)
}

// removeCase forgets a case, but not its items.
func (x *index) removeCase(id CaseID) {
	x.mu.Lock()
	delete(x.cases, id)
	x.mu.Unlock()
}

// Items returns the items of a desk in the cases that it has, oldest day first,
// then by ID. It returns none once the vault has failed or is closed.
func (v *Vault) Items(desk string) []Item {
	if v.usable() != nil {
		return nil
	}
	return v.index.desk(desk)
}

// AllItems returns the items of all desks, in the same order.
func (v *Vault) AllItems() []Item {
	if v.usable() != nil {
		return nil
	}
	return v.index.all()
}

// Item returns one item's description, or ErrNotFound.
func (v *Vault) Item(id ItemID) (Item, error) {
	if err := v.usable(); err != nil {
		return Item{}, err
	}
	e, ok := v.index.item(id)
	if !ok {
		return Item{}, ErrNotFound
	}
	return e.Item, nil
}
