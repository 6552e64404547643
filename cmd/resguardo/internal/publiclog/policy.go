package publiclog

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/torchwood"
)

// MaxPolicy is the most bytes of a policy: a log pins it in a leaf.
const MaxPolicy = 65535

// PolicyKey returns the verifier key of the one log that a policy names.
func PolicyKey(text []byte) (string, error) {
	if len(text) > MaxPolicy {
		return "", fmt.Errorf("longer than %d bytes", MaxPolicy)
	}
	key := ""
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			if strings.Trim(line, " \t\r\n") != "" { // torchwood v0.9.0 panics there
				return "", errors.New("a line with a space that cannot be seen")
			}
			continue
		}
		if fields[0] != "log" || len(fields) < 2 {
			continue
		}
		if key != "" {
			return "", errors.New("more than one log line")
		}
		key = fields[1]
	}
	if key == "" {
		return "", errors.New("no log line")
	}
	if _, err := torchwood.ParsePolicy([]byte(strings.ReplaceAll(string(text), "\r\n", "\n"))); err != nil {
		return "", err
	}
	return key, nil
}
