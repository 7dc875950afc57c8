package netboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/interfaces"
	"golang.org/x/net/ipv4"
)

const (
	// dhcpPacket is more than any Ethernet frame without jumbo size holds.
	dhcpPacket = 2048
	// dhcpBacklog holds the requests of some hundred hosts that are switched on at
	// the same moment.
	dhcpBacklog = 1 << 20
	// readPause is the wait after a read error that is not ours: the interface
	// went down.
	readPause = time.Second
)

// dhcpConn is what is needed of *ipv4.PacketConn.
type dhcpConn interface {
	ReadFrom([]byte) (int, *ipv4.ControlMessage, net.Addr, error)
	WriteTo([]byte, *ipv4.ControlMessage, net.Addr) (int, error)
}

// dhcpPort is one socket on one interface.
type dhcpPort struct {
	server *Server
	iface  string
	index  int
	conn   dhcpConn
}

func (s *Server) bindDHCP() ([]func(), error) {
	if !s.config.DHCP {
		return nil, nil
	}
	var serve []func()
	bound := map[string]bool{}
	for i, n := range s.networks {
		if bound[n.Interface] {
			continue
		}
		bound[n.Interface] = true
		at := netip.AddrPortFrom(n.Agent, dhcpv4.ServerPort)
		iface, err := net.InterfaceByName(n.Interface)
		if err != nil {
			return nil, portFault("udp", at, fmt.Sprintf("networks[%d].agent_address", i), err)
		}
		conn, err := listenDHCP(s.ctx, n.Interface)
		if err != nil {
			return nil, portFault("udp", at, "", err)
		}
		s.closers = append(s.closers, conn.Close)
		p := &dhcpPort{server: s, iface: n.Interface, index: iface.Index, conn: ipv4.NewPacketConn(conn)}
		serve = append(serve, p.serve)
	}
	return serve, nil
}

// listenDHCP binds port 67 of one interface. Deliberately without
// SO_REUSEADDR: another DHCP server on this machine must be noticed.
func listenDHCP(ctx context.Context, iface string) (*net.UDPConn, error) {
	packets, err := listenOn(ctx, iface, "udp4", fmt.Sprintf("0.0.0.0:%d", dhcpv4.ServerPort))
	if err != nil {
		return nil, err
	}
	conn := packets.(*net.UDPConn)
	if err := conn.SetReadBuffer(dhcpBacklog); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// listenOn listens on one interface only, whatever addresses it has.
func listenOn(ctx context.Context, iface, network, address string) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var inner error
		err := raw.Control(func(fd uintptr) { inner = interfaces.BindToInterface(int(fd), iface) })
		return errors.Join(err, inner)
	}}
	return config.ListenPacket(ctx, network, address)
}

// serve answers one packet after the other: a decision takes microseconds, and
// a queue in the kernel sheds what is too much.
func (p *dhcpPort) serve() {
	buffer := make([]byte, dhcpPacket)
	for {
		n, _, _, err := p.conn.ReadFrom(buffer)
		if err == nil {
			p.handle(buffer[:n])
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p.server.log.Warn("reading DHCP requests", "interface", p.iface, "error", err)
		select {
		case <-p.server.ctx.Done():
			return
		case <-time.After(readPause):
		}
	}
}

func (p *dhcpPort) handle(packet []byte) {
	s := p.server
	request, err := dhcpv4.FromBytes(packet)
	if err != nil {
		s.log.Trace("malformed DHCP packet", "interface", p.iface, "error", err)
		return
	}
	answer, network, client := s.answer(p.iface, request)
	mac := request.ClientHWAddr.String()
	if answer.Stage == "" {
		return
	}
	s.note(answer, network, client, mac, request)
	if answer.Reply == nil {
		return
	}
	control := &ipv4.ControlMessage{Src: network.Agent.AsSlice(), IfIndex: p.index}
	if _, err := p.conn.WriteTo(answer.Reply.ToBytes(), control, net.UDPAddrFromAddrPort(answer.To)); err != nil {
		s.log.Warn("sending a DHCP answer", "host", client.Name, "mac", mac, "to", answer.To, "error", err)
		return
	}
	if answer.Stage == StageAck {
		s.seen.confirmed(client)
	}
}

// answer finds the client and its network, and decides. An Answer without Stage
// is not worth a word.
func (s *Server) answer(iface string, request *dhcpv4.DHCPv4) (Answer, Network, Client) {
	if request.OpCode != dhcpv4.OpcodeBootRequest || request.MessageType() == dhcpv4.MessageTypeNone {
		return Answer{}, Network{}, Client{}
	}
	client, known := s.hosts.ByMAC(request.ClientHWAddr)
	network, served := s.networkOf(iface, client.Network, request.GatewayIPAddr)
	switch {
	case !served:
		return Answer{}, Network{}, Client{}
	case !known && s.seen.first("unknown "+request.ClientHWAddr.String()):
		return Answer{Stage: StageUnknown, Reason: "no host has this MAC address; it is not answered"}, network, client
	case !known:
		return Answer{}, Network{}, Client{}
	}
	return Decide(request, client, network, s.files(network)), network, client
}

// networkOf gives the network on which a request came: that of the relay's
// address, or one of the interface. Of several on one interface it is the
// client's own, if it is among them.
func (s *Server) networkOf(iface, wanted string, relay net.IP) (Network, bool) {
	giaddr, relayed := v4(relay)
	var found Network
	var any bool
	for _, n := range s.networks {
		if relayed && !n.Prefix.Contains(giaddr) || !relayed && n.Interface != iface {
			continue
		}
		if n.Name == wanted {
			return n, true
		}
		if !any {
			found, any = n, true
		}
	}
	return found, any
}

// note logs and observes an answer.
func (s *Server) note(a Answer, n Network, c Client, mac string, request *dhcpv4.DHCPv4) {
	s.observe(Observation{Stage: a.Stage, MAC: mac, Client: c.Name, Network: n.Name, File: a.File, Detail: a.Reason})
	fields := func() []any {
		return []any{"host", c.Name, "mac", mac, "network", n.Name, "type", request.MessageType().String(), "file", a.File, "reason", a.Reason}
	}
	switch a.Stage {
	case StageDiscover, StageAck, StageInform, StageRelease, StageIgnored:
		if s.log.IsDebug() {
			s.log.Debug(a.Stage, fields()...)
		}
	case StageUnknown:
		s.log.Info(a.Stage, fields()...)
	default:
		// A host that can't boot repeats itself: one line for each reason.
		if s.seen.first(a.Stage + mac + a.Reason) {
			s.log.Warn(a.Stage, fields()...)
		}
	}
}
