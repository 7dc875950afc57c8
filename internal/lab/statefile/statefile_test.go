package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	var got map[string]int
	if err := ReadJSON(path, &got); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading nothing: %v", err)
	}
	for _, n := range []int{1, 2} {
		if err := WriteJSON(path, map[string]int{"n": n}); err != nil {
			t.Fatal(err)
		}
		if err := ReadJSON(path, &got); err != nil || got["n"] != n {
			t.Errorf("read %v, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := WriteJSON(path, func() {}); err == nil {
		t.Error("a function was encoded")
	}
	if err := Write(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
	if err := Write(dir, []byte("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &got); err == nil {
		t.Error("half a file was decoded")
	}
}
