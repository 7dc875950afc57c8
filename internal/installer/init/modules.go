package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// moduleDir is where the initramfs has its modules, in one flat folder:
//
//	NAME.ko         a module; a NAME has underscores only
//	modules.dep     "NAME: DEPENDENCY..." in the order to load them
//	modules.alias   "PATTERN NAME": a device whose modalias matches wants the module
//	modules.always  names to load on every host
const moduleDir = "/lib/modules"

type modules struct {
	dir     string
	needs   map[string][]string
	aliases []alias
	always  []string
	loaded  map[string]bool
	load    func(file string) error
}

type alias struct{ pattern, module string }

// readModules reads the lists; without them everything is built in.
func readModules(dir string) (*modules, error) {
	m := &modules{dir: dir, needs: map[string][]string{}, loaded: map[string]bool{}, load: insert}
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("reading the module list: %w", err)
	}
	for line := range strings.Lines(string(dep)) {
		if name, needs, ok := strings.Cut(line, ":"); ok {
			m.needs[moduleName(name)] = strings.Fields(needs)
		}
	}
	aliases, err := os.ReadFile(filepath.Join(dir, "modules.alias"))
	if err != nil {
		return nil, fmt.Errorf("reading the module aliases: %w", err)
	}
	for line := range strings.Lines(string(aliases)) {
		if f := strings.Fields(line); len(f) == 2 {
			m.aliases = append(m.aliases, alias{f[0], f[1]})
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "modules.always")); err == nil {
		m.always = strings.Fields(string(b))
	}
	return m, nil
}

// moduleName is a name as the kernel has it: - and _ are alike.
func moduleName(name string) string {
	return strings.ReplaceAll(strings.TrimSpace(name), "-", "_")
}

// forAlias loads every module that claims an alias (a device's modalias, or
// "fs-xfs"), or the module of that name. n counts those that were new.
func (m *modules) forAlias(name string) (n int, err error) {
	var errs []error
	try := func(module string) {
		fresh, err := m.insert(module)
		if fresh {
			n++
		}
		errs = append(errs, err)
	}
	if _, ok := m.needs[moduleName(name)]; ok {
		try(name)
	}
	for _, a := range m.aliases {
		if match(a.pattern, name) {
			try(a.module)
		}
	}
	return n, errors.Join(errs...)
}

// insert loads a module after those that it needs. One of those may fail
// without harm (crc32c_intel on a processor that lacks the instruction); when
// it was needed indeed, the module itself fails. fresh says that the module was
// not tried before.
func (m *modules) insert(name string) (fresh bool, err error) {
	name = moduleName(name)
	needs, ok := m.needs[name]
	if !ok || m.loaded[name] {
		return false, nil // built in, left out of this initramfs on purpose, or loaded
	}
	var missing []error
	for _, n := range needs {
		missing = append(missing, m.insertOne(moduleName(n)))
	}
	if err := m.insertOne(name); err != nil {
		return true, errors.Join(append(missing, err)...)
	}
	return true, nil
}

func (m *modules) insertOne(name string) error {
	if m.loaded[name] {
		return nil
	}
	m.loaded[name] = true // also when it fails: trying again would not help
	if err := m.load(filepath.Join(m.dir, name+".ko")); err != nil {
		return fmt.Errorf("loading module %q: %w", name, err)
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
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
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
