package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"resguardo/crypto/card"
)

// TestFetchAsksAhead: small items are on their way together, no more than
// aheadItems, each is asked for once, and a cut one goes on where it stopped.
func TestFetchAsksAhead(t *testing.T) {
	var items []card.Item
	for n := range 2*aheadItems + 1 {
		i := goodItem()
		i.ID, i.Number = fmt.Sprintf("%032x", n+1), n
		if n > 0 {
			i.Kind = "followup"
		}
		evidence(&i, politeKey, uint64(n))
		items = append(items, i)
	}
	e := polite(items, content)
	whole := e.item
	var mu sync.Mutex
	asked := map[string]int{}
	now, most := 0, 0
	together := make(chan struct{})
	release := sync.OnceFunc(func() { close(together) })
	e.item = func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		id := r.URL.Path + r.Header.Get("Range")
		asked[id]++
		now++
		most = max(most, now)
		if now == aheadItems && len(asked) == aheadItems {
			release()
		}
		mu.Unlock()
		defer func() { mu.Lock(); now--; mu.Unlock() }()
		select {
		case <-together:
		case <-time.After(20 * time.Second):
			t.Errorf("%s waits alone", id)
			release()
		}
		if strings.HasSuffix(id, "3") {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			w.Write(content[:1000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		whole(w, r)
	}
	code, dir, errs := e.fetchedBy(t)
	if code != 0 || !strings.Contains(errs, fmt.Sprintf("unchanged: %d", len(items))) {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if most != aheadItems || len(asked) != len(items)+1 || asked[card.ItemsPath+"/"+items[2].ID+"bytes=1000-"] != 1 {
		t.Errorf("%d at once, asked for %v", most, asked)
	}
	for id, n := range asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", id, n)
		}
	}
	for n := range items {
		if got := read(t, fmt.Sprintf("%s/cases/%s/%03d-%s.age", dir, items[n].Case, n, items[n].Kind)); got != string(content) {
			t.Errorf("item %d has other bytes", n)
		}
	}
}
