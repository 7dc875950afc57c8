package hardware

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

const (
	// dhcpTimeout is the pause before a packet is sent again: the first ones are
	// often lost while a switch port begins to forward.
	dhcpTimeout = 2 * time.Second
	dhcpRetries = 5
	// defaultLease is for servers that give no lease time.
	defaultLease = time.Hour
)

// dhcp gets a lease, configures the port, and renews it for as long as the
// installer lives.
func (l *links) dhcp(ctx context.Context, port netlink.Link) error {
	name := port.Attrs().Name
	lease, err := requestLease(ctx, name, port.Attrs().HardwareAddr)
	if err != nil {
		return fmt.Errorf("asking for an address on %q: %w", name, err)
	}
	s := fromAck(lease.ACK)
	if err := assign(port, s); err != nil {
		return err
	}
	l.logger.Info("lease", "port", name, "address", s.address.String())
	go l.renew(port, lease)
	return nil
}

func requestLease(ctx context.Context, name string, mac net.HardwareAddr) (*nclient4.Lease, error) {
	c, err := nclient4.New(name, nclient4.WithTimeout(dhcpTimeout), nclient4.WithRetry(dhcpRetries), nclient4.WithHWAddr(mac))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Request(ctx, dhcpv4.WithRequestedOptions(dhcpv4.OptionInterfaceMTU, dhcpv4.OptionClasslessStaticRoute,
		dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDNSDomainSearchList))
}

func fromAck(ack *dhcpv4.DHCPv4) setup {
	mask := ack.SubnetMask()
	if mask == nil {
		mask = ack.YourIPAddr.DefaultMask()
	}
	s := setup{address: net.IPNet{IP: ack.YourIPAddr, Mask: mask}, resolvers: ack.DNS()}
	if gw := ack.Router(); len(gw) > 0 {
		s.gateway = gw[0]
	}
	// RFC 3442: with classless routes the router option is ignored.
	for _, r := range ack.ClasslessStaticRoute() {
		s.routes = append(s.routes, route{to: r.Dest, via: r.Router})
	}
	if labels := ack.DomainSearch(); labels != nil {
		s.domains = labels.Labels
	} else if d := ack.DomainName(); d != "" {
		s.domains = []string{d}
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil {
		s.mtu = int(mtu)
	}
	return s
}

// renew asks again at half of the lease's time. The address stays on the port
// whatever happens: losing it would lose the work.
func (l *links) renew(port netlink.Link, lease *nclient4.Lease) {
	for {
		wait := lease.ACK.IPAddressLeaseTime(defaultLease) / 2
		if pause(l.life, max(wait, 30*time.Second)) != nil {
			return
		}
		again, err := l.renewOnce(port, lease)
		if err != nil {
			l.logger.Warn("lease not renewed", "error", err)
			continue
		}
		lease = again
	}
}

func (l *links) renewOnce(port netlink.Link, lease *nclient4.Lease) (*nclient4.Lease, error) {
	c, err := nclient4.New(port.Attrs().Name, nclient4.WithTimeout(dhcpTimeout), nclient4.WithRetry(dhcpRetries),
		nclient4.WithHWAddr(port.Attrs().HardwareAddr))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Renew(l.life, lease)
}

// writeResolvers makes names resolve; without resolvers the file stays as it is.
func writeResolvers(s setup) error {
	if len(s.resolvers) == 0 {
		return nil
	}
	var b strings.Builder
	for _, ip := range s.resolvers {
		fmt.Fprintf(&b, "nameserver %s\n", ip)
	}
	if len(s.domains) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(s.domains, " "))
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return fmt.Errorf("making /etc: %w", err)
	}
	return os.WriteFile("/etc/resolv.conf", []byte(b.String()), 0o644)
}
