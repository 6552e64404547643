package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/torchwood"
	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"resguardo/cmd/internal/say"
	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/crypto/card"
	"resguardo/onion/tornet"
	"resguardo/vault/translog"
)

// TestMain makes the test binary the program, so that stories and tests run the
// real thing as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(closing{m}, map[string]func(){
		"resguardod": main,
		"makecard":   makeCard,
		"renumber":   renumber,
		"readlog":    readLog,
		"confined":   confined,
		"limit":      limit,
		"crash":      func() { go panic("as bbolt does"); select {} },
	})
}

// network is the private Tor network of this test run.
var network tornet.Shared

// closing ends the network after the last test.
type closing struct{ *testing.M }

func (c closing) Run() int {
	defer network.Close()
	return c.M.Run()
}

// TestStories runs testdata/*.txt: what an operator types, and what happens.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			unix.Umask(0o077) // files in a story are as private as the program's own
			e.Setenv("LANG", "en_US.UTF-8")
			e.Setenv("GORACE", os.Getenv("GORACE"))
			e.Values["servers"] = servers{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdStoryServe,
			"end":   cmdStoryEnd,
			"get":   cmdStoryGet,
			"mode":  cmdStoryMode,
			"await": cmdStoryAwait,
		},
	})
}

// servers are the running servers of one story, by name.
type servers map[string]*served

type served struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// serve NAME ARGS… starts "resguardod serve -json ARGS…" and waits until it is
// ready. $PREVIEW and $REVIEW are then its addresses.
func cmdStoryServe(ts *testscript.TestScript, neg bool, args []string) {
	s := &served{cmd: exec.Command("resguardod", append([]string{"serve", "-json"}, args[1:]...)...)}
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"), "LANG="+ts.Getenv("LANG"), "PATH="+ts.Getenv("PATH"))
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() { s.cmd.Process.Kill() })
	var ready struct {
		Event         string `json:"event"`
		Preview       string `json:"preview"`
		PreviewReview string `json:"preview_review"`
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &ready) != nil || ready.Event != "ready" {
		s.cmd.Wait()
		ts.Fatalf("not ready: %q\n%s", line, &s.stderr)
	}
	ts.Setenv("PREVIEW", ready.Preview)
	ts.Setenv("REVIEW", ready.PreviewReview)
	ts.Value("servers").(servers)[args[0]] = s
}

// end NAME SIGNAL ends a server: TERM must end it with exit code 0. Its
// standard error goes to the file NAME.stderr.
func cmdStoryEnd(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value("servers").(servers)[args[0]]
	signal := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}[args[1]]
	ts.Check(s.cmd.Process.Signal(signal))
	err := s.cmd.Wait()
	if signal != syscall.SIGKILL {
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".stderr"), s.stderr.Bytes(), 0o600))
}

// get URL prints the status and the body of an answer.
func cmdStoryGet(ts *testscript.TestScript, neg bool, args []string) {
	resp, err := http.Get(args[0])
	if neg {
		if err == nil {
			ts.Fatalf("GET %s was answered", args[0])
		}
		return
	}
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, body)
}

// mode MODE FILE… checks permissions.
func cmdStoryMode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// makeCard writes a card, its identity and its onion client's private key: makecard [-role R] [-like CARD]
// [-client CARD] NAME. -like takes the recipient of another card, -client its
// client key.
func makeCard() {
	role := flag.String("role", string(card.Reviewer), "")
	like := flag.String("like", "", "")
	client := flag.String("client", "", "")
	flag.Parse()
	id := must(age.GenerateHybridIdentity())
	private := must(ecdh.X25519().GenerateKey(rand.Reader))
	c := card.Card{Role: card.Role(*role), Recipient: id.Recipient().String(), Client: card.EncodeClient(private.PublicKey().Bytes())}
	if *like != "" {
		c.Recipient = must(card.Parse(must(os.ReadFile(*like)))).Recipient
	}
	if *client != "" {
		c.Client = must(card.Parse(must(os.ReadFile(*client)))).Client
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, card.KeyName(c.Recipient))
	check(err)
	c.Verifier = vkey
	text := must(card.Sign(c, must(note.NewSigner(skey))))
	name := flag.Arg(0)
	check(os.WriteFile(name+".card", text, 0o600))
	check(os.WriteFile(name+".identity", []byte(id.String()+"\n"), 0o600))
	check(os.WriteFile(name+".client", []byte(card.EncodeClient(private.Bytes())), 0o600))
	fmt.Print(c.Fingerprint())
}

