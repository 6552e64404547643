package onion_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"

	"resguardo/onion"
)

// A vault in managed mode: listen first, so that tor finds someone there.
func ExampleStart() {
	c := onion.Config{
		Dir:             "/var/lib/resguardo/onion",
		SourceSocket:    "/var/lib/resguardo/onion/source.sock",
		ReviewersSocket: "/var/lib/resguardo/onion/reviewers.sock",
		Clients:         []onion.Client{{Name: "3f0c", Key: "ILXQLDEGWKZNUJJMUMJXGS7Z3T4SWSGXF7FPTM5JJNNTIB6TNVXQ"}},
	}
	l, err := onion.ListenSource(c.SourceSocket, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := onion.Circuit(r.Context()); ok {
			// Give each circuit its share.
		}
	})
	server := &http.Server{Handler: pages, ConnContext: onion.ConnContext}
	go server.Serve(l)

	o, err := onion.Start(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	<-o.Ready()
	fmt.Println("http://" + o.Health().Source.Address)
}

// The lines for a tor that the operator runs.
func ExampleTorrc() {
	lines, err := onion.Torrc(onion.Config{
		Dir:             "/var/lib/tor/resguardo",
		SourceSocket:    "/run/resguardo/source.sock",
		ReviewersSocket: "/run/resguardo/reviewers.sock",
		Clients:         []onion.Client{{Name: "3f0c", Key: "ILXQLDEGWKZNUJJMUMJXGS7Z3T4SWSGXF7FPTM5JJNNTIB6TNVXQ"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, reviewers, _ := strings.Cut(lines, "HiddenServicePoWQueueBurst 100\n")
	fmt.Print(reviewers)
	// Output:
	// HiddenServiceDir "/var/lib/tor/resguardo/reviewers"
	// HiddenServiceVersion 3
	// HiddenServicePort 80 unix:"/run/resguardo/reviewers.sock"
	// # /var/lib/tor/resguardo/reviewers/authorized_clients/3f0c.auth holds one line:
	// #   descriptor:x25519:ILXQLDEGWKZNUJJMUMJXGS7Z3T4SWSGXF7FPTM5JJNNTIB6TNVXQ
}
