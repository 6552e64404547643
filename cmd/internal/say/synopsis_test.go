package say

import (
	"strings"
	"testing"
)

func TestSynopsis(t *testing.T) {
	const usage = `Vault keeps things.

Use:
    vault init -dir DIR
               [-more]
    vault serve   -dir DIR [NET] …
    vault serve   -off
    vault desk    add -dir DIR
    vault desk    list -dir DIR
    vault -version
NET: [-socks ADDR]

init makes one.

Example:
    vault init -dir x
`
	for _, test := range []struct{ args, want string }{
		{"init -h", "Use:\n    vault init -dir DIR\n               [-more]\n"},
		{"serve -h", "Use:\n    vault serve   -dir DIR [NET] …\n    vault serve   -off\nNET: [-socks ADDR]\n"},
		{"desk add -h", "Use:\n    vault desk    add -dir DIR\n"},
		{"desk -h", "Use:\n    vault desk    add -dir DIR\n    vault desk    list -dir DIR\n"},
		{"-h", ""}, {"nothing -h", ""}, {"", ""},
	} {
		if got := Synopsis(usage, "vault", strings.Fields(test.args)); got != test.want {
			t.Errorf("%q:\n%s\nwant\n%s", test.args, got, test.want)
		}
	}
	if got := Synopsis("no commands", "vault", []string{"init"}); got != "" {
		t.Error(got)
	}
}
