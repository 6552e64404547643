package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"golang.org/x/net/proxy"

	"resguardo/cmd/resguardod/internal/statedir"
	"resguardo/vault/witness"
)

// systemSocks is where the system's tor speaks SOCKS5, as our lines for it say. It
// is Debian's own place.
const systemSocks = "/run/tor/socks"

// errNoTor: there is no way to a witness but through tor.
var errNoTor = errors.New("only tor may connect to it, and there is none")

// dialOutward connects to this machine directly, and to every other through the
// SOCKS5 proxy at socks, which is tor's. Without one it connects to nobody else.
func dialOutward(network, socks string) witness.Dial {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if isLocal(host) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", net.JoinHostPort(cmp.Or(localIP(host), host), port))
		}
		if socks == "" {
			return nil, errNoTor
		}
		// A name for each host gives each a circuit of its own.
		through, err := proxy.SOCKS5(network, socks, &proxy.Auth{User: "resguardo", Password: host}, nil)
		if err != nil {
			return nil, err
		}
		return through.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	}
}

// localIP is the address of the name localhost, which no resolver is asked for.
func localIP(host string) string {
	if host == "localhost" {
		return "127.0.0.1"
	}
	return ""
}

// isLocal tells whether a host is this machine.
func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// outward is what the witnesses of a policy need.
type outward struct {
	ports []uint16 // of witnesses on this machine
	tor   bool     // there are others
}

func outwardOf(p statedir.Policy) (o outward) {
	for _, w := range p.Witnesses {
		u, err := url.Parse(w.URL)
		if err != nil {
			continue
		}
		if !isLocal(u.Hostname()) {
			o.tor = true
			continue
		}
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			o.ports = append(o.ports, uint16(n))
		}
	}
	return o
}

// socksOf is the SOCKS5 socket of the tor that serves us; empty = none.
func socksOf(mode string, d statedir.Dir, o outward) string {
	switch {
	case !o.tor || mode == "off":
		return ""
	case mode == "system":
		return systemSocks
	}
	return d.Path(statedir.OnionDir, statedir.SocksSocket)
}
