package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"resguardo/cmd/internal/say"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	dir           string
	tor           string // managed, system or off
	torInclude    string // file of torrc lines for a managed tor
	include       include
	allowOldTor   bool
	sockets       string // folder of the onion services' sockets, for the system's tor
	preview       string // loopback address of the pages
	previewReview string // loopback address of the reviewers' API
	json          bool
}

func readServeFlags(args []string) (serveFlags, error) {
	var o serveFlags
	c := newCommand("serve")
	c.StringVar(&o.tor, "tor", "managed", "")
	c.StringVar(&o.torInclude, "tor-include", "", "")
	c.BoolVar(&o.allowOldTor, "allow-old-tor", false, "")
	c.StringVar(&o.sockets, "sockets", "", "")
	c.StringVar(&o.preview, "preview", "", "")
	c.StringVar(&o.previewReview, "preview-review", "", "")
	c.BoolVar(&o.json, "json", false, "")
	if err := c.read(args); err != nil {
		return o, err
	}
	o.dir = c.dir
	if err := errors.Join(loopback("-preview", o.preview), loopback("-preview-review", o.previewReview)); err != nil {
		return o, err
	}
	switch {
	case o.tor != "managed" && o.tor != "system" && o.tor != "off":
		return o, misuse(say.T("-tor cannot be %s", o.tor), say.T("use managed, system or off"))
	case o.tor != "managed" && (o.torInclude != "" || o.allowOldTor):
		return o, misuse(say.T("-tor-include and -allow-old-tor are for the tor that we start"), say.T("use them with -tor managed"))
	case o.tor != "system" && o.sockets != "":
		return o, misuse(say.T("-sockets is for a tor that we do not start"), say.T("use it with -tor system"))
	case o.tor == "off" && o.preview == "" && o.previewReview == "":
		return o, misuse(say.T("there is no door: -tor is off, and no -preview is given"),
			say.T("on this machine only: -tor off -preview 127.0.0.1:8080 -preview-review 127.0.0.1:8081"))
	}
	return o, o.paths()
}

// paths makes the paths absolute, and reads the operator's lines for tor.
func (o *serveFlags) paths() (err error) {
	if o.torInclude != "" {
		if o.torInclude, err = filepath.Abs(o.torInclude); err != nil {
			return err
		}
		if o.include, err = readInclude(o.torInclude); err != nil {
			return err
		}
	}
	if o.tor == "system" && o.sockets == "" {
		if info, err := os.Stat(runDir); err == nil && info.IsDir() {
			o.sockets = runDir
		}
	}
	if o.sockets != "" {
		o.sockets, err = filepath.Abs(o.sockets)
	}
	return err
}

// loopback refuses an address that other machines can reach: the pages would
// travel in clear, and the addresses of sources with them.
func loopback(name, addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	_, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil {
		return misuse(say.T("%s is not a value for %s", addr, name), say.T("write an address and a port: %s 127.0.0.1:8080", name))
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return misuse(say.T("%s %s is not on this machine alone", name, addr),
			say.T("other machines must come through tor; write: %s 127.0.0.1:%s", name, port))
	}
	return nil
}
