package packaging_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the man pages of each language, by what stands between the program's
// name and the section.
var pages = map[string]string{"en_US.UTF-8": "", "es_MX.UTF-8": ".es"}

var programs = []string{"resguardo", "resguardo-audit", "resguardod"}

// TestManPagesTellTheUsage compares what each program answers to -h with its man
// page, in both directions: the same commands, each with the same flags, and no
// flag that only one of the two knows.
func TestManPagesTellTheUsage(t *testing.T) {
	bin := t.TempDir()
	c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", bin+"/", "resguardo/cmd/resguardod", "resguardo/cmd/resguardo", "resguardo/cmd/resguardo-audit")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, program := range programs {
		for lang, suffix := range pages {
			t.Run(program+suffix, func(t *testing.T) {
				c := exec.Command(filepath.Join(bin, program), "-h")
				c.Env = []string{"LANG=" + lang}
				usage, err := c.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, usage)
				}
				page, err := os.ReadFile("../docs/man/" + program + suffix + ".1")
				if err != nil {
					t.Fatal(err)
				}
				compare(t, "", flagsOf(string(usage)), flagsOfPage(string(page)))
				told, written := synopsis(program, string(usage)), pageSynopsis(string(page))
				for command := range maps.Keys(merged(told, written)) {
					compare(t, command, told[command], written[command])
				}
				explained(t, string(page), written)
			})
		}
	}
}

// compare reports commands and flags that only one side has.
func compare(t *testing.T, command string, usage, page set) {
	t.Helper()
	if usage == nil || page == nil {
		t.Errorf("command %q: in the usage %t, on the page %t", command, usage != nil, page != nil)
		return
	}
	for flag := range merged(usage, page) {
		if !usage[flag] || !page[flag] {
			t.Errorf("%s -%s: in the usage %t, on the page %t", command, flag, usage[flag], page[flag])
		}
	}
}

func merged[V any](a, b map[string]V) map[string]V {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

// explained reports commands of the synopsis that no list explains.
func explained(t *testing.T, page string, commands map[string]set) {
	t.Helper()
	for command := range commands {
		if command != "" && command == strings.ToLower(command) && !regexp.MustCompile(`(?m)^\.It .*Cm `+command+`( ,|$)`).MatchString(page) {
			t.Errorf("command %q is explained nowhere", command)
		}
	}
}

var usageFlag = regexp.MustCompile(`(?:^|[\s\[(|])-([a-z][a-z-]*)`)

func flagsOf(usage string) set {
	flags := set{}
	for _, m := range usageFlag.FindAllStringSubmatch(usage, -1) {
		flags[m[1]] = true
	}
	// In an example stands the age program, with -d and -i.
	delete(flags, "d")
	delete(flags, "i")
	return flags
}

// A word in capitals and brackets stands for a group of flags, which follow the
// commands in a line of their own.
var (
	usageGroup = regexp.MustCompile(`\[(\p{Lu}{2,})\]`)
	pageGroup  = regexp.MustCompile(`^\.Op Ar (\p{Lu}{2,})$`)
)

func groupsOf(group *regexp.Regexp, line string) set {
	groups := set{}
	for _, m := range group.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
		groups[m[1]] = true
	}
	return groups
}

// synopsis reads the first part of a usage text, up to the first blank line
// after the commands. A command that stands there twice has the flags of both.
func synopsis(program, usage string) map[string]set {
	line := regexp.MustCompile(`^ +` + program + `((?: +[a-z]+)*)|^(\p{Lu}+):`)
	commands, command := map[string]set{}, ""
	for text := range strings.Lines(usage) {
		head := line.FindStringSubmatch(text)
		switch {
		case strings.TrimSpace(text) == "" && len(commands) > 0:
			return commands
		case head != nil:
			command = strings.Join(strings.Fields(head[1]+head[2]), " ")
			if commands[command] == nil {
				commands[command] = set{}
			}
		}
		if len(commands) > 0 {
			maps.Copy(commands[command], flagsOf(text))
			maps.Copy(commands[command], groupsOf(usageGroup, text))
		}
	}
	return commands
}

var pageFlag = regexp.MustCompile(`\bFl ([a-z][a-z-]*)`)

func flagsOfPage(page string) set {
	flags := set{}
	for _, m := range pageFlag.FindAllStringSubmatch(page, -1) {
		flags[m[1]] = true
	}
	return flags
}

// pageSynopsis reads the second section of a page of mdoc(7).
func pageSynopsis(page string) map[string]set {
	commands, command := map[string]set{}, ""
	_, page, _ = strings.Cut(page, "\n.Sh S")
	page, _, _ = strings.Cut(page, "\n.Sh ")
	for line := range strings.Lines(page) {
		switch words := strings.Fields(line); {
		case words[0] == ".Cm":
			command = strings.Join(words[1:], " ")
		case len(words) == 3 && words[0] == ".Ar" && words[2] == ":":
			command = words[1]
		case strings.HasPrefix(line, ".Nm"):
			command = ""
			continue
		}
		if commands[command] == nil {
			commands[command] = set{}
		}
		maps.Copy(commands[command], flagsOfPage(line))
		maps.Copy(commands[command], groupsOf(pageGroup, line))
	}
	return commands
}

// TestManPagesAreClean lets the two formatters read every page. What mandoc says
// of Spanish titles is no fault: it knows the English ones.
func TestManPagesAreClean(t *testing.T) {
	titles := regexp.MustCompile(`first section is not "NAME"|description line outside NAME section`)
	for _, program := range programs {
		for _, suffix := range slices.Sorted(maps.Values(pages)) {
			page := fmt.Sprintf("../docs/man/%s%s.1", program, suffix)
			c := exec.Command(need(t, "man"), "--warnings", "-E", "UTF-8", "-l", page)
			c.Env = append(os.Environ(), "MANPAGER=cat", "LC_ALL=C.UTF-8")
			var stderr strings.Builder
			c.Stderr = &stderr
			if err := c.Run(); err != nil || stderr.Len() > 0 {
				t.Errorf("man %s: %v\n%s", page, err, stderr.String())
			}
			mandoc, err := exec.LookPath("mandoc")
			if err != nil {
				t.Log(err)
				continue
			}
			out, _ := exec.Command(mandoc, "-T", "lint", "-W", "warning", page).CombinedOutput()
			for line := range strings.Lines(string(out)) {
				if suffix == "" || !titles.MatchString(line) {
					t.Errorf("mandoc: %s", line)
				}
			}
		}
	}
}
