package host

// Spec is what a front end wants of a host.
type Spec struct {
	// Name identifies the host in its facility: an RFC 1123 label, which is
	// also its default hostname.
	Name string `json:"name"`
	// BMC is how the host is controlled out of band.
	BMC BMCSpec `json:"bmc"`
	// BootMAC is the MAC address of the port that the host boots from.
	BootMAC string `json:"boot_mac"`
	// BootMethod is "auto" (default), "uefi-http" or "pxe".
	BootMethod string `json:"boot_method,omitempty"`
	// Network is the facility network of BootMAC; may be left out when the
	// facility has one.
	Network string `json:"network,omitempty"`
	// RootDevice selects the disk that images are written to; nil selects the
	// only disk, and is an error where there are several.
	RootDevice *RootDeviceHints `json:"root_device,omitempty"`
	// Labels are for selection; they have no effect on the host.
	Labels map[string]string `json:"labels,omitempty"`
	// Wipe says which data may be destroyed: see the Wipe constants. Default WipeOwn.
	Wipe WipePolicy `json:"wipe,omitempty"`
	// Timeouts bound the phases; zero fields have defaults.
	Timeouts Timeouts `json:"timeouts,omitzero"`
}

// BMCSpec names a BMC. It holds no secret: Credentials is a name that is
// resolved at run time.
type BMCSpec struct {
	// URL is the Redfish service, such as "https://10.0.0.5".
	URL string `json:"url"`
	// Credentials is the name of the username and password.
	Credentials string `json:"credentials"`
	// Fingerprint pins the BMC's TLS certificate: SHA-256 of its DER form in
	// hex, colons allowed. Mutually exclusive with CA and Insecure.
	Fingerprint string `json:"fingerprint,omitempty"`
	// CA is a PEM bundle that the BMC's certificate must verify against,
	// instead of the system's roots.
	CA string `json:"ca,omitempty"`
	// Insecure accepts any certificate.
	Insecure bool `json:"insecure,omitempty"`
	// SystemID selects one ComputerSystem of a BMC that has several.
	SystemID string `json:"system_id,omitempty"`
}

// WipePolicy says which data on a host's disks may be destroyed.
type WipePolicy string

const (
	// WipeOwn (the default) wipes the root disk when the host is given back, if
	// this product wrote it, and refuses to write over data that it did not write.
	WipeOwn WipePolicy = "own"
	// WipeAny also allows writing over data on the root disk that this product
	// did not write.
	WipeAny WipePolicy = "any"
	// WipeNever leaves the root disk as it is when the host is given back, and
	// refuses to write over foreign data.
	WipeNever WipePolicy = "never"
)

// RootDeviceHints select a disk; all given ones must match.
type RootDeviceHints struct {
	// Name is the kernel's path, "/dev/sda"; stable names are better.
	Name string `json:"name,omitempty"`
	// ByPath is the name below /dev/disk/by-path, with or without that folder.
	ByPath string `json:"by_path,omitempty"`
	// Model and Vendor match as substrings, ignoring case.
	Model  string `json:"model,omitempty"`
	Vendor string `json:"vendor,omitempty"`
	// Serial and WWN match exactly, ignoring case.
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	// MinSizeGB and MaxSizeGB bound the size in units of 10^9 bytes.
	MinSizeGB int64 `json:"min_size_gb,omitempty"`
	MaxSizeGB int64 `json:"max_size_gb,omitempty"`
	// Rotational selects spinning (true) or solid-state disks.
	Rotational *bool `json:"rotational,omitempty"`
}

// Timeouts of phases, in seconds.
type Timeouts struct {
	// BootSeconds is from power-on to the installer's first report. Default 900.
	BootSeconds int64 `json:"boot_seconds,omitempty"`
	// PowerSeconds is for a power change to be read back. Default 180.
	PowerSeconds int64 `json:"power_seconds,omitempty"`
	// StallSeconds is how long imaging or wiping may make no progress. Default 300.
	StallSeconds int64 `json:"stall_seconds,omitempty"`
}
