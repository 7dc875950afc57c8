package hardware

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/vishvananda/netlink"
)

const (
	// carrierTime bounds the wait for a link before DHCP is tried all the same:
	// autonegotiation takes 1 to 4 s; some drivers never tell.
	carrierTime = 10 * time.Second
	retryPause  = time.Second
)

type links struct {
	logger hclog.Logger
	life   context.Context // of the lease's renewal
}

// Up configures the port that c names, or the first one that gets a lease.
func (l *links) Up(ctx context.Context, c installer.Config) error {
	if lo, err := netlink.LinkByName("lo"); err == nil {
		if err := netlink.LinkSetUp(lo); err != nil {
			l.logger.Debug("no loopback", "error", err)
		}
	}
	for {
		port, err := l.port(ctx, c)
		if err == nil {
			if err = l.configure(ctx, port, c); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.logger.Warn("network not up yet", "error", err)
		if err := pause(ctx, retryPause); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// port waits for a usable port: its driver may come late, its link later.
func (l *links) port(ctx context.Context, c installer.Config) (netlink.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, carrierTime)
	defer cancel()
	updates := make(chan netlink.LinkUpdate, 64)
	onError := func(err error) { l.logger.Debug("watching links", "error", err) }
	if err := netlink.LinkSubscribeWithOptions(updates, ctx.Done(), netlink.LinkSubscribeOptions{ErrorCallback: onError}); err != nil {
		return nil, fmt.Errorf("watching links: %w", err)
	}
	for {
		found, err := l.candidates(c)
		if err != nil {
			return nil, err
		}
		for _, port := range found {
			if ready(port) {
				return port, nil
			}
		}
		select {
		case _, open := <-updates:
			if open {
				continue
			}
		case <-ctx.Done():
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no Ethernet port%s", withMAC(c.MAC))
		}
		return found[0], nil // without a carrier, as far as its driver tells
	}
}

func withMAC(mac string) string {
	if mac == "" {
		return ""
	}
	return " with MAC address " + mac
}

// candidates are the ports that c allows, all set up.
func (l *links) candidates(c installer.Config) ([]netlink.Link, error) {
	all, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing ports: %w", err)
	}
	var out []netlink.Link
	for _, link := range all {
		a := link.Attrs()
		if a.EncapType != "ether" || c.MAC != "" && !strings.EqualFold(a.HardwareAddr.String(), c.MAC) {
			continue
		}
		if a.Flags&net.FlagUp == 0 {
			if err := netlink.LinkSetUp(link); err != nil {
				return nil, fmt.Errorf("setting port %q up: %w", a.Name, err)
			}
		}
		out = append(out, link)
	}
	return out, nil
}

// ready says that a port has a carrier. Virtual ports without link state are
// "unknown" and work.
func ready(l netlink.Link) bool {
	a := l.Attrs()
	return a.Flags&net.FlagUp != 0 && (a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown)
}

func (l *links) configure(ctx context.Context, port netlink.Link, c installer.Config) error {
	if c.Address.IsValid() {
		return assign(port, setup{
			address: net.IPNet{IP: c.Address.Addr().AsSlice(), Mask: net.CIDRMask(c.Address.Bits(), c.Address.Addr().BitLen())},
			gateway: c.Gateway.AsSlice(),
		})
	}
	return l.dhcp(ctx, port)
}

// setup is what a port is configured with.
type setup struct {
	address   net.IPNet
	gateway   net.IP
	routes    []route
	resolvers []net.IP
	domains   []string
	mtu       int
}

type route struct {
	to  *net.IPNet
	via net.IP
}

func assign(port netlink.Link, s setup) error {
	name := port.Attrs().Name
	if s.mtu >= 576 && s.mtu != port.Attrs().MTU {
		if err := netlink.LinkSetMTU(port, s.mtu); err != nil {
			return fmt.Errorf("setting the MTU of %q to %d: %w", name, s.mtu, err)
		}
	}
	addr := &netlink.Addr{IPNet: &s.address}
	if s.address.IP.To4() == nil {
		addr.Flags = nodad
	}
	if err := netlink.AddrReplace(port, addr); err != nil {
		return fmt.Errorf("giving %q the address %s: %w", name, s.address.String(), err)
	}
	if len(s.gateway) > 0 && len(s.routes) == 0 {
		s.routes = []route{{via: s.gateway}}
	}
	for _, r := range s.routes {
		nr := &netlink.Route{LinkIndex: port.Attrs().Index, Dst: r.to, Gw: r.via, Flags: int(netlink.FLAG_ONLINK)}
		if r.via == nil || r.via.IsUnspecified() {
			nr.Gw, nr.Flags, nr.Scope = nil, 0, netlink.SCOPE_LINK
		}
		if err := netlink.RouteReplace(nr); err != nil {
			return fmt.Errorf("setting the route of %q by %s: %w", name, r.via, err)
		}
	}
	return writeResolvers(s)
}

// nodad is IFA_F_NODAD: a static address was checked by the agent, and waiting
// for duplicate address detection would cost a second.
const nodad = 0x02
