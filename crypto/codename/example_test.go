package codename_test

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"resguardo/crypto/codename"
)

func Example() {
	list, err := codename.ForLanguage("es")
	if err != nil {
		panic(err)
	}
	random := sha256.Sum256([]byte("resguardo test vector: draw")) // in earnest from crypto/rand
	c := list.Draw(random)
	fmt.Println(c)
	fmt.Println(c.Normalised())
	// Output:
	// azufre fiera armonía boda gasolina mejor amargo curioso
	// azufre fiera armonia boda gasolina mejor amargo curioso
}

func ExampleParse() {
	c, err := codename.Parse("OTOÑ-arbo-limo-pest-jard-lobo-jamo-suen", "es")
	fmt.Println(c, err)

	_, err = codename.Parse("otoño arboles limón pestaña jardín lobo jamón sueño", "es")
	var wrong *codename.WordsError
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Unknown)
	}
	// Output:
	// otoño árbol limón pestaña jardín lobo jamón sueño <nil>
	// [arboles]
}

func ExampleCodename_Derive() {
	c, err := codename.Parse("garden orange velvet anchor puzzle ladder maple ocean", "en")
	if err != nil {
		panic(err)
	}
	p := codename.DefaultParams
	for i := range p.Salt {
		p.Salt[i] = byte(i) // in earnest the salt of the vault
	}
	fmt.Printf("%x\n", c.Derive(p).Mailbox)
	// Output: 30e02199e7f2501d3495e4435cf0fe78841e03db961345d0863f9f4a22c4b1c0
}
