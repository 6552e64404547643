package vault

import (
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
	cases map[CaseID][32]byte // row keys
	items map[ItemID]entry
	desks map[string][]ItemID // by day, then id
}

func newIndex() *index {
	return &index{
		cases: make(map[CaseID][32]byte),
		items: make(map[ItemID]entry),
		desks: make(map[string][]ItemID),
	}
}

// addCase notes a case.
func (x *index) addCase(id CaseID, rowKey [32]byte) {
	x.mu.Lock()
	x.cases[id] = rowKey
	x.mu.Unlock()
}

func (x *index) hasCase(id CaseID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, ok := x.cases[id]
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

func (x *index) desk(desk string) []Item {
	x.mu.RLock()
	defer x.mu.RUnlock()
	items := make([]Item, 0, len(x.desks[desk]))
	for _, id := range x.desks[desk] {
		items = append(items, x.items[id].Item)
	}
	return items
}

// Items returns the items of a desk, oldest day first, then by ID. It returns
// none once the vault has failed or is closed.
func (v *Vault) Items(desk string) []Item {
	if v.usable() != nil {
		return nil
	}
	return v.index.desk(desk)
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
