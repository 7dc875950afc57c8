package cluster

import (
	"context"
	"net/netip"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// Hosts are the servers that clusters are made of.
type Hosts interface {
	// Provision blocks until the image is written and the installer has
	// acknowledged the order to boot it, or fails. The same deployment ID again
	// returns at once when that already happened.
	Provision(ctx context.Context, name string, d host.Deployment) (host.Status, error)
	// Deprovision blocks until the host is wiped and off. It does nothing when
	// the host carries nothing of that owner.
	Deprovision(ctx context.Context, name, owner string) error
	// Host gives the present status, its power as the BMC tells it now where
	// that can be had.
	Host(ctx context.Context, name string) (host.Status, error)
	// Wait returns once the status's revision is above after, or with ctx.
	Wait(ctx context.Context, name string, after uint64) (host.Status, error)
	// Facts gives what a first boot needs to know of its host.
	Facts(ctx context.Context, name string) (Facts, error)
	// MarkPhase adds a line to the host's phase table.
	MarkPhase(ctx context.Context, name string, p host.Phase, started time.Time, took time.Duration)
}

// Facts are what a first boot needs to know of its host.
type Facts struct {
	// MAC is the port that has Address.
	MAC     string
	Address netip.Prefix
	// Gateway is invalid when the network has none.
	Gateway netip.Addr
	DNS     []netip.Addr
	// Milestones is where the first boot reports to.
	Milestones kubeadm.Reporting
	// ConsoleTail gives the last lines of the host's console, as evidence when
	// the first boot fails. May be nil.
	ConsoleTail func(ctx context.Context) []string
}

// Records keep what has to survive the process. Records hold secrets: they are
// sealed, or files that only the owner reads.
type Records interface {
	Load(name string) (Record, bool, error)
	Save(name string, r Record) error
	Remove(name string) error
	List() ([]string, error)
}

// Images make an image servable to installers.
type Images interface {
	// Prepare fetches the image, verifies its digest and serves it.
	Prepare(ctx context.Context, s image.Source) (host.DeploymentImage, image.Metadata, error)
}
