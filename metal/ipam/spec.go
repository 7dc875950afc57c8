package ipam

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// PoolSpec is what a pool hands out. The JSON names are the attribute paths
// that faults carry.
type PoolSpec struct {
	// Name is for messages; New does not look at it.
	Name string `json:"name"`
	// CIDR is the subnet that all addresses lie in: "172.30.0.0/24".
	CIDR string `json:"cidr"`
	// Ranges are the addresses to hand out, each as "first-last", as a CIDR or as
	// one address. They lie in CIDR and do not overlap.
	Ranges []string `json:"pool"`
	// Reserved are addresses that are never handed out, wherever they lie: the
	// gateway, the agent. They may lie inside a range.
	Reserved []string `json:"reserved,omitempty"`
}

// subnet is a validated PoolSpec.
type subnet struct {
	prefix   netip.Prefix
	reserved map[netip.Addr]bool
	// free are the addresses to hand out: sorted, disjoint, without reserved ones.
	free []netipx.IPRange
}

func (s PoolSpec) parse() (*subnet, error) {
	prefix, err := parsePrefix(s.CIDR)
	if err != nil {
		return nil, fault.Invalid("cidr", "not a subnet", err.Error(), `a subnet such as "172.30.0.0/24"`)
	}
	ranges, err := s.parseRanges(prefix)
	if err != nil {
		return nil, err
	}
	var set netipx.IPSetBuilder
	for _, r := range ranges {
		set.AddRange(r)
	}
	out := &subnet{prefix: prefix, reserved: make(map[netip.Addr]bool, len(s.Reserved))}
	for i, text := range s.Reserved {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, fault.Invalid(fmt.Sprintf("reserved[%d]", i), "not an address", fmt.Sprintf("%q", text), `an address such as "172.30.0.1"`)
		}
		out.reserved[a.Unmap()] = true
		set.Remove(a.Unmap())
	}
	left, err := set.IPSet()
	if err != nil {
		return nil, fmt.Errorf("joining the ranges of pool %q: %w", s.Name, err)
	}
	out.free = left.Ranges()
	if len(out.free) == 0 {
		return nil, fault.Invalid("pool", "the pool is empty: all its addresses are reserved",
			fmt.Sprintf("%s without %s", strings.Join(s.Ranges, ", "), strings.Join(s.Reserved, ", ")), "at least one address that is not reserved")
	}
	return out, nil
}

// parseRanges gives the ranges in their given order, checked one by one and
// against each other.
func (s PoolSpec) parseRanges(prefix netip.Prefix) ([]netipx.IPRange, error) {
	if len(s.Ranges) == 0 {
		return nil, fault.Invalid("pool", "the pool has no ranges", "an empty list", fmt.Sprintf("ranges in %s, such as %q", prefix, usable(prefix)))
	}
	ranges := make([]netipx.IPRange, len(s.Ranges))
	for i, text := range s.Ranges {
		attribute := fmt.Sprintf("pool[%d]", i)
		r, problem := parseRange(text)
		if problem == "" {
			problem = outside(prefix, r)
		}
		if problem != "" {
			return nil, fault.Invalid(attribute, problem, fmt.Sprintf("%q", text),
				fmt.Sprintf(`addresses inside %s as "first-last", a CIDR or one address; all that are usable: %q`, prefix, usable(prefix)))
		}
		for j, before := range ranges[:i] {
			if before.Overlaps(r) {
				return nil, fault.Invalid(attribute, "ranges overlap", fmt.Sprintf("%q (pool[%d]) and %q (pool[%d])", s.Ranges[j], j, text, i),
					"every address in one range only")
			}
		}
		ranges[i] = r
	}
	return ranges, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is not an address with a prefix length", text)
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is an IPv4 address written as IPv6", text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits set behind its prefix length: the subnet is %s", text, p.Masked())
	}
	return p, nil
}

// parseRange gives the range that text names, or what is wrong with it.
func parseRange(text string) (netipx.IPRange, string) {
	var none netipx.IPRange
	if strings.Contains(text, "/") {
		p, err := parsePrefix(text)
		if err != nil {
			return none, "malformed range: " + err.Error()
		}
		return netipx.RangeOfPrefix(p), ""
	}
	first, last, two := strings.Cut(text, "-")
	if !two {
		last = first
	}
	from, err := parseAddr(first)
	if err != nil {
		return none, "malformed range: " + err.Error()
	}
	to, err := parseAddr(last)
	if err != nil {
		return none, "malformed range: " + err.Error()
	}
	if from.BitLen() != to.BitLen() {
		return none, "malformed range: IPv4 and IPv6 are mixed"
	}
	if to.Less(from) {
		return none, "reversed range: its first address is above its last"
	}
	return netipx.IPRangeFrom(from, to), ""
}

func parseAddr(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%q is not an address", text)
	}
	return a, nil
}

// outside tells why r can't be handed out in prefix, or nothing.
func outside(prefix netip.Prefix, r netipx.IPRange) string {
	if !prefix.Contains(r.From()) || !prefix.Contains(r.To()) {
		return fmt.Sprintf("range outside the subnet %s", prefix)
	}
	network, broadcast := unusable(prefix)
	switch {
	case network.IsValid() && r.Contains(network):
		return fmt.Sprintf("range contains the network address %s of the subnet %s", network, prefix)
	case broadcast.IsValid() && r.Contains(broadcast):
		return fmt.Sprintf("range contains the broadcast address %s of the subnet %s", broadcast, prefix)
	}
	return ""
}

// unusable gives the addresses of a subnet that no host may have: in IPv4 the
// network and the broadcast address, except in /31 (RFC 3021) and /32; in IPv6
// the subnet-router anycast address (RFC 4291, 2.6.1), except in /127 (RFC 6164)
// and /128.
func unusable(prefix netip.Prefix) (network, broadcast netip.Addr) {
	if prefix.Bits() >= prefix.Addr().BitLen()-1 {
		return
	}
	network = prefix.Addr()
	if network.Is4() {
		broadcast = netipx.PrefixLastIP(prefix)
	}
	return
}

// usable names all addresses of a subnet that hosts may have.
func usable(prefix netip.Prefix) string {
	r := netipx.RangeOfPrefix(prefix)
	network, broadcast := unusable(prefix)
	from, to := r.From(), r.To()
	if network.IsValid() {
		from = from.Next()
	}
	if broadcast.IsValid() {
		to = to.Prev()
	}
	return netipx.IPRangeFrom(from, to).String()
}
