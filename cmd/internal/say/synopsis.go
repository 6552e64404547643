package say

import (
	"slices"
	"strings"
)

// Synopsis is the part of a usage text that shows how the command at the beginning of
// args is written, under its heading; empty if args begin with no command.
//
// In the text the lines of the commands stand together, below a heading. Each begins
// with spaces and the program's name, and may go on in lines of more spaces. A line
// "WORD: …" among them explains the [WORD] of others.
func Synopsis(usage, program string, args []string) string {
	lines := strings.Split(usage, "\n")
	first := slices.IndexFunc(lines, func(l string) bool { return begins(l, []string{program}) })
	if first < 1 {
		return ""
	}
	heading, lines := lines[first-1], lines[first:]
	if end := slices.Index(lines, ""); end >= 0 {
		lines = lines[:end]
	}
	for words := min(2, len(args)); words > 0; words-- {
		if found := commandLines(lines, program, args[:words]); found != "" {
			return heading + "\n" + found
		}
	}
	return ""
}

func commandLines(lines []string, program string, command []string) (found string) {
	within := false
	for _, l := range lines {
		word, _, explains := strings.Cut(l, ": ")
		switch {
		case begins(l, []string{program}):
			within = begins(l, append([]string{program}, command...))
		case explains && !strings.HasPrefix(l, " "):
			within = strings.Contains(found, "["+word+"]")
		}
		if within {
			found += l + "\n"
		}
	}
	return found
}

// begins tells whether a line is indented and begins with these words.
func begins(line string, words []string) bool {
	fields := strings.Fields(line)
	return strings.HasPrefix(line, " ") && len(fields) >= len(words) && slices.Equal(fields[:len(words)], words)
}
