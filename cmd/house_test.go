// Package cmd_test guards the house: who may import whom, which modules each
// program links, and which calls no file may make. Every rule gives its reason,
// and the reason is what the failing test prints.
package cmd_test

import (
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden module lists")

// listed is the part of `go list -json` that the rules need.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	Module     *struct{ Path, Version string }
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	c := exec.Command("go", append([]string{"list", "-tags", "nomsgpack", "-json=ImportPath,Dir,Imports,Deps,Module"}, args...)...)
	c.Dir = ".."
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// within reports whether path is the package or module root, or lies below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

const (
	ageModule   = "filippo.io/age"
	ginModule   = "github.com/gin-gonic/gin"
	bboltModule = "go.etcd.io/bbolt"
	bineModule  = "github.com/cretz/bine"
)

// TestReach checks what a package may reach, directly or through others.
func TestReach(t *testing.T) {
	rules := []struct {
		from   string // package, with everything below it
		never  []string
		reason string
	}{
		{"resguardo/vault", []string{"resguardo/crypto", ageModule}, "the store can neither make nor open a report"},
		{"resguardo/vault/translog", []string{bboltModule}, "auditors check the log without a database"},
		{"resguardo/vault/witness", []string{bboltModule, "resguardo/onion", "resguardo/crypto"}, "a client of witnesses knows neither store nor door"},
		{"resguardo/crypto/codename", []string{ageModule}, "the codename gives seeds; only crypto/seal knows age"},
		{"resguardo/crypto/card", []string{ageModule, ginModule, bboltModule}, "cards and statements are read by every program, auditors included"},
		{"resguardo/crypto", []string{ginModule, bboltModule, bineModule, "resguardo/vault", "resguardo/onion"}, "the envelope knows neither the safe nor the door"},
		{"resguardo/cmd/resguardo", []string{bboltModule, ginModule, bineModule, "resguardo/vault"}, "private keys live beside as little code as possible"},
		{"resguardo/cmd/resguardo-audit", []string{ageModule, bboltModule, ginModule, bineModule}, "the auditor's program has the smallest dependency list"},
	}
	for _, p := range goList(t, "./...") {
		for _, r := range rules {
			// cmd/resguardo does not stand for cmd/resguardod.
			if !within(p.ImportPath, r.from) {
				continue
			}
			for _, dep := range p.Deps {
				for _, never := range r.never {
					if within(dep, never) && !within(dep, p.ImportPath) {
						if never == "resguardo/vault" && within(dep, "resguardo/vault/translog") {
							continue // the format of the log is no store
						}
						t.Errorf("%s reaches %s: %s", p.ImportPath, dep, r.reason)
					}
				}
			}
		}
	}
}

// TestHome checks that some modules are imported in one place only.
func TestHome(t *testing.T) {
	homes := []struct {
		module string
		homes  []string
		reason string
	}{
		{ginModule, []string{"resguardo/onion/site", "resguardo/onion/review"}, "HTTP routing stays at the door"},
		{bboltModule, []string{"resguardo/vault"}, "one package owns the files"},
		{bineModule, []string{"resguardo/onion"}, "one package talks to tor's control port"},
	}
	for _, p := range goList(t, "./...") {
		for _, h := range homes {
			for _, imported := range p.Imports {
				if within(imported, h.module) && !slices.Contains(h.homes, p.ImportPath) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, h.reason)
				}
			}
		}
	}
}

// TestModules compares the modules that each program links with a golden list,
// which is reviewed like code. Rewrite it with: go test ./cmd -run TestModules -update
func TestModules(t *testing.T) {
	programs, err := filepath.Glob("*/main.go")
	if err != nil || len(programs) == 0 {
		t.Fatal("no programs found", err)
	}
	for _, main := range programs {
		program := filepath.Dir(main)
		var modules []string
		for _, p := range goList(t, "-deps", "./cmd/"+program) {
			if p.Module != nil && p.Module.Path != "resguardo" {
				modules = append(modules, p.Module.Path+" "+p.Module.Version)
			}
		}
		slices.Sort(modules)
		got := strings.Join(slices.Compact(modules), "\n") + "\n"
		golden := filepath.Join("testdata", program+".modules")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s links other modules than %s says; a new one needs a line of reason in docs/design.md:\n%s", program, golden, got)
		}
	}
}

// forbidden calls and imports, in non-test files.
var forbidden = []struct {
	name   *regexp.Regexp
	in     string // folder; empty for the whole tree
	reason string
}{
	{regexp.MustCompile(`^(ParseMultipartForm|FormFile|MultipartForm|SaveUploadedFile|ReadForm)$`), "", "writes clear text of large parts to temporary files"},
	{regexp.MustCompile(`^(FormValue|PostForm|PostFormValue|PostFormArray|PostFormMap|GetPostForm|GetPostFormArray|ParseForm|DefaultPostForm)$`), "", "parses multipart bodies behind our back, into temporary files"},
	{regexp.MustCompile(`^(Bind|BindJSON|BindQuery|BindWith|ShouldBind\w*|MustBindWith)$`), "", "parses multipart bodies behind our back, into temporary files"},
	{regexp.MustCompile(`^(ClientIP|RemoteIP)$`), "", "addresses are used for nothing"},
	{regexp.MustCompile(`^RemoteAddr$`), "onion/site", "a source has no address"},
	{regexp.MustCompile(`^SetCookie$`), "onion", "there are no cookies"},
	{regexp.MustCompile(`^Redirect$`), "onion", "nothing redirects"},
	{regexp.MustCompile(`^(Default|HTML)$`), "onion/site", "gin.Default logs requests; template.HTML goes round the escaping"},
	{regexp.MustCompile(`^(MaxBytesReader)$`), "onion/site", "ends the connection, so that a refusal cannot be read"},
	{regexp.MustCompile(`^(TempDir|CreateTemp|MkdirTemp)$`), "onion", "the server writes no temporary files"},
	{regexp.MustCompile(`^(AddInsecureBypassPattern)$`), "", "opens a hole in the origin check"},
	{regexp.MustCompile(`^(Exit)$`), "vault", "only main exits"},
	{regexp.MustCompile(`^(Exit)$`), "onion", "only main exits"},
	{regexp.MustCompile(`^(Exit)$`), "crypto", "only main exits"},
}

