package translog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
)

// Opening is what a commitment commits to. Zero fields mean none.
type Opening struct {
	Kind       Kind
	Tag        [32]byte
	Thread     [16]byte
	Ref        [32]byte // tag of the event this one refers to
	Ciphertext [32]byte // SHA-256 of the age file
	SizeClass  uint64   // padded plaintext size in bytes
	Recipients uint64   // number of age stanzas
	Governance uint64   // governance sequence in force
}

const openingLine = "resguardo/opening/v1"

// maxOpening is the length in bytes of the longest opening: the longest kind is
// source-delete, the longest number has 20 digits.
const maxOpening = 354

// Marshal is the canonical text (first line resguardo/opening/v1).
func (o Opening) Marshal() []byte {
	b := make([]byte, 0, maxOpening)
	b = append(b, openingLine...)
	b = append(b, "\nkind "...)
	b = append(b, o.Kind...)
	b = appendBytes(b, "tag", o.Tag[:])
	b = appendBytes(b, "thread", o.Thread[:])
	b = appendBytes(b, "ref", o.Ref[:])
	b = appendBytes(b, "ciphertext", o.Ciphertext[:])
	b = appendNumber(b, "size-class", o.SizeClass)
	b = appendNumber(b, "recipients", o.Recipients)
	b = appendNumber(b, "governance", o.Governance)
	return append(b, '\n')
}

func appendBytes(b []byte, name string, value []byte) []byte {
	b = append(append(append(b, '\n'), name...), ' ')
	return base64.StdEncoding.AppendEncode(b, value)
}

func appendNumber(b []byte, name string, value uint64) []byte {
	b = append(append(append(b, '\n'), name...), ' ')
	return strconv.AppendUint(b, value, 10)
}

// ParseOpening accepts exactly what Marshal writes for a known kind.
func ParseOpening(text []byte) (Opening, error) {
	var o Opening
	if len(text) > maxOpening {
		return o, errors.New("opening is too long")
	}
	p := fields{what: "opening", rest: string(text)}
	if p.line() != openingLine {
		return o, errors.New("not a " + openingLine)
	}
	o.Kind = Kind(p.value("kind"))
	p.bytes("tag", o.Tag[:])
	p.bytes("thread", o.Thread[:])
	p.bytes("ref", o.Ref[:])
	p.bytes("ciphertext", o.Ciphertext[:])
	o.SizeClass = p.number("size-class")
	o.Recipients = p.number("recipients")
	o.Governance = p.number("governance")
	if p.err != nil {
		return Opening{}, p.err
	}
	if !o.Kind.Known() {
		return Opening{}, errors.New("opening of an unknown kind")
	}
	if o.Kind == Filler && o != (Opening{Kind: Filler, Tag: o.Tag}) {
		return Opening{}, errors.New("filler with contents")
	}
	if !bytes.Equal(o.Marshal(), text) {
		return Opening{}, errors.New("opening is not canonical")
	}
	return o, nil
}
