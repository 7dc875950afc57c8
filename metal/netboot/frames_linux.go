package netboot

import (
	"fmt"
	"net"
	"sync/atomic"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/mdlayher/packet"
)

// hearingConn is a socket below IP, so that answers to an address that this
// machine does not have are seen, and with them the MAC address of who sent them.
type hearingConn struct {
	net.PacketConn
	heard *hearing
}

// source is the MAC address that the last packet read came from.
func (f *hearingConn) source() string {
	if s := f.heard.last.Load(); s != nil {
		return *s
	}
	return ""
}

// hearing remembers from which MAC address the last frame came.
type hearing struct {
	net.PacketConn
	last atomic.Pointer[string]
}

// ReadFrom reads one frame's payload.
func (h *hearing) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := h.PacketConn.ReadFrom(b)
	if a, ok := from.(*packet.Addr); ok && err == nil {
		mac := a.HardwareAddr.String()
		h.last.Store(&mac)
	}
	return n, from, err
}

func listenFrames(name string) (frames, error) {
	const ethertypeIPv4 = 0x0800
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	if iface.Flags&net.FlagUp == 0 || iface.Flags&net.FlagBroadcast == 0 {
		return nil, fmt.Errorf("interface %q is %s", name, iface.Flags)
	}
	raw, err := packet.Listen(iface, packet.Datagram, ethertypeIPv4, nil)
	if err != nil {
		return nil, err
	}
	h := &hearing{PacketConn: raw}
	return &hearingConn{PacketConn: nclient4.NewBroadcastUDPConn(h, &net.UDPAddr{Port: dhcpv4.ClientPort}), heard: h}, nil
}
