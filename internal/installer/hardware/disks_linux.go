package hardware

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/installer/content"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
	"golang.org/x/sys/unix"
)

type disks struct {
	sys, dev string
	logger   hclog.Logger
}

// Open opens a disk by its path below /dev.
func (d *disks) Open(_ context.Context, name string) (installer.Disk, error) {
	kernel := strings.ReplaceAll(strings.TrimPrefix(name, "/dev/"), "/", "!")
	if notDisks.MatchString(kernel) || !exists(d.sys, "block", kernel) {
		return nil, fmt.Errorf("opening disk %q: there is none", name)
	}
	facts := describe(d.sys, kernel)
	dev, err := image.OpenDevice(filepath.Join(d.dev, strings.TrimPrefix(name, "/dev/")))
	if err != nil {
		return nil, err
	}
	return &disk{Device: dev, facts: facts, kernel: kernel, disks: d}, nil
}

type disk struct {
	*image.Device
	facts  order.Disk
	kernel string
	disks  *disks
}

func (d *disk) Ref() order.DiskRef {
	return order.DiskRef{Name: d.facts.Name, Serial: d.facts.Serial, WWN: d.facts.WWN, SizeBytes: d.Size()}
}

// rereadTries and rereadPause bound the wait for whoever still has a partition
// open just after it was used (the kernel's own probing, an unmount).
const (
	rereadTries = 50
	rereadPause = 100 * time.Millisecond
)

// Reread makes the kernel read the partition table anew (BLKRRPART). The
// partitions' device nodes are there when it returns: devtmpfs makes them
// before the ioctl ends.
func (d *disk) Reread(ctx context.Context) error {
	if err := d.Sync(); err != nil {
		return err
	}
	tick := time.NewTicker(rereadPause)
	defer tick.Stop()
	for try := 1; ; try++ {
		err := unix.IoctlSetInt(int(d.File().Fd()), unix.BLKRRPART, 0)
		switch {
		case err == nil, errors.Is(err, unix.EINVAL): // EINVAL: this disk has no partitions at all
			return nil
		case !errors.Is(err, unix.EBUSY) || try == rereadTries:
			return fmt.Errorf("re-reading the partition table of %q: %w", d.facts.Name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// candidate is a place where a file system may be mounted from.
type candidate struct {
	node string
	kind string
	size int64
}

// fileSystems are what an image's root or boot file system may be.
var fileSystems = map[string]string{"ext4": "ext4", "ext3": "ext4", "ext2": "ext4", "xfs": "xfs", "btrfs": "btrfs", "vfat": "vfat"}

// candidates lists the file systems of the disk, largest first: the root file
// system is the largest nearly always.
func (d *disk) candidates() ([]candidate, error) {
	found, err := content.Inspect(d, d.Size())
	if err != nil {
		return nil, err
	}
	var out []candidate
	add := func(node string, size int64, findings []content.Finding) {
		for _, f := range findings {
			if kind, ok := fileSystems[f.Type]; ok {
				out = append(out, candidate{node, kind, size})
			}
		}
	}
	add(d.node(0), d.Size(), found.Findings)
	for _, p := range found.Partitions {
		add(d.node(p.Number), p.Size, p.Findings)
	}
	for i := range out {
		for j := i; j > 0 && out[j].size > out[j-1].size; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out, nil
}

// node is the device of a partition; 0 is the disk. A name that ends in a digit
// gets a "p" before the number.
func (d *disk) node(partition int) string {
	base := filepath.Join(d.disks.dev, strings.ReplaceAll(d.kernel, "!", "/"))
	switch last := base[len(base)-1]; {
	case partition == 0:
		return base
	case last >= '0' && last <= '9':
		return fmt.Sprintf("%sp%d", base, partition)
	}
	return fmt.Sprintf("%s%d", base, partition)
}
