package agentcmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

func TestCredentialsDirectory(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "credentials")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		full := filepath.Join(outside, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("credentials/lab/username", "admin\n", 0o600)
	write("credentials/lab/password", "c4n4ry ends in a space \r\n", 0o640)
	write("credentials/open/username", "admin", 0o600)
	write("credentials/open/password", "c4n4ry", 0o644)
	write("credentials/empty/username", "admin", 0o600)
	write("credentials/empty/password", "\n", 0o600)
	write("credentials/large/username", strings.Repeat("c4n4ry", 4096), 0o600)
	write("credentials/half/username", "admin", 0o600)
	write("elsewhere/username", "c4n4ry", 0o600)
	write("elsewhere/password", "c4n4ry", 0o600)
	for name, target := range map[string]string{"escaping": "../elsewhere", "mounted": "lab"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	d, err := openCredentials(dir, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	want := facility.Credentials{Username: "admin", Password: "c4n4ry ends in a space "}
	for name, found := range map[string]bool{
		"lab": true, "mounted": true, "open": false, "empty": false, "large": false, "half": false, "none": false,
		"escaping": false, "../elsewhere": false, "..": false, "": false, ".hidden": false, "lab/../lab": false, "a\x00b": false,
	} {
		got, ok := d.find(name)
		if ok != found || ok && got != want || !ok && got != (facility.Credentials{}) {
			t.Errorf("credentials %q: found %t", name, ok)
		}
	}
	if strings.Contains(log.String(), "c4n4ry") {
		t.Errorf("the log shows a credential:\n%s", log.String())
	}
	for _, text := range []string{`name=open`, `mode`, `name=empty`, `is empty`, `name=large`, `name=escaping`} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log has no %q:\n%s", text, log.String())
		}
	}
	// A file that appears later is found without a restart.
	write("credentials/half/password", "c4n4ry", 0o600)
	if _, ok := d.find("half"); !ok {
		t.Error("a new file is not seen")
	}
}
