// Package credential resolves named BMC credentials when they are needed, from
// the provider block, the environment or a folder, so that they need not be in
// state or plan.
//
// It must not log what it finds; its errors name variables and files only.
package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

// maxFile bounds a credentials file, maxFiles their number in a folder.
const (
	maxFile  = 64 << 10
	maxFiles = 10_000
)

// Source says where credentials come from. An earlier field wins over a later
// one. The zero value has none.
type Source struct {
	// Block are those of the provider block, by name.
	Block map[string]facility.Credentials
	// Environment is os.Environ(), of which METAL_BMC_<NAME>_USERNAME and
	// METAL_BMC_<NAME>_PASSWORD count.
	Environment []string
	// Dir is a folder with files <name>.json, or folders <name> with files
	// username and password (the form of a mounted Kubernetes Secret).
	Dir string
}

// All gives every pair of the source, by name. Names of the environment are in
// lower case with dashes; Resolve finds them by any spelling.
func (s Source) All() (map[string]facility.Credentials, error) {
	out, err := s.fromDir()
	if err != nil {
		return nil, err
	}
	environment, err := s.fromEnvironment()
	if err != nil {
		return nil, err
	}
	maps.Copy(out, environment)
	maps.Copy(out, s.Block)
	return out, nil
}

// Resolve gives the pair of one name; ok is false when the source has none.
func (s Source) Resolve(name string) (pair facility.Credentials, ok bool, err error) {
	if pair, ok = s.Block[name]; ok {
		return pair, true, nil
	}
	environment, err := s.fromEnvironment()
	if err != nil {
		return facility.Credentials{}, false, err
	}
	if pair, ok = environment[plainName(variableName(name))]; ok {
		return pair, true, nil
	}
	if s.Dir == "" || !fs.ValidPath(name) || strings.Contains(name, "/") {
		return facility.Credentials{}, false, nil
	}
	return readEntry(s.Dir, name)
}

const (
	prefix         = "METAL_BMC_"
	usernameSuffix = "_USERNAME"
	passwordSuffix = "_PASSWORD"
)

// variableName is the <NAME> of a credential's environment variables.
func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func plainName(variable string) string {
	return strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
}

func (s Source) fromEnvironment() (map[string]facility.Credentials, error) {
	users, passwords := map[string]string{}, map[string]string{}
	for _, line := range s.Environment {
		key, value, _ := strings.Cut(line, "=")
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if name, ok := strings.CutSuffix(rest, usernameSuffix); ok && name != "" {
			users[name] = value
		} else if name, ok := strings.CutSuffix(rest, passwordSuffix); ok && name != "" {
			passwords[name] = value
		}
	}
	out := make(map[string]facility.Credentials, len(users))
	for name, user := range users {
		password, ok := passwords[name]
		if !ok {
			return nil, fmt.Errorf("reading BMC credentials %q: %s is set, %s is not",
				plainName(name), prefix+name+usernameSuffix, prefix+name+passwordSuffix)
		}
		out[plainName(name)] = facility.Credentials{Username: user, Password: password}
	}
	for name := range passwords {
		if _, ok := users[name]; !ok {
			return nil, fmt.Errorf("reading BMC credentials %q: %s is set, %s is not",
				plainName(name), prefix+name+passwordSuffix, prefix+name+usernameSuffix)
		}
	}
	return out, nil
}

func (s Source) fromDir() (map[string]facility.Credentials, error) {
	out := map[string]facility.Credentials{}
	if s.Dir == "" {
		return out, nil
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading credentials folder: %w", err)
	}
	if len(entries) > maxFiles {
		return nil, fmt.Errorf("reading credentials folder %q: %d entries, at most %d", s.Dir, len(entries), maxFiles)
	}
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".json")
		// Dot names are a mounted Secret's own bookkeeping ("..data").
		if strings.HasPrefix(name, ".") {
			continue
		}
		pair, ok, err := readEntry(s.Dir, name)
		if err != nil {
			return nil, err
		}
		if ok {
			out[name] = pair
		}
	}
	return out, nil
}

// readEntry reads <dir>/<name>.json, or <dir>/<name>/username and .../password.
func readEntry(dir, name string) (facility.Credentials, bool, error) {
	file := filepath.Join(dir, name+".json")
	switch text, err := readFile(file); {
	case err == nil:
		var pair facility.Credentials
		// The error of json may quote the text, which is the secret: leave it out.
		if json.Unmarshal(text, &pair) != nil || pair.Username == "" {
			return facility.Credentials{}, false, fmt.Errorf(`reading BMC credentials %q: %q is not of the form {"username": ..., "password": ...}`, name, file)
		}
		return pair, true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return facility.Credentials{}, false, fmt.Errorf("reading BMC credentials %q: %w", name, err)
	}
	user, err := readFile(filepath.Join(dir, name, "username"))
	if isAbsent(err) {
		return facility.Credentials{}, false, nil
	}
	if err != nil {
		return facility.Credentials{}, false, fmt.Errorf("reading BMC credentials %q: %w", name, err)
	}
	password, err := readFile(filepath.Join(dir, name, "password"))
	if err != nil {
		return facility.Credentials{}, false, fmt.Errorf("reading BMC credentials %q: %w", name, err)
	}
	return facility.Credentials{Username: line(user), Password: line(password)}, true, nil
}

// isAbsent also holds for a plain file where the folder would be.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// line is text without the line end that editors add.
func line(text []byte) string { return strings.TrimRight(string(text), "\r\n") }

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%q is larger than %d bytes", name, maxFile)
	}
	return os.ReadFile(name)
}
