package translog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
)

// Leaf is one event in the public log.
type Leaf struct {
	Epoch      int64 // 1 to MaxEpoch
	Tag        [32]byte
	Commitment [32]byte
}

const (
	leafLine = "resguardo/event/v1"
	leafHead = leafLine + "\nepoch "
	base64Of = 44 // characters of 32 bytes in base64
)

// MaxLeaf is the most bytes of a leaf (C2SP tlog-tiles: the length has 16 bits).
const MaxLeaf = 1<<16 - 1

// Marshal is the canonical text (first line resguardo/event/v1).
func (l Leaf) Marshal() []byte { return l.append(make([]byte, 0, 128)) }

func (l Leaf) append(b []byte) []byte {
	b = append(b, leafHead...)
	b = strconv.AppendInt(b, l.Epoch, 10)
	b = base64.StdEncoding.AppendEncode(append(b, '\n'), l.Tag[:])
	b = base64.StdEncoding.AppendEncode(append(b, '\n'), l.Commitment[:])
	return append(b, '\n')
}

// ParseLeaf accepts exactly what Marshal writes for an epoch of 1 to MaxEpoch. It
// allocates nothing: an auditor calls it a million times.
func ParseLeaf(text []byte) (Leaf, error) {
	rest, ok := bytes.CutPrefix(text, []byte(leafHead))
	if !ok {
		return Leaf{}, errNoLeaf
	}
	number, rest, _ := bytes.Cut(rest, []byte("\n"))
	if len(rest) != 2*(base64Of+1) {
		return Leaf{}, errNoLeaf
	}
	var l Leaf
	if l.Epoch = decimal(number); l.Epoch < 1 || l.Epoch > MaxEpoch {
		return Leaf{}, errNoLeaf
	}
	if !decode32(&l.Tag, rest[:base64Of]) || !decode32(&l.Commitment, rest[base64Of+1:2*base64Of+1]) {
		return Leaf{}, errNoLeaf
	}
	var again [len(leafHead) + maxDigits + 2*(base64Of+1) + 1]byte
	if !bytes.Equal(l.append(again[:0]), text) {
		return Leaf{}, errNoLeaf
	}
	return l, nil
}

var errNoLeaf = errors.New("not the canonical text of an event leaf")

// maxDigits are the digits of MaxEpoch.
const maxDigits = 13

// decimal reads at most maxDigits digits; -1 is none.
func decimal(digits []byte) int64 {
	if len(digits) == 0 || len(digits) > maxDigits {
		return -1
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int64(c-'0')
	}
	return n
}

func decode32(into *[32]byte, text []byte) bool {
	var b [base64Of / 4 * 3]byte
	n, err := base64.StdEncoding.Decode(b[:], text)
	*into = [32]byte(b[:])
	return err == nil && n == len(into)
}
