// Command release makes what the public downloads: an archive per platform, the
// Debian packages, and SHA256SUMS over all of them. The same source, Go version
// and SOURCE_DATE_EPOCH give the same bytes, in any folder.
//
//	go run ./packaging/release -version 0.6.0 -to var/release all
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const usage = `Release makes the archives and packages of Resguardo. Run it in the module's root.

Usage:
    release [-version VERSION] -to DIR archives|deb|all
    release [-version VERSION] sbom PROGRAM

archives writes one archive per platform, deb the Debian packages, all both; each
writes SHA256SUMS over what it made. DIR must not exist, or be empty. sbom prints
the bill of materials of a program that was built: CycloneDX 1.5, JSON.
SOURCE_DATE_EPOCH is the time that every file gets (default 2000-01-01).

Exit codes: 0 done, 1 failed, 2 usage.`

// release is what one run makes.
type release struct {
	root    string // the module's root
	version string // "devel", or numbers with dots
	to      string // the folder for what is made
	when    time.Time
}

// errUsage asks for the usage text.
var errUsage = errors.New("not a command line of ours")

func main() {
	err := run(os.Args[1:], os.Stdout)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		fmt.Println(usage)
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "release: error:", err)
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "release: error:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	r := release{root: "."}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&r.version, "version", "devel", "")
	flags.StringVar(&r.to, "to", "", "")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	when, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	r.when = when
	verb, rest := flags.Arg(0), max(flags.NArg()-1, 0)
	switch {
	case verb == "sbom" && rest == 1:
		return writeSBOM(out, flags.Arg(1), r.version)
	case (verb == "archives" || verb == "deb" || verb == "all") && rest == 0 && r.to != "":
		return r.publish(verb, out)
	}
	return errUsage
}

// sourceDate reads SOURCE_DATE_EPOCH (reproducible-builds.org): seconds since
// 1970. Zip knows no year before 1980.
func sourceDate(env string) (time.Time, error) {
	if env == "" {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), nil
	}
	seconds, err := strconv.ParseInt(env, 10, 64)
	when := time.Unix(seconds, 0).UTC()
	if err != nil || when.Year() < 1980 || when.Year() > 2099 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a time from 1980 to 2099", env)
	}
	return when, nil
}

// publish makes what the verb names and says how to sign it.
func (r release) publish(verb string, out io.Writer) error {
	if err := os.MkdirAll(r.to, 0o755); err != nil {
		return err
	}
	if old, err := os.ReadDir(r.to); err != nil || len(old) > 0 {
		return errors.Join(err, fmt.Errorf("%s is not empty", r.to))
	}
	if verb != "deb" {
		for _, p := range platforms {
			if err := r.archive(p); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
	}
	if verb != "archives" {
		if err := r.packages(); err != nil {
			return err
		}
	}
	if err := r.sums(); err != nil {
		return err
	}
	sums := filepath.Join(r.to, "SHA256SUMS")
	_, err := fmt.Fprintf(out, "made %s; sign it where the key is:\n    minisign -S -m %s -t 'resguardo %s'\n", r.to, sums, r.version)
	return err
}
