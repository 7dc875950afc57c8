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

// createDisks makes the missing disks as sparse files of their full size.
func (c Config) createDisks() error {
	for _, disk := range c.Hardware.Disks {
		file, err := os.OpenFile(c.DiskPath(disk.ID), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("creating disk %q: %w", disk.ID, err)
		}
		err = errors.Join(file.Truncate(disk.SizeBytes), file.Close())
		if err != nil {
			return fmt.Errorf("creating disk %q of %d bytes: %w", disk.ID, disk.SizeBytes, err)
		}
	}
	return nil
}
