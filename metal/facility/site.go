package facility

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/netboot"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// site is what hosts see of their facility.
type site struct{ f *Facility }

var _ host.Site = site{}

// Connect resolves the credentials' name and reaches the BMC.
func (s site) Connect(ctx context.Context, b host.BMCSpec) (host.BMC, error) {
	c, found := s.f.credential(b.Credentials)
	if !found {
		return nil, &fault.Error{Class: fault.NeedsPerson, Attribute: "bmc.credentials", Summary: "the BMC's credentials are not known",
			Seen: fmt.Sprintf("nobody gave %q", b.Credentials), Expected: "a username and a password under that name",
			Advice: "give them in the provider block (credentials), the environment (METAL_BMC_<NAME>_USERNAME and _PASSWORD) or the credentials folder"}
	}
	client, err := bmc.Connect(ctx, bmc.Config{URL: b.URL, Username: c.Username, Password: c.Password, Fingerprint: b.Fingerprint,
		CA: b.CA, Insecure: b.Insecure, SystemID: b.SystemID, Logger: s.f.log.Named("bmc")})
	if err != nil {
		return nil, err
	}
	return client, nil
}

func (f *Facility) credential(name string) (Credentials, bool) {
	f.mu.Lock()
	c, found := f.credentials[name]
	f.mu.Unlock()
	if !found && f.opt.Credentials != nil {
		return f.opt.Credentials(name)
	}
	return c, found
}

// Claim gives the host its address from its network's pool.
func (s site) Claim(spec host.Spec, had netip.Prefix) (netip.Prefix, error) {
	known := s.f.known()
	if known == nil {
		return netip.Prefix{}, &fault.Error{Class: fault.NeedsPerson, Attribute: "facility", Summary: "the facility is not there",
			Seen: "the agent has no facility", Expected: "a metal_facility that is applied", Advice: "apply the facility first"}
	}
	n, err := networkOf(*known, spec)
	if err != nil {
		return netip.Prefix{}, err
	}
	s.f.mu.Lock()
	pool := s.f.pools[n.Name]
	s.f.mu.Unlock()
	if _, claimed := pool.ClaimOf(owner(spec.Name)); !claimed && had.IsValid() {
		if err := pool.ClaimAddr(owner(spec.Name), had.Addr()); err != nil {
			return netip.Prefix{}, err
		}
	}
	return pool.Claim(owner(spec.Name))
}

// Unclaim gives the host's address back.
func (s site) Unclaim(name string) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	for _, p := range s.f.pools {
		p.Release(owner(name))
	}
	s.f.revision++
}

// InUse tells whether the cluster that a deployment belongs to has a record.
func (s site) InUse(owner string) bool {
	for _, name := range s.f.clusters.names() {
		if cluster.Owner(name) == owner {
			return true
		}
	}
	return false
}

// networkOf finds the network that a host boots on.
func networkOf(f Spec, h host.Spec) (NetworkSpec, error) {
	if h.Network == "" && len(f.Networks) == 1 {
		return f.Networks[0], nil
	}
	var names []string
	for _, n := range f.Networks {
		if n.Name == h.Network {
			return n, nil
		}
		names = append(names, n.Name)
	}
	return NetworkSpec{}, fault.Invalid("network", "the host's network is not known", fmt.Sprintf("%q", h.Network), "one of "+strings.Join(names, ", "))
}

// BootURL is where firmware finds the installer.
func (s site) BootURL(spec host.Spec, token string) (string, error) {
	n, err := networkOf(*s.f.known(), spec)
	if err != nil {
		return "", err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if s.f.services == nil {
		return "", &fault.Error{Class: fault.Retryable, Summary: "the boot services do not run", Advice: "apply the facility"}
	}
	return s.f.services.boot.BootURL(n.Name, token), nil
}

// Cmdline tells the installer where its agent is and how to trust it.
func (s site) Cmdline(spec host.Spec, token string) (string, error) {
	known := s.f.known()
	n, err := networkOf(*known, spec)
	if err != nil {
		return "", err
	}
	base := "https://" + net.JoinHostPort(n.AgentAddress, fmt.Sprint(known.Services.tlsPort()))
	words := []string{order.CmdlineAgent + "=" + base, order.CmdlinePin + "=" + s.f.pair.pin(), order.CmdlineToken + "=" + token,
		order.CmdlineMAC + "=" + spec.BootMAC, "console=tty0", "console=ttyS0,115200n8", "quiet", "panic=30"}
	return strings.Join(words, " "), nil
}

// Seen tells what the boot services noticed of a MAC address.
func (s site) Seen(mac string, since time.Time) []string { return s.f.seen.of(mac, since) }

// sightings keeps the last requests of each MAC address.
type sightings struct {
	mu    sync.Mutex
	byMAC map[string][]sighting
}

type sighting struct {
	at   time.Time
	text string
}

// maxSightings per MAC address; maxMACs bounds what a noisy segment can cost.
const (
	maxSightings = 32
	maxMACs      = 4096
)

func (s *sightings) note(o netboot.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byMAC == nil || len(s.byMAC) > maxMACs {
		s.byMAC = map[string][]sighting{}
	}
	now := time.Now()
	mac := o.MAC
	list := append(s.byMAC[mac], sighting{now, fmt.Sprintf("%s %s %s", now.Format(time.TimeOnly), o.Stage, o.File)})
	s.byMAC[mac] = list[max(0, len(list)-maxSightings):]
}

func (s *sightings) of(mac string, since time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, seen := range s.byMAC[mac] {
		if !seen.at.Before(since) {
			out = append(out, strings.TrimSpace(seen.text))
		}
	}
	return out
}

// directory is what the boot services ask.
type directory struct{ f *Facility }

var _ netboot.Directory = directory{}

// ByMAC finds the host that boots from a port.
func (d directory) ByMAC(mac net.HardwareAddr) (netboot.Client, bool) {
	rec, found := d.f.hosts.ByMAC(mac.String())
	if !found {
		return netboot.Client{}, false
	}
	return d.client(rec)
}

// ByToken finds the host of a boot.
func (d directory) ByToken(token string) (netboot.Client, bool) {
	spec, found := d.f.hosts.ByToken(token)
	if !found {
		return netboot.Client{}, false
	}
	rec, found := d.f.hosts.ByMAC(spec.BootMAC)
	if !found {
		return netboot.Client{}, false
	}
	return d.client(rec)
}

func (d directory) client(rec host.Record) (netboot.Client, bool) {
	known := d.f.known()
	if known == nil {
		return netboot.Client{}, false
	}
	n, err := networkOf(*known, rec.Spec)
	mac, macErr := net.ParseMAC(rec.Spec.BootMAC)
	if err != nil || macErr != nil {
		return netboot.Client{}, false
	}
	c := netboot.Client{Name: rec.Spec.Name, Network: n.Name, MAC: mac, Addr: rec.Address}
	if rec.Boot == nil {
		return c, true
	}
	cmdline, err := site(d).Cmdline(rec.Spec, rec.Boot.Token)
	if err != nil {
		return c, true
	}
	c.Boot = &netboot.Boot{Token: rec.Boot.Token, Cmdline: cmdline}
	return c, true
}
