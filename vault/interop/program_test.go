package interop

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// resguardod runs the program and returns what it printed.
func resguardod(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(tools, "resguardod"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("resguardod %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestFsckVerifiesARunningVault: an outsider with nothing but the policy verifies
// the log of a server that runs, and its export, with a stock tool. The log's key
// is the second word of the policy.
func TestFsckVerifiesARunningVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	resguardod(t, "init", "-dir", dir, "-origin", "example.org", "-demo", "-epoch", "1s")
	server := exec.Command(filepath.Join(tools, "resguardod"), "serve", "-dir", dir, "-tor", "off", "-preview", "127.0.0.1:0", "-json")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		server.Process.Signal(os.Interrupt)
		server.Wait()
	}()
	var ready struct{ Event, Preview string }
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Event != "ready" {
		t.Fatalf("%+v, %v", ready, err)
	}
	lines := bufio.NewScanner(log)
	for epochs := 0; epochs < 3 && lines.Scan(); {
		if strings.Contains(lines.Text(), `msg="epoch closed"`) {
			epochs++
		}
	}
	go func() {
		for lines.Scan() { // the server must not wait for a reader
		}
	}()
	policy, err := os.ReadFile(filepath.Join(dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	vkey := strings.Fields(string(policy))[1]
	const success = "Successfully fsck'd log with size "
	if out := fsck(t, ready.Preview+"/log/", vkey); !strings.Contains(out, success) {
		t.Errorf("over HTTP: %s", out)
	}
	mirror := filepath.Join(t.TempDir(), "mirror")
	resguardod(t, "log", "export", "-dir", dir, "-to", mirror)
	if out := fsck(t, "file://"+mirror+"/", vkey); !strings.Contains(out, success) {
		t.Errorf("exported: %s", out)
	}
}
