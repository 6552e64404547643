package seal_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"resguardo/crypto/card"
	"resguardo/crypto/seal"
)

// A server seals what a source sends; a reviewer opens it.
func Example() {
	reviewer, err := seal.IdentityFromSeed([32]byte{1}) // in earnest from age-keygen -pq
	if err != nil {
		panic(err)
	}
	source, err := seal.IdentityFromSeed([32]byte{2}) // in earnest derived from the codename
	if err != nil {
		panic(err)
	}

	// The server knows the reviewer's recipient only.
	recipient, err := seal.ParseRecipient(reviewer.Recipient().String())
	if err != nil {
		panic(err)
	}
	var sealed bytes.Buffer
	w, err := seal.NewWriter(&sealed, recipient)
	if err != nil {
		panic(err)
	}
	if err := w.WriteMessage([]byte("Vi algo.")); err != nil {
		panic(err)
	}
	if err := w.WriteFile("foto 1.jpg", "image/jpeg", strings.NewReader("…")); err != nil {
		panic(err)
	}
	if err := w.Close(seal.Manifest{
		Origin:     "resguardo.example-0a1b2c3d",
		Case:       "abcdefghij234567",
		Thread:     strings.Repeat("00", 16),
		Kind:       "report",
		Day:        "2026-11-21",
		Desks:      []string{"norte"},
		Share:      "ask",
		ReplyTo:    source.Recipient().String(),
		ThreadKey:  make([]byte, 32),
		DeskLogKey: make([]byte, 32),
	}); err != nil {
		panic(err)
	}

	ciphertext := bytes.NewReader(sealed.Bytes())
	want := seal.Expect{Origin: "resguardo.example-0a1b2c3d"}
	report, err := seal.Open(ciphertext, ciphertext.Size(), want, reviewer)
	if err != nil {
		panic(err)
	}
	text, err := fs.ReadFile(report, "message.txt")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", text)
	for _, f := range report.Manifest.Files {
		fmt.Printf("%s %q %d bytes\n", f.Entry, f.Name, f.Size)
	}
	// Output:
	// Vi algo.
	// message.txt "" 8 bytes
	// files/01 "foto 1.jpg" 3 bytes
}

// A desk answers: sealed to the source and to itself, signed by a reviewer's card.
func ExampleWriter_CloseSigned() {
	source, err := seal.IdentityFromSeed([32]byte{2})
	if err != nil {
		panic(err)
	}
	recipient, err := seal.ParseRecipient(source.Recipient().String()) // from the report's manifest
	if err != nil {
		panic(err)
	}
	// The card is the vector of crypto/card; its signing key is 20 21 … 3f.
	text, err := os.ReadFile("../card/testdata/reviewer.card")
	if err != nil {
		panic(err)
	}
	author, err := card.Parse(text)
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner("PRIVATE+KEY+card/" + author.Fingerprint() +
		"+c33baceb+ASAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/")
	if err != nil {
		panic(err)
	}
	desk, err := seal.ParseRecipient(author.Recipient)
	if err != nil {
		panic(err)
	}
	var sealed bytes.Buffer
	w, err := seal.NewWriter(&sealed, recipient, desk)
	if err != nil {
		panic(err)
	}
	if err := w.WriteMessage([]byte("Gracias.")); err != nil {
		panic(err)
	}
	threadKey := make([]byte, 32) // from the report's manifest
	m := seal.Manifest{
		Origin: "resguardo.example-0a1b2c3d",
		Case:   "abcdefghij234567",
		Thread: strings.Repeat("00", 16),
		Kind:   "reply",
		Day:    "2026-11-22",
		Desks:  []string{"norte"},
		Share:  "ask",
	}
	letter := card.Letter{Origin: m.Origin, Case: m.Case, Kind: m.Kind, Recipient: recipient.Fingerprint()}
	if err := w.CloseSigned(m, func(manifest [32]byte) ([]byte, error) {
		letter.Manifest = manifest
		return letter.Sign(signer, threadKey)
	}); err != nil {
		panic(err)
	}

	ciphertext := bytes.NewReader(sealed.Bytes())
	reply, err := seal.Open(ciphertext, ciphertext.Size(), seal.Expect{}, source)
	if err != nil {
		panic(err)
	}
	_, by, err := card.ParseLetter(reply.Letter())
	if err != nil {
		panic(err)
	}
	fmt.Println("claims to be from", by[:8])
	_, err = reply.VerifyLetter(author, recipient.Fingerprint(), threadKey)
	fmt.Println("verified:", err == nil)
	// Output:
	// claims to be from e1704ce7
	// verified: true
}

func ExampleParseRecipient() {
	_, err := seal.ParseRecipient("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")
	fmt.Println(err)
	// Output: classical age recipients are refused: they are not post-quantum; wanted age1pq1… or age1tagpq1…
}

func ExamplePaddedSize() {
	for _, n := range []int64{100, 70_000, 5_000_000, 1 << 30} {
		fmt.Println(n, seal.PaddedSize(n))
	}
	// Output:
	// 100 65536
	// 70000 71680
	// 5000000 5111808
	// 1073741824 1073741824
}
