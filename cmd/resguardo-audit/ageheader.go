package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"strings"
)

const (
	maxHeader = 256 << 10 // bytes of an age header; the vault takes no longer one
	maxLine   = 16 << 10  // bytes of a line in it; a post-quantum stanza has some 1,500
	bodyWidth = 64        // characters of a full line in a stanza's body
)

var errNoHeader = errors.New("not the header of an age file")

// header is what the header of an age file tells without a key.
type header struct {
	size    int64 // bytes
	stanzas uint64
}

// readHeader reads the header of an age file (https://c2sp.org/age#header): the
// version, at least one stanza, and the line with the MAC. It proves nothing: age
// does, for whoever has a key. The payload follows in r.
func readHeader(r *bufio.Reader) (header, error) {
	l := &headerLines{r: r}
	if l.next() != "age-encryption.org/v1" {
		return header{}, errNoHeader
	}
	var h header
	for line := l.next(); ; line = l.next() {
		if mac, last := strings.CutPrefix(line, "--- "); last && h.stanzas > 0 && decoded(mac) == 32 {
			h.size = l.size
			return h, l.err
		}
		arguments, ok := strings.CutPrefix(line, "-> ")
		if !ok || !areArguments(arguments) {
			return header{}, errNoHeader
		}
		for full := true; full; {
			body := l.next()
			if l.err != nil || len(body) > bodyWidth || body != "" && decoded(body) < 0 {
				return header{}, errNoHeader
			}
			full = len(body) == bodyWidth
		}
		h.stanzas++
	}
}

// headerLines reads lines within the bounds of a header. After an error they are empty.
type headerLines struct {
	r    *bufio.Reader
	size int64
	err  error
}

func (l *headerLines) next() string {
	var line []byte
	for l.err == nil {
		b, err := l.r.ReadByte()
		if l.size++; err != nil || l.size > maxHeader || len(line) > maxLine {
			l.err = errNoHeader
			break
		}
		if b == '\n' {
			return string(line)
		}
		line = append(line, b)
	}
	return ""
}

// areArguments tells whether text is one or more words of printable ASCII with
// one space between.
func areArguments(text string) bool {
	for word := range strings.SplitSeq(text, " ") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r < '!' || r > '~' }) {
			return false
		}
	}
	return true
}

// decoded is the number of bytes of canonical base64 without padding, or -1.
func decoded(text string) int {
	if strings.ContainsAny(text, "\r\n") {
		return -1
	}
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return -1
	}
	return len(b)
}
