package installer

import (
	"context"
	"io"
	"os"

	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Machine is the server that Run works on.
type Machine struct {
	Links     Links
	Inspector Inspector
	Disks     Disks
	Boot      Boot
}

// Links is the machine's network.
type Links interface {
	// Up brings up the port that c names, so that the agent can be reached. It
	// returns when there is an address, or when ctx ends.
	Up(ctx context.Context, c Config) error
}

// Inspector finds out what the machine is.
type Inspector interface {
	// Inspect makes a new inventory; it waits for nothing that may never come.
	Inspect(ctx context.Context) (order.Inventory, error)
	// Amendments are additions to the last inventory that were learnt later (a
	// switch's LLDP, a late disk); nil: there never are any.
	Amendments() <-chan func(*order.Inventory)
}

// Disks opens disks.
type Disks interface {
	// Open opens a disk by its kernel name.
	Open(ctx context.Context, name string) (Disk, error)
}

// Disk is one open disk.
type Disk interface {
	image.Target
	io.ReaderAt
	// Ref is what the disk is now: name, serial, WWN and size.
	Ref() order.DiskRef
	// Blank discards the disk's whole content and makes its first length bytes
	// read zero if the disk can do so fast; see image.Device.Blank.
	Blank(ctx context.Context, length int64) (zeroed, certain bool, err error)
	// Reread makes the machine see the disk's present partition table.
	Reread(ctx context.Context) error
	// MountRoot finds and mounts the file system with /etc/os-release.
	MountRoot(ctx context.Context, readOnly bool) (Root, error)
	Close() error
}

// Root is a mounted root file system.
type Root interface {
	// FS confines every access to the file system, whatever its symbolic links say.
	FS() *os.Root
	// Close unmounts; everything written is on the disk then.
	Close() error
}

// Boot ends the installer.
type Boot interface {
	// Load loads the system found below root (kernel, initial RAM disk and
	// command line, with extra appended) into memory. It wraps
	// errors.ErrUnsupported when this machine cannot start a kernel from a
	// running one, and ErrNothingToBoot when there is none on the disk.
	Load(ctx context.Context, root Root, extraCmdline string) error
	// Jump starts what was loaded. On real hardware it only returns with an error.
	Jump() error
	// Reboot and PowerOff end the machine's session the other ways.
	Reboot() error
	PowerOff() error
}
