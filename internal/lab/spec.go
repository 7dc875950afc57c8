package lab

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// Spec is what a lab is made of. Missing values have defaults.
type Spec struct {
	// Name tells labs on one machine apart; default "demo".
	Name string `json:"name"`
	// Subnet is the IPv4 network of the bridge, at least a /24; its first
	// address is the bridge's. Default 172.30.0.0/24.
	Subnet string `json:"subnet"`
	// Machines are the servers; default one.
	Machines []MachineSpec `json:"machines"`
	// Forwards lead from 127.0.0.1 outside to an address inside the lab.
	Forwards []ForwardSpec `json:"forwards,omitempty"`
	// BMCUser is the user name on all BMCs; default "admin".
	BMCUser string `json:"bmc_user"`
	// Accelerator is "auto" (default), "kvm" or "tcg".
	Accelerator string `json:"accelerator"`
}

// MachineSpec is one server.
type MachineSpec struct {
	// Name is unique; default server-1, server-2 ...
	Name string `json:"name"`
	// Firmware is "uefi" (default) or "bios".
	Firmware string `json:"firmware"`
	CPUs     int    `json:"cpus"`
	MemoryMB int64  `json:"memory_mb"`
	// Disks are sizes such as "20G"; default one of 20G.
	Disks []string `json:"disks"`
	// NICs is the number of ports; default 1.
	NICs int `json:"nics"`
	// BMCQuirks are ways in which the BMC differs from the standard: names of
	// bmc.Quirks and bmc.Profiles, such as "idrac".
	BMCQuirks []string `json:"bmc_quirks,omitempty"`
}

// ForwardSpec is one forwarded TCP port.
type ForwardSpec struct {
	// Listen is an address and port outside, on 127.0.0.1 only.
	Listen string `json:"listen"`
	// Target is an address and port inside.
	Target string `json:"target"`
}

// The limits that PCI slots and the addresses of the BMCs set.
const (
	maxMachines = 50
	maxDisks    = 8
	maxNICs     = 8
)

// firstBMC is the host part of the first BMC's address.
const firstBMC = 201

// LoadSpec reads a lab's specification from a YAML or JSON file.
func LoadSpec(path string) (Spec, error) {
	var spec Spec
	raw, err := os.ReadFile(path)
	if err != nil {
		return spec, fmt.Errorf("reading lab specification: %w", err)
	}
	if err := yaml.UnmarshalStrict(raw, &spec); err != nil {
		return spec, fmt.Errorf("decoding lab specification %q: %w", path, err)
	}
	return spec, nil
}

// ParseForward reads "127.0.0.1:16443=172.30.0.100:6443".
func ParseForward(text string) (ForwardSpec, error) {
	listen, target, ok := strings.Cut(text, "=")
	f := ForwardSpec{Listen: listen, Target: target}
	if !ok {
		return f, fmt.Errorf("parsing forward %q: want LISTEN=TARGET, such as 127.0.0.1:16443=172.30.0.100:6443", text)
	}
	return f, f.validate()
}

func (f ForwardSpec) validate() error {
	listen, err := netip.ParseAddrPort(f.Listen)
	if err != nil {
		return fmt.Errorf("parsing forward's listen address %q: %w", f.Listen, err)
	}
	if listen.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return fmt.Errorf("checking forward %q: the lab listens on 127.0.0.1 only", f.Listen)
	}
	if _, err := netip.ParseAddrPort(f.Target); err != nil {
		return fmt.Errorf("parsing forward's target %q: %w", f.Target, err)
	}
	return nil
}

// nameFormat keeps names usable as file, namespace and host names.
var nameFormat = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Complete fills in the defaults and checks the result.
func (s *Spec) Complete() error {
	s.Name = or(s.Name, "demo")
	s.Subnet = or(s.Subnet, "172.30.0.0/24")
	s.BMCUser = or(s.BMCUser, "admin")
	s.Accelerator = or(s.Accelerator, "auto")
	if len(s.Machines) == 0 {
		s.Machines = []MachineSpec{{}}
	}
	if !nameFormat.MatchString(s.Name) {
		return fmt.Errorf("checking lab name %q: want lower-case letters, digits and dashes, at most 32", s.Name)
	}
	if s.Accelerator != "auto" && s.Accelerator != "kvm" && s.Accelerator != "tcg" {
		return fmt.Errorf("checking accelerator %q: want auto, kvm or tcg", s.Accelerator)
	}
	if _, err := s.bridge(); err != nil {
		return err
	}
	if len(s.Machines) > maxMachines {
		return fmt.Errorf("checking %d machines: at most %d are possible", len(s.Machines), maxMachines)
	}
	names := map[string]bool{}
	for i := range s.Machines {
		m := &s.Machines[i]
		if err := m.complete(i); err != nil {
			return err
		}
		if names[m.Name] {
			return fmt.Errorf("checking machine %q: the name is used twice", m.Name)
		}
		names[m.Name] = true
	}
	for _, f := range s.Forwards {
		if err := f.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (m *MachineSpec) complete(i int) error {
	m.Name = or(m.Name, fmt.Sprintf("server-%d", i+1))
	m.Firmware = or(m.Firmware, bmc.FirmwareUEFI)
	m.CPUs = or(m.CPUs, 2)
	m.MemoryMB = or(m.MemoryMB, 2048)
	m.NICs = or(m.NICs, 1)
	if len(m.Disks) == 0 {
		m.Disks = []string{"20G"}
	}
	switch {
	case !nameFormat.MatchString(m.Name):
		return fmt.Errorf("checking machine name %q: want lower-case letters, digits and dashes, at most 32", m.Name)
	case m.Firmware != bmc.FirmwareUEFI && m.Firmware != bmc.FirmwareBIOS:
		return fmt.Errorf("checking firmware %q of machine %q: want uefi or bios", m.Firmware, m.Name)
	case m.CPUs < 1 || m.CPUs > 64 || m.MemoryMB < 128 || m.NICs < 1 || m.NICs > maxNICs || len(m.Disks) > maxDisks:
		return fmt.Errorf("checking machine %q: want 1 to 64 CPUs, at least 128 MiB, 1 to %d NICs, at most %d disks", m.Name, maxNICs, maxDisks)
	}
	for _, disk := range m.Disks {
		if _, err := ParseSize(disk); err != nil {
			return err
		}
	}
	return bmc.CheckQuirks(m.BMCQuirks)
}

// ParseSize reads a size in bytes with an optional suffix K, M, G or T, all
// powers of 1024. A disk has whole sectors.
func ParseSize(text string) (int64, error) {
	digits, shift := strings.TrimRight(text, "KMGT"), 0
	if suffix := text[len(digits):]; len(suffix) == 1 {
		shift = 10 * (strings.Index("KMGT", suffix) + 1)
	} else if suffix != "" {
		digits = ""
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > (1<<50)>>shift || n<<shift%512 != 0 {
		return 0, fmt.Errorf("parsing size %q: want a number of whole sectors with K, M, G or T", text)
	}
	return n << shift, nil
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
