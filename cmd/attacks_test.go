package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAttacksAreListed: docs/attacks.md has a line for every known attack, each with a
// test, and every test that it names is in the tree, in the package that it says.
func TestAttacksAreListed(t *testing.T) {
	text, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := testsByPackage(t)
	named := 0
	for _, m := range regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)(/[A-Za-z0-9]+)?`").FindAllStringSubmatch(string(text), -1) {
		named++
		if name := m[1] + "." + m[2]; exists[name] == "" {
			t.Errorf("%s does not exist", name)
		} else if part := strings.TrimPrefix(m[3], "/"); part != "" && !strings.Contains(exists[name], fmt.Sprintf("t.Run(%q", part)) {
			t.Errorf("%s has no part %s", name, part)
		}
	}
	lines := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([WG][0-9]+) \|.*$`).FindAllStringSubmatch(string(text), -1) {
		if lines[m[1]] != "" {
			t.Errorf("%s stands there twice", m[1])
		}
		lines[m[1]] = m[0]
	}
	for letter, n := range map[string]int{"W": 23, "G": 10} {
		for i := range n {
			if id := fmt.Sprint(letter, i+1); !regexp.MustCompile("`[a-z]+\\.(Test|Fuzz)").MatchString(lines[id]) {
				t.Errorf("no test for %s: %q", id, lines[id])
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d tests are named", named)
	}
}

// testsByPackage maps package.Test to the text of its file.
func testsByPackage(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	pkg := regexp.MustCompile(`(?m)^package ([a-z]+?)(_test)?$`)
	for _, depth := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		paths, err := filepath.Glob(filepath.Join("..", depth, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in := pkg.FindStringSubmatch(string(text))
			if in == nil {
				t.Fatalf("%s has no package", path)
			}
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				all[in[1]+"."+m[1]] += string(text)
			}
		}
	}
	return all
}
