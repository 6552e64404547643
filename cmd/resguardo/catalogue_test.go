package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryTextHasSpanish compares the texts that the code makes with the
// catalogue: none missing, none left over, and the same number of verbs.
func TestEveryTextHasSpanish(t *testing.T) {
	used := map[string]string{usage: "main.go"} // text -> where
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

// textsOf notes the literals that become a Text: first arguments of T, of a
// view's say and of an opener's alarm.
func textsOf(t *testing.T, path string, used map[string]string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		literal, ok := call.Args[0].(*ast.BasicLit)
		if ok && literal.Kind == token.STRING && makesText(call.Fun) {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			used[text] = fset.Position(call.Pos()).String()
		}
		return true
	})
	return nil
}

func makesText(fun ast.Expr) bool {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return slices.Contains([]string{"T", "say", "alarm"}, f.Sel.Name)
	case *ast.Ident:
		return f.Name == "T"
	}
	return false
}
