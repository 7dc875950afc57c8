package content

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// make runs a real tool that makes what has to be recognised.
func makeFile(t *testing.T, size int64, stdin string, command ...string) (*os.File, int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if len(command) == 0 {
		return f, size
	}
	cmd := exec.Command(command[0], append(command[1:], path)...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/sbin:"+os.Getenv("PATH"))
	if cmd.Path, err = lookPath(command[0]); err != nil {
		t.Fatalf("install the Debian packages of CI (e2fsprogs dosfstools fdisk xfsprogs): %v", err)
	}
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return f, size
}

func lookPath(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name, nil
		}
	}
	return exec.LookPath(name)
}

func TestRealFileSystems(t *testing.T) {
	for _, test := range []struct {
		size    int64
		command string
		want    string
	}{
		{8 << 20, "mkfs.ext4 -q -F -L data", `ext4 "data" on the whole disk`},
		{8 << 20, "mkfs.ext3 -q -F", "ext3 on the whole disk"},
		{8 << 20, "mkfs.ext2 -q -F", "ext2 on the whole disk"},
		{400 << 20, "mkfs.xfs -q -f -L fast", `xfs "fast" on the whole disk`},
		{16 << 20, "mkfs.vfat -n ESP", `vfat "ESP" on the whole disk`},
		{64 << 20, "mkfs.vfat -F 32", "vfat on the whole disk"},
		{8 << 20, "mkswap -q -L sw", `swap "sw" on the whole disk`},
	} {
		f, size := makeFile(t, test.size, "", strings.Fields(test.command)...)
		d, err := Inspect(f, size)
		if err != nil || !slices.Equal(d.Lines(), []string{test.want}) || d.Empty() {
			t.Errorf("%s: %q, %v", test.command, d.Lines(), err)
		}
	}
}

func TestRealPartitionTables(t *testing.T) {
	for _, test := range []struct {
		script string
		want   []string
		parts  []Partition
	}{
		{"label: gpt\nstart=2048, size=4096\nstart=8192, size=2048\n", []string{"GPT with 2 partitions"},
			[]Partition{{1, 1 << 20, 2 << 20, nil}, {2, 4 << 20, 1 << 20, nil}}},
		{"label: dos\nstart=2048, size=2048, type=83\n", []string{"MBR with 1 partition"}, []Partition{{1, 1 << 20, 1 << 20, nil}}},
		{"label: dos\nstart=2048, size=2048\nstart=4096, size=20480, type=5\nstart=6144, size=2048\nstart=10240, size=2048\n",
			[]string{"MBR with 3 partitions"}, []Partition{{1, 1 << 20, 1 << 20, nil}, {5, 3 << 20, 1 << 20, nil}, {6, 5 << 20, 1 << 20, nil}}},
		{"label: gpt\n", []string{"GPT with 0 partitions"}, nil},
	} {
		f, size := makeFile(t, 32<<20, test.script, "sfdisk", "-q")
		d, err := Inspect(f, size)
		if err != nil || !slices.Equal(d.Lines(), test.want) {
			t.Errorf("%s: %q, %v", test.script, d.Lines(), err)
		}
		if !slices.EqualFunc(d.Partitions, test.parts, func(a, b Partition) bool {
			return a.Number == b.Number && a.Offset == b.Offset && a.Size == b.Size
		}) {
			t.Errorf("%s: partitions %+v", test.script, d.Partitions)
		}
	}
}

func TestFileSystemInPartition(t *testing.T) {
	f, size := makeFile(t, 32<<20, "label: gpt\nstart=2048, size=16384\n", "sfdisk", "-q")
	fs, _ := makeFile(t, 8<<20, "", "mkfs.ext4", "-q", "-F", "-L", "root")
	b, err := os.ReadFile(fs.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 1<<20); err != nil {
		t.Fatal(err)
	}
	d, err := Inspect(f, size)
	if want := []string{"GPT with 1 partition", `ext4 "root" on partition 1`}; err != nil || !slices.Equal(d.Lines(), want) {
		t.Errorf("%q, %v", d.Lines(), err)
	}
	// Only the backup table is left.
	if _, err := f.WriteAt(make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 8<<20), 1<<20); err != nil {
		t.Fatal(err)
	}
	d, err = Inspect(f, size)
	if err != nil || d.Empty() || !slices.Equal(d.Lines(), []string{"backup GPT at the end of the disk"}) {
		t.Errorf("%q, %v", d.Lines(), err)
	}
}

