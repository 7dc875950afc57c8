package netboot

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Options that the DHCP library has no constructor for.
const (
	// optionVendor is "vendor specific information"; for PXE clients it holds the
	// options of the PXE specification 2.1, table 2-1.
	optionVendor = dhcpv4.GenericOptionCode(43)
	// optionUUID is the client's machine identifier (RFC 4578, 2.3). Some ROMs
	// drop an answer that does not copy it.
	optionUUID = dhcpv4.GenericOptionCode(97)
	// optionIPXE holds iPXE's own options (iPXE, src/include/ipxe/dhcp.h:
	// DHCP_EB_ENCAP).
	optionIPXE = dhcpv4.GenericOptionCode(175)
)

var (
	// discoveryControl is PXE_DISCOVERY_CONTROL (6) with bit 3: download the boot
	// file of this answer right away, without prompt, menu or search for other
	// boot servers.
	discoveryControl = []byte{6, 1, 1 << 3, 255}
	// noProxyDHCP is iPXE's "no-pxedhcp" (176): do not wait for the offers of a
	// ProxyDHCP server, which takes 3 s at each stage.
	noProxyDHCP = []byte{176, 1, 1}
)

// limits of what is copied into an answer.
const (
	uuidLength = 17 // type and UUID
	maxDNS     = 8
	// headerFile is the length of the BOOTP header's "file" with its final zero.
	headerFile = 128
)

// replyTo makes the part that all answers have. It builds the packet itself,
// because the library's constructor draws a transaction ID and can fail.
func replyTo(request *dhcpv4.DHCPv4, network Network, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	reply := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: request.HWType,
		TransactionID: request.TransactionID, Flags: request.Flags,
		ClientIPAddr: request.ClientIPAddr, YourIPAddr: net.IPv4zero,
		ServerIPAddr: network.Agent.AsSlice(), GatewayIPAddr: request.GatewayIPAddr,
		ClientHWAddr: request.ClientHWAddr, Options: dhcpv4.Options{},
	}
	if kind == dhcpv4.MessageTypeOffer {
		reply.ClientIPAddr = net.IPv4zero // RFC 2131, table 3
	}
	reply.UpdateOption(dhcpv4.OptMessageType(kind))
	reply.UpdateOption(dhcpv4.OptServerIdentifier(network.Agent.AsSlice()))
	// RFC 6842 (client identifier) and RFC 3046 (relay agent information).
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionClientIdentifier, dhcpv4.OptionRelayAgentInformation} {
		if v := request.Options.Get(code); len(v) > 0 {
			reply.UpdateOption(dhcpv4.OptGeneric(code, v))
		}
	}
	if v := request.Options.Get(optionUUID); len(v) == uuidLength {
		reply.UpdateOption(dhcpv4.OptGeneric(optionUUID, v))
	}
	return reply
}

func setAddress(reply *dhcpv4.DHCPv4, client Client, network Network) {
	reply.YourIPAddr = client.Addr.Addr().AsSlice()
	lease := network.Lease
	if lease <= 0 {
		lease = DefaultLease
	}
	reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
	reply.UpdateOption(dhcpv4.OptRenewTimeValue(lease / 2))
	reply.UpdateOption(dhcpv4.OptRebindingTimeValue(lease / 8 * 7))
	reply.UpdateOption(dhcpv4.OptSubnetMask(net.CIDRMask(client.Addr.Bits(), 32)))
	if network.Gateway.Is4() {
		reply.UpdateOption(dhcpv4.OptRouter(network.Gateway.AsSlice()))
	}
	if dns := ips(network.DNS); len(dns) > 0 {
		reply.UpdateOption(dhcpv4.OptDNS(dns...))
	}
	if client.Name != "" {
		reply.UpdateOption(dhcpv4.OptHostName(client.Name))
	}
	if network.Domain != "" {
		reply.UpdateOption(dhcpv4.OptDomainName(network.Domain))
	}
}

func ips(addrs []netip.Addr) []net.IP {
	var out []net.IP
	for _, a := range addrs {
		if a.Is4() && len(out) < maxDNS {
			out = append(out, a.AsSlice())
		}
	}
	return out
}

// setBoot adds what the sender of request needs to boot, and tells which file
// that is and why.
func setBoot(reply, request *dhcpv4.DHCPv4, client Client, network Network, files Files) (file, reason string) {
	kind, arch := identify(request)
	switch {
	case kind == system:
		return "", "an operating system"
	case client.Boot == nil:
		return "", fmt.Sprintf("nothing to boot from the network, %s", arch)
	case kind == unsupported:
		return "", fmt.Sprintf("no boot file for %s", arch)
	}
	shown := veil(client.Boot.Token)
	switch kind {
	case uefiHTTP:
		// UEFI 2.10, 24.7.2.3.2: without this class the offer is taken for one
		// of a server that knows nothing of HTTP boot. It is also needed by
		// clients that had their URL from the BMC.
		reply.UpdateOption(dhcpv4.OptClassIdentifier(httpClient))
		setFile(reply, files.BootURL(network, client.Boot.Token, FileInstaller))
		return files.BootURL(network, shown, FileInstaller), arch
	case ipxe:
		reply.UpdateOption(dhcpv4.OptGeneric(optionIPXE, noProxyDHCP))
		setFile(reply, files.BootURL(network, client.Boot.Token, fileScript))
		return files.BootURL(network, shown, fileScript), arch
	}
	file = FileUEFI
	if kind == biosPXE {
		file = FileBIOS
	}
	reply.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
	reply.UpdateOption(dhcpv4.OptGeneric(optionVendor, discoveryControl))
	reply.UpdateOption(dhcpv4.OptTFTPServerName(network.Agent.String()))
	reply.ServerHostName = network.Agent.String()
	setFile(reply, file)
	return file, arch
}

// setFile names the boot file in the header, where old ROMs and U-Boot look, if
// it has room there, and in option 67, which UEFI prefers.
func setFile(reply *dhcpv4.DHCPv4, file string) {
	if len(file) < headerFile {
		reply.BootFileName = file
	}
	reply.UpdateOption(dhcpv4.OptBootFileName(file))
}
