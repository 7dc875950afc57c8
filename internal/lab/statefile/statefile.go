// Package statefile writes small files so that a crash leaves either the old
// or the new content, never a part.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write replaces the content of path. The file is readable by its owner only,
// because some of them hold secrets.
func Write(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %q: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}

// WriteJSON is Write of the indented JSON form of value.
func WriteJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %q: %w", path, err)
	}
	return Write(path, append(raw, '\n'))
}

// ReadJSON reads what WriteJSON wrote. The error of a missing file is
// os.ErrNotExist.
func ReadJSON(path string, value any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("decoding %q: %w", path, err)
	}
	return nil
}
