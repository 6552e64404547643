package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// platform is where programs run, and which of them.
type platform struct {
	os, arch string
	programs []string // sorted
}

func (p platform) String() string { return p.os + "-" + p.arch }

// exe is the name of a program's file.
func (p platform) exe(program string) string {
	if p.os == "windows" {
		return program + ".exe"
	}
	return program
}

// The server needs Linux: landlock, fallocate, unix accounts. Reviewers and
// auditors have the machine they have.
var (
	everything = []string{"resguardo", "resguardo-audit", "resguardod"}
	people     = []string{"resguardo", "resguardo-audit"}

	platforms = []platform{
		{"linux", "amd64", everything},
		{"linux", "arm64", everything},
		{"darwin", "amd64", people},
		{"darwin", "arm64", people},
		{"windows", "amd64", people},
	}
)

// build makes the platform's programs in dir, with the flags of `make build`.
// Nothing of the caller's environment may change the bytes.
func (r release) build(p platform, dir string) error {
	for _, program := range p.programs {
		c := exec.Command("go", "build", "-trimpath", "-tags=nomsgpack", "-buildvcs=false", "-mod=readonly",
			"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", filepath.Join(dir, p.exe(program)), "./cmd/"+program)
		c.Dir = r.root
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=",
			"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", program, err, out)
		}
	}
	return nil
}

// golang runs the go command in the module and returns what it prints.
func (r release) golang(args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Dir = r.root
	c.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := c.Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, e.Stderr)
	}
	return string(out), err
}
