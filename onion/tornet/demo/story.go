package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"resguardo/onion/tornet"
	"resguardo/onion/tornet/source"
)

const (
	message = "Vi a tres personas encerradas en una bodega. Un agente de migración recibió dinero."
	answer  = "Lo leímos hoy. ¿En qué ciudad está la bodega?"
)

// story is what the steps hand on to each other.
type story struct {
	programs, dir string

	net    *tornet.Network
	tor    *tornet.Client // the source's
	server *exec.Cmd
	log    bytes.Buffer // the server's standard error

	sourceURL, reviewersURL string
	files                   map[string][]byte // what the source attaches, by name
	codename                string
}

func (s *story) steps() []step {
	return []step{
		{"The Tor network starts: 3 authorities, 5 relays", s.startNetwork},
		{"An operator makes a vault with one desk and one reviewer", s.makeVault},
		{"The vault publishes two onion services", s.publish},
		{"A source opens Tor", s.openTor},
		{"The source sends a text and two files over Tor and gets eight words", s.send},
		{"The disk holds nothing of it in clear", s.search},
		{"The reviewer fetches through the onion that only its key opens", s.fetch},
		{"The reviewer opens it on its own machine; files compared byte for byte", s.open},
		{"The reviewer acknowledges it and replies", s.reply},
		{"The source comes back with its words: the report is read, the reply checked", s.comeBack},
		{"The public log has the report; an auditor verifies all of it, without a secret", s.verify},
		{"A stranger with another key is refused by Tor itself", s.stranger},
		{"Somebody kills the vault's tor", s.killTor},
		{"The same address answers again, the vault was never restarted", s.again},
	}
}

// close ends what the steps started, in reverse order.
func (s *story) close() {
	if s.server != nil {
		s.server.Process.Signal(syscall.SIGTERM)
		s.server.Wait()
	}
	if s.net != nil {
		s.net.Close() // with its clients
	}
}

func (s *story) path(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

// run runs one of the programs to its end.
func (s *story) run(ctx context.Context, program string, args ...string) (string, error) {
	var stderr bytes.Buffer
	c := exec.CommandContext(ctx, filepath.Join(s.programs, program), args...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out), nil
}

func (s *story) startNetwork(ctx context.Context) (_ string, err error) {
	s.net, err = tornet.Start(ctx, s.path("net"))
	return "", err
}

func (s *story) makeVault(ctx context.Context) (string, error) {
	for _, command := range [][]string{
		{"resguardod", "init", "-dir", s.path("vault"), "-origin", "demo.example", "-demo", "-epoch", "5s"},
		{"resguardo", "keygen", "-dir", s.path("reviewer"), "-name", "ana", "-no-passphrase"},
		{"resguardo", "keygen", "-dir", s.path("stranger"), "-name", "nobody", "-no-passphrase"},
		{"resguardod", "desk", "add", "-dir", s.path("vault"), "-id", "sur", "-name-es", "Equipo sur", "-name-en", "South team", "-region", "S"},
		{"resguardod", "reviewer", "add", "-dir", s.path("vault"), "-desk", "sur", s.path("reviewer", "card.txt")},
	} {
		if _, err := s.run(ctx, command[0], command[1:]...); err != nil {
			return "", err
		}
	}
	return "", nil
}

// publish starts the server and waits for its addresses.
func (s *story) publish(context.Context) (string, error) {
	c := exec.Command(filepath.Join(s.programs, "resguardod"), "serve", "-dir", s.path("vault"), "-tor-include", s.net.Include(), "-json")
	c.Env = append(os.Environ(), "LC_ALL=C")
	c.Stderr = &s.log
	out, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := c.Start(); err != nil {
		return "", err
	}
	s.server = c
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e struct{ Event, Source, Reviewers string }
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return "", err
		}
		if e.Event == "onion" && e.Reviewers != "" {
			go io.Copy(io.Discard, out)
			s.sourceURL, s.reviewersURL = e.Source, e.Reviewers
			return strings.TrimPrefix(e.Source, "http://"), nil
		}
	}
	err = c.Wait()
	s.server = nil
	return "", fmt.Errorf("the server ended: %w\n%s", err, s.log.Bytes())
}

func (s *story) openTor(ctx context.Context) (_ string, err error) {
	s.tor, err = s.net.Client(ctx)
	return "", err
}

func (s *story) send(ctx context.Context) (string, error) {
	photo, voice := make([]byte, 2<<20), make([]byte, 300<<10)
	rand.Read(photo)
	rand.Read(voice)
	s.files = map[string][]byte{"foto de la bodega.jpg": photo, "nota de voz.ogg": voice}
	r := source.Report{Message: message}
	for name, b := range s.files {
		r.Files = append(r.Files, source.File{Name: name, Body: bytes.NewReader(b)})
	}
	a, err := s.visitor("source").Send(ctx, r)
	if err != nil {
		return "", err
	}
	if a.Codename == "" {
		return "", fmt.Errorf("the report was refused with status %d:\n%s", a.Status, a.Page)
	}
	s.codename = a.Codename
	return "«" + a.Codename + "»", nil
}

// visitor sends through a circuit of its own.
func (s *story) visitor(circuit string) source.Source {
	return source.Source{Client: s.tor.HTTP(circuit), URL: s.sourceURL, Desk: "sur"}
}

