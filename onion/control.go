package onion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cretz/bine/control"

	"resguardo/onion/tor"
)

var (
	// ErrSingleHop says that tor would run the services without their own
	// anonymity.
	ErrSingleHop = errors.New("tor is configured for single-hop onion services, which show where the vault is")

	// ErrPort says that tor listens on a TCP port.
	ErrPort = errors.New("tor has a TCP port open")
)

// run is one life of our tor.
type run struct {
	proc     *tor.Process
	ctl      *conn
	reloaded chan struct{} // one value when tor has taken up its torrc again
}

// launch starts tor and returns once it answers, is bound to this process and
// has shown that it runs as it should.
func (o *Onion) launch(ctx context.Context) (*run, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	o.conf.Lock()
	defer o.conf.Unlock()
	proc, err := o.prog.Start(o.c.Dir, o.line)
	if err != nil {
		return nil, err
	}
	r := &run{proc: proc, reloaded: make(chan struct{}, 1)}
	if r.ctl, err = dial(ctx, proc, o.c.control()); err == nil {
		err = o.admit(r)
	}
	if err != nil {
		if w := o.Health().Warning; proc.Err() != nil && w != "" {
			err = fmt.Errorf("%w: %s", err, w)
		}
		proc.Stop()
		return nil, err
	}
	o.run = r
	o.state.Lock()
	o.health.Running = true
	o.state.Unlock()
	return r, nil
}

// admit binds tor to us, refuses it if it is misconfigured, and listens to its
// events from then on. All this takes milliseconds; tor needs a second or more
// to publish a service.
func (o *Onion) admit(r *run) error {
	if _, err := r.ctl.do("TAKEOWNERSHIP"); err != nil {
		return fmt.Errorf("take ownership of tor: %w", err)
	}
	if err := r.ctl.refuse(); err != nil {
		return err
	}
	if err := o.addresses(); err != nil {
		return err
	}
	handle := func(e control.Event) {
		if r.proc.Err() == nil { // else it is late, and may be about the next tor's services
			o.event(r, e)
		}
	}
	if err := r.ctl.listen(handle); err != nil {
		return err
	}
	phase, err := r.ctl.info("status/bootstrap-phase")
	if err != nil {
		return err
	}
	if e, ok := control.ParseEvent(control.EventCodeStatusClient, phase, nil).(*control.StatusEvent); ok {
		o.event(r, e)
	}
	return nil
}

// reload lets tor read its torrc and authorised clients again and waits until
// it has. A tor that ends meanwhile is not an error: the next one reads both.
func (r *run) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case <-r.reloaded: // of somebody else's SIGHUP
	default:
	}
	if _, err := r.ctl.do("SIGNAL RELOAD"); err != nil {
		select {
		case <-r.proc.Done():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("let tor reload: %w", err)
		}
	}
	select {
	case <-r.reloaded:
		return nil
	case <-r.proc.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("let tor reload: %w", ctx.Err())
	}
}

// conn is a control connection. Bine's own deadlocks when two goroutines send
// a request at once, takes requests for format strings and takes the replies
// 251 and 252 for errors; hence everything goes through do.
type conn struct {
	mu sync.Mutex
	c  *control.Conn
}

// dial waits for proc's control socket and authenticates by SAFECOOKIE. Until
// tor has opened it, the socket and the cookie may be missing, be those of a tor
// that was killed, or of one that is about to notice that its owner was.
func dial(ctx context.Context, proc *tor.Process, socket string) (*conn, error) {
	for {
		c, err := authenticate(socket, proc.Pid())
		if err == nil {
			return c, nil
		}
		select {
		case <-proc.Done():
			return nil, proc.Err()
		case <-ctx.Done():
			return nil, fmt.Errorf("reach tor's control socket: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func authenticate(socket string, pid int) (*conn, error) {
	raw, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	c := &conn{c: control.NewConn(textproto.NewConn(raw))}
	if err = c.c.Authenticate(""); err == nil {
		err = c.belongs(pid)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) belongs(pid int) error {
	got, err := c.info("process/pid")
	if err == nil && got != strconv.Itoa(pid) {
		err = fmt.Errorf("process %s answers; want %d", got, pid)
	}
	return err
}

// do sends one command and returns the reply, whose lines are Data and Reply.
func (c *conn) do(command string) (*control.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply, err := c.c.SendRequest("%s", command)
	if reply != nil && reply.Err != nil && reply.Err.Code/100 == 2 {
		return reply, nil
	}
	return reply, err
}

// info returns the value of a GETINFO key that fits one line.
func (c *conn) info(key string) (string, error) {
	reply, err := c.do("GETINFO " + key)
	if err != nil {
		return "", fmt.Errorf("ask tor for %s: %w", key, err)
	}
	if len(reply.Data) != 1 {
		return "", fmt.Errorf("ask tor for %s: %d lines", key, len(reply.Data))
	}
	value, ok := strings.CutPrefix(reply.Data[0], key+"=")
	if !ok {
		return "", fmt.Errorf("ask tor for %s: another key", key)
	}
	return value, nil
}

// listen calls f for each event until the connection ends. Bine reads nothing
// while an event waits, so f must not send a command.
func (c *conn) listen(f func(control.Event)) error {
	events := make(chan control.Event, 64)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case e := <-events:
				f(e)
			case <-ended:
				return
			}
		}
	}()
	go func() {
		c.c.HandleEvents(context.Background()) // ends with tor: its error says no more than the process does
		close(ended)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.c.AddEventListener(events, control.EventCodeStatusClient, control.EventCodeStatusGeneral,
		control.EventCodeHSDesc, control.EventCodeSignal)
}

// refuse returns ErrSingleHop or ErrPort if tor runs as it must not.
func (c *conn) refuse() error {
	for _, option := range []string{"HiddenServiceSingleHopMode", "HiddenServiceNonAnonymousMode"} {
		reply, err := c.do("GETCONF " + option)
		if err != nil {
			return fmt.Errorf("ask tor for %s: %w", option, err)
		}
		if reply.Reply != option+"=0" {
			return ErrSingleHop
		}
	}
	for _, kind := range strings.Fields("or dir socks trans natd dns control extor httptunnel metrics") {
		value, err := c.info("net/listeners/" + kind)
		if err != nil {
			return err
		}
		// A list of quoted addresses; ours is "unix:PATH", and no path has a quote.
		if strings.Count(value, `"`) != 2*strings.Count(value, `"unix:`) {
			return fmt.Errorf("%w: %s (%s)", ErrPort, value, kind)
		}
	}
	return nil
}
