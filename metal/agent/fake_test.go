package agent

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// fakeEngine keeps statuses in memory and does no work by itself: a test moves
// it on with change.
type fakeEngine struct {
	mu          sync.Mutex
	changed     chan struct{}
	site        *facility.Status
	siteSpec    facility.Spec
	hostSpecs   map[string]host.Spec
	specs       map[string]cluster.Spec
	hosts       map[string]host.Status
	clusters    map[string]cluster.Status
	credentials map[string]facility.Credentials
	bus         event.Bus
	calls       []string
	contexts    []context.Context // of calls that change something
	// fail is what every call gives; panics makes them panic.
	fail   error
	panics bool
	// waits gets one value per wait that has begun.
	waits  chan struct{}
	closed chan struct{}
}

func newFake() *fakeEngine {
	return &fakeEngine{
		changed: make(chan struct{}), hosts: map[string]host.Status{}, clusters: map[string]cluster.Status{},
		credentials: map[string]facility.Credentials{}, hostSpecs: map[string]host.Spec{}, specs: map[string]cluster.Spec{},
		waits: make(chan struct{}, 10000), closed: make(chan struct{}),
	}
}

func (f *fakeEngine) engines() Engines {
	return Engines{Site: f, Hosts: f, Clusters: f, Specs: f, Version: "test"}
}

func (f *fakeEngine) open(context.Context, string, string, hclog.Logger) (Engines, io.Closer, error) {
	return f.engines(), f, nil
}

func (f *fakeEngine) Close() error {
	close(f.closed)
	return nil
}

// enter locks, notes the call and gives the failure that is set.
func (f *fakeEngine) enter(format string, args ...any) error {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	if f.panics {
		panic("the fake was told to panic")
	}
	return f.fail
}

// change applies do to a host, raises its revision and wakes the waiting.
func (f *fakeEngine) change(name string, do func(*host.Status)) host.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changeLocked(name, do)
}

func (f *fakeEngine) changeLocked(name string, do func(*host.Status)) host.Status {
	s := f.hosts[name]
	s.Name = name
	s.Revision++
	do(&s)
	f.hosts[name] = s
	f.wake()
	return s
}

func (f *fakeEngine) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeEngine) drop(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hosts, name)
	delete(f.clusters, name)
	f.wake()
}

func (f *fakeEngine) ApplyFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("ApplyFacility %s", spec.Name); err != nil {
		return facility.Status{}, err
	}
	f.site, f.siteSpec = &facility.Status{Name: spec.Name, Revision: 1, Serving: true, Version: "test"}, spec
	return *f.site, nil
}

func (f *fakeEngine) RecallFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("RecallFacility %s", spec.Name); err != nil {
		return facility.Status{}, err
	}
	if f.site == nil {
		f.site = &facility.Status{Name: spec.Name, Revision: 1, Version: "test"}
	}
	return *f.site, nil
}

func (f *fakeEngine) Facility(context.Context) (facility.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("Facility"); err != nil {
		return facility.Status{}, err
	}
	if f.site == nil {
		return facility.Status{}, facility.ErrNotFound
	}
	return *f.site, nil
}

func (f *fakeEngine) FacilitySpec(context.Context) (facility.Spec, error) {
	defer f.mu.Unlock()
	if err := f.enter("FacilitySpec"); err != nil || f.site == nil {
		return facility.Spec{}, cmp.Or(err, facility.ErrNotFound)
	}
	return f.siteSpec, nil
}

func (f *fakeEngine) HostSpec(_ context.Context, name string) (host.Spec, error) {
	defer f.mu.Unlock()
	return fakeSpec(f, "HostSpec", f.hostSpecs, name)
}

func (f *fakeEngine) ClusterSpec(_ context.Context, name string) (cluster.Spec, error) {
	defer f.mu.Unlock()
	return fakeSpec(f, "ClusterSpec", f.specs, name)
}

func fakeSpec[S any](f *fakeEngine, call string, specs map[string]S, name string) (S, error) {
	err := f.enter("%s %s", call, name)
	spec, found := specs[name]
	if err == nil && !found {
		err = facility.ErrNotFound
	}
	return spec, err
}

func (f *fakeEngine) ReleaseFacility(ctx context.Context) error {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("ReleaseFacility"); err != nil {
		return err
	}
	f.site = nil
	return nil
}

func (f *fakeEngine) OfferCredentials(offered map[string]facility.Credentials) {
	defer f.mu.Unlock()
	if f.enter("OfferCredentials") == nil {
		maps.Copy(f.credentials, offered)
	}
}

func (f *fakeEngine) Events() *event.Bus { return &f.bus }

