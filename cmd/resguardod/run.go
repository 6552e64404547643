package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/vault"
	"resguardo/vault/translog"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitLog     = 3 // the public log is inconsistent
)

// errTold ends a command that has already printed what is wrong.
var errTold = errors.New("already told")

// usageError is a command line that cannot be carried out.
type usageError struct{ err *say.Error }

func (u usageError) Error() string { return u.err.Error() }

func misuse(what, hint say.Text) error { return usageError{say.Fail(what, hint)} }

// run carries out one command line and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	p := say.New("resguardod", say.Language(os.Getenv), catalogue(), stdout, stderr)
	err := dispatch(p, args)
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		if s := say.Synopsis(p.Text(say.T(usage)), "resguardod", args); s != "" {
			fmt.Fprint(stdout, s)
			p.Hint(say.T("resguardod -h shows the commands"))
			return exitOK
		}
		p.Say(say.T(usage))
		return exitOK
	case errors.Is(err, errTold) && errors.Is(err, errLog):
		return exitLog
	case errors.Is(err, errTold):
		return exitFailure
	case errors.As(err, &u):
		p.Fail(u.err)
		return exitUsage
	}
	p.Fail(err)
	if ofLog(err) {
		return exitLog
	}
	return exitFailure
}

// ofLog tells whether an error is about an inconsistent log.
func ofLog(err error) bool {
	wrong := (*translog.Violation)(nil)
	return errors.Is(err, errLog) || errors.Is(err, vault.ErrOldCopy) || errors.Is(err, vault.ErrNoHighWater) || errors.As(err, &wrong)
}

func dispatch(p *say.Printer, args []string) error {
	commands := map[string]func(*say.Printer, []string) error{
		"init":            cmdInit,
		"desk add":        cmdDeskAdd,
		"desk list":       cmdDeskList,
		"reviewer add":    cmdReviewerAdd,
		"reviewer list":   cmdReviewerList,
		"reviewer revoke": cmdReviewerRevoke,
		"auditor add":     cmdAuditorAdd,
		"auditor list":    cmdAuditorList,
		"auditor revoke":  cmdAuditorRevoke,
		"serve":           cmdServe,
		"check":           cmdCheck,
		"sign":            cmdSign,
		"log export":      cmdLogExport,
		"backup":          cmdBackup,
		"poster":          cmdPoster,
		"restore":         cmdRestore,
		"recover":         cmdRecover,
		"rehash":          cmdRehash,
		"probe":           cmdProbe, // hidden: serve and check run it as a child
	}
	if len(args) == 0 {
		return misuse(say.T("no command given"), say.T("resguardod -h shows the commands"))
	}
	switch args[0] {
	case "-version", "--version":
		p.Say(say.T("resguardod %s (%s)", version, runtime.Version()))
		return nil
	case "-h", "-help", "--help", "help":
		return flag.ErrHelp
	}
	for words := min(2, len(args)); words > 0; words-- {
		if command, ok := commands[strings.Join(args[:words], " ")]; ok {
			return command(p, args[words:])
		}
	}
	switch args[0] {
	case "desk":
		return misuse(say.T("desk needs one of: add, list"), say.T("resguardod -h shows the commands"))
	case "reviewer":
		return misuse(say.T("reviewer needs one of: add, list, revoke"), say.T("resguardod -h shows the commands"))
	case "auditor":
		return misuse(say.T("auditor needs one of: add, list, revoke"), say.T("resguardod -h shows the commands"))
	case "log":
		return misuse(say.T("log needs one word: export"), say.T("resguardod -h shows the commands"))
	}
	return misuse(say.T("unknown command %s", args[0]), say.T("resguardod -h shows the commands"))
}

// command is one command line being read.
type command struct {
	*flag.FlagSet
	dir string
}

// newCommand begins a command. Every command has -dir.
func newCommand(name string) *command {
	c := &command{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	c.SetOutput(io.Discard)
	c.StringVar(&c.dir, "dir", "", "")
	return c
}

// read parses flags, then exactly the named arguments; the last of them may be
// repeated if its name ends in "…". -dir is needed.
func (c *command) read(args []string, names ...string) error {
	form, err := c.parse(args, "-dir DIR …", names)
	if err == nil && c.dir == "" {
		err = misuse(say.T("-dir is missing"), say.T("name the directory of the vault: %s", form))
	}
	return err
}

// parse is read for a command that needs the flags in the text given.
func (c *command) parse(args []string, flags string, names []string) (form string, err error) {
	if err := c.Parse(args); err != nil {
		return "", flagError(err)
	}
	form = strings.Join(append([]string{"resguardod", c.Name(), flags}, names...), " ")
	for _, arg := range c.Args() {
		if len(arg) > 1 && arg[0] == '-' {
			return form, misuse(say.T("the flag %s stands after an argument", arg), say.T("flags come first: %s", form))
		}
	}
	many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "…")
	switch {
	case c.NArg() > len(names) && !many:
		return form, misuse(say.T("one argument too many: %s", c.Arg(len(names))), say.T("write: %s", form))
	case c.NArg() < len(names):
		return form, misuse(say.T("%s is missing", strings.TrimSuffix(names[c.NArg()], "…")), say.T("write: %s", form))
	}
	return form, nil
}

// flagError puts an error of package flag into our words.
func flagError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return misuse(say.FlagError(err), say.T("resguardod -h shows the flags"))
}

// list is a flag that takes values separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set replaces the list.
func (l *list) Set(s string) error {
	*l = nil
	if s != "" {
		*l = strings.Split(s, ",")
	}
	return nil
}

// yesNo is a flag that is yes or no.
type yesNo bool

func (b *yesNo) String() string { return map[yesNo]string{true: "yes", false: "no"}[*b] }

// Set reads yes or no, in English or Spanish.
func (b *yesNo) Set(s string) error {
	switch s {
	case "yes", "si", "sí":
		*b = true
	case "no":
		*b = false
	default:
		return fmt.Errorf("neither yes nor no")
	}
	return nil
}
