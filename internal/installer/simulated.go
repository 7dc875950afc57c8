package installer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/nanometal/terraform-provider-metal/internal/installer/content"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Simulated is a machine made of files, for labs and tests. Machine gives what
// Run needs; the fields are not changed afterwards.
type Simulated struct {
	// Facts is the inventory without disks.
	Facts order.Inventory
	Disks []*FileDisk
	// Up stands for the network coming up; nil: it is up.
	Up func(ctx context.Context, c Config) error
	// End is told how the installer ended: "kexec" (with the disk's root
	// directory and extra command line), "reboot" or "poweroff".
	End func(Ending)
	// NoKexec makes the machine refuse to start a kernel from a running one.
	NoKexec bool

	loaded Ending
}

// Ending is how a simulated installer ended.
type Ending struct {
	Action       string
	Root         string
	ExtraCmdline string
}

// FileDisk is a disk made of a sparse file. What a real disk's root file system
// would be is the directory Path+".root" beside it: it appears when an image
// was written, holds etc/os-release, seed and files, and goes with a wipe.
// No privilege is needed.
type FileDisk struct {
	// Path is the file; its size is the disk's.
	Path string
	// Disk are the disk's facts; Name, such as "/dev/vda", is required. Size,
	// Content and Mark are filled in from the file.
	Disk order.Disk
}

// NewFileDisk makes the sparse file if it is not there yet.
func NewFileDisk(path string, size int64, facts order.Disk) (*FileDisk, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating disk file %q: %w", path, err)
	}
	st, err := f.Stat()
	if err == nil && st.Size() != size {
		err = f.Truncate(size)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("creating disk file %q: %w", path, err)
	}
	if facts.Name == "" {
		facts.Name = "/dev/vda"
	}
	return &FileDisk{Path: path, Disk: facts}, nil
}

// RootDir is the directory that stands for the root file system.
func (f *FileDisk) RootDir() string { return f.Path + ".root" }

// Describe is the disk as an inventory has it.
func (f *FileDisk) Describe() (order.Disk, error) {
	d, err := image.OpenDevice(f.Path)
	if err != nil {
		return order.Disk{}, err
	}
	defer d.Close()
	out := f.Disk
	out.SizeBytes = d.Size()
	found, err := content.Inspect(d, d.Size())
	if err != nil {
		return order.Disk{}, fmt.Errorf("looking at disk %q: %w", f.Path, err)
	}
	out.Content = found.Lines()
	out.Mark, err = ReadMark(d)
	return out, err
}

// Machine is the simulated machine for Run.
func (s *Simulated) Machine() Machine {
	return Machine{Links: simulatedLinks{s}, Inspector: simulatedInspector{s}, Disks: simulatedDisks{s}, Boot: &simulatedBoot{s: s}}
}

type simulatedLinks struct{ s *Simulated }

func (l simulatedLinks) Up(ctx context.Context, c Config) error {
	if l.s.Up == nil {
		return nil
	}
	return l.s.Up(ctx, c)
}

type simulatedInspector struct{ s *Simulated }

func (i simulatedInspector) Inspect(context.Context) (order.Inventory, error) {
	inv := i.s.Facts
	inv.Disks = nil
	for _, f := range i.s.Disks {
		d, err := f.Describe()
		if err != nil {
			return inv, err
		}
		inv.Disks = append(inv.Disks, d)
	}
	return inv, nil
}

func (simulatedInspector) Amendments() <-chan func(*order.Inventory) { return nil }

type simulatedDisks struct{ s *Simulated }

func (d simulatedDisks) Open(_ context.Context, name string) (Disk, error) {
	for _, f := range d.s.Disks {
		if f.Disk.Name == name {
			dev, err := image.OpenDevice(f.Path)
			if err != nil {
				return nil, err
			}
			return &openFileDisk{Device: dev, f: f}, nil
		}
	}
	return nil, fmt.Errorf("no disk %q", name)
}

type openFileDisk struct {
	*image.Device
	f *FileDisk
}

func (d *openFileDisk) Ref() order.DiskRef {
	return order.DiskRef{Name: d.f.Disk.Name, Serial: d.f.Disk.Serial, WWN: d.f.Disk.WWN, SizeBytes: d.Size()}
}

// Sync does nothing: the file has to outlive this process, not the power of the
// machine that a thousand such disks are on.
func (d *openFileDisk) Sync() error { return nil }

// Reread makes the root directory follow the file's content.
func (d *openFileDisk) Reread(context.Context) error {
	if err := os.RemoveAll(d.f.RootDir()); err != nil {
		return fmt.Errorf("clearing the root directory of %q: %w", d.f.Path, err)
	}
	empty, err := d.Device.Hole()
	if empty || err != nil {
		return err
	}
	etc := filepath.Join(d.f.RootDir(), "etc")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return fmt.Errorf("making the root directory of %q: %w", d.f.Path, err)
	}
	return os.WriteFile(filepath.Join(etc, "os-release"), []byte("ID=simulated\n"), 0o644)
}

func (d *openFileDisk) MountRoot(context.Context, bool) (Root, error) {
	root, err := os.OpenRoot(d.f.RootDir())
	if err != nil {
		return nil, fmt.Errorf("no root file system on %q: %w", d.f.Path, err)
	}
	return directoryRoot{root}, nil
}

type directoryRoot struct{ root *os.Root }

func (d directoryRoot) FS() *os.Root { return d.root }
func (d directoryRoot) Close() error { return d.root.Close() }

type simulatedBoot struct {
	s  *Simulated
	mu sync.Mutex
}

func (b *simulatedBoot) Load(_ context.Context, root Root, extra string) error {
	if b.s.NoKexec {
		return fmt.Errorf("loading a kernel: %w", errors.ErrUnsupported)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.loaded = Ending{Action: kexec, Root: root.FS().Name(), ExtraCmdline: extra}
	return nil
}

func (b *simulatedBoot) Jump() error {
	b.mu.Lock()
	e := b.s.loaded
	b.mu.Unlock()
	return b.end(e)
}

func (b *simulatedBoot) Reboot() error   { return b.end(Ending{Action: reboot}) }
func (b *simulatedBoot) PowerOff() error { return b.end(Ending{Action: "poweroff"}) }

func (b *simulatedBoot) end(e Ending) error {
	if b.s.End != nil {
		b.s.End(e)
	}
	return nil
}
