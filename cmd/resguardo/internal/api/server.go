package api

import (
	"crypto/sha3"
	"encoding/base32"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"resguardo/cmd/internal/say"
	"resguardo/crypto/card"
)

// Server is where a vault is: a v3 onion service, or a loopback IP to try things
// out. There is no third kind.
type Server struct {
	address string // HOST[:PORT], lower case: what a login names
	onion   string // HOST, if it is an onion service
}

// ParseServer reads "http://HOST[:PORT]".
func ParseServer(server string) (Server, error) {
	hint := say.T("it looks like http://….onion")
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return Server{}, say.Fail(say.T("%s is not the address of a vault", server), hint)
	}
	address := strings.TrimSuffix(strings.ToLower(u.Host), ":80")
	if port := u.Port(); !card.ValidAddress(address) || strings.HasSuffix(address, ":") || port != "" && !validPort(port) {
		return Server{}, say.Fail(say.T("%s is not the address of a vault", server), hint)
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case isLoopback(host):
		return Server{address: address}, nil
	case isOnion(host):
		return Server{address: address, onion: host}, nil
	case strings.HasSuffix(host, ".onion"):
		return Server{}, say.Fail(say.T("%s is no onion address: a character is wrong or missing", host),
			say.T("copy the whole address that the operator gave you: 56 letters and digits, then .onion"))
	}
	return Server{}, say.Fail(say.T("%s is on the open network, where resguardo never goes", host),
		say.T("a vault for reviewers is an onion service: ask the operator for its address, http://….onion"))
}

// URL is the address in its one form.
func (s Server) URL() string { return "http://" + s.address }

// Onion is the host of an onion service, without a port; it is empty for a
// loopback IP.
func (s Server) Onion() string { return s.onion }

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isLoopback takes no name, not even localhost: a name could be looked up.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() && ip.Zone() == ""
}

// isOnion reports whether host is the address of a v3 onion service: base32 of
// public key (32 bytes), checksum (2) and version (1); Tor's rend-spec-v3,
// section 6. The checksum finds every single wrong character but one in 65,536.
func isOnion(host string) bool {
	name, ok := strings.CutSuffix(host, ".onion")
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(name))
	if !ok || err != nil || len(raw) != 35 || raw[34] != 3 {
		return false
	}
	sum := sha3.Sum256([]byte(".onion checksum" + string(raw[:32]) + "\x03"))
	return sum[0] == raw[32] && sum[1] == raw[33]
}
