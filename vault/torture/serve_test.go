package torture_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"resguardo/vault/torture/disk"
)

// TestServePowerCut cuts the power under a server that receives reports and ends an
// epoch every second, or kills the server first. Every report whose codename page a
// client has got as a whole is there after the next start, and opens; the log is the
// one that readers saw.
func TestServePowerCut(t *testing.T) {
	template := prepare(t, time.Second)
	var l *disk.Disk
	var got *clients
	c := tally{fault: "power cut or SIGKILL under `resguardod serve`, an epoch each second, sources and readers of the log over HTTP"}
	defer c.end(t)
	for round := range share(4) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		if round%3 == 0 {
			l, got = template.disk.Copy(chance(s)), newClients()
		}
		h := template.on(t, l)
		acked, seen := len(got.messages), len(got.seen)
		h.receive(r, got, round)
		var report disk.Report
		l, report = h.cut()
		c.add(report)
		c.acked += len(got.messages) - acked
		c.seen += len(got.seen) - seen
		t.Logf("round %d: %v; %d reports, %d checkpoints", round, report, len(got.messages)-acked, len(got.seen)-seen)
		h = template.on(t, l)
		h.prove(got)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		h.rest()
		l = h.disk
	}
	c.little(t, c.acked == 0 || c.seen == 0)
}

// receive lets clients work until the power goes off or the server is killed.
func (h *house) receive(r *rand.Rand, got *clients, round int) {
	h.t.Helper()
	early := r.IntN(3) == 0
	if early { // also while it starts
		plan(h.disk, r, 300)
	}
	s := h.serve()
	if !s.isReady() {
		return
	}
	if !early {
		plan(h.disk, r, 1500)
	}
	limit := 4 * time.Second
	if r.IntN(3) == 0 {
		limit = time.Duration(r.IntN(3000)) * time.Millisecond // killed, and then the power goes
	}
	stop := h.come(s, got, r, name(round))
	select {
	case <-h.disk.Dark():
	case <-time.After(limit):
	}
	s.kill()
	stop()
}

func name(round int) string { return fmt.Sprintf("round %d", round) }

// TestServeControl lets the disk under a server ignore all syncs: what clients were
// promised must get lost soon, or TestServePowerCut would prove nothing.
func TestServeControl(t *testing.T) {
	template := prepare(t, time.Second)
	begun := time.Now()
	for round := range 10 {
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		l, got := template.disk.Copy(chance(s)), newClients()
		h := template.on(t, l)
		server := h.serve()
		l.Lie()
		l.CutAt(100 + moment(r, 1000))
		h.visit(server, got, r, name(round), 10*time.Second)
		server.kill()
		after, report := h.cut()
		h = template.on(t, after)
		h.limit = 20 * time.Second
		if lost := h.lost(got); lost != "" {
			t.Logf("after %d rounds and %v: %v: %s", round+1, time.Since(begun).Round(time.Millisecond), report, lost)
			return
		}
	}
	t.Error("nothing was lost in 10 rounds without syncs")
}

// lost names something that is not as clients were promised.
func (h *house) lost(c *clients) string {
	h.t.Helper()
	if r := h.do("resguardod", "check", "-dir", h.state()); r.code != 0 {
		_, why, _ := strings.Cut(r.stderr, "error: ")
		return "check: " + strings.SplitN(why, "\n", 2)[0]
	}
	s := h.start(h.state())
	if !s.isReady() {
		return "the server does not start"
	}
	defer s.kill()
	if _, err := h.readLog(s, c.seen); err != nil {
		return err.Error()
	}
	there := h.fetch(s, "ana")
	for _, message := range c.messages {
		if there[message] == "" {
			return "a report"
		}
	}
	return ""
}

// TestServeErrors lets the disk fail under a server. Nobody is told "stored" unless it
// is. A server that does not know what the disk took says "could not store, send
// again" and ends with exit code 1; the next one finds all that was promised, at
// once and after a cut.
func TestServeErrors(t *testing.T) {
	template := prepare(t, time.Second)
	c := tally{fault: "error at the Nth write, sync, truncate, create, rename under `resguardod serve`, started again, then a cut"}
	defer c.end(t)
	ended, refused := 0, 0
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		h := template.on(t, template.disk.Copy(chance(s)))
		got := newClients()
		f := drawServeFault(r, round)
		late := r.IntN(4) > 0
		if !late {
			h.disk.Inject(f)
		}
		server := h.start(h.state())
		if server.isReady() {
			if late {
				h.disk.Inject(f)
			}
			h.visit(server, got, r, name(round), 2*time.Second)
		}
		select {
		case <-server.ended:
			ended++
			code, log := server.cmd.ProcessState.ExitCode(), server.log.String()
			if code != 1 || !strings.Contains(log, "error: ") || strings.Contains(log, "goroutine ") {
				t.Errorf("exit code %d:\n%s", code, log)
			}
		default:
			server.kill()
		}
		refused += got.refused
		h.disk.Repair()
		h.prove(got)
		after, report := h.cut()
		c.add(report)
		c.acked += len(got.messages)
		c.seen += len(got.seen)
		h = template.on(t, after)
		h.prove(got)
		if t.Failed() {
			t.Fatalf("round %d: %s", round, describe(f))
		}
		t.Logf("round %d: %s: %d reports, %d refused", round, describe(f), len(got.messages), got.refused)
		h.halt()
	}
	t.Logf("the server ended in %d rounds; %d times a source was told to send again", ended, refused)
	c.little(t, ended == 0)
}

// drawServeFault draws what fails. Every other one surely meets a server.
func drawServeFault(r *rand.Rand, round int) disk.Fault {
	if round%2 == 1 {
		return drawFault(r)
	}
	return disk.Fault{Op: []disk.Op{disk.Write, disk.Sync}[r.IntN(2)], Name: []string{"keys.slots", "vault.db", "0*.db"}[r.IntN(3)],
		Nth: 1 + r.IntN(6), Errno: []syscall.Errno{syscall.EIO, syscall.EROFS}[r.IntN(2)]}
}

// TestInitPowerCut cuts the power while an operator makes a vault. What init
// has confirmed is there; otherwise it can be made in another directory at least.
func TestInitPowerCut(t *testing.T) {
	template := prepare(t, time.Second)
	c := tally{fault: "power cut during `resguardod init`"}
	defer c.end(t)
	again := 0
	for round := range share(3) {
		c.rounds++
		s := roundSeed(t, round)
		r := rand.New(rand.NewPCG(s, 1))
		h := template.on(t, disk.New(chance(s)))
		plan(h.disk, r, 90)
		made := h.do("resguardod", "init", "-dir", h.state(), "-origin", "torture.example").code == 0
		after, report := h.cut()
		c.add(report)
		if made {
			c.acked++
		}
		h = template.on(t, after)
		first := h.do("resguardod", "check", "-dir", h.state())
		if first.code != 0 {
			if made {
				t.Fatalf("round %d: %v: init was confirmed, check says\n%s", round, report, first.stderr)
			}
			if r := h.do("resguardod", "init", "-dir", h.state(), "-origin", "torture.example"); r.code != 0 {
				if _, err := os.Stat(h.state()); err == nil {
					t.Fatalf("round %d: %v: half a vault is there: %s\n%s", round, report, first.stderr, r.stderr)
				}
				h.must("resguardod", "init", "-dir", h.state()+"2", "-origin", "torture.example")
			}
			again++
		}
		h.halt()
	}
	t.Logf("made again after %d of %d cuts", again, c.cuts)
}
