package netboot

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/ipv6"
)

const (
	// ndOptionSourceMAC is the source link-layer address option (RFC 4861, 4.6.1).
	ndOptionSourceMAC = 1
	ndHopLimit        = 255 // RFC 4861, 6.1: anything else is dropped
	solicitation      = 8   // length without options
)

// advertisement is a router advertisement that configures nothing (RFC 4861,
// 4.2): no hop limit, no flags, router lifetime 0 ("not a default router"), no
// times, no prefixes. iPXE needs no more to stop waiting. The kernel fills in
// the checksum.
var advertisement = []byte{byte(ipv6.ICMPTypeRouterAdvertisement), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// allRouters is where solicitations go (RFC 4291, 2.7.1).
var allRouters = &net.IPAddr{IP: net.ParseIP("ff02::2")}

// routerPort answers solicitations on one interface.
type routerPort struct {
	server *Server
	iface  *net.Interface
	conn   *ipv6.PacketConn
}

func (s *Server) bindRouters() ([]func(), error) {
	if !s.config.RouterAdvertisements || !s.config.DHCP {
		return nil, nil
	}
	var serve []func()
	bound := map[string]bool{}
	for _, n := range s.networks {
		if bound[n.Interface] {
			continue
		}
		bound[n.Interface] = true
		port, err := s.bindRouter(n.Interface)
		if err != nil {
			// Without it hosts boot as well, some seconds later.
			s.log.Info("no router advertisements", "interface", n.Interface, "reason", err)
			continue
		}
		serve = append(serve, port.serve)
	}
	return serve, nil
}

func (s *Server) bindRouter(name string) (*routerPort, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("finding interface %q: %w", name, err)
	}
	raw, err := listenOn(s.ctx, name, "ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, fmt.Errorf("listening for router solicitations on %q: %w", name, err)
	}
	conn := ipv6.NewPacketConn(raw)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterSolicitation)
	err = errors.Join(
		conn.JoinGroup(iface, allRouters),
		conn.SetICMPFilter(&filter),
		conn.SetHopLimit(ndHopLimit), conn.SetMulticastHopLimit(ndHopLimit),
		conn.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagInterface, true),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing router advertisements on %q: %w", name, err), raw.Close())
	}
	s.closers = append(s.closers, raw.Close)
	return &routerPort{server: s, iface: iface, conn: conn}, nil
}

func (r *routerPort) serve() {
	buffer := make([]byte, dhcpPacket)
	for {
		n, control, from, err := r.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) || r.server.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.server.log.Warn("router solicitations end", "interface", r.iface.Name, "error", err)
			return
		}
		mac, ok := solicitor(buffer[:n], control, from)
		if !ok || !r.wanted(mac) {
			continue
		}
		answer := append(bytes.Clone(advertisement), ndOptionSourceMAC, 1)
		answer = append(answer, r.iface.HardwareAddr...)
		if _, err := r.conn.WriteTo(answer, &ipv6.ControlMessage{HopLimit: ndHopLimit, IfIndex: r.iface.Index}, from); err != nil {
			r.server.log.Debug("sending a router advertisement", "mac", mac, "error", err)
		}
	}
}

// wanted limits the answers to hosts that boot from us now: everybody else's
// IPv6 is none of our business.
func (r *routerPort) wanted(mac net.HardwareAddr) bool {
	c, ok := r.server.hosts.ByMAC(mac)
	return ok && c.Boot != nil
}

// solicitor gives the MAC address of a valid solicitation's sender: its option,
// or what its EUI-64 address was made of.
func solicitor(packet []byte, control *ipv6.ControlMessage, from net.Addr) (net.HardwareAddr, bool) {
	if len(packet) < solicitation || packet[0] != byte(ipv6.ICMPTypeRouterSolicitation) || control == nil || control.HopLimit != ndHopLimit {
		return nil, false
	}
	for options := packet[solicitation:]; len(options) >= 8; {
		length := int(options[1]) * 8
		if length == 0 || length > len(options) {
			return nil, false
		}
		if options[0] == ndOptionSourceMAC && length == 8 {
			return bytes.Clone(options[2:8]), true
		}
		options = options[length:]
	}
	ip, ok := from.(*net.IPAddr)
	if !ok || len(ip.IP) != net.IPv6len || !ip.IP.IsLinkLocalUnicast() || ip.IP[11] != 0xff || ip.IP[12] != 0xfe {
		return nil, false
	}
	i := ip.IP
	return net.HardwareAddr{i[8] ^ 2, i[9], i[10], i[13], i[14], i[15]}, true
}
