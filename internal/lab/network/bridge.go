package network

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// BridgeName is the name of the lab's bridge inside its namespace.
const BridgeName = "br0"

// Layout is what Configure makes.
type Layout struct {
	// Bridge is the bridge's address with prefix length: the agent's address.
	Bridge netip.Prefix
	// Aliases are further addresses of the bridge: the BMCs'.
	Aliases []netip.Addr
	// Taps are the names of the machines' ports.
	Taps []string
}

// Configure sets up the network namespace that the process runs in.
func Configure(layout Layout) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("setting up the loopback interface: %w", err)
	}
	bridge, err := addBridge(layout)
	if err != nil {
		return err
	}
	for _, name := range layout.Taps {
		if err := addTap(name, bridge); err != nil {
			return err
		}
	}
	return nil
}

func addBridge(layout Layout) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = BridgeName
	// Without an address of its own a bridge takes that of a port, and changes
	// it when ports come and go.
	octets := layout.Bridge.Addr().As4()
	attrs.HardwareAddr = net.HardwareAddr{0x52, 0x54, octets[0], octets[1], octets[2], octets[3]}
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("adding bridge %q: %w", BridgeName, err)
	}
	prefixes := []netip.Prefix{layout.Bridge}
	for _, alias := range layout.Aliases {
		prefixes = append(prefixes, netip.PrefixFrom(alias, alias.BitLen()))
	}
	for _, prefix := range prefixes {
		address := &netlink.Addr{IPNet: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}}
		if err := netlink.AddrAdd(bridge, address); err != nil {
			return nil, fmt.Errorf("adding address %q to bridge %q: %w", prefix, BridgeName, err)
		}
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("setting up bridge %q: %w", BridgeName, err)
	}
	return bridge, nil
}

func addTap(name string, bridge netlink.Link) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_DEFAULTS | netlink.TUNTAP_VNET_HDR}
	if err := netlink.LinkAdd(tap); err != nil {
		return fmt.Errorf("adding tap device %q (needs /dev/net/tun): %w", name, err)
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding tap device %q: %w", name, err)
	}
	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("plugging tap device %q into %q: %w", name, BridgeName, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting up tap device %q: %w", name, err)
	}
	return nil
}
