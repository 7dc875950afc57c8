package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// samples is how many places of a device are read to believe that a discard
// left zeros; the device's own word (discard_zeroes_data) was removed from
// Linux in 4.12 because disks lied.
const samples = 256

// readsZero reads the first and last 4 MiB of a range from 0 and samples in
// between, past the page cache.
func (d *Device) readsZero(ctx context.Context, length int64) (bool, error) {
	r := io.ReaderAt(d.file)
	if d.direct != nil {
		r = d.direct
	}
	_ = unix.Fadvise(int(d.file.Fd()), 0, 0, unix.FADV_DONTNEED) // only a hint: O_DIRECT reads the truth
	big, small := alignedBuffer(writeBlock), alignedBuffer(granule)
	check := func(b []byte, off int64) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		b = b[:min(int64(len(b)), (length-off)/alignment*alignment)]
		n, err := r.ReadAt(b, off)
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("reading back disk %q at %d: %w", d.path, off, err)
		}
		return isZero(b[:n]), nil
	}
	if ok, err := check(big, 0); !ok || err != nil {
		return false, err
	}
	if ok, err := check(big, max(0, length-writeBlock)/alignment*alignment); !ok || err != nil {
		return false, err
	}
	for i := int64(1); i < samples; i++ {
		if ok, err := check(small, length/samples*i/alignment*alignment); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Hole says whether a regular file has no data at all. It is never true of a
// block device.
func (d *Device) Hole() (bool, error) {
	if d.block {
		return false, nil
	}
	off, err := unix.Seek(int(d.file.Fd()), 0, unix.SEEK_DATA)
	switch err {
	case unix.ENXIO:
		return true, nil
	case nil:
		return off >= d.size, nil
	}
	return false, nil
}

// zeroesItself reads from sysfs whether the disk has a write-zeroes command that
// costs less than writing: hard disks have one as well (WRITE SAME), but write
// every sector for it.
func (d *Device) zeroesItself() bool {
	if !d.block {
		return false
	}
	queue := filepath.Join("/sys/class/block", filepath.Base(d.path), "queue")
	has := func(name string) bool {
		b, err := os.ReadFile(filepath.Join(queue, name))
		return err == nil && strings.TrimSpace(string(b)) != "0"
	}
	return has("write_zeroes_max_bytes") && (!has("rotational") || has("discard_max_bytes"))
}
