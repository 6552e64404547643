package say

import (
	"regexp"
	"strings"
)

var badValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-(\S+): (?s:.*)$`)

// FlagError puts an error of package flag into our words.
func FlagError(err error) Text {
	what := err.Error()
	if name, ok := strings.CutPrefix(what, "flag provided but not defined: "); ok {
		return T("unknown flag %s", name)
	}
	if name, ok := strings.CutPrefix(what, "flag needs an argument: "); ok {
		return T("the flag %s needs a value", name)
	}
	if m := badValue.FindStringSubmatch(what); m != nil {
		return T("%s is not a value for -%s", m[1], m[2])
	}
	return T("%s", what)
}
