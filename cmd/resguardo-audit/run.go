package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"resguardo/cmd/internal/say"
)

// Exit codes.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitInconsistent = 3
)

// program is one run: the time, where it reads and writes, and in which language.
type program struct {
	*say.Printer
	now func() time.Time
	in  io.Reader
}

// usageError is a command line that cannot be carried out.
type usageError struct{ err *say.Error }

func (u usageError) Error() string { return u.err.Error() }

func misuse(what, hint say.Text) error { return usageError{say.Fail(what, hint)} }

// run carries out one command line and returns the exit code.
func run(args []string, now func() time.Time, in io.Reader, stdout, stderr io.Writer) int {
	p := &program{say.New("resguardo-audit", say.Language(os.Getenv), catalogue(), stdout, stderr), now, in}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := p.dispatch(ctx, args)
	var u usageError
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		if s := say.Synopsis(p.Text(say.T(usage)), "resguardo-audit", args); s != "" {
			fmt.Fprint(stdout, s)
			p.Hint(say.T("resguardo-audit -h shows the commands"))
			return exitOK
		}
		p.Say(say.T(usage))
		return exitOK
	case errors.As(err, &u):
		p.Fail(u.err)
		return exitUsage
	case ctx.Err() != nil:
		p.Fail(say.Fail(say.T("interrupted"), say.Text{}))
		return exitFailure
	}
	p.Fail(err)
	return exitFailure
}

func (p *program) dispatch(ctx context.Context, args []string) (int, error) {
	help := say.T("resguardo-audit -h shows the commands")
	if len(args) == 0 {
		return 0, misuse(say.T("no command given"), help)
	}
	switch args[0] {
	case "-version", "--version":
		p.Say(say.T("resguardo-audit %s (%s)", version, runtime.Version()))
		return exitOK, nil
	case "-h", "-help", "--help", "help":
		return 0, flag.ErrHelp
	case "verify":
		return p.verify(ctx, args[1:])
	case "follow":
		return p.follow(ctx, args[1:])
	case "receipt":
		return p.receipt(ctx, args[1:])
	case "account":
		return p.account(ctx, args[1:])
	}
	return 0, misuse(say.T("unknown command %s", args[0]), help)
}

// options are what all commands take.
type options struct {
	*flag.FlagSet
	url, policy, socks, state string
	maxLeaves                 int64
	json                      bool
}

func newOptions(name string) *options {
	o := &options{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	o.SetOutput(io.Discard)
	o.StringVar(&o.url, "url", "", "")
	o.StringVar(&o.policy, "policy", "", "")
	o.StringVar(&o.socks, "socks", "", "")
	o.StringVar(&o.state, "state", "", "")
	o.Int64Var(&o.maxLeaves, "max-leaves", defaultLeaves, "")
	o.BoolVar(&o.json, "json", false, "")
	return o
}

// read parses the flags. There are no arguments.
func (o *options) read(args []string) error {
	if err := o.Parse(args); err != nil {
		return flagError(err)
	}
	form := "resguardo-audit " + o.Name() + " -url URL -policy FILE …"
	switch {
	case o.NArg() > 0:
		return misuse(say.T("one argument too many: %s", o.Arg(0)), say.T("write: %s", form))
	case o.url == "":
		return misuse(say.T("-url is missing"), say.T("name the folder that holds the file checkpoint: -url http://….onion/log/"))
	case o.policy == "":
		return misuse(say.T("-policy is missing"), say.T("ask the operator, and somebody else, for the policy file: it names the log's key; the log's own word is worth nothing"))
	case o.maxLeaves < 1:
		return misuse(say.T("%s is not a value for -%s", o.maxLeaves, "max-leaves"), say.T("write: %s", form))
	}
	return nil
}

// flagError puts an error of package flag into our words.
func flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return misuse(say.FlagError(err), say.T("resguardo-audit -h shows the flags"))
}
