package facility

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/netboot"
)

// services are what runs while a facility is served.
type services struct {
	boot *netboot.Server
	tls  []*http.Server
	done sync.WaitGroup
}

// ensureServing starts the services unless they run.
func (f *Facility) ensureServing(ctx context.Context) error {
	f.applying.Lock()
	defer f.applying.Unlock()
	f.mu.Lock()
	running := f.services != nil
	f.mu.Unlock()
	if running {
		return nil
	}
	return f.serve(ctx)
}

func (f *Facility) restart(ctx context.Context) error {
	if err := f.stopServing(); err != nil {
		return err
	}
	return f.serve(ctx)
}

// serve starts the services of the applied specification.
func (f *Facility) serve(ctx context.Context) error {
	spec := f.known()
	if spec == nil {
		return fmt.Errorf("facility: %w", ErrNotFound)
	}
	networks, err := bootNetworks(*spec)
	if err != nil {
		return err
	}
	dhcp := spec.Services.DHCP != DHCPOff
	if dhcp {
		if err := noForeign(ctx, networks); err != nil {
			return err
		}
	}
	// The services outlive the request that started them; Close ends them.
	boot, err := netboot.Start(context.WithoutCancel(ctx), netboot.Config{Networks: networks, HTTPPort: spec.Services.httpPort(), InstallerDir: spec.Services.Installer,
		Extra: f.image, DHCP: dhcp, RouterAdvertisements: true, Logger: f.log.Named("netboot"), Observe: f.seen.note}, directory{f})
	if err != nil {
		return err
	}
	s := &services{boot: boot}
	if err := f.serveTLS(s, *spec); err != nil {
		return errors.Join(err, s.close())
	}
	f.mu.Lock()
	f.services = s
	f.revision++
	f.mu.Unlock()
	f.log.Info("serving", "facility", spec.Name, "dhcp", dhcp)
	return nil
}

// serveTLS serves the installer protocol on the agent's address of each network.
func (f *Facility) serveTLS(s *services, spec Spec) error {
	cert, err := f.pair.tls()
	if err != nil {
		return err
	}
	for _, n := range spec.Networks {
		address := net.JoinHostPort(n.AgentAddress, fmt.Sprint(spec.Services.tlsPort()))
		listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		if err != nil {
			return &fault.Error{Class: fault.NeedsPerson, Attribute: "services.tls_port", Summary: "the installer service cannot listen",
				Seen: err.Error(), Expected: address + " to be free", Advice: "end what listens there, or choose another tls_port", Err: err}
		}
		server := &http.Server{Handler: f.hosts.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: f.log.Named("tls").StandardLogger(nil)}
		s.tls = append(s.tls, server)
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				f.log.Error("the installer service ended", "address", address, "error", err)
			}
		}()
	}
	return nil
}

func (s *services) close() error {
	var all []error
	for _, server := range s.tls {
		all = append(all, server.Close())
	}
	all = append(all, s.boot.Close())
	s.done.Wait()
	return errors.Join(all...)
}

func (f *Facility) stopServing() error {
	f.mu.Lock()
	s := f.services
	f.services = nil
	f.revision++
	f.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.close()
}

// bootNetworks finds the interface that carries the agent's address on each
// network.
func bootNetworks(spec Spec) ([]netboot.Network, error) {
	var out []netboot.Network
	for i, n := range spec.Networks {
		agent := netip.MustParseAddr(n.AgentAddress)
		name, err := interfaceWith(agent)
		if err != nil {
			e := *fault.From(err)
			e.Attribute = fmt.Sprintf("networks[%d].agent_address", i)
			return nil, &e
		}
		b := netboot.Network{Name: n.Name, Interface: name, Agent: agent, Prefix: netip.MustParsePrefix(n.CIDR).Masked()}
		if n.Gateway != "" {
			b.Gateway = netip.MustParseAddr(n.Gateway)
		}
		for _, d := range n.DNS {
			b.DNS = append(b.DNS, netip.MustParseAddr(d))
		}
		out = append(out, b)
	}
	return out, nil
}

func interfaceWith(a netip.Addr) (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", fmt.Errorf("listing interfaces: %w", err)
	}
	var have []string
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return "", fmt.Errorf("listing the addresses of %q: %w", i.Name, err)
		}
		for _, has := range addrs {
			p, err := netip.ParsePrefix(has.String())
			if err != nil {
				continue
			}
			if p.Addr() == a {
				return i.Name, nil
			}
			have = append(have, fmt.Sprintf("%s on %s", p, i.Name))
		}
	}
	return "", &fault.Error{Class: fault.NeedsPerson, Summary: "no interface of the agent's machine has its address",
		Seen: strings.Join(have, ", "), Expected: a.String(), Advice: "give the interface that faces the hosts this address, or correct agent_address"}
}

// noForeign refuses to be the second DHCP server of a segment.
func noForeign(ctx context.Context, networks []netboot.Network) error {
	for i, n := range networks {
		found, err := netboot.Foreign(ctx, n.Interface, netboot.ForeignWait)
		if err != nil {
			return fmt.Errorf("looking for other DHCP servers on %q: %w", n.Interface, err)
		}
		if len(found) == 0 {
			continue
		}
		return &fault.Error{Class: fault.NeedsPerson, Attribute: fmt.Sprintf("networks[%d]", i), Summary: "another DHCP server answers on this network",
			Seen: fmt.Sprint(found), Expected: "none on " + n.Interface + " but this agent",
			Advice: `switch it off for this segment, or set services.dhcp = "off" and let it hand out the boot files`}
	}
	return nil
}
