package machine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// Emulator is QEMU's system emulator for the only architecture of the lab.
const Emulator = "qemu-system-x86_64"

// PCI slots below the root bus, fixed so that the device paths in the
// firmware's variables are known before the first boot.
const (
	slotDisk = 0x04
	slotNIC  = 0x10
	slotRNG  = 0x03
)

// tcgCPU is qemu64 with what Go's runtime, containerd and Debian's OpenSSL
// want; "max" is slower under TCG because software then uses AVX2, which is
// emulated. RDRAND keeps getrandom from blocking early in the boot.
const tcgCPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq,+rdrand,+cx16"

// File descriptors of the child: the monitor and the serial console are
// sockets that it inherits.
const (
	monitorFD = 3
	serialFD  = 4
)

// Arguments is the command line for one start. It is a pure function of the
// configuration and of where to boot from.
func Arguments(c Config, boot bmc.Boot) []string {
	h := c.Hardware
	args := []string{
		"-name", "guest=" + h.Name + ",debug-threads=on",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35,hpet=off,smm=off,vmport=off,graphics=off",
		"-smp", strconv.Itoa(h.CPUs), "-m", strconv.FormatInt(h.MemoryMB, 10),
		"-uuid", h.UUID,
		"-smbios", smbios(h),
		"-rtc", "base=utc",
		"-boot", "strict=on",
		"-chardev", fmt.Sprintf("socket,id=mon,fd=%d", monitorFD), "-mon", "chardev=mon,mode=control",
		"-chardev", fmt.Sprintf("socket,id=ser,fd=%d", serialFD), "-serial", "chardev:ser",
		"-device", fmt.Sprintf("virtio-rng-pci,addr=%#x", slotRNG),
		// A reset from inside ends the process: the lab starts it again, so that
		// the firmware asks the BMC for its boot target anew.
		"-action", "reboot=shutdown",
	}
	args = append(args, accelerator(c.Accelerator)...)
	args = append(args, c.firmware(boot)...)
	order := bootIndexes(h, boot)
	args = append(args, c.disks(order)...)
	args = append(args, c.nics(order)...)
	return append(args, media(boot, order)...)
}

func smbios(h bmc.Hardware) string {
	return fmt.Sprintf("type=1,manufacturer=%s,product=%s,serial=%s,uuid=%s",
		escape(h.Manufacturer), escape(h.Model), escape(h.Serial), h.UUID)
}

func accelerator(name string) []string {
	if name == KVM {
		return []string{"-accel", KVM, "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi,tb-size=512", "-cpu", tcgCPU}
}

func (c Config) firmware(boot bmc.Boot) []string {
	if c.Hardware.Firmware == bmc.FirmwareBIOS {
		return nil
	}
	args := []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + escape(c.Firmware.Code),
		"-drive", "if=pflash,format=raw,unit=1,file=" + escape(c.varsPath()),
		// A PXE attempt over IPv6 waits a minute for an answer that the lab
		// never gives.
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}
	if boot.Target == bmc.TargetUefiHTTP && boot.URI == "" {
		// OVMF would try PXE first on the same port.
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}
	return args
}

func (c Config) disks(order map[string]int) []string {
	var args []string
	for i, disk := range c.Hardware.Disks {
		node := "drive" + strconv.Itoa(i)
		// cache=unsafe: the lab's data must outlive QEMU, not the power of the
		// host that it runs on, and etcd's flushes are the slowest thing there.
		drive := fmt.Sprintf("if=none,id=%s,format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap,file=%s",
			node, escape(c.DiskPath(disk.ID)))
		device := fmt.Sprintf("virtio-blk-pci,drive=%s,serial=%s,addr=%#x,discard=on,write-zeroes=on,iothread=io%d",
			node, escape(disk.Serial), slotDisk+i, i)
		args = append(args, "-object", fmt.Sprintf("iothread,id=io%d", i),
			"-drive", drive, "-device", device+bootIndex(order, disk.ID))
	}
	return args
}

func (c Config) nics(order map[string]int) []string {
	var args []string
	for i, nic := range c.Hardware.NICs {
		device := fmt.Sprintf("virtio-net-pci,netdev=net%d,mac=%s,addr=%#x", i, nic.MAC, slotNIC+i)
		if c.Hardware.Firmware != bmc.FirmwareBIOS {
			// Without the iPXE option ROM the firmware's own client is used.
			device += ",romfile="
		}
		args = append(args, "-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, c.Taps[i]),
			"-device", device+bootIndex(order, nic.ID))
	}
	return args
}

func media(boot bmc.Boot, order map[string]int) []string {
	if boot.Media == "" {
		return nil
	}
	return []string{
		"-drive", "if=none,id=cd0,media=cdrom,readonly=on,format=raw,file=" + escape(boot.Media),
		"-device", "ide-cd,drive=cd0,bus=ide.0" + bootIndex(order, bmc.DeviceCD),
	}
}

func bootIndex(order map[string]int, id string) string {
	if index, ok := order[id]; ok {
		return ",bootindex=" + strconv.Itoa(index)
	}
	return ""
}

// bootIndexes gives each device its place: the boot order, with the devices of
// the override in front.
func bootIndexes(h bmc.Hardware, boot bmc.Boot) map[string]int {
	ids := slices.Concat(overridden(h, boot), boot.Order)
	indexes := make(map[string]int, len(ids))
	for i, id := range ids {
		if _, known := indexes[id]; !known {
			indexes[id] = i + 1
		}
	}
	return indexes
}

// overridden gives the devices of the override. A URI needs none: it goes
// through the firmware's BootNext, and what comes after it is the boot order.
func overridden(h bmc.Hardware, boot bmc.Boot) []string {
	if boot.URI != "" {
		return nil
	}
	var ids []string
	switch boot.Target {
	case bmc.TargetHdd:
		for _, disk := range h.Disks {
			ids = append(ids, disk.ID)
		}
	case bmc.TargetPxe, bmc.TargetUefiHTTP:
		for _, nic := range h.NICs {
			ids = append(ids, nic.ID)
		}
	case bmc.TargetCd:
		ids = append(ids, bmc.DeviceCD)
	}
	return ids
}

// escape doubles commas, which end a value in QEMU's option lists.
func escape(value string) string {
	var out []rune
	for _, r := range value {
		if r == ',' {
			out = append(out, r)
		}
		out = append(out, r)
	}
	return string(out)
}
