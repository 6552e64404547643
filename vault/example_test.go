package vault_test

import (
	"context"
	"fmt"
	"os"

	"resguardo/vault"
	"resguardo/vault/translog"
)

// A report's way in and out. The age file comes from elsewhere: a vault cannot make one.
func Example() {
	dir, err := os.MkdirTemp("", "vault")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := vault.Init(dir, vault.Genesis{Origin: "example-0123abcd", Slots: 16}); err != nil {
		panic(err)
	}
	v, err := vault.Open(dir, vault.Options{})
	if err != nil {
		panic(err)
	}
	defer v.Close()

	ctx := context.Background()
	d, err := v.Create(ctx)
	if err != nil {
		panic(err)
	}
	defer d.Discard()
	fmt.Fprint(d, "age-encryption.org/v1\n-> mlkem768x25519 …\n--- …\n")
	fmt.Fprint(d, "16 bytes of nonce, a payload, and 16 bytes of tag")
	err = d.Commit(ctx, vault.Submission{
		Mailbox:    [32]byte{1},
		Case:       vault.NewCaseID(),
		Thread:     [16]byte{2},
		Event:      translog.NewEvent([32]byte{3}, translog.Report, 0),
		Expire:     translog.NewEvent([32]byte{3}, translog.Expire, 0),
		Recipient:  "age1pq1…",
		Desks:      []string{"north"},
		Day:        "2026-11-21",
		Recipients: 1,
	})
	if err != nil {
		panic(err) // the source is told that nothing was stored
	}
	for _, i := range v.Items("north") {
		fmt.Println(i.Kind, i.Number, i.Day, i.Size)
	}
	// Output: report 0 2026-11-21 101
}
