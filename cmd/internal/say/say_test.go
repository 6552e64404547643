package say

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

var spanish = Catalogue{
	Texts: map[string]string{
		"%s: %s":             "%s: %s",
		"%s, line %s: %s":    "%s, línea %s: %s",
		"%s has %s apples":   "%s tiene %s manzanas",
		"buy some":           "compra más",
		"cannot be read: %s": "no se puede leer: %s",
	},
	Errors: map[string]string{"permission denied": "permiso denegado"},
}

func TestFail(t *testing.T) {
	apples := T("%s has %s apples", "Ana", 12345)
	tests := []struct {
		err       error
		english   string
		inSpanish string
	}{
		{err: Fail(apples, Text{}), english: "p: error: Ana has 12345 apples\n", inSpanish: "p: error: Ana tiene 12345 manzanas\n"},
		{err: Fail(apples, T("buy some")),
			english:   "p: error: Ana has 12345 apples\np: hint: buy some\n",
			inSpanish: "p: error: Ana tiene 12345 manzanas\np: hint: compra más\n"},
		{err: &Error{Path: "a.toml", What: apples}, english: "p: error: a.toml: Ana has 12345 apples\n", inSpanish: "p: error: a.toml: Ana tiene 12345 manzanas\n"},
		{err: &Error{Path: "a.toml", Line: 7, What: apples}, english: "p: error: a.toml, line 7: Ana has 12345 apples\n", inSpanish: "p: error: a.toml, línea 7: Ana tiene 12345 manzanas\n"},
		{err: Fail(T("cannot be read: %s", syscall.EACCES), Text{}), english: "p: error: cannot be read: permission denied\n", inSpanish: "p: error: no se puede leer: permiso denegado\n"},
		{err: fmt.Errorf("wrapped: %w", Fail(apples, Text{})), english: "p: error: Ana has 12345 apples\n", inSpanish: "p: error: Ana tiene 12345 manzanas\n"},
		{err: errors.Join(Fail(apples, Text{}), nil, errors.Join(errors.New("other"))),
			english: "p: error: Ana has 12345 apples\np: error: other\n", inSpanish: "p: error: Ana tiene 12345 manzanas\np: error: other\n"},
		{err: Told{{What: "told"}}, english: "p: error: told\n", inSpanish: "p: error: told\n"},
		{err: Fail(T("%s has %s apples", "a\x1b[2J\u202e\n", "%s"), Text{}),
			english: "p: error: a\\x1b[2J\\u202e\\n has %s apples\n", inSpanish: "p: error: a\\x1b[2J\\u202e\\n tiene %s manzanas\n"},
	}
	for _, tt := range tests {
		for lang, want := range map[string]string{"en": tt.english, "es": tt.inSpanish} {
			var out, err bytes.Buffer
			New("p", lang, spanish, &out, &err).Fail(tt.err)
			if err.String() != want || out.Len() > 0 {
				t.Errorf("%s: got %q and %q, want %q", lang, err.String(), out.String(), want)
			}
		}
	}
}

func TestErrorUnwraps(t *testing.T) {
	err := error(&Error{What: T("x"), Err: fs.ErrNotExist})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "x" {
		t.Errorf("%v", err)
	}
}

func TestBare(t *testing.T) {
	wrapped := fmt.Errorf("a: %w", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT})
	if got := Bare(wrapped); got != syscall.ENOENT {
		t.Errorf("got %v", got)
	}
	if plain := errors.New("plain"); Bare(plain) != plain {
		t.Error("changed an error that is not of the system")
	}
}

func TestLanguage(t *testing.T) {
	tests := []struct {
		env  map[string]string
		want string
	}{
		{nil, "en"},
		{map[string]string{"LANG": "es_MX.UTF-8"}, "es"},
		{map[string]string{"LANG": "es"}, "es"},
		{map[string]string{"LANG": "es.UTF-8"}, "es"},
		{map[string]string{"LANG": "est_EE"}, "en"},
		{map[string]string{"LANG": "es_MX", "LC_MESSAGES": "en_US"}, "en"},
		{map[string]string{"LANG": "en_US", "LC_MESSAGES": "es_MX"}, "es"},
		{map[string]string{"LANG": "es_MX", "LC_MESSAGES": "es_MX", "LC_ALL": "C"}, "en"},
	}
	for _, tt := range tests {
		if got := Language(func(k string) string { return tt.env[k] }); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.env, got, tt.want)
		}
	}
}
