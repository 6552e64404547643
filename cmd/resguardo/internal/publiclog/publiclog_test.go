package publiclog

import (
	"strings"
	"testing"

	"filippo.io/torchwood"
)

const key = "example.org-0a1b2c3d+4526e570+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"

func TestPolicyKey(t *testing.T) {
	good := "log " + key + "\nquorum none\n"
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"good":            {good, true},
		"comments":        {"# mine\n\n" + good, true},
		"other line ends": {strings.ReplaceAll(good, "\n", "\r\n"), true},
		"empty":           {"", false},
		"no log":          {"quorum none\n", false},
		"two logs":        {good + "log " + key + "\n", false},
		"no quorum":       {"log " + key + "\n", false},
		"an unseen space": {good + "\u00a0\n", false},
		"too long":        {good + "#" + strings.Repeat("x", MaxPolicy), false},
		"key of no log":   {"log x\nquorum none\n", false},
	} {
		got, err := PolicyKey([]byte(test.text))
		if (err == nil) != test.ok || test.ok && got != key {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// What PolicyKey takes, torchwood takes, and the key is that of a log line.
func FuzzPolicyKey(f *testing.F) {
	f.Add("log " + key + "\nquorum none\n")
	f.Add("\u2003\nlog")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := PolicyKey([]byte(text))
		if err != nil {
			return
		}
		if !strings.Contains(text, got) {
			t.Errorf("key %q", got)
		}
		if _, err := torchwood.ParsePolicy([]byte(strings.ReplaceAll(text, "\r\n", "\n"))); err != nil {
			t.Error(err)
		}
	})
}

// The figures are those of the age format: one chunk is 64 KiB and a tag.
func TestPlaintextSize(t *testing.T) {
	for payload, want := range map[int64]int64{
		0: -1, 16: -1, 31: -1, 32: 0, 33: 1, 16 + 65552: 65536, 16 + 65553: -1, 16 + 65568: -1, 16 + 65569: 65537, 16 + 2*65552: 131072,
	} {
		got, ok := PlaintextSize(payload)
		if ok != (want >= 0) || ok && int64(got) != want {
			t.Errorf("payload of %d: %d, %v; want %d", payload, got, ok, want)
		}
	}
}
