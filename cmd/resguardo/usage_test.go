package main

import (
	"testing"

	"resguardo/cmd/internal/say"
)

// TestEveryCommandHasASynopsis: -h after a command shows how that one is written.
func TestEveryCommandHasASynopsis(t *testing.T) {
	for name := range commands() {
		for _, text := range []string{usage, usageES} {
			if say.Synopsis(text, "resguardo", []string{name}) == "" {
				t.Errorf("no line for %s", name)
			}
		}
	}
}
