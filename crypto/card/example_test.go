package card_test

import (
	"fmt"
	"os"

	"resguardo/crypto/card"
)

func ExampleParse() {
	text, err := os.ReadFile("testdata/reviewer.card")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := card.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Role)
	fmt.Println(c.Fingerprint())
	fmt.Println(c.Client)
	// Output:
	// reviewer
	// e1704ce7caadaa4e436845c280d1527742f46a8af62d934c41b60c624e7cb185
	// PGTDD3W6DP44TDYSAMWN5LOQ46QHSOMPY6DLRDGII3WITL4FUUNA
}

func ExampleOpenLetter() {
	file, err := os.ReadFile("testdata/reviewer.card")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := card.Parse(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := os.ReadFile("testdata/letter.note")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, by, err := card.ParseLetter(msg) // verifies nothing: tells whose card to look up
	fmt.Println(by == c.Fingerprint(), err)
	letter, err := card.OpenLetter(msg, c, nil)
	fmt.Println(letter.Kind, letter.Sequence, err)
	// Output:
	// true <nil>
	// reply 1 <nil>
}
