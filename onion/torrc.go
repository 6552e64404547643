package onion

import (
	"fmt"
	"path/filepath"
	"strings"

	"resguardo/onion/tor"
)

// Names below Config.Dir, the same in both modes, so that moving from one to
// the other is a copy.
const (
	sourceDir    = "source"
	reviewersDir = "reviewers"
)

// head is common to both modes: nothing single-hop (which would show where the
// vault is), no periodic counts of visitors in tor's log.
const head = `HiddenServiceSingleHopMode 0
HiddenServiceNonAnonymousMode 0
SafeLogging 1
HeartbeatPeriod 0
`

// sourceLimits price and bound what one visitor can ask for. An HTTP client
// opens few streams; 20 introductions a second without effort are more than a
// vault's upload slots can take, beyond them tor asks for proof of work.
const sourceLimits = `HiddenServiceExportCircuitID haproxy
HiddenServiceMaxStreams 32
HiddenServiceMaxStreamsCloseCircuit 1
HiddenServiceEnableIntroDoSDefense 1
HiddenServiceEnableIntroDoSRatePerSec 25
HiddenServiceEnableIntroDoSBurstPerSec 200
HiddenServicePoWDefensesEnabled 1
HiddenServicePoWQueueRate 20
HiddenServicePoWQueueBurst 100
`

// Torrc returns the lines for a tor that the operator runs (system mode). Dir
// is then a folder that tor's account owns, usually below /var/lib/tor; the
// files of authorised clients, which only that account may write, stand in the
// text as comments. Tor, Include, AllowOld and Log are not used.
//
// Torrc fails with ErrNoClients if there is a reviewers' socket but no client:
// tor would let everyone in.
func Torrc(c Config) (string, error) {
	if c.ReviewersSocket != "" && len(c.Clients) == 0 {
		return "", ErrNoClients
	}
	if err := c.checkClients(c.Clients); err != nil {
		return "", err
	}
	services, err := c.services(c.ReviewersSocket != "")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	socks, err := c.socks()
	if err != nil {
		return "", err
	}
	if c.SocksSocket != "" {
		socks += " WorldWritable" // tor's account is another one; so does Debian's default
	}
	fmt.Fprintf(&b, "SocksPort %s\n%s%s", socks, head, services)
	for _, k := range c.Clients {
		path := filepath.Join(c.Dir, reviewersDir, clientsDir, k.file())
		fmt.Fprintf(&b, "# %s holds one line:\n#   %s", path, k.line())
	}
	return b.String(), nil
}

// managed returns the torrc of our own tor. The operator's lines come first, so
// that ours win, and so that they cannot slip into a service of ours.
func (c Config) managed(reviewers bool) (string, error) {
	var b strings.Builder
	b.WriteString("# Written by resguardod at every start; changes are lost.\n")
	if c.Include != "" {
		path, err := tor.Quote(c.Include)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%%include %s\n", path)
	} else {
		b.WriteString("NoExec 1\n") // with bridges, tor runs their transports
	}
	data, err := tor.Quote(filepath.Join(c.Dir, "data"))
	if err != nil {
		return "", err
	}
	socket, err := tor.QuoteSocket(c.control())
	if err != nil {
		return "", err
	}
	services, err := c.services(reviewers)
	if err != nil {
		return "", err
	}
	socks, err := c.socks()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "DataDirectory %s\nControlPort %s\nCookieAuthentication 1\nSocksPort %s\n", data, socket, socks)
	b.WriteString("Log notice stdout\nAvoidDiskWrites 1\nShutdownWaitLength 0\n")
	b.WriteString(head + services)
	return b.String(), nil
}

// socks is the value of SocksPort: 0 is no client port.
func (c Config) socks() (string, error) {
	if c.SocksSocket == "" {
		return "0", nil
	}
	return tor.QuoteSocket(c.SocksSocket)
}

// services returns the lines of the source's service and, if asked for, the
// reviewers'. Lines after a HiddenServiceDir belong to it.
func (c Config) services(reviewers bool) (string, error) {
	source, err := c.service(sourceDir, c.SourceSocket)
	if err != nil || !reviewers {
		return source + sourceLimits, err
	}
	second, err := c.service(reviewersDir, c.ReviewersSocket)
	return source + sourceLimits + second, err
}

func (c Config) service(name, socket string) (string, error) {
	dir, err := tor.Quote(filepath.Join(c.Dir, name))
	if err != nil {
		return "", err
	}
	backend, err := tor.QuoteSocket(socket)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("HiddenServiceDir %s\nHiddenServiceVersion 3\nHiddenServicePort 80 %s\n", dir, backend), nil
}

// control is the path of our tor's control socket.
func (c Config) control() string { return filepath.Join(c.Dir, "control") }
