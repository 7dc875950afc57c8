package hardware

import (
	"encoding/binary"
	"net"
	"strings"
)

// TLV types and port ID subtypes of IEEE 802.1AB-2016 sections 8.4 and 8.5.
const (
	tlvEnd        = 0
	tlvChassis    = 1
	tlvPort       = 2
	tlvSystemName = 5
	subtypeMAC    = 3 // of a port; 4 of a chassis
	chassisMAC    = 4
)

// parseLLDP gives "system name / port id" of an LLDP frame's payload; the
// chassis ID stands for a missing name. Empty: not a usable frame.
func parseLLDP(b []byte) string {
	var chassis, port, name string
	for len(b) >= 2 {
		head := binary.BigEndian.Uint16(b)
		kind, n := head>>9, int(head&0x1ff)
		if b = b[2:]; n > len(b) {
			return ""
		}
		v := b[:n]
		b = b[n:]
		switch kind {
		case tlvEnd:
			b = nil
		case tlvChassis:
			chassis = identifier(v, chassisMAC)
		case tlvPort:
			port = identifier(v, subtypeMAC)
		case tlvSystemName:
			name = printable(v)
		}
	}
	if name == "" {
		name = chassis
	}
	if name == "" || port == "" {
		return ""
	}
	return name + " / " + port
}

func identifier(v []byte, macSubtype byte) string {
	if len(v) < 2 {
		return ""
	}
	if v[0] == macSubtype && len(v) == 7 {
		return net.HardwareAddr(v[1:]).String()
	}
	return printable(v[1:])
}

func printable(v []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, string(v)))
}
