package facility

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/ipam"
)

// Default ports of ServicesSpec.
const (
	DefaultHTTPPort = 8080
	DefaultTLSPort  = 8443
)

// DHCP modes of ServicesSpec.
const (
	DHCPAuthoritative = "authoritative"
	DHCPOff           = "off"
)

// Validate checks what can be known without touching anything. The error is a
// *fault.Error that names the attribute.
func (s Spec) Validate() error {
	if !host.ValidName(s.Name) {
		return fault.Invalid("name", "the facility's name is not valid", fmt.Sprintf("%q", s.Name), "lower-case letters, digits and dashes, at most 63 (RFC 1123 label)")
	}
	if len(s.Networks) == 0 {
		return fault.Invalid("networks", "the facility has no network", "none", "at least one network on which hosts boot")
	}
	seen := map[string]bool{}
	var subnets []netip.Prefix
	for i, n := range s.Networks {
		at := fmt.Sprintf("networks[%d].", i)
		if !host.ValidName(n.Name) || seen[n.Name] {
			return fault.Invalid(at+"name", "the network's name is not valid", fmt.Sprintf("%q", n.Name), "an RFC 1123 label that no other network of the facility has")
		}
		seen[n.Name] = true
		if err := n.validate(); err != nil {
			return below(at, err)
		}
		prefix := netip.MustParsePrefix(n.CIDR).Masked()
		for _, other := range subnets {
			if other.Overlaps(prefix) {
				return fault.Invalid(at+"cidr", "two networks overlap", fmt.Sprintf("%s and %s", prefix, other), "subnets that share no address")
			}
		}
		subnets = append(subnets, prefix)
	}
	return s.Services.validate()
}

// below puts the attribute path of err below prefix.
func below(prefix string, err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Attribute != "" {
		moved := *e
		moved.Attribute = prefix + e.Attribute
		moved.Advice = fmt.Sprintf("correct %q in the configuration and apply again; nothing was changed", moved.Attribute)
		return &moved
	}
	return err
}

func (n NetworkSpec) validate() error {
	prefix, err := netip.ParsePrefix(n.CIDR)
	if err != nil || !prefix.Addr().Is4() {
		return fault.Invalid("cidr", "the network's subnet is not valid", fmt.Sprintf("%q", n.CIDR), `an IPv4 subnet such as "172.30.0.0/24"`)
	}
	agent, err := netip.ParseAddr(n.AgentAddress)
	if err != nil || !prefix.Contains(agent) {
		return fault.Invalid("agent_address", "the agent's address is not valid", fmt.Sprintf("%q", n.AgentAddress), "an address in "+prefix.Masked().String())
	}
	if n.Gateway != "" {
		if gw, err := netip.ParseAddr(n.Gateway); err != nil || !prefix.Contains(gw) {
			return fault.Invalid("gateway", "the gateway is not valid", fmt.Sprintf("%q", n.Gateway), "an address in "+prefix.Masked().String())
		}
	}
	for i, d := range n.DNS {
		if _, err := netip.ParseAddr(d); err != nil {
			return fault.Invalid(fmt.Sprintf("dns[%d]", i), "the name server is not valid", fmt.Sprintf("%q", d), "an IP address")
		}
	}
	_, err = ipam.New(n.pool())
	return err
}

// pool is the network's address pool: the gateway and the agent keep theirs.
func (n NetworkSpec) pool() ipam.PoolSpec {
	reserved := []string{n.AgentAddress}
	if n.Gateway != "" {
		reserved = append(reserved, n.Gateway)
	}
	return ipam.PoolSpec{Name: n.Name, CIDR: n.CIDR, Ranges: n.Pool, Reserved: reserved}
}

func (s ServicesSpec) validate() error {
	if s.Installer == "" {
		return fault.Invalid("services.installer", "the installer's folder is not given", "nothing", "a folder with installer.efi, vmlinuz and initramfs.zst on the agent's machine")
	}
	ports := []struct {
		name string
		port int
	}{{"services.http_port", s.HTTPPort}, {"services.tls_port", s.TLSPort}}
	for _, p := range ports {
		if p.port < 0 || p.port > 65535 {
			return fault.Invalid(p.name, "the port is not valid", fmt.Sprint(p.port), "1 to 65535")
		}
	}
	if s.httpPort() == s.tlsPort() {
		return fault.Invalid("services.tls_port", "two services have one port", fmt.Sprint(s.tlsPort()), "different ports for http_port and tls_port")
	}
	switch s.DHCP {
	case "", DHCPAuthoritative, DHCPOff:
		return nil
	}
	return fault.Invalid("services.dhcp", "unknown DHCP mode", fmt.Sprintf("%q", s.DHCP), `"authoritative" or "off"`)
}

func (s ServicesSpec) httpPort() int {
	if s.HTTPPort == 0 {
		return DefaultHTTPPort
	}
	return s.HTTPPort
}

func (s ServicesSpec) tlsPort() int {
	if s.TLSPort == 0 {
		return DefaultTLSPort
	}
	return s.TLSPort
}
