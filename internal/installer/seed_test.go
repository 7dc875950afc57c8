package installer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Nothing that an image or an order says leads out of the root file system.
func TestRootFilesStayInside(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for link, to := range map[string]string{"out": outside, "up": "../..", "file": secret, "in": "etc"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for path, ok := range map[string]bool{
		"/etc/a": true, "etc/b/c": true, "/in/through-link": true, "/file": true,
		"/out/x": false, "/up/x": false, "/../x": false, "/etc/../x": false, "": false, "/": false, "/etc//a": false,
	} {
		err := writeRootFile(root, order.File{Path: path, Content: []byte("new"), Mode: 0o4755})
		if (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "keep" {
		t.Errorf("the file outside is now %q, %v", b, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("files appeared outside: %v, %v", entries, err)
	}
	st, err := os.Lstat(filepath.Join(dir, "file"))
	if err != nil || st.Mode() != 0o755|os.ModeSetuid {
		t.Errorf("the link was not replaced: %v, %v", st.Mode(), err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "etc/through-link")); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
}
