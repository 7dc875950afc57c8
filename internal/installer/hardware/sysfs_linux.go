package hardware

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// attr reads one sysfs attribute, trimmed; empty when it is not there: most
// attributes are optional and differ by driver.
func attr(elem ...string) string {
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(b), "\x00"), "?"))
}

// number reads an attribute as an integer; 0 when it is none.
func number(elem ...string) int64 {
	n, err := strconv.ParseInt(attr(elem...), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// names lists a directory; nothing when it is not there.
func names(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func exists(elem ...string) bool {
	_, err := os.Stat(filepath.Join(elem...))
	return err == nil
}

// linkBase is the last element of what a link points to; empty when it is none.
func linkBase(elem ...string) string {
	t, err := os.Readlink(filepath.Join(elem...))
	if err != nil {
		return ""
	}
	return filepath.Base(t)
}
