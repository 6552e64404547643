// Package tor runs the tor program as a child process: it asks for its version,
// lets it check a configuration, starts it and reads its log.
//
// It knows nothing of onion services or of tor's control protocol, so that the
// operator's server, the reviewers' program and the private network for tests
// can share it. A child lives no longer than its parent: tor is told the
// parent's process id (__OwningControllerProcess) and looks every 15 s whether
// it is still there.
package tor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

var (
	// ErrNotFound says that there is no tor program to run.
	ErrNotFound = errors.New("no tor program found")

	// ErrOld says that tor is older than 0.4.9.11, the first version whose
	// defences for onion services are all known to work here.
	ErrOld = errors.New("tor is older than 0.4.9.11")
)

// ConfigError is tor's refusal of a configuration.
type ConfigError struct {
	Reasons []string // tor's own warnings and errors, without their times; at least one
}

func (e *ConfigError) Error() string {
	return "tor refuses its configuration: " + strings.Join(e.Reasons, "; ")
}

// Program is a tor executable.
type Program struct {
	Path    string
	Version Version
}

// Look finds the program called name ("" = tor in PATH) and asks for its
// version. The error wraps ErrNotFound if there is none. If there is one but it
// is too old, the error wraps ErrOld and the Program is valid all the same.
func Look(ctx context.Context, name string) (Program, error) {
	if name == "" {
		name = "tor"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Program{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Program{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	v, err := ParseVersion(string(out))
	if err != nil {
		return Program{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	if v.Before(Version{0, 4, 9, 11}) {
		return Program{path, v}, fmt.Errorf("%w: %s is version %s", ErrOld, path, v)
	}
	return Program{path, v}, nil
}

// Configure writes text as dir/torrc once tor has accepted it, and makes dir
// (0700) if it is not there. The system's own torrc files are never read. Files
// and folders that text names, except tor's data and HiddenServiceDir, must
// exist. A refusal is a *ConfigError; dir/torrc is then what it was before.
func (p Program) Configure(ctx context.Context, dir, text string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// An empty file, because tor knows no way to say "no defaults".
	if err := os.WriteFile(defaults(dir), nil, 0o600); err != nil {
		return err
	}
	fresh := filepath.Join(dir, "torrc.new")
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		return err
	}
	defer os.Remove(fresh) // gone already if all went well
	cmd := exec.CommandContext(ctx, p.Path, "--defaults-torrc", defaults(dir), "-f", fresh, "--verify-config")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return &ConfigError{Reasons: complaints(out, exit)}
	}
	if err != nil {
		return fmt.Errorf("let tor check its configuration: %w", err)
	}
	return os.Rename(fresh, torrc(dir))
}

func torrc(dir string) string    { return filepath.Join(dir, "torrc") }
func defaults(dir string) string { return filepath.Join(dir, "torrc-defaults") }

// complaints picks tor's warnings and errors from the output of a check.
func complaints(out []byte, exit error) []string {
	var reasons []string
	for s := range bytes.Lines(out) {
		l := ParseLine(string(bytes.TrimSpace(s)))
		// The last line of every refusal says only "see warnings above".
		if l.Bad() && !strings.Contains(l.Text, "see warnings above") {
			reasons = append(reasons, l.Text)
		}
	}
	if reasons == nil {
		reasons = []string{exit.Error()}
	}
	return reasons
}

// Quote returns path as a value for a torrc: absolute, in double quotes. It
// refuses the characters that tor reads differently in different options, and
// those that stand for a pattern in %include.
func Quote(path string) (string, error) {
	if path == "" {
		return "", errors.New("empty path")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	odd := func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`"\#*?[%`, r) }
	if i := strings.IndexFunc(abs, odd); i >= 0 || !utf8.ValidString(abs) {
		return "", fmt.Errorf("path %q has a character that tor cannot take", abs)
	}
	return `"` + abs + `"`, nil
}

// QuoteSocket is Quote for the path of a unix socket, as tor's port options
// take it: unix:"PATH". A socket's path has at most 107 bytes.
func QuoteSocket(path string) (string, error) {
	quoted, err := Quote(path)
	if err != nil {
		return "", err
	}
	if n := len(quoted) - len(`""`); n > 107 {
		return "", fmt.Errorf("path %s has %d bytes; a unix socket's has at most 107", quoted, n)
	}
	return "unix:" + quoted, nil
}
