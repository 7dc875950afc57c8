package facility

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/ipam"
)

// Options are what a Facility is opened with.
type Options struct {
	// Dir is the folder of the facility's state; it is made when missing.
	Dir string
	// Version is shown in Status.
	Version string
	// Logger may be nil.
	Logger hclog.Logger
	// Resume starts the boot services at once when the facility was served
	// before, so that installers that are at work find them again. For an agent
	// of its own; an embedded one starts them when it is asked for work.
	Resume bool
	// Credentials resolves names that nobody offered; may be nil.
	Credentials func(name string) (Credentials, bool)
}

// Facility is one site. Its methods are safe for concurrent use.
type Facility struct {
	opt    Options
	log    hclog.Logger
	store  *store
	events event.Bus
	hosts  *host.Manager
	image  *images
	pair   keyPair

	// applying makes changes of the facility itself one at a time.
	applying sync.Mutex

	mu          sync.Mutex
	spec        *Spec
	pools       map[string]*ipam.Pool // by network
	services    *services
	credentials map[string]Credentials
	seen        sightings
	revision    uint64

	clusters *clusters
}

// Open opens the facility whose state is in opt.Dir. Nothing is served, and no
// work is done, until it is asked for (but see Options.Resume).
func Open(ctx context.Context, opt Options) (*Facility, error) {
	if opt.Logger == nil {
		opt.Logger = hclog.NewNullLogger()
	}
	st, err := openStore(opt.Dir)
	if err != nil {
		return nil, err
	}
	f := &Facility{opt: opt, log: opt.Logger, store: st, credentials: map[string]Credentials{}, pools: map[string]*ipam.Pool{}}
	if err := f.load(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Facility) load(ctx context.Context) error {
	var err error
	if f.pair, err = f.store.keyPair(time.Now()); err != nil {
		return err
	}
	f.image = newImages(f.store, filepath.Join(f.opt.Dir, "images"))
	if f.hosts, err = host.New(host.Config{Store: f.store, Site: site{f}, Events: &f.events, Logger: f.log.Named("host")}); err != nil {
		return err
	}
	f.clusters = newClusters(f)
	var spec Spec
	found, err := f.store.get(bucketSite, "spec", &spec)
	if err != nil || !found {
		return err
	}
	if err := f.adopt(spec); err != nil {
		return err
	}
	if f.opt.Resume {
		return f.serve(ctx)
	}
	return nil
}

// adopt opens the pools of spec with the addresses that hosts have.
func (f *Facility) adopt(spec Spec) error {
	pools := map[string]*ipam.Pool{}
	for _, n := range spec.Networks {
		pool, err := ipam.New(n.pool())
		if err != nil {
			return err
		}
		pools[n.Name] = pool
	}
	records, err := f.store.Hosts()
	if err != nil {
		return err
	}
	for _, r := range records {
		if !r.Address.IsValid() {
			continue
		}
		network, err := networkOf(spec, r.Spec)
		if err != nil {
			return err
		}
		if err := pools[network.Name].Restore(map[netip.Addr]string{r.Address.Addr(): owner(r.Spec.Name)}); err != nil {
			return below("networks.", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spec, f.pools = &spec, pools
	f.revision++
	return nil
}

// Close stops all work and all services; the state stays.
func (f *Facility) Close() error {
	if f.clusters != nil {
		f.clusters.close()
	}
	if f.hosts != nil {
		f.hosts.Close()
	}
	return errors.Join(f.stopServing(), f.store.db.Close())
}

// Events is the facility's one bus.
func (f *Facility) Events() *event.Bus { return &f.events }

// OfferCredentials keeps credentials in memory, merged by name.
func (f *Facility) OfferCredentials(credentials map[string]Credentials) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, c := range credentials {
		f.credentials[name] = c
	}
}

// ApplyFacility makes spec the wanted state and serves it. A change that would
// strand a host's address is refused.
func (f *Facility) ApplyFacility(ctx context.Context, spec Spec) (Status, error) {
	f.applying.Lock()
	defer f.applying.Unlock()
	if err := f.keep(spec); err != nil {
		return Status{}, err
	}
	if err := f.restart(ctx); err != nil {
		return Status{}, onFacility(spec.Name, err)
	}
	return f.Facility(ctx)
}

// RecallFacility makes a record of the facility when there is none; nothing is
// started.
func (f *Facility) RecallFacility(ctx context.Context, spec Spec) (Status, error) {
	f.applying.Lock()
	defer f.applying.Unlock()
	if f.known() == nil {
		if err := f.keep(spec); err != nil {
			return Status{}, err
		}
	}
	return f.Facility(ctx)
}

func (f *Facility) keep(spec Spec) error {
	if err := spec.Validate(); err != nil {
		return onFacility(spec.Name, err)
	}
	if old := f.known(); old != nil && old.Name != spec.Name {
		return onFacility(spec.Name, &fault.Error{Class: fault.NeedsPerson, Attribute: "agent", Summary: "the agent serves another facility",
			Seen: fmt.Sprintf("it has the state of facility %q", old.Name), Expected: "an agent of its own for each facility",
			Advice: "give this facility another agent (another socket or state folder)"})
	}
	if err := f.adopt(spec); err != nil {
		return onFacility(spec.Name, err)
	}
	return f.store.put(bucketSite, "spec", spec)
}

// known is the applied specification, or nil.
func (f *Facility) known() *Spec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec
}

// Facility gives the status; ErrNotFound when none was applied.
func (f *Facility) Facility(ctx context.Context) (Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.spec == nil {
		return Status{}, fmt.Errorf("facility: %w", ErrNotFound)
	}
	s := Status{Name: f.spec.Name, Revision: f.revision, Serving: f.services != nil, Version: f.opt.Version, Claims: map[string]string{}}
	for _, p := range f.pools {
		for a, o := range p.Claims() {
			s.Claims[a.String()] = o
		}
	}
	for _, h := range f.hosts.List() {
		s.Hosts = append(s.Hosts, h.Name)
	}
	s.Clusters = f.clusters.names()
	return s, nil
}

// ReleaseFacility stops serving and forgets the facility. It refuses while
// there are hosts or clusters. A facility that is not there counts as released.
func (f *Facility) ReleaseFacility(ctx context.Context) error {
	f.applying.Lock()
	defer f.applying.Unlock()
	s, err := f.Facility(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(s.Hosts)+len(s.Clusters) > 0 {
		return onFacility(s.Name, &fault.Error{Class: fault.NeedsPerson, Summary: "the facility is in use",
			Seen: fmt.Sprintf("hosts %v, clusters %v", s.Hosts, s.Clusters), Expected: "no host and no cluster", Advice: "destroy them first"})
	}
	if err := f.stopServing(); err != nil {
		return onFacility(s.Name, err)
	}
	if err := f.image.forget(); err != nil {
		return onFacility(s.Name, err)
	}
	f.mu.Lock()
	f.spec, f.pools = nil, map[string]*ipam.Pool{}
	f.revision++
	f.mu.Unlock()
	return f.store.remove(bucketSite, "spec")
}

func onFacility(name string, err error) error { return about("facility", name, err) }

// about makes err a fault that names its subject, unless it names one already.
func about(kind, name string, err error) error {
	if err == nil {
		return nil
	}
	e := *fault.From(err)
	if e.Subject == "" {
		e.Subject = fmt.Sprintf("%s %q", kind, name)
	}
	return &e
}

func owner(hostName string) string { return "host/" + hostName }
