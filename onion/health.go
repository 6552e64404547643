package onion

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cretz/bine/control"

	"resguardo/onion/tor"
)

// Health is what is known of tor at one moment.
type Health struct {
	Version   string        `json:"version"`           // of the tor program
	Running   bool          `json:"running"`           // tor's process is up
	Restarts  int           `json:"restarts"`          // since Start
	Bootstrap int           `json:"bootstrap"`         // percent of the way to the Tor network
	Phase     string        `json:"phase,omitempty"`   // what tor does now, in its own word: conn, circuit_create, done …
	Source    Service       `json:"source"`            //
	Reviewers Service       `json:"reviewers"`         // zero if there is none, or if nobody is authorised
	Warning   string        `json:"warning,omitempty"` // the last one, in tor's words
	Skew      time.Duration `json:"skew,omitempty"`    // this machine's clock less the network's, once tor complains
}

// Service is one onion service.
type Service struct {
	Address   string `json:"address,omitempty"` // 56 characters and .onion
	Published bool   `json:"published"`         // tor has uploaded its descriptor since tor's last start
}

// Health returns the present state of tor.
func (o *Onion) Health() Health {
	o.state.Lock()
	defer o.state.Unlock()
	return o.health
}

// line takes a line of tor's log. Warnings are shown to the operator until the
// vault is ready, to explain a start that fails. Later ones may be caused by a
// visitor, and a log with times must not show when one came: Health keeps the
// last of them, without its time.
func (o *Onion) line(l tor.Line) {
	if l.Bad() {
		o.warn(l.Text)
	}
}

func (o *Onion) warn(text string) {
	o.state.Lock()
	o.health.Warning = text
	o.state.Unlock()
	select {
	case <-o.ready:
	default:
		o.log.Warn("tor says: " + text)
	}
}

// event takes an event of tor's control connection. It must not ask tor
// anything: the connection waits for it.
func (o *Onion) event(r *run, e control.Event) {
	switch e := e.(type) {
	case *control.StatusEvent:
		switch e.Action {
		case "BOOTSTRAP":
			// SUMMARY is cut by bine, which splits at the spaces inside quotes.
			percent, err := strconv.Atoi(e.Arguments["PROGRESS"])
			if err == nil {
				o.progress(percent, e.Arguments["TAG"])
			}
		case "CLOCK_SKEW":
			seconds, err := strconv.Atoi(e.Arguments["SKEW"])
			if err == nil {
				o.skew(time.Duration(seconds) * time.Second)
			}
		}
	case *control.HSDescEvent:
		if e.Action == "UPLOADED" {
			o.published(e.Address + ".onion")
		}
	case *control.SignalEvent:
		if e.Raw == "RELOAD" {
			select {
			case r.reloaded <- struct{}{}:
			default:
			}
		}
	}
}

// progress never goes back in one life of tor: events wait in a channel, and
// what was asked for meanwhile may be newer.
func (o *Onion) progress(percent int, phase string) {
	o.state.Lock()
	before := o.health.Bootstrap
	if percent >= before {
		o.health.Bootstrap, o.health.Phase = percent, phase
	}
	o.state.Unlock()
	if percent > before {
		o.log.Info("tor connects to the network", "percent", percent, "phase", phase)
	}
}

func (o *Onion) skew(d time.Duration) {
	o.state.Lock()
	o.health.Skew = d
	o.state.Unlock()
	o.log.Warn("this machine's clock differs from the Tor network's", "by", d)
}

func (o *Onion) published(address string) {
	o.state.Lock()
	defer o.state.Unlock()
	for _, s := range []*Service{&o.health.Source, &o.health.Reviewers} {
		if s.Address == address && !s.Published {
			s.Published = true
			o.log.Info("onion service published")
		}
	}
	if o.health.Source.Published && (o.health.Reviewers.Address == "" || o.health.Reviewers.Published) {
		o.publish()
	}
}

// addresses reads the services' names, which tor writes beside their keys
// before it answers on its control socket. The caller holds conf.
func (o *Onion) addresses() error {
	source, err := o.address(sourceDir)
	if err != nil {
		return err
	}
	reviewers := ""
	if o.c.ReviewersSocket != "" && len(o.clients) > 0 {
		if reviewers, err = o.address(reviewersDir); err != nil {
			return err
		}
	}
	o.state.Lock()
	defer o.state.Unlock()
	o.health.Source.Address = source
	if o.health.Reviewers.Address != reviewers {
		o.health.Reviewers = Service{Address: reviewers}
	}
	return nil
}

func (o *Onion) address(service string) (string, error) {
	b, err := os.ReadFile(filepath.Join(o.c.Dir, service, "hostname"))
	return strings.TrimSpace(string(b)), err
}
