package installer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nanometal/terraform-provider-metal/internal/installer/content"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// metadataSpan is how much of the start and end of a disk and of each partition
// is zeroed: every known superblock, label and array's metadata lies within it,
// but those of content.Places.
const metadataSpan = 4 << 20

// wipe removes what makes the disks' content recognisable, and the content
// itself where the disk can discard. All disks are checked before the first is
// touched.
func (r *runner) wipe(ctx context.Context, o order.WipeOrder, t *tracker) (err error) {
	t.step("check")
	var disks []Disk
	defer func() {
		for _, d := range disks {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, ref := range o.Disks {
		d, err := r.openChecked(ctx, ref)
		if err != nil {
			return err
		}
		disks = append(disks, d)
	}
	for _, d := range disks {
		t.step("wipe " + d.Ref().Name)
		if err := wipeDisk(ctx, d); err != nil {
			return fmt.Errorf("wiping disk %q: %w", d.Ref().Name, err)
		}
	}
	return nil
}

func wipeDisk(ctx context.Context, d Disk) error {
	size := d.Ref().SizeBytes
	found, err := content.Inspect(d, size)
	if err != nil {
		return err
	}
	// Partitions first: while the table is there, a wipe that is cut short can
	// be done again in full.
	for _, p := range found.Partitions {
		if err := zeroMetadata(ctx, d, size, p.Offset, p.Size); err != nil {
			return err
		}
	}
	if err := zeroMetadata(ctx, d, size, 0, size); err != nil {
		return err
	}
	if _, _, err := d.Blank(ctx, metadataSpan); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	if err := d.Reread(ctx); err != nil {
		return err
	}
	return verifyEmpty(d, size)
}

// verifyEmpty proves by reading that nothing is left.
func verifyEmpty(d Disk, size int64) error {
	left, err := content.Inspect(d, size)
	if err != nil {
		return err
	}
	mark, err := ReadMark(d)
	if err != nil {
		return err
	}
	if mark != nil || !left.Empty() {
		return fmt.Errorf("after the wipe there still is: %s", strings.Join(left.Lines(), ", "))
	}
	return nil
}

func zeroMetadata(ctx context.Context, d Disk, size, base, length int64) error {
	spans := []int64{base, max(base, base+length-metadataSpan)}
	for _, off := range spans {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := zeroRange(d, size, off, min(metadataSpan, base+length-off)); err != nil {
			return err
		}
	}
	for _, off := range content.Places(length) {
		if err := zeroRange(d, size, base+off, 4096); err != nil {
			return err
		}
	}
	return nil
}

var zeroBlock [64 << 10]byte

func zeroRange(d Disk, size, off, n int64) error {
	for end := min(off+n, size); off < end; {
		m := min(int64(len(zeroBlock)), end-off)
		if _, err := d.WriteAt(zeroBlock[:m], off); err != nil {
			return fmt.Errorf("zeroing %d bytes at %d: %w", m, off, err)
		}
		off += m
	}
	return nil
}
