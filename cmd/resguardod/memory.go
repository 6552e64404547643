package main

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
)

// What the server needs in memory at most, in bytes, beside the 64 MiB (a vault's
// parameter) of each key derivation. TestMemoryCeiling holds it to the sum.
const (
	baseMemory   = 80 << 20 // program, pages, texts that wait, connections, what reviewers send, one transaction
	uploadMemory = 9 << 20  // of a source's upload: two segments of 4 MiB, sealing, read-ahead
	derivations  = 2        // at once, where there is room for them
	fewUploads   = 8        // at once, which are worth more than the second derivation
)

// memory is how the server divides what it may use.
type memory struct {
	limit       int64 // bytes that Go's heap and stacks shall keep to
	uploads     int   // of files, at once
	derivations int   // at once
}

// divide makes the most of the memory available: bytes of the machine or of the
// control group. An eighth is left to the kernel, for connections and files. Where
// the rest is short, most uploads go first, then the second derivation, then uploads
// again. One derivation and one upload there must be.
func divide(available int64, uploads int, derivation int64) memory {
	m := memory{uploads: uploads, derivations: derivations}
	room := available - available/8
	need := func() int64 {
		return baseMemory + int64(m.uploads)*uploadMemory + int64(m.derivations)*derivation
	}
	cut := func(least int) {
		if over := need() - room; over > 0 {
			m.uploads = max(min(uploads, least), m.uploads-int((over+uploadMemory-1)/uploadMemory))
		}
	}
	cut(fewUploads)
	if need() > room {
		m.derivations = 1
	}
	cut(1)
	m.limit = need()
	return m
}

// keep makes Go collect garbage early enough, unless GOMEMLIMIT says otherwise.
func (m memory) keep() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(m.limit)
	}
}

// bindMemory divides the memory of this machine, and warns where it is small.
func (s *server) bindMemory(uploads int) {
	available := availableMemory()
	s.memory = divide(available, uploads, int64(s.vault.Genesis().Memory)<<10)
	s.memory.keep()
	if s.memory.limit > available || s.memory.uploads < uploads {
		s.print.Warn(say.T("there are only %s MiB of memory: files come in at most %s at once", available>>20, s.memory.uploads),
			say.T("give the server %s MiB, or write uploads = %s in resguardo.toml",
				(divide(math.MaxInt64, uploads, int64(s.vault.Genesis().Memory)<<10).limit>>20)*8/7, s.memory.uploads))
	}
}

// clearFreed starts the program anew, in the same process, so that Go overwrites
// every object that it frees (texts, keys and pages of requests that are done), and
// leaves stacks where wipeStack clears them. Go reads these settings of package
// runtime only when it starts. They were made to find bugs; TestMemoryImage shows
// what they do.
func clearFreed() error {
	set := os.Getenv("GODEBUG")
	if strings.Contains(set, "clobberfree=") {
		return nil
	}
	exe, err := os.Executable()
	if err == nil {
		err = os.Setenv("GODEBUG", strings.TrimPrefix(set+",clobberfree=1,gcshrinkstackoff=1", ","))
	}
	if err == nil {
		err = syscall.Exec(exe, os.Args, os.Environ())
	}
	return say.Fail(say.T("cannot start %s again: %s", exe, say.Bare(err)), say.T("the account that serves must be able to run the program"))
}

// availableMemory is the machine's memory in bytes, or the least limit of the
// control groups that this process is in.
func availableMemory() int64 {
	var info unix.Sysinfo_t
	least := int64(math.MaxInt64)
	if unix.Sysinfo(&info) == nil {
		least = int64(info.Totalram) * int64(info.Unit)
	}
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return least
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// ID:CONTROLLERS:PATH, the latter without a controller in version 2 (cgroups(7)).
		part := strings.SplitN(lines.Text(), ":", 3)
		switch {
		case len(part) != 3:
		case part[0] == "0":
			least = min(least, leastOf("/sys/fs/cgroup", part[2], "memory.max"))
		case part[1] == "memory":
			least = min(least, leastOf("/sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes"))
		}
	}
	return least
}

// leastOf is the least limit that stands in the files of this name, from the group
// at path up to root.
func leastOf(root, path, name string) int64 {
	least := int64(math.MaxInt64)
	for dir := filepath.Join("/", path); ; dir = filepath.Dir(dir) {
		b, _ := os.ReadFile(filepath.Join(root, dir, name)) // no such group, no limit
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
			least = min(least, n)
		}
		if dir == "/" {
			return least
		}
	}
}
