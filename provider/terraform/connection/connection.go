// Package connection holds a provider's connections to the agents of
// facilities: one each, with the BMC credentials offered, and with a bound on
// how many requests are under way at once.
//
// It knows no resource and no schema.
package connection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/credential"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Facilities are an agent's calls about the facility itself.
type Facilities interface {
	ApplyFacility(ctx context.Context, spec facility.Spec) (facility.Status, error)
	RecallFacility(ctx context.Context, spec facility.Spec) (facility.Status, error)
	Facility(ctx context.Context) (facility.Status, error)
	FacilitySpec(ctx context.Context) (facility.Spec, error)
	ReleaseFacility(ctx context.Context) error
}

// Hosts are an agent's calls about hosts. ApplyHost and ReleaseHost return at
// once; AwaitHost gives the first status after a revision for which done holds.
type Hosts interface {
	ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error)
	RecallHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error)
	Host(ctx context.Context, name string, refresh bool) (host.Status, error)
	HostSpec(ctx context.Context, name string) (host.Spec, error)
	AwaitHost(ctx context.Context, name string, after uint64, done func(host.Status) bool) (host.Status, error)
	ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error)
}

// Clusters are an agent's calls about clusters, after the manner of Hosts.
type Clusters interface {
	ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error)
	Cluster(ctx context.Context, name string, refresh bool) (cluster.Status, error)
	ClusterSpec(ctx context.Context, name string) (cluster.Spec, error)
	AwaitCluster(ctx context.Context, name string, after uint64, done func(cluster.Status) bool) (cluster.Status, error)
	DeleteCluster(ctx context.Context, name string) (cluster.Status, error)
	Kubeconfig(ctx context.Context, name string, ttl time.Duration) ([]byte, error)
}

// Client is one agent.
type Client interface {
	Facilities
	Hosts
	Clusters
	OfferCredentials(ctx context.Context, credentials map[string]facility.Credentials) error
	Close() error
}

// Dial connects to the agent at url.
type Dial func(ctx context.Context, url string) (Client, error)

// DefaultParallel is how many requests to one facility are under way at once.
const DefaultParallel = 16

// Pool is all connections of one configured provider.
type Pool struct {
	Dial        Dial
	Credentials credential.Source
	// Parallel bounds requests to one facility; 0 is DefaultParallel. Waiting
	// for long work is not counted: it costs an agent nothing.
	Parallel int
	// Progress shows how far long work is.
	Progress *progress.Log

	mu    sync.Mutex
	sites map[string]*site
}

// From gives the Pool that a provider handed to its resources. It is nil, and
// no error, before the provider is configured.
func From(providerData any) (*Pool, error) {
	if providerData == nil {
		return nil, nil
	}
	pool, ok := providerData.(*Pool)
	if !ok {
		return nil, fmt.Errorf("want %T, got %T; please report this bug", pool, providerData)
	}
	return pool, nil
}

// site is the connection to one facility; its slot is held while dialling.
type site struct {
	dialling chan struct{}
	client   *limited
}

// Agent gives the connection to the agent at url; the first call dials and
// offers all credentials. A failed dial is tried again by the next call.
func (p *Pool) Agent(ctx context.Context, url string) (Client, error) {
	s := p.site(url)
	select {
	case s.dialling <- struct{}{}:
		defer func() { <-s.dialling }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to agent %q: %w", url, ctx.Err())
	}
	if s.client != nil {
		return s.client, nil
	}
	known, err := p.Credentials.All()
	if err != nil {
		return nil, err
	}
	client, err := p.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connecting to agent %q: %w", url, err)
	}
	if len(known) > 0 {
		if err := client.OfferCredentials(ctx, known); err != nil {
			return nil, errors.Join(fmt.Errorf("offering credentials to agent %q: %w", url, err), client.Close())
		}
	}
	s.client = newLimited(client, p.parallel(), known)
	return s.client, nil
}

// AgentFor is Agent for work on a BMC whose credentials have the given name.
// A name that nothing here resolves is no error: the agent may know it.
func (p *Pool) AgentFor(ctx context.Context, url, credentials string) (Client, error) {
	client, err := p.Agent(ctx, url)
	if err != nil {
		return nil, err
	}
	site, ok := client.(*limited)
	if !ok || site.offered(credentials) {
		return client, nil
	}
	pair, found, err := p.Credentials.Resolve(credentials)
	if err != nil {
		return nil, err
	}
	if !found {
		return client, nil
	}
	one := map[string]facility.Credentials{credentials: pair}
	if err := client.OfferCredentials(ctx, one); err != nil {
		return nil, fmt.Errorf("offering credentials %q to agent %q: %w", credentials, url, err)
	}
	return client, nil
}

func (p *Pool) site(url string) *site {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sites[url]
	if !ok {
		s = &site{dialling: make(chan struct{}, 1)}
		if p.sites == nil {
			p.sites = map[string]*site{}
		}
		p.sites[url] = s
	}
	return s
}

func (p *Pool) parallel() int {
	if p.Parallel > 0 {
		return p.Parallel
	}
	return DefaultParallel
}

// Close closes all connections: sessions on BMCs end with it when the agent is
// embedded, rather than by the BMC's own timeout.
func (p *Pool) Close() error {
	p.mu.Lock()
	sites := maps.Clone(p.sites)
	p.mu.Unlock()
	var all []error
	for url, s := range sites {
		s.dialling <- struct{}{}
		if s.client != nil {
			if err := s.client.Close(); err != nil {
				all = append(all, fmt.Errorf("closing connection to agent %q: %w", url, err))
			}
			s.client = nil
		}
		<-s.dialling
	}
	if p.Progress != nil {
		all = append(all, p.Progress.Close())
	}
	return errors.Join(all...)
}
