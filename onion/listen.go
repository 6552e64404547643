package onion

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/pires/go-proxyproto"
)

// Listen makes a unix socket at path with the given permissions, in place of
// one that a killed process left there. The folder must exist and should be
// open to nobody but this account and tor's.
func Listen(path string, mode fs.FileMode) (net.Listener, error) {
	if err := sweep(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// sweep removes a socket that nobody listens on.
func sweep(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is not a socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("another process listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// ListenSource is Listen for the source's service: each connection begins with
// the PROXY line in which tor names its circuit, and one without is cut off.
// The handlers of an http.Server read the name with Circuit, if ConnContext is
// the server's.
func ListenSource(path string, mode fs.FileMode) (net.Listener, error) {
	l, err := Listen(path, mode)
	if err != nil {
		return nil, err
	}
	return listener{&proxyproto.Listener{Listener: l, ConnPolicy: require, ValidateHeader: fromTor}}, nil
}

func require(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	return proxyproto.REQUIRE, nil
}

func fromTor(h *proxyproto.Header) error {
	if _, ok := circuitOf(h); !ok {
		return errors.New("not tor's PROXY line")
	}
	return nil
}

type listener struct{ *proxyproto.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return stream{c.(*proxyproto.Conn)}, nil
}

// stream is a connection from tor. Its addresses are those of the unix socket:
// the ones in the PROXY line would carry the circuit into http.Request and into
// whatever prints it.
type stream struct{ *proxyproto.Conn }

func (s stream) RemoteAddr() net.Addr { return s.Raw().RemoteAddr() }
func (s stream) LocalAddr() net.Addr  { return s.Raw().LocalAddr() }

type contextKey struct{}

// ConnContext is for http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(stream); ok {
		return context.WithValue(ctx, contextKey{}, s)
	}
	return ctx
}

// Circuit returns the number of the circuit on which a request came, from the
// request's context. All connections of a circuit share it; after the circuit's
// end tor may use it for another. It must not be logged or stored. ok is false
// for a request that did not come through ListenSource.
func Circuit(ctx context.Context) (id uint32, ok bool) {
	s, ok := ctx.Value(contextKey{}).(stream)
	if !ok {
		return 0, false
	}
	return circuitOf(s.ProxyHeader())
}

// circuitOf reads the circuit from tor's PROXY line, which is like
//
//	PROXY TCP6 fc00:dead:beef:4dad::1:2e ::1 46 80
//
// where the last 32 bits of the first address are the circuit's number (tor
// manual, HiddenServiceExportCircuitID).
func circuitOf(h *proxyproto.Header) (id uint32, ok bool) {
	if h == nil || h.Version != 1 {
		return 0, false
	}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return 0, false
	}
	prefix := [12]byte{0xfc, 0x00, 0xde, 0xad, 0xbe, 0xef, 0x4d, 0xad}
	if len(source.IP) != net.IPv6len || [12]byte(source.IP[:12]) != prefix {
		return 0, false
	}
	return binary.BigEndian.Uint32(source.IP[12:]), true
}
