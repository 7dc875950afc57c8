package agent

import (
	"context"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// Site is the facility itself. Errors are *fault.Error or wrap
// facility.ErrNotFound.
type Site interface {
	// ApplyFacility validates, stores and serves; applying the same again
	// changes nothing.
	ApplyFacility(ctx context.Context, spec facility.Spec) (facility.Status, error)
	// RecallFacility makes a missing record and serves nothing.
	RecallFacility(ctx context.Context, spec facility.Spec) (facility.Status, error)
	// Facility gives facility.ErrNotFound when none was applied.
	Facility(ctx context.Context) (facility.Status, error)
	// ReleaseFacility refuses while hosts or clusters exist.
	ReleaseFacility(ctx context.Context) error
	// OfferCredentials are kept in memory only, merged by name.
	OfferCredentials(credentials map[string]facility.Credentials)
	// Events is the facility's one bus.
	Events() *event.Bus
}

// Hosts are the facility's servers. ApplyHost and ReleaseHost start work in the
// background and return at once with Busy set.
type Hosts interface {
	// ApplyHost uses recall, what a front end remembers, only when there is no record.
	ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error)
	// RecallHost makes a missing record from recall and starts no work.
	RecallHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error)
	// Host asks the BMC first, reading only, when refresh is set.
	Host(ctx context.Context, name string, refresh bool) (host.Status, error)
	// WaitHost returns when the revision is another than after, or the present status
	// without an error when ctx is done.
	WaitHost(ctx context.Context, name string, after uint64) (host.Status, error)
	// ReleaseHost gives the host back; with abandon its record is dropped even
	// if the hardware does not answer. Afterwards Host gives facility.ErrNotFound.
	ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error)
	// Hosts lists all.
	Hosts(ctx context.Context) ([]host.Status, error)
}

// Clusters are the facility's clusters. ApplyCluster and DeleteCluster start
// work in the background and return at once with Busy set.
type Clusters interface {
	ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error)
	// Cluster asks the cluster's API server first when refresh is set.
	Cluster(ctx context.Context, name string, refresh bool) (cluster.Status, error)
	// WaitCluster behaves like Hosts.WaitHost.
	WaitCluster(ctx context.Context, name string, after uint64) (cluster.Status, error)
	DeleteCluster(ctx context.Context, name string) (cluster.Status, error)
	// Kubeconfig mints an administrator's kubeconfig that is valid for ttl.
	Kubeconfig(ctx context.Context, name string, ttl time.Duration) ([]byte, error)
	Clusters(ctx context.Context) ([]cluster.Status, error)
}

// Engines is what a handler serves.
type Engines struct {
	Site     Site
	Hosts    Hosts
	Clusters Clusters
	Specs    Specs
	// Version is the agent's, for people and for comparing with the client's.
	Version string
}
