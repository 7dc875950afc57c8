package bmc

import "context"

// Machine is the server behind the BMC: the side of the power button. All
// methods may be called at any time from any goroutine.
type Machine interface {
	// Attach hands the machine its board, once, before anything else.
	Attach(Board)
	// On says whether the machine has power.
	On() bool
	// PowerOn starts a machine that is off; one that is on stays as it is.
	PowerOn(context.Context) error
	// PowerOff takes the power away, and returns when it is gone.
	PowerOff(context.Context) error
	// PressButton asks the running system to shut itself down (ACPI) and
	// returns at once; the system may ignore it.
	PressButton(context.Context) error
	// Reset restarts the firmware of a machine that is on, without asking the
	// running system.
	Reset(context.Context) error
	// Console gives what the serial console said since the last power-on, as
	// far as it is kept.
	Console() ([]byte, error)
}

// Board is what a machine's firmware sees of its BMC.
type Board interface {
	// NextBoot is asked by the firmware at every start, also after a reset from
	// inside: where to boot from. It uses up a one-time override.
	NextBoot() Boot
	// PowerChanged is told when the machine went on or off, whoever did it.
	PowerChanged(on bool)
	// Log adds a line to the BMC's event log.
	Log(severity Severity, message string)
}

// Target is a Redfish BootSource (ComputerSystem schema).
type Target string

// The boot sources that the lab's machines have.
const (
	TargetNone     Target = "None"
	TargetPxe      Target = "Pxe"
	TargetHdd      Target = "Hdd"
	TargetCd       Target = "Cd"
	TargetUefiHTTP Target = "UefiHttp"
)

// Boot is where a firmware is to boot from.
type Boot struct {
	// Target is the override that is in force, TargetNone without one.
	Target Target
	// URI is what TargetUefiHTTP fetches; empty: what DHCP says.
	URI string
	// Order is the boot order by device ID: the IDs of Hardware, and DeviceCD.
	Order []string
	// Media is the file in the virtual CD drive, empty without one.
	Media string
}

// DeviceCD is the device ID of the virtual CD drive in a boot order.
const DeviceCD = "cd"

// The firmware kinds of Hardware.
const (
	FirmwareUEFI = "uefi"
	FirmwareBIOS = "bios"
)

// Hardware describes the machine, as its maker wrote it into the BMC.
type Hardware struct {
	Name         string `json:"name"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Serial       string `json:"serial"`
	UUID         string `json:"uuid"`
	BIOSVersion  string `json:"bios_version"`
	// Firmware is FirmwareUEFI or FirmwareBIOS.
	Firmware string `json:"firmware"`
	CPUs     int    `json:"cpus"`
	CPUModel string `json:"cpu_model"`
	MemoryMB int64  `json:"memory_mb"`
	Disks    []Disk `json:"disks"`
	NICs     []NIC  `json:"nics"`
}

// Disk is one drive.
type Disk struct {
	// ID is unique in the machine: "disk-1".
	ID        string `json:"id"`
	Model     string `json:"model"`
	Serial    string `json:"serial"`
	SizeBytes int64  `json:"size_bytes"`
}

// NIC is one Ethernet port.
type NIC struct {
	// ID is unique in the machine: "nic-1".
	ID        string `json:"id"`
	MAC       string `json:"mac"`
	SpeedMbps int    `json:"speed_mbps"`
}
