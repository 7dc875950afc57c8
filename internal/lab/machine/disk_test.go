package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreateDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := createDisk(path, 4096); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("content"), make([]byte, 4089)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := createDisk(path, 8192); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || len(content) != 8192 || !strings.HasPrefix(string(content), "content") {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	if err := createDisk(path, 4096); err == nil || !strings.Contains(err.Error(), "--purge") {
		t.Errorf("shrinking a disk: %v", err)
	}
}
