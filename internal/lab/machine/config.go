package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// The accelerators of QEMU that the lab uses.
const (
	KVM = "kvm"
	TCG = "tcg"
)

// Config is one QEMU machine.
type Config struct {
	Hardware bmc.Hardware
	// Dir holds the disks, the firmware's variables and the logs.
	Dir string
	// Taps are the names of the tap devices, one per NIC of Hardware.
	Taps []string
	// Accelerator is KVM or TCG.
	Accelerator string
	// Firmware are the UEFI firmware's files; not needed for FirmwareBIOS.
	Firmware Firmware
	Logger   hclog.Logger
}

// DiskPath is the file of a disk.
func (c Config) DiskPath(id string) string { return filepath.Join(c.Dir, id+".raw") }

// ConsolePath is the log of the serial console.
func (c Config) ConsolePath() string { return filepath.Join(c.Dir, "console.log") }

func (c Config) varsPath() string { return filepath.Join(c.Dir, "firmware-vars.fd") }

// createDisks makes the disks as sparse files of their full size. One that is
// there keeps its content; it may grow, but not shrink.
func (c Config) createDisks() error {
	for _, disk := range c.Hardware.Disks {
		if err := createDisk(c.DiskPath(disk.ID), disk.SizeBytes); err != nil {
			return fmt.Errorf("creating disk %q of %q: %w", disk.ID, c.Hardware.Name, err)
		}
	}
	return nil
}

func createDisk(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Size() > size:
		err = fmt.Errorf("%q has %d bytes, more than the %d that are wanted; remove it first (lab down --purge)", path, info.Size(), size)
	case info.Size() < size:
		err = file.Truncate(size)
	}
	return errors.Join(err, file.Close())
}
