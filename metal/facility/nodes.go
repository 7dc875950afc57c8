package facility

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// clusterHosts is what clusters see of the facility's hosts.
type clusterHosts struct{ f *Facility }

var _ cluster.Hosts = clusterHosts{}

// Provision implements cluster.Hosts. The image's address is completed for the
// network that the host is on.
func (c clusterHosts) Provision(ctx context.Context, name string, d host.Deployment) (host.Status, error) {
	rec, err := c.f.hosts.Record(name)
	if err != nil {
		return host.Status{}, notFound(err)
	}
	known := c.f.known()
	n, err := networkOf(*known, rec.Spec)
	if err != nil {
		return host.Status{}, err
	}
	if strings.HasPrefix(d.Image.URL, imagesPath) {
		d.Image.URL = "http://" + net.JoinHostPort(n.AgentAddress, fmt.Sprint(known.Services.httpPort())) + d.Image.URL
	}
	return c.f.hosts.Provision(ctx, name, d)
}

// Deprovision implements cluster.Hosts.
func (c clusterHosts) Deprovision(ctx context.Context, name, owner string) error {
	return c.f.hosts.Deprovision(ctx, name, owner)
}

// Host implements cluster.Hosts. The BMC is asked, so that a wait for a node ends
// when somebody switches its host off.
func (c clusterHosts) Host(ctx context.Context, name string) (host.Status, error) {
	return c.f.Host(ctx, name, true)
}

// Wait implements cluster.Hosts.
func (c clusterHosts) Wait(ctx context.Context, name string, after uint64) (host.Status, error) {
	return c.f.WaitHost(ctx, name, after)
}

// MarkPhase implements cluster.Hosts.
func (c clusterHosts) MarkPhase(_ context.Context, name string, p host.Phase, _ time.Time, took time.Duration) {
	c.f.hosts.MarkPhase(name, p, took)
}

// Facts implements cluster.Hosts.
func (c clusterHosts) Facts(_ context.Context, name string) (cluster.Facts, error) {
	rec, err := c.f.hosts.Record(name)
	if err != nil {
		return cluster.Facts{}, notFound(err)
	}
	known := c.f.known()
	n, err := networkOf(*known, rec.Spec)
	if err != nil {
		return cluster.Facts{}, err
	}
	if n.Gateway == "" {
		// Without a default route the kernel refuses a service address before
		// kube-proxy's rules can translate it: nothing in the cluster would find
		// its API server.
		return cluster.Facts{}, &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("host %q", name), Attribute: "networks.gateway",
			Summary: "the nodes of a cluster need a default route", Seen: fmt.Sprintf("network %q has no gateway", n.Name),
			Expected: "a gateway in " + n.CIDR, Advice: "set gateway on that network of the facility; an address that routes nowhere is enough for a network without a way out"}
	}
	key, err := c.f.hosts.MilestoneKey(name)
	if err != nil {
		return cluster.Facts{}, err
	}
	pin, err := c.f.pair.pinSPKI()
	if err != nil {
		return cluster.Facts{}, err
	}
	facts := cluster.Facts{MAC: rec.Spec.BootMAC, Address: rec.Address,
		Milestones: kubeadm.Reporting{URL: "https://" + net.JoinHostPort(n.AgentAddress, fmt.Sprint(known.Services.tlsPort())) + order.PathMilestone, PinSPKI: pin, Key: kubeadm.Secret(key)},
		ConsoleTail: func(ctx context.Context) []string {
			lines, err := c.f.hosts.ConsoleTail(ctx, name, 30)
			if err != nil {
				return []string{"the console cannot be read: " + err.Error()}
			}
			return lines
		}}
	if n.Gateway != "" {
		facts.Gateway = netip.MustParseAddr(n.Gateway)
	}
	for _, d := range n.DNS {
		facts.DNS = append(facts.DNS, netip.MustParseAddr(d))
	}
	return facts, nil
}

// clusterImages fetches images for clusters.
type clusterImages struct{ f *Facility }

var _ cluster.Images = clusterImages{}

// Prepare implements cluster.Images: fetched, verified, and served from now on.
// The URL is a path, which Provision completes.
func (c clusterImages) Prepare(ctx context.Context, src image.Source) (host.DeploymentImage, image.Metadata, error) {
	local, err := c.f.image.prepare(ctx, src)
	if err != nil {
		return host.DeploymentImage{}, image.Metadata{}, err
	}
	return deploymentImage("", local), local.Metadata, nil
}
