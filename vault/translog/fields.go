package translog

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// fields reads lines of "name value" and remembers the first error. It is
// lenient where the comparison with the canonical text is strict.
type fields struct {
	what string // opening or note, for errors
	rest string
	err  error
}

func (p *fields) line() string {
	line, rest, _ := strings.Cut(p.rest, "\n")
	p.rest = rest
	return line
}

func (p *fields) value(name string) string {
	value, ok := strings.CutPrefix(p.line(), name+" ")
	if !ok && p.err == nil {
		p.err = fmt.Errorf("%s without %s", p.what, name)
	}
	return value
}

// list reads all lines of that name that follow; there may be none.
func (p *fields) list(name string) []string {
	var values []string
	for p.err == nil && strings.HasPrefix(p.rest, name+" ") {
		values = append(values, p.value(name))
	}
	return values
}

// optional reads a value for which "-" stands when it is empty.
func (p *fields) optional(name string) string {
	value := p.value(name)
	if value == none {
		return ""
	}
	return value
}

// none stands for an empty value in a line.
const none = "-"

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

func (p *fields) bytes(name string, into []byte) {
	value, err := base64.StdEncoding.DecodeString(p.value(name))
	if p.err == nil && (err != nil || len(value) != len(into)) {
		p.err = fmt.Errorf("%s: %s is not base64 of %d bytes", p.what, name, len(into))
	}
	copy(into, value)
}

// sha256 reads a hash as sha256sum prints it.
func (p *fields) sha256(name string) [32]byte { return p.hash(name, p.value(name)) }

func (p *fields) hash(name, digits string) (sum [32]byte) {
	value, err := hex.DecodeString(digits)
	if p.err == nil && (err != nil || len(value) != len(sum)) {
		p.err = fmt.Errorf("%s: %s is not 64 digits of hexadecimal", p.what, name)
	}
	copy(sum[:], value)
	return sum
}

func (p *fields) number(name string) uint64 {
	n, err := strconv.ParseUint(p.value(name), 10, 64)
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%s: %s is not a number", p.what, name)
	}
	return n
}

// count reads a number that is at most 2^53, so that it has one value in every
// language and type.
func (p *fields) count(name string) int64 {
	n := p.number(name)
	if p.err == nil && n > 1<<53 {
		p.err = fmt.Errorf("%s: %s is too large", p.what, name)
	}
	return int64(n)
}

func (p *fields) yesNo(name string) bool {
	value := p.value(name)
	if p.err == nil && value != "yes" && value != "no" {
		p.err = fmt.Errorf("%s: %s is neither yes nor no", p.what, name)
	}
	return value == "yes"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
