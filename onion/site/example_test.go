package site_test

import (
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"resguardo/crypto/codename"
	"resguardo/onion/site"
	"resguardo/vault"
)

func ExampleNew() {
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	genesis := vault.Genesis{Origin: "example.org-0123abcd", Epoch: 6 * time.Hour, Slots: 16, Time: 3, Memory: 64 << 10, Threads: 1}
	if err := vault.Init(dir, genesis); err != nil {
		log.Fatal(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()

	s, err := site.New(site.Config{
		Origin:    genesis.Origin,
		Languages: []string{"es", "en"},
		Hosts:     []string{"127.0.0.1:8080"},
		Params:    codename.Params{Salt: genesis.Salt, Time: genesis.Time, Memory: genesis.Memory, Threads: genesis.Threads},
	}, v, func() []site.Desk { return nil })
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:8080/en/", nil))
	fmt.Println(w.Code, w.Header().Get("Cache-Control"))
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "http://example.org/en/", nil))
	fmt.Println(w.Code)
	// Output:
	// 200 no-store
	// 421
}
