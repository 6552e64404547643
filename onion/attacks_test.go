package onion

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAttackTorSettings: both ways of running tor have every setting that bounds what a visitor
// can do, and none that shows where the vault is.
func TestAttackTorSettings(t *testing.T) {
	dir := t.TempDir()
	c := Config{Dir: filepath.Join(dir, "o"), SourceSocket: filepath.Join(dir, "s"), ReviewersSocket: filepath.Join(dir, "r"), Clients: []Client{newKey(t, "a").Client}}
	system, err := Torrc(c)
	if err != nil {
		t.Fatal(err)
	}
	managed, err := c.managed(true)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"system": system, "managed": managed} {
		var lines []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		for _, want := range []string{
			"SocksPort 0", "SafeLogging 1", "HeartbeatPeriod 0", "HiddenServiceSingleHopMode 0", "HiddenServiceNonAnonymousMode 0",
			"HiddenServicePoWDefensesEnabled 1", "HiddenServiceEnableIntroDoSDefense 1", "HiddenServiceMaxStreams 32", "HiddenServiceMaxStreamsCloseCircuit 1",
			"HiddenServicePort 80 unix:\"" + c.SourceSocket + "\"", "HiddenServicePort 80 unix:\"" + c.ReviewersSocket + "\"",
		} {
			if n := len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l != want })); n != 1 {
				t.Errorf("%s: %q stands there %d times\n%s", name, want, n, text)
			}
		}
		for _, line := range lines {
			option, value, _ := strings.Cut(line, " ")
			switch {
			case strings.HasPrefix(option, "MetricsPort"), strings.HasPrefix(option, "ORPort"), strings.HasPrefix(option, "DirPort"), strings.HasPrefix(option, "HTTPTunnelPort"),
				strings.HasPrefix(option, "HashedControlPassword"), option == "Log" && strings.Contains(value, "file"):
				t.Errorf("%s: %s", name, line)
			case option == "ControlPort" && !strings.HasPrefix(value, "unix:"):
				t.Errorf("%s: the control port is no socket: %s", name, line)
			case option == "HiddenServicePort" && !strings.HasPrefix(value, "80 unix:"):
				t.Errorf("%s: a service leads to a port: %s", name, line)
			}
		}
	}
}
