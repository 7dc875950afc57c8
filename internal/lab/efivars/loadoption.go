package efivars

import (
	"encoding/binary"
	"fmt"
	"net"
)

// active is LOAD_OPTION_ACTIVE (UEFI 2.10, 3.1.3).
const active = 1

// DevicePath is the bytes of an EFI device path without its end node.
type DevicePath []byte

func (p DevicePath) node(kind, sub byte, data []byte) DevicePath {
	node := []byte{kind, sub, 0, 0}
	binary.LittleEndian.PutUint16(node[2:], uint16(4+len(data)))
	return append(append(p, node...), data...)
}

// PciRoot adds the ACPI node of PCI root bridge uid: PNP0A03 as an EISA ID.
func (p DevicePath) PciRoot(uid uint32) DevicePath {
	data := binary.LittleEndian.AppendUint32(nil, 0x0a0341d0)
	return p.node(2, 1, binary.LittleEndian.AppendUint32(data, uid))
}

// Pci adds a PCI function.
func (p DevicePath) Pci(device, function byte) DevicePath {
	return p.node(1, 1, []byte{function, device})
}

// MAC adds the Ethernet port of that address.
func (p DevicePath) MAC(mac net.HardwareAddr) DevicePath {
	data := make([]byte, 33) // a 32 byte field for the address, then the interface type
	copy(data, mac)
	data[32] = 1 // Ethernet (RFC 3232)
	return p.node(3, 11, data)
}

// IPv4DHCP adds the IPv4 node of an interface that gets its address by DHCP.
func (p DevicePath) IPv4DHCP() DevicePath { return p.node(3, 12, make([]byte, 23)) }

// URI adds the URI node that HTTP boot fetches.
func (p DevicePath) URI(uri string) DevicePath { return p.node(3, 24, []byte(uri)) }

// HTTPBoot is the device path of a boot from uri over the port at a PCI slot.
// An empty MAC gives the short form, which the firmware expands to any port.
func HTTPBoot(slot byte, mac net.HardwareAddr, uri string) DevicePath {
	if len(mac) == 0 {
		return DevicePath(nil).URI(uri)
	}
	return DevicePath(nil).PciRoot(0).Pci(slot, 0).MAC(mac).IPv4DHCP().URI(uri)
}

// LoadOption encodes an active EFI_LOAD_OPTION: the content of a Boot####.
func LoadOption(description string, path DevicePath) []byte {
	list := append(append(DevicePath(nil), path...), 0x7f, 0xff, 4, 0)
	raw := binary.LittleEndian.AppendUint32(nil, active)
	raw = binary.LittleEndian.AppendUint16(raw, uint16(len(list)))
	return append(append(raw, encodeUCS2(description)...), list...)
}

// SetBootNext stores a load option under a number and makes it the target of
// the next boot only: the firmware deletes BootNext before it follows it.
func (s *Store) SetBootNext(number uint16, option []byte) {
	s.Set(GlobalVariable, fmt.Sprintf("Boot%04X", number), option)
	s.Set(GlobalVariable, "BootNext", binary.LittleEndian.AppendUint16(nil, number))
}

// ClearBootNext removes BootNext and the option of that number.
func (s *Store) ClearBootNext(number uint16) {
	s.Delete(GlobalVariable, "BootNext")
	s.Delete(GlobalVariable, fmt.Sprintf("Boot%04X", number))
}
