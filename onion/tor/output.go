package tor

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is the four numbers of a tor release.
type Version [4]int

// ParseVersion reads the output of tor --version, whose first line is like
// "Tor version 0.4.9.11." or "Tor version 0.5.0.1-alpha-dev (git-1a2b3c).".
func ParseVersion(output string) (Version, error) {
	line, _, _ := strings.Cut(output, "\n")
	rest, ok := strings.CutPrefix(strings.TrimRight(line, ".\r"), "Tor version ")
	if !ok {
		return Version{}, fmt.Errorf("not a tor version: %.80q", line)
	}
	rest, _, _ = strings.Cut(rest, " ")
	rest, _, _ = strings.Cut(rest, "-")
	numbers := strings.Split(rest, ".")
	var v Version
	if len(numbers) != len(v) {
		return Version{}, fmt.Errorf("not a tor version: %.80q", line)
	}
	for i, s := range numbers {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return Version{}, fmt.Errorf("not a tor version: %.80q", line)
		}
		v[i] = int(n)
	}
	return v, nil
}

// Before reports whether v is older than w.
func (v Version) Before(w Version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d.%d", v[0], v[1], v[2], v[3])
}

// Line is one line of tor's log, without its time.
type Line struct {
	Severity string // "err", "warn", "notice" …; "" if the line is not in tor's form
	Text     string
}

// ParseLine reads a log line such as
//
//	Nov 21 23:10:42.000 [notice] Bootstrapped 0% (starting): Starting
//
// A line in another form becomes a Line without a severity.
func ParseLine(s string) Line {
	_, rest, ok := strings.Cut(s, " [")
	severity, text, closed := strings.Cut(rest, "] ")
	if !ok || !closed || severity == "" || strings.ContainsFunc(severity, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return Line{Text: s}
	}
	return Line{severity, text}
}

// Bad reports whether l is a warning or an error.
func (l Line) Bad() bool { return l.Severity == "warn" || l.Severity == "err" }

// Bootstrap reads how far tor has come to the network from a line such as
// "Bootstrapped 75% (enough_dirinfo): Loaded enough directory info".
func (l Line) Bootstrap() (percent int, phase string, ok bool) {
	rest, ok := strings.CutPrefix(l.Text, "Bootstrapped ")
	number, rest, found := strings.Cut(rest, "% (")
	phase, _, closed := strings.Cut(rest, ")")
	percent, err := strconv.Atoi(number)
	if !ok || !found || !closed || err != nil || percent < 0 || percent > 100 {
		return 0, "", false
	}
	return percent, phase, true
}
