package hardware

import (
	"io/fs"
	"os"
	"sort"
	"strings"
)

// maxEntries bounds a hostile or endless configuration.
const maxEntries = 64

// parseGrub gives the linux/initrd pairs of a grub.cfg in their order; the first
// is what GRUB starts unless told otherwise. Variables that the file sets
// plainly are put in; an entry with another one keeps its "$" and is not usable.
func parseGrub(cfg string) []entry {
	var out []entry
	vars := map[string]string{}
	for _, line := range strings.Split(strings.ReplaceAll(cfg, "\\\n", " "), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "set":
			if k, v, ok := strings.Cut(strings.Join(words[1:], " "), "="); ok {
				vars[k] = strings.Trim(v, `"'`)
			}
		case "linux", "linux16", "linuxefi":
			if len(out) == maxEntries {
				return out
			}
			out = append(out, entry{kernel: expand(withoutDevice(words[1]), vars), cmdline: expand(strings.Join(words[2:], " "), vars)})
		case "initrd", "initrd16", "initrdefi":
			// Microcode comes first where there are several; the last is the one
			// that boots, and the running kernel has its microcode already.
			if n := len(out) - 1; n >= 0 && out[n].initrd == "" {
				out[n].initrd = expand(withoutDevice(words[len(words)-1]), vars)
			}
		}
	}
	return out
}

// withoutDevice leaves out GRUB's "(hd0,gpt1)" or "($root)" before a path: all
// file systems that matter are mounted at their places.
func withoutDevice(path string) string {
	if _, rest, ok := strings.Cut(path, ")"); ok && strings.HasPrefix(path, "(") {
		return rest
	}
	return path
}

// expand puts in $name and ${name}. Unset ones that GRUB fills in for itself
// and that mean nothing to us become empty.
func expand(s string, vars map[string]string) string {
	return strings.TrimSpace(os.Expand(s, func(name string) string {
		if v, ok := vars[name]; ok && !strings.Contains(v, "$") {
			return v
		}
		switch name {
		case "extra_cmdline", "vt_handoff", "tuned_params", "quiet":
			return ""
		}
		return "$" + name
	}))
}

// loaderEntry reads Boot Loader Specification entries (type 1), the last by
// name first, as Fedora's and systemd's versions sort.
func loaderEntry(root *os.Root) (entry, bool) {
	for _, dir := range []string{"boot/loader/entries", "boot/efi/loader/entries", "efi/loader/entries"} {
		found, err := fs.Glob(root.FS(), dir+"/*.conf")
		if err != nil {
			continue
		}
		sort.Slice(found, func(i, j int) bool { return versionLess(found[j], found[i]) })
		for _, name := range found[:min(len(found), maxEntries)] {
			if strings.Contains(name, "rescue") {
				continue
			}
			b, ok := readSmall(root, name)
			if !ok {
				continue
			}
			if e, ok := resolve(root, parseLoader(string(b))); ok {
				e.source = name
				return e, true
			}
		}
	}
	return entry{}, false
}

func parseLoader(conf string) entry {
	var e entry
	var options []string
	for _, line := range strings.Split(conf, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "linux":
			e.kernel = words[1]
		case "initrd":
			e.initrd = words[1]
		case "options":
			options = append(options, words[1:]...)
		}
	}
	e.cmdline = expand(strings.Join(options, " "), nil)
	return e
}
