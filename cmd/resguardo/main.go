// Command resguardo is the reviewer's program. It makes a reviewer's keys,
// fetches sealed reports, and opens them on the reviewer's own machine: no key
// and no clear text ever goes to the vault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "devel"

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
	exitLog   = 3 // the public log is not what it was, or breaks its rules
)

const usage = `Usage:
  resguardo keygen -dir DIR -name NICKNAME [-role auditor] [-passphrase-file FILE | -no-passphrase] [-json]
  resguardo fetch  -dir DIR [VAULT] [-every 1h] [-json]
  resguardo list   -dir DIR [-passphrase-file FILE] [-json]
  resguardo open   -dir DIR [-passphrase-file FILE] CASE
  resguardo export -dir DIR [-passphrase-file FILE] -to DIR CASE
  resguardo forget -dir DIR [-yes] [-undo] CASE
  resguardo ack    -dir DIR [VAULT] [-accept-keys] CASE
  resguardo reply  -dir DIR [VAULT] [-accept-keys] [-message FILE|-] [-file FILE]... CASE
  resguardo note   -dir DIR [VAULT] [-accept-keys] [-message FILE|-] [-file FILE]... CASE
  resguardo status -dir DIR [VAULT] [-accept-keys] CASE WORD
  resguardo assign -dir DIR [VAULT] [-accept-keys] CASE NICKNAME
  resguardo hold   -dir DIR [VAULT] [-accept-keys] [-lift] CASE
  resguardo close  -dir DIR [VAULT] [-accept-keys] CASE
  resguardo rewrap -dir DIR [VAULT] [-accept-keys] [-source-agrees] -desk ID CASE
  resguardo recuse -dir DIR [VAULT] [-accept-keys] [-desk ID] [-yes] CASE
  resguardo delete -dir DIR [VAULT] [-yes] CASE
  resguardo reading -dir DIR [VAULT]
  resguardo -version
VAULT: [-server URL] [-socks IP:PORT|auto | -tor-include FILE] [-policy FILE] [-passphrase-file FILE]

keygen makes your keys in DIR; give DIR/card.txt to the operator. fetch brings
what is new through Tor into DIR, and compares it with the public log: it starts
a tor of its own, with the torrc lines of -tor-include, or goes through the one
at -socks (auto: port 9050, then 9150). Only a loopback IP is dialled directly.
-policy names the witnesses that must have signed the log; fetch remembers it.
list numbers the cases; CASE is such a number or a case id. open shows a case.
export writes its clear text and files into a new folder. forget removes the
copy in DIR.

ack tells the source that the case is read, reply answers it; without -message
your editor opens. note, status and assign are for your desk only. hold stops the
vault from deleting the case when its time is over; -lift lets it. close says that
the desk has done what it could. rewrap seals the case again for another desk, or
for a new colleague of your own; recuse takes your desk out of it. delete needs the
signatures of two reviewers. All of them need everything fetched first. Nothing is
sealed to a key that you have not accepted: compare fingerprints, then -accept-keys.
reading says that your desk reads what it gets. Send it every month: a desk that has
not said so for 35 days is not proposed to sources.

Nothing that a report contains is ever run or unpacked. Whoever opens an
exported file on a normal computer can infect it: see the reviewer's guide.

Exit status: 0 success, 1 failure or alarm, 2 usage, 3 the public log is wrong.

Example:
  resguardo keygen -dir ~/reviewer -name ana
  resguardo fetch -dir ~/reviewer -server http://….onion
  resguardo open -dir ~/reviewer 1
  resguardo ack -dir ~/reviewer 1
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// program is one run: where it reads and writes, and in which language.
type program struct {
	*say.Printer
	in  io.Reader
	now func() time.Time
}

func newProgram(in io.Reader, out, errs io.Writer) *program {
	return &program{say.New("resguardo", say.Language(os.Getenv), catalogue(), out, errs), in, time.Now}
}

// A command parses its arguments and works until ctx ends.
type command func(p *program, ctx context.Context, args []string) error

func commands() map[string]command {
	return map[string]command{
		"keygen": (*program).keygen,
		"fetch":  (*program).fetch,
		"list":   (*program).list,
		"open":   (*program).open,
		"export": (*program).export,
		"forget": (*program).forget,

		"ack":    (*program).ack,
		"reply":  (*program).reply,
		"note":   (*program).note,
		"status": (*program).status,
		"assign": (*program).assign,
		"hold":   (*program).hold,
		"close":  (*program).closeCase,
		"delete": (*program).delete,
		"recuse": (*program).recuse,
		"rewrap": (*program).rewrap,

		"reading": (*program).reading,
	}
}

// run is the whole program; it returns the exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	p := newProgram(in, out, errs)
	if len(args) == 1 && (args[0] == "-version" || args[0] == "--version") {
		fmt.Fprintf(out, "resguardo %s (%s)\n", version, runtime.Version())
		return exitOK
	}
	if len(args) == 1 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help" || args[0] == "help") {
		fmt.Fprint(out, p.Text(say.T(usage)))
		return exitOK
	}
	if len(args) == 0 {
		fmt.Fprint(errs, p.Text(say.T(usage)))
		return exitUsage
	}
	c, ok := commands()[args[0]]
	if !ok {
		p.Fail(say.Fail(say.T("there is no command %s", args[0]), say.T("run resguardo -help")))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := c(p, ctx, args[1:])
	var misuse *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, say.Synopsis(p.Text(say.T(usage)), "resguardo", args))
		p.Hint(say.T("run resguardo -help"))
		return exitOK
	case errors.As(err, &misuse):
		p.Fail(misuse.error)
		return exitUsage
	case errors.Is(err, errInconsistent):
		return exitLog
	case errors.Is(err, errAlarmed):
		return exitFail
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		p.Fail(say.Fail(say.T("interrupted"), say.Text{}))
		return exitFail
	}
	p.Fail(told(err))
	return exitFail
}

// told puts an error of the file system into words; every other error is in
// words already.
func told(err error) error {
	var at *fs.PathError
	if e := (*say.Error)(nil); !errors.As(err, &e) && errors.As(err, &at) {
		return &say.Error{Path: at.Path, What: say.T("%s", at.Err)}
	}
	return err
}

// errAlarmed ends a command whose failures have been printed already.
var errAlarmed = errors.New("alarm")

// usageError is a wrong command line.
type usageError struct{ error }

func misuse(what, hint say.Text) error { return &usageError{say.Fail(what, hint)} }

// flags is the command line of one command.
type flags struct {
	*flag.FlagSet
	dir            string
	passphraseFile string // empty: ask
}

func newFlags(name string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&f.dir, "dir", "", "")
	return f
}

func (f *flags) passphraseFlag() { f.StringVar(&f.passphraseFile, "passphrase-file", "", "") }

// parse reads the flags and checks that exactly n arguments follow.
func (f *flags) parse(args []string, n int) error {
	help := say.T("run resguardo -help")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return misuse(say.FlagError(err), help)
	}
	for _, a := range f.Args() {
		if strings.HasPrefix(a, "-") && a != "-" {
			return misuse(say.T("%s stands after an argument", a), say.T("write flags before arguments: resguardo %s %s …", f.Name(), a))
		}
	}
	switch {
	case f.dir == "":
		return misuse(say.T("-dir is missing"), say.T("-dir DIR names your folder, the one that keygen made"))
	case f.NArg() > n:
		return misuse(say.T("%s is one argument too many", f.Arg(n)), help)
	case f.NArg() < n:
		return misuse(say.T("which case?"), say.T("resguardo %s … CASE, where CASE is a number in resguardo list or a case id", f.Name()))
	}
	return nil
}

// given reports whether a flag stands on the command line.
func (f *flags) given(name string) bool {
	found := false
	f.Visit(func(v *flag.Flag) { found = found || v.Name == name })
	return found
}
