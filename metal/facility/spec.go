package facility

// Spec is what a front end wants of a facility.
type Spec struct {
	// Name is an RFC 1123 label.
	Name string `json:"name"`
	// Networks are the L2 segments on which hosts boot. At least one.
	Networks []NetworkSpec `json:"networks"`
	// Services say how the agent serves them.
	Services ServicesSpec `json:"services"`
}

// NetworkSpec is one L2 segment with one IPv4 subnet.
type NetworkSpec struct {
	// Name is an RFC 1123 label, unique in the facility.
	Name string `json:"name"`
	// CIDR is the subnet: "172.30.0.0/24".
	CIDR string `json:"cidr"`
	// Gateway is the default router of hosts; optional.
	Gateway string `json:"gateway,omitempty"`
	// DNS are name servers for hosts; optional.
	DNS []string `json:"dns,omitempty"`
	// Pool are the ranges that host addresses are claimed from, as CIDRs or
	// "first-last"; they lie in CIDR and do not overlap.
	Pool []string `json:"pool"`
	// AgentAddress is the agent's own address in CIDR, without prefix: where it
	// serves. It must be on one of the agent machine's interfaces.
	AgentAddress string `json:"agent_address"`
}

// ServicesSpec are the ports and files of the boot services.
type ServicesSpec struct {
	// Installer is the folder with the installer's files (installer.efi,
	// vmlinuz, initramfs.zst, snponly.efi, undionly.kpxe).
	Installer string `json:"installer"`
	// HTTPPort serves boot files and images (plain HTTP; firmware needs that).
	// Default 8080.
	HTTPPort int `json:"http_port,omitempty"`
	// TLSPort serves the installer protocol. Default 8443.
	TLSPort int `json:"tls_port,omitempty"`
	// DHCP is "authoritative" (default): the agent is the segment's only DHCP
	// server and answers known hosts only; it refuses to start beside another
	// server. "off": addresses and boot files come from elsewhere.
	DHCP string `json:"dhcp,omitempty"`
}

// Status is what is known of a facility.
type Status struct {
	Name string `json:"name"`
	// Revision grows with every change.
	Revision uint64 `json:"revision"`
	// Serving says that the boot services run in the agent just now.
	Serving bool `json:"serving"`
	// Version is the agent's version.
	Version string `json:"version"`
	// Hosts and Clusters are the names of what belongs to it.
	Hosts    []string `json:"hosts"`
	Clusters []string `json:"clusters"`
	// Claims are the addresses in use, address to owner.
	Claims map[string]string `json:"claims"`
}