// Formats whose tools need a block device or are large, by their documented bytes.
func TestSignatures(t *testing.T) {
	const size = 8 << 20
	put := func(off int64, s string) func([]byte) { return func(b []byte) { copy(b[off:], s) } }
	for want, write := range map[string]func([]byte){
		`LUKS "vault" on the whole disk`: func(b []byte) { copy(b, "LUKS\xba\xbe\x00\x02"); copy(b[24:], "vault") },
		"LUKS on the whole disk":         put(0, "LUKS\xba\xbe\x00\x01"),
		"LVM2 on the whole disk":         func(b []byte) { copy(b[512:], "LABELONE"); copy(b[512+24:], "LVM2 001") },
		`mdraid "host:0" on the whole disk`: func(b []byte) {
			copy(b[4096:], "\xfc\x4e\x2b\xa9\x01\x00\x00\x00")
			copy(b[4096+32:], "host:0")
		},
		"mdraid on the whole disk":              put(size-65536, "\xfc\x4e\x2b\xa9"),
		"zfs on the whole disk":                 put(size-128<<10+4096, "\x0c\xb1\xba\x00\x00\x00\x00\x00"),
		`btrfs "pool" on the whole disk`:        func(b []byte) { copy(b[65536+64:], "_BHRfS_M"); copy(b[65536+0x12b:], "pool") },
		"ntfs on the whole disk":                put(3, "NTFS    "),
		`iso9660 "DEBIAN 12" on the whole disk`: put(0x8000, "\x01CD001\x01\x00"+strings.Repeat(" ", 32)+"DEBIAN 12"+strings.Repeat(" ", 23)),
	} {
		b := make([]byte, size)
		write(b)
		d, err := Inspect(bytes.NewReader(b), size)
		if err != nil || !slices.Equal(d.Lines(), []string{want}) {
			t.Errorf("%s: got %q, %v", want, d.Lines(), err)
		}
	}
}

func TestEmptyAndBrokenDisks(t *testing.T) {
	for _, size := range []int64{0, 1, 511, 512, 4096, 1 << 20} {
		if d, err := Inspect(bytes.NewReader(make([]byte, size)), size); err != nil || !d.Empty() || d.Lines() != nil {
			t.Errorf("%d bytes of zeros: %q, %v", size, d.Lines(), err)
		}
	}
	f, _ := makeFile(t, 1<<20, "")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(f, 1<<20); err == nil {
		t.Error("a disk that cannot be read was taken for an empty one")
	}
}

// Hostile disks: any bytes at the interesting places.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("EFI PART"), uint16(1))
	f.Add([]byte("\x55\xaa"), uint16(510))
	f.Add([]byte("XFSB"), uint16(0))
	f.Add([]byte("LABELONE"), uint16(512))
	f.Fuzz(func(t *testing.T, patch []byte, at uint16) {
		b := make([]byte, 1<<20)
		copy(b[at:], patch)
		copy(b[len(b)-min(len(patch), 66000):], patch)
		b[510], b[511] = 0x55, 0xaa
		d, err := Inspect(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(d.Partitions) > maxPartitions {
			t.Errorf("%d partitions, %v", len(d.Partitions), err)
		}
		for _, p := range d.Partitions {
			if p.Offset <= 0 || p.Size <= 0 || p.Offset+p.Size > int64(len(b)) {
				t.Errorf("partition outside of the disk: %+v", p)
			}
		}
	})
}