// siteImports are forbidden in onion/site only.
var siteImports = map[string]string{
	"log/slog":      "no line is caused by a source's request",
	"text/template": "pages are made by html/template",
	"os":            "only the vault touches the disk",
}

var forbiddenImports = map[string]string{
	"math/rand":                   "randomness comes from crypto/rand",
	"math/rand/v2":                "randomness comes from crypto/rand",
	"net/http/pprof":              "a program that must forget its visitors has no profiler",
	"expvar":                      "a program that must forget its visitors has no counters",
	"log":                         "log/slog only",
	"unsafe":                      "no code of ours needs it",
	"golang.org/x/crypto/openpgp": "unmaintained (GO-2026-5932)",
}

// TestForbidden walks every file of the project that is not a test.
func TestForbidden(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "var" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		return checkFile(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, path string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		return err
	}
	rel, _ := filepath.Rel("..", path)
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		if reason, ok := forbiddenImports[p]; ok && !allowedImport(rel, p) {
			t.Errorf("%s imports %s: %s", fset.Position(i.Pos()), p, reason)
		}
		if reason, ok := siteImports[p]; ok && filepath.ToSlash(filepath.Dir(rel)) == "onion/site" && !allowedImport(rel, p) {
			t.Errorf("%s imports %s: %s", fset.Position(i.Pos()), p, reason)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, r := range forbidden {
			if (r.in == "" || within(filepath.ToSlash(rel), r.in)) && r.name.MatchString(sel.Sel.Name) && !allowedCall(rel, sel) {
				t.Errorf("%s uses %s: %s", fset.Position(sel.Pos()), sel.Sel.Name, r.reason)
			}
		}
		return true
	})
	return nil
}

// allowedImport lists the exceptions, each with its reason beside it.
func allowedImport(file, path string) bool {
	switch {
	case path == "log" && within(filepath.ToSlash(file), "cmd/resguardod"):
		return true // http.Server.ErrorLog is a *log.Logger
	case path == "os" && filepath.ToSlash(file) == "onion/site/body.go":
		return true // os.ErrDeadlineExceeded
	case path == "unsafe" && within(filepath.ToSlash(file), "vault"):
		return true // madvise needs the address of a mapped value
	}
	return false
}

// allowedCall lists the exceptions, each with its reason beside it.
func allowedCall(file string, sel *ast.SelectorExpr) bool {
	// tornet is a test network: it is not part of the server.
	return within(filepath.ToSlash(file), "onion/tornet")
}

// TestPlaintextMeetsStorageInOneFile is the file an outside expert reads first.
func TestPlaintextMeetsStorageInOneFile(t *testing.T) {
	const file, limit = "../onion/site/ingest.go", 150
	var both []string
	paths, _ := filepath.Glob("../*/*/*.go")
	deeper, _ := filepath.Glob("../*/*/*/*.go")
	for _, path := range append(paths, deeper...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		imports := func(want string) bool {
			return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == strconv.Quote(want) })
		}
		if imports("resguardo/vault") && imports("resguardo/crypto/seal") {
			both = append(both, path)
		}
	}
	if !slices.Equal(both, []string{file}) {
		t.Errorf("sealing and storage meet in %v, want only %s", both, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > limit {
		t.Errorf("%s has %d lines, at most %d: an outside expert reads it first", file, n, limit)
	}
}

// TestTopLevel keeps the first screen of the project small.
func TestTopLevel(t *testing.T) {
	allowed := strings.Fields("cmd vault onion crypto docs packaging go.mod go.sum Makefile README.md SECURITY.md LICENSE NEWS.md .ci .git .gitignore bin var")
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top level; the house has four rooms", e.Name())
		}
	}
	for _, pkg := range goList(t, "./...") {
		if pkg.ImportPath == "resguardo/crypto" {
			t.Error("crypto holds only subpackages: a package of that name would shadow the standard one")
		}
	}
}

// TestNamedTestsExist: a guarantee that names a test which does not exist is no guarantee.
func TestNamedTestsExist(t *testing.T) {
	out, err := exec.Command("grep", "-rhoE", `^func (Test|Fuzz)[A-Za-z0-9_]+`, "--include=*_test.go", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		exists[strings.TrimSpace(strings.TrimPrefix(line, "func "))] = true
	}
	docs, _ := filepath.Glob("../docs/*.md")
	named := 0
	for _, path := range append(docs, "../README.md", "../SECURITY.md") {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(b), -1) {
			named++
			if !exists[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no test is named")
	}
}
