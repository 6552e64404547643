package vault_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"resguardo/vault"
)

// TestAcknowledgedAfterSync watches the system calls of a process that commits
// reports one by one. Before each acknowledgement the slots are written and
// synced, then the blob file, then vault.db; nothing is acknowledged while a
// write of one of them is not synced.
func TestAcknowledgedAfterSync(t *testing.T) {
	dir := newDir(t)
	v := open(t, dir, vault.Options{})
	mustSend(t, v, 64<<10, submission("north")) // the blob file is there now
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	wrapper := strace(t, "-y", "-e", "trace=pwrite64,fdatasync,fsync,write")
	wrapper[4] = trace // in place of /dev/null
	code, out, stderr := exitCode(t, childCommand(t, wrapper, "commit", dir, "1", "30", "0"))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	calls := parseTrace(t, string(text))
	acked := 0
	for i, c := range calls {
		if c != "ack" {
			continue
		}
		acked++
		begin := i
		for begin > 0 && calls[begin-1] != "ack" {
			begin--
		}
		checkOrder(t, calls[begin:i])
	}
	if want := len(acks(t, out)); acked != want || acked != 30 {
		t.Errorf("%d acknowledgements in the trace, %d printed", acked, want)
	}
}

// checkOrder looks at the calls of one commit.
func checkOrder(t *testing.T, calls []string) {
	t.Helper()
	dirty := make(map[string]bool)
	done := make(map[string]bool)
	before := map[string][]string{"blob": {"slots"}, "meta": {"slots", "blob"}}
	for _, c := range calls {
		what, file, _ := strings.Cut(c, " ")
		if what == "sync" {
			dirty[file] = false
			done[file] = true
			continue
		}
		for _, other := range before[file] {
			if dirty[other] || !done[other] {
				t.Fatalf("%s is written before %s is synced: %q", file, other, calls)
			}
		}
		dirty[file] = true
	}
	for _, file := range []string{"slots", "blob", "meta"} {
		if dirty[file] || !done[file] {
			t.Fatalf("acknowledged while %s is not synced: %q", file, calls)
		}
	}
}

var (
	called  = regexp.MustCompile(`^(\d+) +(\w+)\((\d+)<([^>]*)>`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
)

// parseTrace returns the calls in the order in which they ended, as "write FILE",
// "sync FILE" and "ack".
func parseTrace(t *testing.T, text string) (calls []string) {
	t.Helper()
	files := map[string]string{"keys.slots": "slots", "00000001.db": "blob", "vault.db": "meta"}
	waiting := make(map[string]string)
	for line := range strings.Lines(text) {
		if m := resumed.FindStringSubmatch(line); m != nil {
			if c := waiting[m[1]]; c != "" {
				calls = append(calls, c)
			}
			continue
		}
		m := called.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		file := files[filepath.Base(m[4])]
		call := ""
		switch {
		case m[2] == "write" && m[3] == "1":
			call = "ack"
		case m[2] == "pwrite64" && file != "":
			call = "write " + file
		case m[2] != "pwrite64" && m[2] != "write" && file != "":
			call = "sync " + file
		}
		if strings.Contains(line, "<unfinished ...>") {
			waiting[m[1]] = call
		} else if call != "" {
			calls = append(calls, call)
		}
	}
	return calls
}
