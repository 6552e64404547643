package main

import (
	"testing"

	"resguardo/cmd/internal/say/saytest"
)

func TestEveryTextHasSpanish(t *testing.T) {
	saytest.Catalogue(t, spanish(), []string{"T"}, usage)
}
