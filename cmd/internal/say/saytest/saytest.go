// Package saytest checks a program's Spanish catalogue against its code.
package saytest

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

// Catalogue compares the texts that the code of a program makes with its
// catalogue: none missing, none left over, the same number of verbs, and no verb
// but %s, because others are written with the separators of the language.
//
// It reads the program's folder, which must be the test's, and package say. A
// text is a literal that is the first argument of a function with one of the
// given names; more are texts that are made in another way.
func Catalogue(t *testing.T, spanish map[string]string, functions []string, more ...string) {
	t.Helper()
	used := map[string]string{} // text -> where
	for _, text := range more {
		used[text] = "the usage text"
	}
	for _, dir := range []string{".", "../internal/say"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return textsOf(path, functions, used)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for text, where := range used {
		es, ok := spanish[text]
		switch verbs := strings.Count(text, "%"); {
		case !ok:
			t.Errorf("%s: no Spanish for %q", where, text)
		case verbs != strings.Count(es, "%"):
			t.Errorf("%s: %q has other verbs than %q", where, es, text)
		case verbs != strings.Count(text, "%s"):
			t.Errorf("%s: %q has another verb than %%s", where, text)
		}
	}
	for text := range spanish {
		if used[text] == "" {
			t.Errorf("the catalogue has %q, which no code uses", text)
		}
	}
}

// textsOf notes the texts of one file.
func textsOf(path string, functions []string, used map[string]string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || !slices.Contains(functions, name(call.Fun)) {
			return true
		}
		if literal, ok := call.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				return false
			}
			used[text] = fset.Position(call.Pos()).String()
		}
		return true
	})
	return nil
}

// name is what a function is called as, without its package or receiver.
func name(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}
