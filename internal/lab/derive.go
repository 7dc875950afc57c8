package lab

import (
	"crypto/sha256"
	"fmt"
	"net/netip"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// Everything that identifies a machine is derived from the lab's and the
// machine's name, so that it is the same after every start.

func digest(words ...string) [32]byte {
	h := sha256.New()
	for _, word := range words {
		fmt.Fprintf(h, "%d:%s", len(word), word)
	}
	return [32]byte(h.Sum(nil))
}

// mac is a locally administered unicast address with QEMU's prefix.
func mac(words ...string) string {
	d := digest(append(words, "mac")...)
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", d[0], d[1], d[2])
}

func (s Spec) hardware(m MachineSpec) (bmc.Hardware, error) {
	id := digest(s.Name, m.Name)
	h := bmc.Hardware{
		Name: m.Name, Manufacturer: "nanometal", Model: "Lab Server", Firmware: m.Firmware,
		Serial:      fmt.Sprintf("LAB%X", id[0:5]),
		UUID:        uuid(id[8:24]),
		BIOSVersion: map[string]string{bmc.FirmwareUEFI: "OVMF", bmc.FirmwareBIOS: "SeaBIOS"}[m.Firmware],
		CPUs:        m.CPUs, CPUModel: "QEMU Virtual CPU", MemoryMB: m.MemoryMB,
	}
	for i, text := range m.Disks {
		size, err := ParseSize(text)
		if err != nil {
			return h, err
		}
		name := fmt.Sprintf("disk-%d", i+1)
		d := digest(s.Name, m.Name, name)
		h.Disks = append(h.Disks, bmc.Disk{ID: name, Model: "Virtual Disk", Serial: fmt.Sprintf("DISK%X", d[0:6]), SizeBytes: size})
	}
	for i := range m.NICs {
		name := fmt.Sprintf("nic-%d", i+1)
		h.NICs = append(h.NICs, bmc.NIC{ID: name, MAC: mac(s.Name, m.Name, name), SpeedMbps: 1000})
	}
	return h, nil
}

// uuid formats 16 bytes as a version 8 UUID (RFC 9562).
func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], []byte{b[6]&0x0f | 0x80, b[7]}, []byte{b[8]&0x3f | 0x80, b[9]}, b[10:16])
}

// bridge is the bridge's address: the first of the subnet.
func (s Spec) bridge() (netip.Prefix, error) {
	subnet, err := netip.ParsePrefix(s.Subnet)
	if err != nil || !subnet.Addr().Is4() || subnet.Bits() > 24 || subnet.Masked() != subnet {
		return netip.Prefix{}, fmt.Errorf("parsing subnet %q: want an IPv4 network of /24 or larger, such as 172.30.0.0/24", s.Subnet)
	}
	return netip.PrefixFrom(subnet.Addr().Next(), subnet.Bits()), nil
}

// bmcAddress is the address of the i-th machine's BMC.
func (s Spec) bmcAddress(i int) (netip.Addr, error) {
	bridge, err := s.bridge()
	if err != nil {
		return netip.Addr{}, err
	}
	octets := bridge.Addr().As4()
	octets[3] = byte(firstBMC + i)
	return netip.AddrFrom4(octets), nil
}

// tap is the name of the i-th machine's n-th port on the bridge.
func tap(i, n int) string { return fmt.Sprintf("m%dn%d", i+1, n+1) }
