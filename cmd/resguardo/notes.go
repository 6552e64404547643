package main

import (
	"strings"
	"unicode/utf8"
)

// A note's message.txt begins with a line that says what it is:
//
//	resguardo/note/v1 status
//	verificado
const noteLine = "resguardo/note/v1 "

// What a note can be.
const (
	statusNote = "status" // a word
	assignNote = "assign" // a nickname; "-" = nobody
	holdNote   = "hold"   // yes or no
	textNote   = "text"   // anything
)

// maxLabel is the most characters of the value of a note that is no text.
const maxLabel = 40

func encodeNote(kind, value string) string { return noteLine + kind + "\n" + value + "\n" }

// decodeNote reads a note. What has no such first line is a text.
func decodeNote(message []byte) (kind, value string) {
	rest, ok := strings.CutPrefix(string(message), noteLine)
	kind, value, found := strings.Cut(rest, "\n")
	switch kind {
	case statusNote, assignNote, holdNote:
		value = strings.TrimSuffix(value, "\n")
		if ok && found && utf8.ValidString(value) && !strings.Contains(value, "\n") && utf8.RuneCountInString(value) <= maxLabel {
			return kind, value
		}
	case textNote:
		if ok && found {
			return kind, value
		}
	}
	return textNote, string(message)
}
