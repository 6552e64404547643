package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestEveryTextHasSpanish compares the texts that the code makes with the
// catalogue: none missing, none left over, and the same number of verbs.
func TestEveryTextHasSpanish(t *testing.T) {
	used := map[string]string{} // text -> where
	for _, dir := range []string{".", "../internal/say"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return textsOf(t, path, used)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	spanish := spanish()
	for text, where := range used {
		es, ok := spanish[text]
		if !ok {
			t.Errorf("%s: no Spanish for %q", where, text)
		}
		if strings.Count(text, "%") != strings.Count(es, "%") {
			t.Errorf("%s: %q has other verbs than %q", where, es, text)
		}
		if strings.Count(text, "%") != strings.Count(text, "%s") {
			t.Errorf("%s: %q has another verb than %%s, which would be written with the separators of the language", where, text)
		}
	}
	for text := range spanish {
		if used[text] == "" {
			t.Errorf("the catalogue has %q, which no code uses", text)
		}
	}
}

// textsOf notes the first argument of every call of T, which must be a string
// literal, and of say.T, which may also be the constant usage.
func textsOf(t *testing.T, path string, used map[string]string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !isT(call.Fun) {
			return true
		}
		where := fset.Position(call.Pos()).String()
		switch arg := call.Args[0].(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(arg.Value)
			if err != nil {
				t.Fatal(where, err)
			}
			used[text] = where
		case *ast.Ident:
			if arg.Name != "usage" {
				t.Errorf("%s: the text is no literal", where)
			}
			used[usage] = where
		default:
			t.Errorf("%s: the text is no literal", where)
		}
		return true
	})
	return nil
}

func isT(fun ast.Expr) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "say" && f.Sel.Name == "T"
	case *ast.Ident:
		return f.Name == "T"
	}
	return false
}
