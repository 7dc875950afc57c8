package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
	"github.com/nanometal/terraform-provider-metal/internal/lab/efivars"
	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

// Firmware are the two files of OVMF: the code, and the template of the
// variables that each machine gets a copy of.
type Firmware struct {
	Code string `json:"code"`
	Vars string `json:"vars"`
}

// candidates are where the distributions put OVMF without Secure Boot.
var candidates = []Firmware{
	{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},             // Debian, Ubuntu
	{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},     // Arch
	{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},         // Fedora
	{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},   // openSUSE
	{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},                   // older Debian
	{"/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"}, // Gentoo
}

// FindFirmware gives the first OVMF that is installed.
func FindFirmware() (Firmware, error) {
	for _, f := range candidates {
		_, codeErr := os.Stat(f.Code)
		_, varsErr := os.Stat(f.Vars)
		if codeErr == nil && varsErr == nil {
			return f, nil
		}
	}
	return Firmware{}, fmt.Errorf("looking for UEFI firmware: none of %d known places has it; install the package %q", len(candidates), "ovmf")
}

// bootNextNumber is the Boot#### that the lab uses for a URI from the BMC:
// "ML", far away from the numbers that firmware and systems count up from 0.
const bootNextNumber = 0x4d4c

// prepareVars puts the boot target into the machine's firmware variables. A
// URI becomes BootNext, which the firmware deletes when it follows it.
func (c Config) prepareVars(boot bmc.Boot) error {
	if c.Hardware.Firmware == bmc.FirmwareBIOS {
		return nil
	}
	store, err := c.readVars()
	if err != nil {
		return fmt.Errorf("preparing firmware variables of %q: %w", c.Hardware.Name, err)
	}
	if next, ok := store.Get(efivars.GlobalVariable, "BootNext"); ok && len(next) == 2 && binary.LittleEndian.Uint16(next) == bootNextNumber {
		store.ClearBootNext(bootNextNumber)
	}
	if boot.Target == bmc.TargetUefiHTTP && boot.URI != "" {
		mac, err := net.ParseMAC(c.Hardware.NICs[0].MAC)
		if err != nil {
			return fmt.Errorf("preparing firmware variables of %q: %w", c.Hardware.Name, err)
		}
		store.SetBootNext(bootNextNumber, efivars.LoadOption("Redfish UefiHttp", efivars.HTTPBoot(slotNIC, mac, boot.URI)))
	}
	image, err := store.Encode()
	if err != nil {
		return fmt.Errorf("preparing firmware variables of %q: %w", c.Hardware.Name, err)
	}
	return statefile.Write(c.varsPath(), image)
}

// readVars reads the machine's variables, or the template when there are none
// yet or when a killed QEMU left them half written.
func (c Config) readVars() (*efivars.Store, error) {
	image, err := os.ReadFile(c.varsPath())
	if err == nil {
		store, decodeErr := efivars.Decode(image)
		if decodeErr == nil {
			return store, nil
		}
		c.Logger.Warn("firmware variables are damaged; starting from the template", "machine", c.Hardware.Name, "error", decodeErr)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	template, err := os.ReadFile(c.Firmware.Vars)
	if err != nil {
		return nil, err
	}
	return efivars.Decode(template)
}
