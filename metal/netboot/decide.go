package netboot

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Files is where the boot files of a network are.
type Files struct {
	// HTTPPort is the port of the HTTP service on the agent's address.
	HTTPPort int
}

// BootURL is where the client of token finds a file by HTTP.
func (f Files) BootURL(n Network, token, file string) string {
	return fmt.Sprintf("http://%s/boot/%s/%s", netip.AddrPortFrom(n.Agent, uint16(f.HTTPPort)), token, file)
}

// Answer is what to do about a request.
type Answer struct {
	// Reply is nil when nothing is to be sent.
	Reply *dhcpv4.DHCPv4
	// To is where it goes; 255.255.255.255 is broadcast on the segment.
	To netip.AddrPort
	// Stage is what to observe.
	Stage string
	// File is the boot file that the reply names, if any: a name or a URL with
	// its token shortened.
	File string
	// Reason is why, for a person.
	Reason string
}

// Decide gives the answer of network's server to a request of a client that the
// Directory knows. It is pure, and does not trust the request.
//
// The MAC address alone identifies a client (option 61 is only copied back): PXE
// ROM, installer and installed system send different client identifiers and must
// get the same address.
func Decide(request *dhcpv4.DHCPv4, client Client, network Network, files Files) Answer {
	ignore := func(stage, format string, args ...any) Answer {
		return Answer{Stage: stage, Reason: fmt.Sprintf(format, args...)}
	}
	if problem := malformed(request, client); problem != "" {
		return ignore(StageIgnored, "%s", problem)
	}
	if client.Network != network.Name {
		return ignore(StageWrongNetwork, "the host belongs to network %q and asks on network %q", client.Network, network.Name)
	}
	if !client.Addr.IsValid() || !client.Addr.Addr().Is4() {
		return ignore(StageIgnored, "the host has no IPv4 address")
	}
	if relay, ok := v4(request.GatewayIPAddr); ok && !network.Prefix.Contains(relay) {
		return ignore(StageIgnored, "relayed by %s, which is not on network %q", relay, network.Name)
	}
	switch request.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return grant(request, client, network, files, dhcpv4.MessageTypeOffer)
	case dhcpv4.MessageTypeRequest:
		return decideRequest(request, client, network, files)
	case dhcpv4.MessageTypeInform:
		if ip, ok := v4(request.ClientIPAddr); !ok || !network.Prefix.Contains(ip) {
			return ignore(StageIgnored, "INFORM without an address of network %q", network.Name)
		}
		return grant(request, client, network, files, dhcpv4.MessageTypeAck)
	case dhcpv4.MessageTypeRelease:
		return ignore(StageRelease, "the host released its address; it stays reserved for the host")
	case dhcpv4.MessageTypeDecline:
		return ignore(StageDecline, "the host found that %s is used by another machine on network %q", client.Addr.Addr(), network.Name)
	}
	return ignore(StageIgnored, "message type %s", request.MessageType())
}

func malformed(request *dhcpv4.DHCPv4, client Client) string {
	switch {
	case request.OpCode != dhcpv4.OpcodeBootRequest:
		return "not a request"
	case request.HWType != iana.HWTypeEthernet || len(request.ClientHWAddr) != 6:
		return "not from an Ethernet port"
	case request.ClientHWAddr.String() != client.MAC.String():
		return "not from this client"
	}
	return ""
}

// decideRequest tells the states of RFC 2131, 4.3.2 apart: SELECTING names a
// server, INIT-REBOOT an address, RENEWING and REBINDING neither, but use one.
func decideRequest(request *dhcpv4.DHCPv4, client Client, network Network, files Files) Answer {
	server, selecting := v4(request.ServerIdentifier())
	if selecting && server != network.Agent {
		return Answer{Stage: StageOtherServer, Reason: fmt.Sprintf("the host took the offer of another DHCP server, %s", server)}
	}
	asked, ok := v4(request.RequestedIPAddress())
	if !ok {
		asked, ok = v4(request.ClientIPAddr)
	}
	if !ok {
		return Answer{Stage: StageIgnored, Reason: "REQUEST without an address"}
	}
	if asked != client.Addr.Addr() {
		return refuse(request, network, fmt.Sprintf("the host asked for %s; its address is %s", asked, client.Addr.Addr()))
	}
	return grant(request, client, network, files, dhcpv4.MessageTypeAck)
}

// grant makes an OFFER or ACK.
func grant(request *dhcpv4.DHCPv4, client Client, network Network, files Files, kind dhcpv4.MessageType) Answer {
	reply := replyTo(request, network, kind)
	setAddress(reply, client, network)
	a := Answer{Reply: reply, Stage: StageAck}
	switch {
	case kind == dhcpv4.MessageTypeOffer:
		a.Stage = StageDiscover
	case request.MessageType() == dhcpv4.MessageTypeInform:
		a.Stage = StageInform
		// RFC 2131, 4.3.5: no address, no lease.
		reply.YourIPAddr = net.IPv4zero
		for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue} {
			reply.DeleteOption(o)
		}
	}
	a.File, a.Reason = setBoot(reply, request, client, network, files)
	a.To = destination(request, network, kind)
	return a
}

func refuse(request *dhcpv4.DHCPv4, network Network, reason string) Answer {
	reply := replyTo(request, network, dhcpv4.MessageTypeNak)
	// RFC 2131, table 3: a NAK has neither addresses nor a server name.
	reply.ServerIPAddr, reply.ClientIPAddr = net.IPv4zero, net.IPv4zero
	if relayed(request) {
		// RFC 2131, 4.3.2: so that the relay broadcasts it to a client that does
		// not have a right address.
		reply.SetBroadcast()
	}
	return Answer{Reply: reply, To: destination(request, network, dhcpv4.MessageTypeNak), Stage: StageNak, Reason: reason}
}

var broadcast = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpv4.ClientPort)

// destination follows RFC 2131, 4.1. A client without an address is sent a
// broadcast also when it could take a unicast: that needs no entry in the
// neighbour table, and clients must accept both. Nothing is ever sent out of the
// network.
func destination(request *dhcpv4.DHCPv4, network Network, kind dhcpv4.MessageType) netip.AddrPort {
	if relay, ok := v4(request.GatewayIPAddr); ok {
		return netip.AddrPortFrom(relay, dhcpv4.ServerPort)
	}
	if ip, ok := v4(request.ClientIPAddr); ok && kind == dhcpv4.MessageTypeAck && network.Prefix.Contains(ip) {
		return netip.AddrPortFrom(ip, dhcpv4.ClientPort)
	}
	return broadcast
}

func relayed(request *dhcpv4.DHCPv4) bool {
	_, ok := v4(request.GatewayIPAddr)
	return ok
}

// v4 gives an IPv4 address that is set.
func v4(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()
	return a, ok && a.Is4() && !a.IsUnspecified()
}
