package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"resguardo/crypto/card"
)

// TestLongDownloadIsNotMissing: an item that is newer than the log that was read
// waits for it, however long its download takes.
func TestLongDownloadIsNotMissing(t *testing.T) {
	i := goodItem()
	i.Day = today()
	evidence(&i, [32]byte{1}, 0) // its leaf comes into the log later
	other := goodItem()
	log := newPaper(enemyOrigin)
	log.add(log.fillers(evidence(&other, [32]byte{2}, 0))...)
	e := polite([]card.Item{i}, content)
	e.log = log
	var passed atomic.Int64 // while the item came
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, card.ItemsPath+"/") {
			passed.Store(int64(48 * time.Hour))
		}
		e.ServeHTTP(w, r)
	}))
	defer srv.Close()
	var out, errs bytes.Buffer
	p := newProgram(nil, &out, &errs)
	p.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	err := p.fetch(t.Context(), []string{"-dir", victim(t), "-server", srv.URL})
	if err != nil || passed.Load() == 0 || !strings.Contains(errs.String(), "items that wait for the log: 1") {
		t.Errorf("%v\n%s", err, &errs)
	}
}
