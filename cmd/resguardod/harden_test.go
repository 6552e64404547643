package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestConfineBites: what a process that was taken over can do, by the way it
// serves.
func TestConfineBites(t *testing.T) {
	h := newHost(t)
	lines := func(name, text string) string {
		path := filepath.Join(h.dir, "home", name)
		h.check(os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	named := lines("named", "")
	bridges := lines("bridges", "UseBridges 1\nGeoIPFile \""+named+"\"\n")
	transports := lines("transports", "clienttransportplugin obfs4 exec /usr/bin/obfs4proxy\n")
	h.own()
	const always = `write vault: ok
write home: permission denied
write tmp: permission denied
write /tmp: permission denied
read keys: permission denied
read /etc/localtime: ok
run a child of our own: ok
child writes home: permission denied
`
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"off":        {[]string{"-tor", "off", "-preview", "127.0.0.1:0"}, "dial: permission denied\nlisten: permission denied\n"},
		"system":     {[]string{"-tor", "system"}, "dial: permission denied\nlisten: permission denied\n"},
		"managed":    {nil, "dial: connection refused\nlisten: permission denied\n"},
		"bridges":    {[]string{"-tor-include", bridges}, "dial: connection refused\nlisten: permission denied\nread bridges: ok\nread named: ok\n"},
		"transports": {[]string{"-tor-include", transports}, "dial: connection refused\nlisten: ok\nread transports: ok\n"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"vault", filepath.Join(h.dir, "home"), filepath.Join(h.dir, "tmp")}, c.args...)
			if got := h.run("confined", args...); got != always+c.want {
				t.Errorf("confined process:\n%s\nwant:\n%s", got, always+c.want)
			}
		})
	}
}