func (f *fakeEngine) ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("ApplyHost %s recall=%t", spec.Name, recall != nil); err != nil {
		return host.Status{}, err
	}
	f.hostSpecs[spec.Name] = spec
	return f.changeLocked(spec.Name, func(s *host.Status) { s.Busy, s.State = true, host.Enrolling }), nil
}

func (f *fakeEngine) RecallHost(_ context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("RecallHost %s recall=%t", spec.Name, recall != nil); err != nil {
		return host.Status{}, err
	}
	if s, found := f.hosts[spec.Name]; found || recall == nil {
		return s, nil
	}
	f.hosts[spec.Name] = *recall
	return *recall, nil
}

func (f *fakeEngine) Host(_ context.Context, name string, refresh bool) (host.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("Host %s refresh=%t", name, refresh); err != nil {
		return host.Status{}, err
	}
	return f.hostLocked(name)
}

func (f *fakeEngine) hostLocked(name string) (host.Status, error) {
	s, found := f.hosts[name]
	if !found {
		return s, fmt.Errorf("host %q: %w", name, facility.ErrNotFound)
	}
	return s, nil
}

func (f *fakeEngine) WaitHost(ctx context.Context, name string, after uint64) (host.Status, error) {
	return fakeWait(ctx, f, func() (host.Status, error) { return f.hostLocked(name) }, hostRevision, after)
}

func fakeWait[S any](ctx context.Context, f *fakeEngine, look func() (S, error), revision func(S) uint64, after uint64) (S, error) {
	for first := true; ; first = false {
		f.mu.Lock()
		s, err := look()
		if f.fail != nil {
			err = f.fail
		}
		changed := f.changed
		f.mu.Unlock()
		if first {
			f.waits <- struct{}{}
		}
		if err != nil || revision(s) != after {
			return s, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		}
	}
}

func (f *fakeEngine) ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("ReleaseHost %s abandon=%t", name, abandon); err != nil {
		return host.Status{}, err
	}
	if _, err := f.hostLocked(name); err != nil {
		return host.Status{}, err
	}
	return f.changeLocked(name, func(s *host.Status) { s.Busy, s.State = true, host.Releasing }), nil
}

func (f *fakeEngine) Hosts(context.Context) ([]host.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("Hosts"); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(f.hosts)), nil
}

func (f *fakeEngine) ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("ApplyCluster %s", spec.Name); err != nil {
		return cluster.Status{}, err
	}
	f.specs[spec.Name] = spec
	return f.clusterLocked(spec.Name, cluster.PhasePreflight), nil
}

func (f *fakeEngine) clusterLocked(name string, phase cluster.Phase) cluster.Status {
	s := f.clusters[name]
	s.Name, s.Phase, s.Busy = name, phase, phase != cluster.PhaseReady
	s.Ready = !s.Busy
	s.Revision++
	f.clusters[name] = s
	f.wake()
	return s
}

func (f *fakeEngine) lookCluster(name string) (cluster.Status, error) {
	s, found := f.clusters[name]
	if !found {
		return s, facility.ErrNotFound
	}
	return s, nil
}

func (f *fakeEngine) Cluster(_ context.Context, name string, refresh bool) (cluster.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("Cluster %s refresh=%t", name, refresh); err != nil {
		return cluster.Status{}, err
	}
	return f.lookCluster(name)
}

func (f *fakeEngine) WaitCluster(ctx context.Context, name string, after uint64) (cluster.Status, error) {
	return fakeWait(ctx, f, func() (cluster.Status, error) { return f.lookCluster(name) }, clusterRevision, after)
}

func (f *fakeEngine) DeleteCluster(ctx context.Context, name string) (cluster.Status, error) {
	defer f.mu.Unlock()
	defer func() { f.contexts = append(f.contexts, ctx) }()
	if err := f.enter("DeleteCluster %s", name); err != nil {
		return cluster.Status{}, err
	}
	if _, err := f.lookCluster(name); err != nil {
		return cluster.Status{}, err
	}
	return f.clusterLocked(name, cluster.PhaseDeleting), nil
}

func (f *fakeEngine) Kubeconfig(_ context.Context, name string, ttl time.Duration) ([]byte, error) {
	defer f.mu.Unlock()
	if err := f.enter("Kubeconfig %s ttl=%s", name, ttl); err != nil {
		return nil, err
	}
	if _, err := f.lookCluster(name); err != nil {
		return nil, err
	}
	return []byte("apiVersion: v1\nkind: Config\n"), nil
}

func (f *fakeEngine) Clusters(context.Context) ([]cluster.Status, error) {
	defer f.mu.Unlock()
	if err := f.enter("Clusters"); err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(f.clusters)), nil
}
