package content

import (
	"fmt"
	"io"
	"strings"
)

// Finding is one signature.
type Finding struct {
	// Type is "ext4", "xfs", "btrfs", "vfat", "ntfs", "swap", "LVM2", "LUKS",
	// "mdraid", "zfs" or "iso9660".
	Type string
	// Label is the file system's or array's name, printable characters only.
	Label string
}

// String renders the finding for a person.
func (f Finding) String() string {
	if f.Label == "" {
		return f.Type
	}
	return fmt.Sprintf("%s %q", f.Type, f.Label)
}

// Partition is one entry of a partition table.
type Partition struct {
	// Number is the kernel's partition number.
	Number       int
	Offset, Size int64
	Findings     []Finding
}

// Disk is what was found on a disk.
type Disk struct {
	// Table is "GPT", "MBR" or empty.
	Table string
	// BackupGPT says that the backup GPT at the end is there; alone, it is
	// something that a wipe has to remove.
	BackupGPT  bool
	Findings   []Finding
	Partitions []Partition
}

// Inspect reads what is on the disk. An error is one of reading; nonsense on
// the disk is not an error.
func Inspect(r io.ReaderAt, size int64) (Disk, error) {
	v := &view{r: r, size: size}
	var d Disk
	d.Findings = findings(v)
	d.Table, d.Partitions = table(v)
	d.BackupGPT = backupGPT(v)
	for i := range d.Partitions {
		p := &d.Partitions[i]
		p.Findings = findings(&view{r: r, size: p.Size, base: p.Offset, errs: v})
	}
	if d.Table == "MBR" && len(d.Findings) > 0 && len(d.Partitions) == 0 {
		d.Table = "" // a boot sector of vfat or ntfs ends in 55 aa as well
	}
	return d, v.err
}

// Empty says that nothing was found.
func (d Disk) Empty() bool {
	return d.Table == "" && !d.BackupGPT && len(d.Findings) == 0
}

// Lines renders what was found, one line each, for a person.
func (d Disk) Lines() []string {
	var out []string
	switch {
	case d.Table != "":
		out = append(out, fmt.Sprintf("%s with %s", d.Table, count(len(d.Partitions), "partition")))
	case d.BackupGPT:
		out = append(out, "backup GPT at the end of the disk")
	}
	for _, f := range d.Findings {
		out = append(out, f.String()+" on the whole disk")
	}
	for _, p := range d.Partitions {
		for _, f := range p.Findings {
			out = append(out, fmt.Sprintf("%s on partition %d", f, p.Number))
		}
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// view reads parts of a disk, all zero where the disk ends. It keeps the first
// read error.
type view struct {
	r          io.ReaderAt
	base, size int64
	err        error
	errs       *view // where errors go, when not here
}

// at gives n bytes at off; nil when they are not all on the disk.
func (v *view) at(off int64, n int) []byte {
	if off < 0 || n < 0 || off > v.size-int64(n) {
		return nil
	}
	b := make([]byte, n)
	if m, err := v.r.ReadAt(b, v.base+off); m < n {
		if v.errs != nil {
			v = v.errs
		}
		if v.err == nil && err != io.EOF {
			v.err = fmt.Errorf("reading %d bytes at %d: %w", n, off, err)
		}
		return nil
	}
	return b
}

// text makes a label fit for a report: up to the first NUL, without padding,
// printable ASCII only.
func text(b []byte) string {
	s := string(b)
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}
