package hardware

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
)

// entry is what a boot loader would start. Paths are relative to the root file
// system.
type entry struct {
	kernel, initrd, cmdline string
	// source is the file that the choice came from.
	source string
}

// configLimit bounds the boot configuration files that are read.
const configLimit = 1 << 20

// findEntry chooses kernel, initrd and command line as the installed system's
// own boot loader would: the kernel command line file of systemd's
// kernel-install with the distribution's newest kernel; GRUB's configuration;
// Boot Loader Specification entries.
func findEntry(root *os.Root) (entry, error) {
	if e, ok := kernelInstall(root); ok {
		return e, nil
	}
	for _, name := range []string{"boot/grub/grub.cfg", "boot/grub2/grub.cfg"} {
		b, ok := readSmall(root, name)
		if !ok {
			continue
		}
		for _, e := range parseGrub(string(b)) {
			if e, ok := resolve(root, e); ok {
				e.source = name
				return e, nil
			}
		}
	}
	if e, ok := loaderEntry(root); ok {
		return e, nil
	}
	return entry{}, fmt.Errorf("%w: neither /etc/kernel/cmdline with a kernel, nor grub.cfg, nor loader entries name one", installer.ErrNothingToBoot)
}

func readSmall(root *os.Root, name string) ([]byte, bool) {
	st, err := root.Stat(name)
	if err != nil || !st.Mode().IsRegular() || st.Size() > configLimit {
		return nil, false
	}
	b, err := root.ReadFile(name)
	return b, err == nil
}

func kernelInstall(root *os.Root) (entry, bool) {
	b, ok := readSmall(root, "etc/kernel/cmdline")
	if !ok {
		return entry{}, false
	}
	e := entry{cmdline: strings.Join(strings.Fields(string(b)), " "), source: "etc/kernel/cmdline"}
	// Debian's links to the newest installed kernel, and where others keep it.
	for _, pair := range [][2]string{{"vmlinuz", "initrd.img"}, {"boot/vmlinuz", "boot/initrd.img"}, {"boot/vmlinuz", "boot/initrd"}} {
		if isFile(root, pair[0]) {
			e.kernel = pair[0]
			if isFile(root, pair[1]) {
				e.initrd = pair[1]
			}
			return e, true
		}
	}
	e.kernel, e.initrd = newestKernel(root)
	return e, e.kernel != ""
}

func isFile(root *os.Root, name string) bool {
	st, err := root.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// newestKernel is /boot/vmlinuz-* with the highest version, and its initrd
// under any of the names that distributions give it.
func newestKernel(root *os.Root) (kernel, initrd string) {
	found, err := fs.Glob(root.FS(), "boot/vmlinuz-*")
	if err != nil || len(found) == 0 {
		return "", ""
	}
	sort.Slice(found, func(i, j int) bool { return versionLess(found[i], found[j]) })
	kernel = found[len(found)-1]
	version := strings.TrimPrefix(kernel, "boot/vmlinuz-")
	for _, name := range []string{"boot/initrd.img-" + version, "boot/initramfs-" + version + ".img", "boot/initrd-" + version} {
		if isFile(root, name) {
			return kernel, name
		}
	}
	return kernel, ""
}

// versionLess compares runs of digits as numbers.
func versionLess(a, b string) bool {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			na, nb := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if len(na) != len(nb) {
				return len(na) < len(nb)
			}
			if na != nb {
				return na < nb
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return a[0] < b[0]
		}
		a, b = a[1:], b[1:]
	}
	return len(a) < len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// resolve finds an entry's files: paths in boot configurations are relative to
// the file system that holds /boot, which may be the root or one of its own.
func resolve(root *os.Root, e entry) (entry, bool) {
	find := func(p string) string {
		p = strings.TrimPrefix(path.Clean("/"+p), "/")
		for _, name := range []string{p, "boot/" + p, strings.TrimPrefix(p, "@/")} {
			if isFile(root, name) {
				return name
			}
		}
		return ""
	}
	kernel := find(e.kernel)
	if kernel == "" || strings.Contains(e.cmdline, "$") {
		return e, false
	}
	if e.initrd != "" {
		if e.initrd = find(e.initrd); e.initrd == "" {
			return e, false
		}
	}
	e.kernel = kernel
	return e, true
}
