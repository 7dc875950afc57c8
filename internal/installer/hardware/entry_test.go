package hardware

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
)

// tree makes a root file system; "-> x" as content is a symbolic link.
func tree(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

const debianGrub = `
set default="0"
if [ x"${feature_menuentry_id}" = xy ]; then menuentry_id_option="--id"; fi
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux' {
	insmod ext2
	search --no-floppy --fs-uuid --set=root 1234
	echo	'Loading Linux 6.1.0-10-amd64 ...'
	linux	/boot/vmlinuz-6.1.0-10-amd64 root=UUID=1234 ro console=tty0 quiet $vt_handoff
	initrd	/boot/intel-ucode.img /boot/initrd.img-6.1.0-10-amd64
}
menuentry 'recovery' {
	linux	/boot/vmlinuz-6.1.0-9-amd64 root=UUID=1234 ro single
	initrd	/boot/initrd.img-6.1.0-9-amd64
}
`

func TestFindEntry(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  entry
	}{
		{"kernel-install with Debian's links", map[string]string{"etc/kernel/cmdline": "root=LABEL=x  rw\n", "boot/vmlinuz-1": "k", "boot/initrd.img-1": "i",
			"vmlinuz": "-> boot/vmlinuz-1", "initrd.img": "-> boot/initrd.img-1", "boot/grub/grub.cfg": debianGrub},
			entry{"vmlinuz", "initrd.img", "root=LABEL=x rw", "etc/kernel/cmdline"}},
		{"kernel-install, newest by number", map[string]string{"etc/kernel/cmdline": "a", "boot/vmlinuz-6.1.0-9": "k", "boot/vmlinuz-6.1.0-10": "k",
			"boot/initramfs-6.1.0-10.img": "i"}, entry{"boot/vmlinuz-6.1.0-10", "boot/initramfs-6.1.0-10.img", "a", "etc/kernel/cmdline"}},
		{"links that lead out are not followed", map[string]string{"etc/kernel/cmdline": "a", "vmlinuz": "-> /etc/passwd", "boot/vmlinuz-1": "k"},
			entry{"boot/vmlinuz-1", "", "a", "etc/kernel/cmdline"}},
		{"grub", map[string]string{"boot/grub/grub.cfg": debianGrub, "boot/vmlinuz-6.1.0-10-amd64": "k", "boot/initrd.img-6.1.0-10-amd64": "i"},
			entry{"boot/vmlinuz-6.1.0-10-amd64", "boot/initrd.img-6.1.0-10-amd64", "root=UUID=1234 ro console=tty0 quiet", "boot/grub/grub.cfg"}},
		{"grub, first entry's kernel is gone", map[string]string{"boot/grub/grub.cfg": debianGrub, "boot/vmlinuz-6.1.0-9-amd64": "k", "boot/initrd.img-6.1.0-9-amd64": "i"},
			entry{"boot/vmlinuz-6.1.0-9-amd64", "boot/initrd.img-6.1.0-9-amd64", "root=UUID=1234 ro single", "boot/grub/grub.cfg"}},
		{"grub with a boot file system of its own", map[string]string{"boot/grub2/grub.cfg": "set kernelopts=\"root=/dev/x ro\"\nlinux ($root)/vmlinuz-5 ${kernelopts}\ninitrd ($root)/initrd-5\n",
			"boot/vmlinuz-5": "k", "boot/initrd-5": "i"}, entry{"boot/vmlinuz-5", "boot/initrd-5", "root=/dev/x ro", "boot/grub2/grub.cfg"}},
		{"loader entries", map[string]string{"boot/loader/entries/a-5.9.conf": "title A\nlinux /vmlinuz-5.9\noptions root=a\n",
			"boot/loader/entries/a-5.10.conf":   "linux /vmlinuz-5.10\ninitrd /i-5.10\noptions root=b\noptions ro\n",
			"boot/loader/entries/z-rescue.conf": "linux /vmlinuz-5.9\n",
			"boot/vmlinuz-5.9":                  "k", "boot/vmlinuz-5.10": "k", "boot/i-5.10": "i"}, entry{"boot/vmlinuz-5.10", "boot/i-5.10", "root=b ro", "boot/loader/entries/a-5.10.conf"}},
	} {
		got, err := findEntry(tree(t, test.files))
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
}

func TestFindEntryNothing(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"empty":            {"etc/os-release": ""},
		"unknown variable": {"boot/grub/grub.cfg": "linux /k root=${secret}\n", "boot/k": "k"},
		"huge":             {"boot/grub/grub.cfg": strings.Repeat("#", configLimit) + "\nlinux /k a\n", "boot/k": "k"},
		"a folder":         {"boot/grub/grub.cfg": "linux /d a\n", "boot/d/x": "k"},
	} {
		if e, err := findEntry(tree(t, files)); !errors.Is(err, installer.ErrNothingToBoot) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestVersionLess(t *testing.T) {
	want := []string{"5.9", "5.10-rc1", "5.10.0-9", "5.10.0-10", "6.1"}
	got := []string{want[3], want[0], want[4], want[2], want[1]}
	sort.Slice(got, func(i, j int) bool { return versionLess(got[i], got[j]) })
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("sorted %v", got)
		}
	}
	if versionLess("5.10.0-10", "5.10.0-9") || !versionLess("5.10.0-9", "5.10.0-10") || versionLess("a", "a") {
		t.Error("numbers are compared as text")
	}
}

func FuzzParseGrub(f *testing.F) {
	f.Add(debianGrub)
	f.Add("set a=$a\nlinux $a ${a} $\n")
	f.Fuzz(func(t *testing.T, cfg string) {
		if n := len(parseGrub(cfg)); n > maxEntries {
			t.Errorf("%d entries", n)
		}
	})
}