// search looks for the text, the file names and a piece of the files in everything the vault wrote.
func (s *story) search(context.Context) (string, error) {
	canaries := [][]byte{[]byte("bodega"), []byte("nota de voz")}
	for _, b := range s.files {
		canaries = append(canaries, b[100:132])
	}
	searched := 0
	err := filepath.WalkDir(s.path("vault"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		searched++
		for _, canary := range canaries {
			if bytes.Contains(b, canary) {
				return fmt.Errorf("clear text in %s", path)
			}
		}
		return nil
	})
	return fmt.Sprintf("%d files searched", searched), err
}

func (s *story) fetch(ctx context.Context) (string, error) {
	_, err := s.asReviewer(ctx, "fetch")
	return "", err
}

// asReviewer runs a command that talks to the vault.
func (s *story) asReviewer(ctx context.Context, command string, args ...string) (string, error) {
	return s.run(ctx, "resguardo", append([]string{command, "-dir", s.path("reviewer"), "-server", s.reviewersURL, "-tor-include", s.net.Include()}, args...)...)
}

func (s *story) open(ctx context.Context) (string, error) {
	shown, err := s.run(ctx, "resguardo", "open", "-dir", s.path("reviewer"), "1")
	if err != nil {
		return "", err
	}
	if !strings.Contains(shown, message) {
		return "", fmt.Errorf("the text is not shown:\n%s", shown)
	}
	if _, err := s.run(ctx, "resguardo", "export", "-dir", s.path("reviewer"), "-to", s.path("export"), "1"); err != nil {
		return "", err
	}
	same := 0
	err = filepath.WalkDir(s.path("export"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, want := range s.files {
			if bytes.Equal(b, want) {
				same++
			}
		}
		return err
	})
	if err == nil && same != len(s.files) {
		err = fmt.Errorf("%d of %d files are the same", same, len(s.files))
	}
	return fmt.Sprintf("%d of %d are the same", same, len(s.files)), err
}

func (s *story) reply(ctx context.Context) (string, error) {
	if err := os.WriteFile(s.path("reply"), []byte(answer), 0o600); err != nil {
		return "", err
	}
	if _, err := s.asReviewer(ctx, "ack", "-accept-keys", "1"); err != nil {
		return "", err
	}
	_, err := s.asReviewer(ctx, "reply", "-message", s.path("reply"), "1")
	return "", err
}

// comeBack signs in through another circuit, as on another day.
func (s *story) comeBack(ctx context.Context) (string, error) {
	m, err := s.visitor("later").SignIn(ctx, s.codename)
	if err != nil {
		return "", err
	}
	if len(m.Sent) != 1 || !strings.Contains(m.Sent[0], "Leído el ") {
		return "", fmt.Errorf("the report is not shown as read: %q", m.Sent)
	}
	if len(m.Replies) != 1 || m.Replies[0].State != "comprobada" || m.Replies[0].Text != answer {
		return "", fmt.Errorf("the reply is not shown: %+v", m.Replies)
	}
	return "«" + answer + "»", m.Close(ctx)
}

// verify waits until the mailbox says that the report is in the log: an epoch has
// 5 s here, and 6 hours usually.
func (s *story) verify(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	m, err := s.visitor("log").SignIn(ctx, s.codename)
	for err == nil && !strings.Contains(m.Page, "Ya está en el registro público.") {
		select {
		case <-ctx.Done():
			err = fmt.Errorf("the report is not in the log: %w", ctx.Err())
		case <-time.After(500 * time.Millisecond):
			err = m.Show(ctx)
		}
	}
	if err != nil {
		return "", err
	}
	out, err := s.run(ctx, "resguardo-audit", "verify", "-url", s.sourceURL+"/log/", "-socks", s.tor.Addr(), "-policy", s.path("vault", "policy"))
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "size: ") {
			return strings.TrimSpace(line), err
		}
	}
	return "", err
}

func (s *story) stranger(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := s.run(ctx, "resguardo", "fetch", "-dir", s.path("stranger"), "-server", s.reviewersURL, "-tor-include", s.net.Include())
	if err == nil {
		return "", errors.New("the stranger got in")
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "", nil
}

// killTor kills the tor child of the server, and nothing else.
func (s *story) killTor(context.Context) (string, error) {
	var pids []string
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.server.Process.Pid))
	if err != nil {
		return "", err
	}
	for _, path := range tasks { // the thread that started tor need not be the first
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		pids = append(pids, strings.Fields(string(b))...)
	}
	for _, p := range pids {
		name, err := os.ReadFile("/proc/" + p + "/comm")
		if err != nil || strings.TrimSpace(string(name)) != "tor" {
			continue
		}
		pid, err := strconv.Atoi(p)
		if err != nil {
			return "", err
		}
		return "pid " + p, syscall.Kill(pid, syscall.SIGKILL)
	}
	return "", errors.New("the server has no tor child")
}

// again asks until the address answers: nothing tells a visitor when it does.
func (s *story) again(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for try := 0; ; try++ {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		req, err := http.NewRequestWithContext(attempt, "GET", s.sourceURL+"/es/", nil)
		if err != nil {
			cancel()
			return "", err
		}
		resp, err := s.tor.HTTP(fmt.Sprint("again ", try)).Do(req)
		if err == nil {
			resp.Body.Close()
			cancel()
			return "", nil
		}
		cancel()
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
