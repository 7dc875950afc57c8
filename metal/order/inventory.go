package order

// Inventory is what the installer found in the server.
type Inventory struct {
	System   System   `json:"system"`
	CPU      CPU      `json:"cpu"`
	MemoryMB int64    `json:"memory_mb"`
	Disks    []Disk   `json:"disks"`
	NICs     []NIC    `json:"nics"`
	Firmware Firmware `json:"firmware"`
}

// System identifies the machine by its SMBIOS type 1 fields.
type System struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"`
}

// Firmware is SMBIOS type 0 and how the machine was booted.
type Firmware struct {
	Vendor  string `json:"vendor,omitempty"`
	Version string `json:"version,omitempty"`
	Date    string `json:"date,omitempty"`
	// Mode is "uefi" or "bios".
	Mode string `json:"mode"`
}

// CPU is the sum over all sockets.
type CPU struct {
	Model   string `json:"model"`
	Sockets int    `json:"sockets"`
	Cores   int    `json:"cores"`
	Threads int    `json:"threads"`
	Arch    string `json:"arch"`
}

// Disk is one whole block device that an image could be written to.
type Disk struct {
	// Name is the kernel's path, such as "/dev/nvme0n1"; it may change from
	// boot to boot.
	Name string `json:"name"`
	// ByPath is the link below /dev/disk/by-path that udev would make, if known.
	ByPath     string `json:"by_path,omitempty"`
	Model      string `json:"model,omitempty"`
	Vendor     string `json:"vendor,omitempty"`
	Serial     string `json:"serial,omitempty"`
	WWN        string `json:"wwn,omitempty"`
	SizeBytes  int64  `json:"size_bytes"`
	Rotational bool   `json:"rotational"`
	ReadOnly   bool   `json:"read_only,omitempty"`
	// Content lists what is on the disk, one finding per line for a person:
	// "GPT with 3 partitions", "ext4 \"data\" on partition 2". Empty: no
	// partition table and no known signature.
	Content []string `json:"content,omitempty"`
	// Mark is this product's own mark on the disk, if it is there.
	Mark *Mark `json:"mark,omitempty"`
}

// Mark is written to a disk before an image is, so that a later process knows
// that the content is ours even when every record of it was lost.
type Mark struct {
	// Host is the name of the host that the disk was written for.
	Host string `json:"host"`
	// Deployment is the ID of the deployment that was written.
	Deployment string `json:"deployment"`
	// Complete says that the image was written to its end and verified.
	Complete bool `json:"complete"`
}

// NIC is one Ethernet port.
type NIC struct {
	Name string `json:"name"`
	MAC  string `json:"mac"`
	// Link says whether the port has a carrier.
	Link bool `json:"link"`
	// SpeedMbps is 0 when the driver does not tell.
	SpeedMbps int    `json:"speed_mbps,omitempty"`
	Driver    string `json:"driver,omitempty"`
	// LLDP is the neighbour's "system name / port id" when one was heard.
	LLDP string `json:"lldp,omitempty"`
}
