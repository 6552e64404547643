package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"resguardo/cmd/internal/say"
)

// A place is where a log can be read: it opens one file of the folder that holds
// checkpoint. The error is errMissing if there is no such file. It may be called
// by several goroutines.
type place func(ctx context.Context, path string) (io.ReadCloser, error)

// errMissing says that a place has no such file.
var errMissing = errors.New("there is no such file")

// openPlace reads -url and -socks. close ends all connections and frees the folder.
func openPlace(rawURL, socks string) (at place, close func(), err error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return nil, nil, misuse(say.T("-url %s is not the address of a folder", rawURL), urlForm())
	}
	switch u.Scheme {
	case "file":
		if socks != "" {
			return nil, nil, misuse(say.T("-socks is for addresses that begin with http"), say.T("leave -socks out: %s is on this machine", rawURL))
		}
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
			return nil, nil, misuse(say.T("-url %s is not the address of a folder", rawURL), urlForm())
		}
		return folder(u.Path)
	case "http", "https":
		if u.Hostname() == "" {
			return nil, nil, misuse(say.T("-url %s is not the address of a folder", rawURL), urlForm())
		}
		if err := checkSOCKS(u.Hostname(), socks); err != nil {
			return nil, nil, err
		}
		at, close := web(u.JoinPath("/"), socks)
		return at, close, nil
	}
	return nil, nil, misuse(say.T("-url %s is not the address of a folder", rawURL), urlForm())
}

func urlForm() say.Text {
	return say.T("write http://….onion/log/ or file:///folder/, the folder that holds the file checkpoint")
}

// checkSOCKS accepts no name but localhost for the proxy: looking a name up would
// leave this machine outside Tor.
func checkSOCKS(host, socks string) error {
	onion := strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".onion")
	if socks == "" {
		if onion {
			return misuse(say.T("an onion address is reached through Tor only"),
				say.T("add -socks 127.0.0.1:9050 (the tor service) or -socks 127.0.0.1:9150 (Tor Browser, while it is open)"))
		}
		return nil
	}
	name, port, err := net.SplitHostPort(socks)
	_, notIP := netip.ParseAddr(name)
	n, notPort := strconv.ParseUint(port, 10, 16)
	if err != nil || notPort != nil || n == 0 || notIP != nil && name != "localhost" {
		return misuse(say.T("-socks %s is not IP:PORT", socks),
			say.T("the tor service listens at 127.0.0.1:9050, Tor Browser at 127.0.0.1:9150"))
	}
	return nil
}

// web is a place behind HTTP, through the SOCKS5 proxy at socks if that is not
// empty (the proxy then also looks the name up), else direct. It follows no
// redirects, sends nothing about itself, and asks the environment for nothing.
func web(base *url.URL, socks string) (place, func()) {
	t := &http.Transport{
		DisableCompression:     true,
		MaxConnsPerHost:        parallel,
		MaxIdleConnsPerHost:    parallel,
		MaxResponseHeaderBytes: 16 << 10,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if socks != "" {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: "socks5h", Host: socks})
	}
	client := &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, path string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "")
		resp, err := client.Do(req)
		if err != nil {
			return nil, unreached(err, socks)
		}
		switch resp.StatusCode {
		case http.StatusOK:
			return resp.Body, nil
		case http.StatusNotFound:
			err = errMissing
		default:
			err = say.Fail(say.T("the answer has status %s instead of 200", resp.StatusCode), say.Text{})
		}
		resp.Body.Close()
		return nil, err
	}, t.CloseIdleConnections
}

// unreached says why there was no answer, without the address that everybody knows.
func unreached(err error, socks string) error {
	if socks != "" && errors.Is(err, syscall.ECONNREFUSED) { // the log's refusal would come from the proxy, in words
		return say.Fail(say.T("nothing listens at %s", socks), say.T("start the tor service (127.0.0.1:9050) or Tor Browser (127.0.0.1:9150)"))
	}
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err
}

// folder is a place on this machine. Only regular files below it are read: links
// do not lead out of it, and a pipe does not hold us up.
func folder(path string) (place, func(), error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, nil, &say.Error{Path: path, What: say.T("cannot be read: %s", say.Bare(err)), Hint: urlForm()}
	}
	return func(_ context.Context, name string) (io.ReadCloser, error) {
		info, err := root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errMissing
		}
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("not a regular file")
		}
		if err != nil {
			return nil, err
		}
		return root.Open(name)
	}, func() { root.Close() }, nil
}
