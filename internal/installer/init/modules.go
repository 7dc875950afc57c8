package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// modules is the module tree of the running kernel.
type modules struct {
	dir     string
	deps    map[string][]string // path -> paths it needs, nearest first
	byName  map[string]string   // name -> path
	aliases []alias
	loaded  map[string]bool
	load    func(path string) error
}

type alias struct{ pattern, module string }

// openModules reads /lib/modules/<release>; without it everything is built in.
func openModules() (*modules, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("asking for the kernel's release: %w", err)
	}
	return readModules(filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:])))
}

func readModules(dir string) (*modules, error) {
	m := &modules{dir: dir, deps: map[string][]string{}, byName: map[string]string{}, loaded: map[string]bool{}, load: insert}
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("reading the module list: %w", err)
	}
	for line := range strings.Lines(string(dep)) {
		file, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok {
			m.deps[file] = strings.Fields(needs)
			m.byName[moduleName(file)] = file
		}
	}
	for _, name := range []string{"modules.alias", "modules.softdep.alias"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // aliases are optional: modules.load remains
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
				m.aliases = append(m.aliases, alias{f[1], f[2]})
			}
		}
	}
	return m, nil
}

// moduleName is the name of a module file; the kernel treats - and _ alike.
func moduleName(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(base, "-", "_")
}

// forAlias loads every module that claims an alias (a device's modalias, or
// "fs-xfs"), or the module of that name.
func (m *modules) forAlias(name string) (int, error) {
	n, errs := 0, []error(nil)
	try := func(module string) {
		fresh, err := m.insert(module)
		if fresh {
			n++
		}
		errs = append(errs, err)
	}
	if _, ok := m.byName[strings.ReplaceAll(name, "-", "_")]; ok {
		try(name)
	}
	for _, a := range m.aliases {
		if match(a.pattern, name) {
			try(a.module)
		}
	}
	return n, errors.Join(errs...)
}

// insert loads a module after those that it needs. fresh says that it was not
// loaded by us before.
func (m *modules) insert(name string) (fresh bool, err error) {
	file, ok := m.byName[strings.ReplaceAll(name, "-", "_")]
	if !ok {
		return false, nil // built in, or left out of this initramfs on purpose
	}
	needs := m.deps[file]
	for i := len(needs) - 1; i >= 0; i-- { // depmod lists the last needed first
		if err := m.insertFile(needs[i]); err != nil {
			return false, err
		}
	}
	if m.loaded[file] {
		return false, nil
	}
	return true, m.insertFile(file)
}

func (m *modules) insertFile(file string) error {
	if m.loaded[file] {
		return nil
	}
	m.loaded[file] = true // also when it fails: trying again would not help
	if err := m.load(filepath.Join(m.dir, file)); err != nil {
		return fmt.Errorf("loading module %q: %w", moduleName(file), err)
	}
	return nil
}

// insert gives one module file to the kernel.
func insert(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.HasSuffix(file, ".ko") {
		err = unix.FinitModule(int(f.Fd()), "", 0)
	} else {
		var image []byte
		if image, err = decompress(f, path.Ext(file)); err == nil {
			err = unix.InitModule(image, "")
		}
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func decompress(r io.Reader, ext string) ([]byte, error) {
	switch ext {
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		var b bytes.Buffer
		_, err = z.WriteTo(&b)
		return b.Bytes(), err
	}
	return nil, fmt.Errorf("compression %q is not known", ext)
}

// match is fnmatch as module aliases need it: *, ? and [set].
func match(pattern, name string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			pattern = strings.TrimLeft(pattern, "*")
			if pattern == "" {
				return true
			}
			for i := range len(name) + 1 {
				if match(pattern, name[i:]) {
					return true
				}
			}
			return false
		case '?':
			if name == "" {
				return false
			}
		case '[':
			end := strings.IndexByte(pattern, ']')
			if end < 0 || name == "" || !inSet(pattern[1:end], name[0]) {
				return false
			}
			pattern = pattern[end:]
		default:
			if name == "" || name[0] != pattern[0] {
				return false
			}
		}
		pattern, name = pattern[1:], name[1:]
	}
	return name == ""
}

func inSet(set string, c byte) bool {
	for i := 0; i < len(set); i++ {
		if i+2 < len(set) && set[i+1] == '-' {
			if set[i] <= c && c <= set[i+2] {
				return true
			}
			i += 2
		} else if set[i] == c {
			return true
		}
	}
	return false
}
