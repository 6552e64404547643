package card

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// none stands for an optional value that is absent.
const none = "-"

// lines reads the values of a signed text's lines one after another. The first
// value that does not hold is kept as err, with the number of its line; what is
// read after it is zero.
type lines struct {
	values []string
	read   int
	err    error
}

// next returns the next value. Its line must exist: readFields has counted.
func (l *lines) next() string {
	l.read++
	return l.values[l.read-1]
}

// refuse says that the value read last is malformed.
func (l *lines) refuse(what string) {
	if l.err == nil {
		l.err = fmt.Errorf("line %d: malformed %s", l.read+1, what)
	}
}

func (l *lines) text(what string, ok func(string) bool) string {
	s := l.next()
	if !ok(s) {
		l.refuse(what)
	}
	return s
}

// number is decimal without sign or leading zeros, least to most.
func (l *lines) number(what string, least, most uint64) uint64 {
	s := l.next()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s || n < least || n > most {
		l.refuse(what)
		return least
	}
	return n
}

// hash is 32 bytes in lower-case hex.
func (l *lines) hash(what string) (h [32]byte) {
	s := l.next()
	if !isHex(s, 64) {
		l.refuse(what)
		return h
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		l.refuse(what)
		return h
	}
	return [32]byte(b)
}

// optionalHash is a hash, or zeros for none. A hash of zeros is malformed.
func (l *lines) optionalHash(what string) (h [32]byte) {
	if l.values[l.read] == none {
		l.read++
		return h
	}
	if h = l.hash(what); h == [32]byte{} {
		l.refuse(what)
	}
	return h
}

// secret is 32 bytes in base64.
func (l *lines) secret(what string) (b [32]byte) {
	b, ok := DecodeEvent(l.next())
	if !ok {
		l.refuse(what)
	}
	return b
}

func formatHash(h [32]byte) string { return hex.EncodeToString(h[:]) }

func formatOptionalHash(h [32]byte) string {
	if h == [32]byte{} {
		return none
	}
	return formatHash(h)
}

// EncodeEvent is the text form of an event's E: base64 with padding (RFC 4648,
// section 4), 44 characters.
func EncodeEvent(e [32]byte) string { return base64.StdEncoding.EncodeToString(e[:]) }

// DecodeEvent reads what EncodeEvent writes and nothing else.
func DecodeEvent(s string) (e [32]byte, ok bool) {
	// The decoder skips line breaks.
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(e) || base64.StdEncoding.EncodeToString(b) != s {
		return e, false
	}
	return [32]byte(b), true
}

func isCase(s string) bool {
	return len(s) == 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func isDesk(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isDay(s string) bool {
	t, err := time.Parse(time.DateOnly, s)
	return err == nil && t.Format(time.DateOnly) == s
}