// await REGEXP COMMAND… repeats a command until its standard output matches: the
// public log takes its time.
func cmdStoryAwait(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		out := ts.ReadFile("stdout")
		if err == nil && want.MatchString(out) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no match for %s in:\n%s%s", args[0], out, ts.ReadFile("stderr"))
		}
	}
}

// readLog verifies an exported log as an auditor does and tells what it holds, one
// line for each note and one for each epoch: readlog FOLDER VKEY-FILE.
func readLog() {
	vkey := strings.TrimSpace(string(must(os.ReadFile(os.Args[2]))))
	own := must(note.NewVerifier(vkey))
	tree := must(ownCheckpoint(must(os.ReadFile(filepath.Join(os.Args[1], "checkpoint"))), own))
	m := translog.NewMonitor(vkey)
	events := map[int64]int{}
	check(translog.Replay(context.Background(), m, tree, must(torchwood.NewTileFS(os.DirFS(os.Args[1]))), func(_ int64, leaf []byte) {
		if l, err := translog.ParseLeaf(leaf); err == nil {
			events[l.Epoch]++
		}
	}))
	check(m.Settled())
	for _, n := range m.Notes() {
		body, _, _ := strings.Cut(string(n.Text()), "\n\n")
		_, body, _ = strings.Cut(body, "effective-epoch 0\n")
		fmt.Printf("note %s place+%d works+%d: %s\n", n.Kind, n.Place-m.Notes()[0].Place, n.From-n.Place, strings.Join(strings.Fields(body), " "))
	}
	for _, e := range slices.Sorted(maps.Keys(events)) {
		fmt.Printf("epoch +%d: %d events\n", e-m.Notes()[0].Place, events[e])
	}
}

// renumber changes the format number of a vault: renumber VAULT NUMBER.
func renumber() {
	db := must(bbolt.Open(filepath.Join(os.Args[1], "vault.db"), 0o600, nil))
	check(db.Update(func(tx *bbolt.Tx) error {
		done := false
		err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if b.Get([]byte("format")) == nil {
				return nil
			}
			done = true
			return b.Put([]byte("format"), []byte(os.Args[2]))
		})
		if !done {
			return fmt.Errorf("no format number found")
		}
		return err
	}))
	check(db.Close())
}

// confined confines itself as serve does and tells what it can still do: confined
// VAULT HOME TMP, with the flags of serve behind it. As "confined child HOME" it is
// the child of such a process.
func confined() {
	try := func(what string, err error) {
		word := "ok"
		if err != nil {
			word = say.Bare(err).Error()
		}
		fmt.Printf("%s: %s\n", what, word)
	}
	write := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "written"), []byte("x"), 0o600)
	}
	if os.Args[1] == "child" {
		try("child writes home", write(os.Args[2]))
		return
	}
	d := must(statedir.Open(os.Args[1]))
	o := must(readServeFlags(append([]string{"-dir", os.Args[1]}, os.Args[4:]...)))
	if !must(confine(d, o.needs(d, outward{}))) {
		fmt.Println("no landlock in this kernel")
	}
	try("write vault", errors.Join(write(d.Path()), os.Remove(d.Path("written"))))
	try("write home", write(os.Args[2]))
	try("write tmp", write(os.Args[3]))
	try("write /tmp", write("/tmp"))
	_, err := os.ReadFile(filepath.Join(d.KeysDir(), statedir.GovernanceKey))
	try("read keys", err)
	_, err = os.ReadFile("/etc/localtime")
	try("read /etc/localtime", err)
	child := exec.Command(must(os.Executable()), "child", os.Args[2])
	child.Args[0] = "confined"
	out, err := child.Output()
	try("run a child of our own", err)
	fmt.Print(string(out))
	_, err = net.Dial("tcp", "127.0.0.1:9")
	try("dial", err)
	// Landlock does not know Multipath TCP, with which net.Listen begins.
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	_, err = plain.Listen(context.Background(), "tcp", "127.0.0.1:0")
	try("listen", err)
	for _, path := range o.include.files {
		_, err := os.ReadFile(path)
		try("read "+filepath.Base(path), err)
	}
}

// limit makes every write of another process beyond the first 4 KiB of a file
// fail: limit PID. It must run as the account of that process.
func limit() {
	check(unix.Prlimit(must(strconv.Atoi(os.Args[1])), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: unix.RLIM_INFINITY}, nil))
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
}
