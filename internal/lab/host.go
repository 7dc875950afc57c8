package lab

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
	"github.com/nanometal/terraform-provider-metal/internal/lab/machine"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// checkHost looks for what a lab needs before anything is changed.
func checkHost(spec Spec) error {
	missing := func(seen, advice string) error {
		return &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("lab %q", spec.Name), Summary: "this machine cannot run a lab",
			Seen: seen, Advice: advice}
	}
	if _, err := exec.LookPath(machine.Emulator); err != nil {
		return missing(err.Error(), "install QEMU for x86 (Debian: qemu-system-x86)")
	}
	for _, m := range spec.Machines {
		if m.Firmware != bmc.FirmwareUEFI {
			continue
		}
		if _, err := machine.FindFirmware(); err != nil {
			return missing(err.Error(), "install OVMF (Debian: ovmf)")
		}
	}
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return missing(err.Error(), "load the kernel's tun module and give this user access to /dev/net/tun, or run as root")
	}
	return tun.Close()
}
