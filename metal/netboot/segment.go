package netboot

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// checkNetworks refuses networks that can't be served, and fills in interfaces.
func checkNetworks(networks []Network) ([]Network, error) {
	if len(networks) == 0 {
		return nil, fault.Invalid("networks", "no network to serve", "an empty list", "at least one network")
	}
	out := make([]Network, len(networks))
	for i, n := range networks {
		attribute := func(name string) string { return fmt.Sprintf("networks[%d].%s", i, name) }
		for j, before := range out[:i] {
			if before.Name == n.Name {
				return nil, fault.Invalid(attribute("name"), "two networks have the same name", fmt.Sprintf("%q is networks[%d] and networks[%d]", n.Name, j, i), "different names")
			}
			if before.Prefix.Overlaps(n.Prefix) {
				return nil, fault.Invalid(attribute("cidr"), "networks overlap", fmt.Sprintf("%s (%q) and %s (%q)", before.Prefix, before.Name, n.Prefix, n.Name), "different subnets")
			}
		}
		if !n.Agent.Is4() || !n.Prefix.Contains(n.Agent) {
			return nil, fault.Invalid(attribute("agent_address"), "the agent's address is not in the network",
				fmt.Sprintf("%s in %s", n.Agent, n.Prefix), "an IPv4 address of the network")
		}
		found, err := carrier(n.Interface, n.Agent)
		if err != nil {
			f := fault.From(err)
			f.Subject, f.Attribute = fmt.Sprintf("network %q", n.Name), attribute("agent_address")
			return nil, f
		}
		n.Interface = found
		out[i] = n
	}
	return out, nil
}

// carrier gives the interface that has the address a; a named one must have it.
func carrier(name string, a netip.Addr) (string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("listing network interfaces: %w", err)
	}
	var seen []string
	for _, i := range interfaces {
		if name != "" && i.Name != name {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return "", fmt.Errorf("reading addresses of interface %q: %w", i.Name, err)
		}
		for _, have := range addrs {
			seen = append(seen, fmt.Sprintf("%s on %s", have, i.Name))
			if p, err := netip.ParsePrefix(have.String()); err != nil || p.Addr() != a {
				continue
			}
			if i.Flags&net.FlagUp == 0 {
				return "", &fault.Error{Class: fault.NeedsPerson, Summary: "the agent's interface is down", Seen: i.Name + " is down",
					Expected: "an interface that is up", Advice: "ip link set " + i.Name + " up"}
			}
			return i.Name, nil
		}
	}
	f := &fault.Error{Class: fault.NeedsPerson, Summary: "the agent's address is on no interface of this machine",
		Seen: strings.Join(seen, ", "), Expected: a.String(), Advice: fmt.Sprintf("add the address to the interface on this network: ip address add %s/PREFIX dev INTERFACE", a)}
	if name != "" {
		f.Summary = fmt.Sprintf("the agent's address is not on interface %q", name)
	}
	if f.Seen == "" {
		f.Seen = "no address, or no such interface"
	}
	return "", f
}
