package connection

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// limited is a Client with a bound on requests under way. OpenTofu runs as many
// operations at once as its -parallelism says, whatever a site can bear. The
// Await calls come from the embedded Client and are not counted.
type limited struct {
	Client
	slots chan struct{}

	mu    sync.Mutex
	names map[string]struct{}
}

func newLimited(client Client, slots int, offered map[string]facility.Credentials) *limited {
	l := &limited{Client: client, slots: make(chan struct{}, slots), names: map[string]struct{}{}}
	l.remember(offered)
	return l
}

func (l *limited) offered(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.names[name]
	return ok
}

func (l *limited) remember(offered map[string]facility.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range maps.Keys(offered) {
		l.names[name] = struct{}{}
	}
}

// within runs call with one slot held.
func within[T any](ctx context.Context, l *limited, call func() (T, error)) (T, error) {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
		return call()
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// alone is within for a call without a result.
func alone(ctx context.Context, l *limited, call func() error) error {
	_, err := within(ctx, l, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (l *limited) OfferCredentials(ctx context.Context, credentials map[string]facility.Credentials) error {
	err := alone(ctx, l, func() error { return l.Client.OfferCredentials(ctx, credentials) })
	if err == nil {
		l.remember(credentials)
	}
	return err
}

func (l *limited) ApplyFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	return within(ctx, l, func() (facility.Status, error) { return l.Client.ApplyFacility(ctx, spec) })
}

func (l *limited) RecallFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	return within(ctx, l, func() (facility.Status, error) { return l.Client.RecallFacility(ctx, spec) })
}

func (l *limited) Facility(ctx context.Context) (facility.Status, error) {
	return within(ctx, l, func() (facility.Status, error) { return l.Client.Facility(ctx) })
}

func (l *limited) FacilitySpec(ctx context.Context) (facility.Spec, error) {
	return within(ctx, l, func() (facility.Spec, error) { return l.Client.FacilitySpec(ctx) })
}

func (l *limited) ReleaseFacility(ctx context.Context) error {
	return alone(ctx, l, func() error { return l.Client.ReleaseFacility(ctx) })
}

func (l *limited) ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	return within(ctx, l, func() (host.Status, error) { return l.Client.ApplyHost(ctx, spec, recall) })
}

func (l *limited) RecallHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	return within(ctx, l, func() (host.Status, error) { return l.Client.RecallHost(ctx, spec, recall) })
}

func (l *limited) Host(ctx context.Context, name string, refresh bool) (host.Status, error) {
	return within(ctx, l, func() (host.Status, error) { return l.Client.Host(ctx, name, refresh) })
}

func (l *limited) HostSpec(ctx context.Context, name string) (host.Spec, error) {
	return within(ctx, l, func() (host.Spec, error) { return l.Client.HostSpec(ctx, name) })
}

func (l *limited) ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error) {
	return within(ctx, l, func() (host.Status, error) { return l.Client.ReleaseHost(ctx, name, abandon) })
}

func (l *limited) ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error) {
	return within(ctx, l, func() (cluster.Status, error) { return l.Client.ApplyCluster(ctx, spec) })
}

func (l *limited) Cluster(ctx context.Context, name string, refresh bool) (cluster.Status, error) {
	return within(ctx, l, func() (cluster.Status, error) { return l.Client.Cluster(ctx, name, refresh) })
}

func (l *limited) ClusterSpec(ctx context.Context, name string) (cluster.Spec, error) {
	return within(ctx, l, func() (cluster.Spec, error) { return l.Client.ClusterSpec(ctx, name) })
}

func (l *limited) DeleteCluster(ctx context.Context, name string) (cluster.Status, error) {
	return within(ctx, l, func() (cluster.Status, error) { return l.Client.DeleteCluster(ctx, name) })
}

func (l *limited) Kubeconfig(ctx context.Context, name string, ttl time.Duration) ([]byte, error) {
	return within(ctx, l, func() ([]byte, error) { return l.Client.Kubeconfig(ctx, name, ttl) })
}
