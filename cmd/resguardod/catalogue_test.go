package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"resguardo/cmd/internal/say/saytest"
)

func TestEveryTextHasSpanish(t *testing.T) {
	saytest.Catalogue(t, spanish(), []string{"T"}, usage)
}

// TestPolicyErrorsHaveSpanish: what is wrong with a policy is said by package
// witness, in sentences without values.
func TestPolicyErrorsHaveSpanish(t *testing.T) {
	source, err := os.ReadFile("../../vault/witness/policy.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\terr\w+ += errors\.New\((".*")\)$`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 20 {
		t.Fatalf("found only %d errors", len(found))
	}
	for _, m := range found {
		text, err := strconv.Unquote(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if spanishErrors()[text] == "" {
			t.Errorf("no Spanish for %q", text)
		}
	}
}
