package witness_test

import (
	"fmt"

	"resguardo/vault/witness"
)

func ExampleParse() {
	p, err := witness.Parse([]byte(`
log example.org-0123abcd+6101010d+AZsfhHkc/HZjBFhU04netcqVRJ2HXydqg4QLBgqznPxx
witness north north.example/w+17e8ae40+BFJ7w3jIs7JfCKyaDOoLlYieo2RrUKnjH0tCSQMsCz8b https://north.example/
quorum north
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Origin, p.Quorum, p.Witnesses[0].URL)
	// Output: example.org-0123abcd north https://north.example/
}
